//! The processes that go on when the command that started them has ended: one file in their folder lists them, and another
//! command ends them.
//!
//! Each is listed as soon as it runs, so that a command that is cut off leaves nothing that nobody knows of.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// The file, with a line for each process.
const FILE: &str = "processes.jsonl";

/// How often, and how many times, a process that was killed is looked for: ten seconds in all.
const GONE: (Duration, usize) = (Duration::from_millis(50), 200);

/// A process that is listed. Another one that was given its number later is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// When it was started, in the kernel's ticks since the machine was.
    started: u64,
}

impl Process {
    /// The process that has this number now; none when none has it.
    fn of(name: &str, id: u32) -> Option<Self> {
        let started = started(id)?;
        let name = name.to_owned();
        Some(Self { name, id, started })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        started(self.id) == Some(self.started)
    }

    /// Kills it, and waits until it is gone.
    fn end(&self) -> Result<()> {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let Some(id) = id.filter(|_| self.runs()) else {
            return Ok(());
        };
        let (name, number) = (&self.name, self.id);
        kill_process(id, Signal::KILL)
            .with_context(|| format!("could not end {name}, process {number}"))?;
        for _ in 0..GONE.1 {
            if !self.runs() {
                return Ok(());
            }
            std::thread::sleep(GONE.0);
        }
        bail!("{name}, process {number}, was killed and does not end")
    }
}

/// When the process that has a number now was started; none when none has it, or when it has ended and only its parent
/// has not asked how.
fn started(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may contain anything. Behind it come the state, and as the twentieth word the
    // start (proc(5), fields 3 and 22).
    let (_, behind) = stat.rsplit_once(')')?;
    let mut words = behind.split_whitespace();
    let state = words.next()?;
    let started = words.nth(18)?.parse().ok()?;
    (state != "Z").then_some(started)
}

/// The list of a folder.
#[derive(Clone, Debug)]
pub struct Processes {
    path: PathBuf,
}

impl Processes {
    /// The list of a folder; empty when the folder has none.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE),
        }
    }

    /// Lists a process that has just been started.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, name: &str, id: u32) -> Result<()> {
        // One that has ended already need not be ended.
        let Some(process) = Process::of(name, id) else {
            return Ok(());
        };
        let line = format!("{}\n", serde_json::to_string(&process)?);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("could not write {}", self.path.display()))
    }

    /// All that were listed, in the order in which they were started.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self) -> Result<Vec<Process>> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("could not read {}", self.path.display()));
            }
        };
        let processes = text.lines().map(serde_json::from_str);
        processes
            .collect::<Result<_, _>>()
            .with_context(|| format!("{} is not what was written there", self.path.display()))
    }

    /// Ends them all, the last one first: it needs those that were started before.
    ///
    /// # Errors
    /// When one does not end.
    pub fn end(&self) -> Result<()> {
        self.all()?.iter().rev().try_for_each(Process::end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_one_with_another_start_is_not_touched() {
        let me = Process::of("this test", std::process::id()).unwrap();
        assert!(me.runs());
        let other = Process {
            started: me.started + 1,
            ..me
        };
        assert!(!other.runs());
        // This test would not live to say so.
        other.end().unwrap();
    }

    #[test]
    fn what_is_listed_is_ended_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let sleeps = || {
            let mut command = std::process::Command::new("sleep");
            command.arg("600").spawn().unwrap()
        };
        let (mut listed, mut other) = (sleeps(), sleeps());
        let processes = Processes::of(folder.path());
        assert_eq!(processes.all().unwrap(), []);
        processes.add("sleep", listed.id()).unwrap();
        processes.end().unwrap();
        assert!(!listed.wait().unwrap().success(), "it was killed");
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
