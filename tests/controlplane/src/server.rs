//! One running program of the control plane.
//!
//! It never outlives the process that started it, however that ends: `setpriv` asks the kernel to kill it then. The
//! kernel goes by the thread that started it, and a test's thread ends with the test, so one thread that stays
//! starts them all.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::processes::Processes;

/// How much of a log an error quotes, in lines: the reason is in the last few.
const QUOTED: usize = 12;

/// A started program.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// When a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// With this process, at the latest.
    Bound,
    /// When somebody ends it: the folder's [`Processes`] list it.
    Free,
}

impl Server {
    /// Starts `command`, which writes its log to `name.log` in `folder`.
    pub(crate) fn start(
        name: &'static str,
        command: Command,
        folder: &Path,
        life: Life,
    ) -> Result<Self> {
        let log = folder.join(name).with_extension("log");
        let mut command = match life {
            Life::Bound => bound(&command),
            Life::Free => command,
        };
        let file = File::create(&log)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .with_context(|| format!("could not create {}", log.display()))?;
        apart(&mut command)
            .stdin(Stdio::null())
            .stdout(file.0)
            .stderr(file.1);
        let child = spawn(command).with_context(|| {
            format!("could not start {name}; it is started by `setpriv`, a program of util-linux")
        })?;
        let started = Self { name, child, log };
        if life == Life::Free {
            Processes::of(folder).add(name, started.child.id())?;
        }
        Ok(started)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When it has ended, with the end of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} ended: {status}: {}", self.name, self.log_end()),
            Err(error) => Err(error).with_context(|| format!("could not look after {}", self.name)),
        }
    }

    /// The last lines of its log.
    pub(crate) fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED)..].join("\n")
    }

    /// Lets it run on.
    pub(crate) fn release(self) {
        std::mem::forget(self);
    }
}

impl Drop for Server {
    /// Nothing that it holds is needed again, so it is not asked to end well.
    fn drop(&mut self) {
        // Either fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Out of the reach of signals that a terminal sends to the tests.
pub(crate) fn apart(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// `command`, killed by the kernel when the thread that starts it ends.
fn bound(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bound.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` from the thread that stays as long as this process.
fn spawn(command: Command) -> Result<Child> {
    static STARTER: OnceLock<Result<mpsc::Sender<Order>, String>> = OnceLock::new();
    let starter = STARTER
        .get_or_init(|| {
            let (orders, received) = mpsc::channel::<Order>();
            thread::Builder::new()
                .name("controlplane".to_owned())
                .spawn(move || {
                    for (mut command, answer) in received {
                        // Whoever ordered has gone: the child ends with this process all the same.
                        let _ = answer.send(command.spawn());
                    }
                })
                .map(|_| orders)
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| anyhow!("could not start a thread: {error}"))?;
    let (answer, answered) = mpsc::channel();
    starter
        .send((command, answer))
        .context("the thread that starts programs has ended")?;
    Ok(answered
        .recv()
        .context("the thread that starts programs has ended")??)
}
