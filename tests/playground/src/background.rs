//! Processes that go on when the command that started them has ended.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use controlplane::Processes;

/// How much of a log an error quotes, in lines: the reason is in the last few.
const QUOTED: usize = 12;

/// Starts `command` in the background: out of reach of a Ctrl-C, listed in the folder, with its log in `NAME.log` there.
/// What it prints on standard output goes to `output`, and to the log where that is none.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn start(
    folder: &Path,
    name: &str,
    command: &mut Command,
    output: Option<Stdio>,
) -> Result<Child> {
    let path = log(folder, name);
    let log =
        File::create(&path).with_context(|| format!("could not create {}", path.display()))?;
    let both = log
        .try_clone()
        .with_context(|| format!("could not write {}", path.display()))?;
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.unwrap_or_else(|| both.into()))
        .stderr(log)
        .spawn()
        .with_context(|| format!("could not start {name}"))?;
    if let Err(error) = Processes::of(folder).add(name, child.id()) {
        // Nobody could end it later. It can only have ended by itself.
        child.kill().ok();
        child.wait().ok();
        return Err(error);
    }
    Ok(child)
}

/// The last lines of a process's log.
pub(crate) fn log_end(folder: &Path, name: &str) -> String {
    let path = log(folder, name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(QUOTED)..].join("\n");
    format!("the end of {}:\n{end}", path.display())
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("log")
}
