//! A control plane for work by hand: it outlives the command that starts it, until another command ends it.

use std::{path::Path, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    folder::{ADMIN_KUBECONFIG, AUTHORITY, Folder},
    plane::{ControlPlane, Extent},
    server::Life,
};

/// The file that says which processes run.
const PROCESSES: &str = "processes.json";

/// How often, and how many times, a process that was killed is looked for: ten seconds in all.
const GONE: (Duration, usize) = (Duration::from_millis(50), 200);

/// A process, so that another one that was given its number later is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    id: u32,
    /// In the kernel's ticks since the machine started.
    started: u64,
}

impl Process {
    /// The process that has this number now; none when none has it, or when it has ended and only its parent has
    /// not asked how.
    fn of(id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may contain anything. Behind it come the state, and as the twentieth word the
        // start (proc(5), fields 3 and 22).
        let (_, behind) = stat.rsplit_once(')')?;
        let mut words = behind.split_whitespace();
        let state = words.next()?;
        let started = words.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { id, started })
    }

    fn runs(self) -> bool {
        Self::of(self.id) == Some(self)
    }

    /// Kills it, and waits until it is gone.
    fn end(self) -> Result<()> {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let Some(id) = id.filter(|_| self.runs()) else {
            return Ok(());
        };
        kill_process(id, Signal::KILL)
            .with_context(|| format!("could not end process {}", self.id))?;
        for _ in 0..GONE.1 {
            if !self.runs() {
                return Ok(());
            }
            std::thread::sleep(GONE.0);
        }
        bail!("process {} was killed and does not end", self.id)
    }
}

/// Starts one in `folder`, unless one runs there. Returns the path of the administrator's kubeconfig.
///
/// # Errors
/// As [`ControlPlane::start`]; when the folder cannot be written.
pub fn up(folder: &Path, definitions: &[Value]) -> Result<PathBuf> {
    let folder =
        std::path::absolute(folder).with_context(|| format!("{} is no path", folder.display()))?;
    let kubeconfig = folder.join(ADMIN_KUBECONFIG);
    let before = processes(&folder)?;
    if !before.is_empty() && before.iter().all(|process| process.runs()) {
        return Ok(kubeconfig);
    }
    // One of which a part has ended, or files of one that has.
    down(&folder)?;
    let place = Folder::lasting(&folder)?;
    let plane = ControlPlane::start_in(place, Life::Free, Extent::Whole, definitions)?;
    let started: Vec<_> = plane
        .release()
        .into_iter()
        .filter_map(Process::of)
        .collect();
    let path = folder.join(PROCESSES);
    std::fs::write(&path, serde_json::to_string(&started)?)
        .with_context(|| format!("could not write {}", path.display()))?;
    Ok(kubeconfig)
}

/// Ends the one in `folder` and removes the folder. Returns whether there was one.
///
/// # Errors
/// When a process does not end, the folder cannot be removed, or has other files than those of a control plane.
pub fn down(folder: &Path) -> Result<bool> {
    let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !folder.join(AUTHORITY).exists() && !is_empty() {
        bail!(
            "{} is not the folder of a control plane; it is left as it is",
            folder.display()
        );
    }
    for process in processes(folder)? {
        process.end()?;
    }
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("could not remove {}", folder.display())),
    }
}

fn processes(folder: &Path) -> Result<Vec<Process>> {
    let path = folder.join(PROCESSES);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is not what was written there", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_one_with_another_start_is_not_touched() {
        let me = Process::of(std::process::id()).unwrap();
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
    fn a_folder_of_somebody_elses_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "").unwrap();
        assert!(down(folder.path()).is_err());
        assert!(folder.path().join("notes").exists());
    }

    #[test]
    fn there_is_nothing_to_end_where_nothing_was_started() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!down(&folder.path().join("absent")).unwrap());
    }
}
