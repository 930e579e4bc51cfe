//! `cargo xtask up`, `kubectl` and `down`: a platform on a real API server, to try things on.

use anyhow::Result;
use clap::Args;

use crate::{bundle, process, workspace::Workspace};

/// Its programs, which are built at once.
const PROGRAMS: [&str; 2] = ["playground", "backupstrategy-controller"];

/// The folder of its files, in the target folder.
const FOLDER: &str = "playground";

/// What `cargo xtask kubectl` is asked for.
#[derive(Args)]
pub(crate) struct Question {
    /// `--tenant NAME` to ask as a tenant, and what kubectl is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Asks the platform with kubectl, which is built when it is needed first.
///
/// # Errors
///
/// When the platform does not run, or kubectl fails.
pub(crate) fn kubectl(question: &Question) -> Result<()> {
    let target = Workspace::ours()?.target;
    let mut command = process::built(&target, &PROGRAMS[..1])?;
    command
        .args(["kubectl", "--folder"])
        .arg(target.join(FOLDER));
    process::run(command.args(&question.arguments))
}

/// Builds host and strategies, and starts the platform (`tests/playground`).
///
/// # Errors
///
/// When something cannot be built or started.
pub(crate) fn up() -> Result<()> {
    let strategies = bundle::strategies(None)?;
    let mut command = process::built(&strategies.target, &PROGRAMS)?;
    command
        .args(["up", "--folder"])
        .arg(strategies.target.join(FOLDER))
        .arg("--plugins")
        .arg(strategies.folder);
    process::run(&mut command)
}

/// Ends the platform and removes its files.
///
/// # Errors
///
/// When a process does not end.
pub(crate) fn down() -> Result<()> {
    let target = Workspace::ours()?.target;
    let mut command = process::built(&target, &PROGRAMS[..1])?;
    process::run(command.args(["down", "--folder"]).arg(target.join(FOLDER)))
}
