//! `cargo xtask up` and `cargo xtask down`: a platform on a real API server, to try things on.

use anyhow::Result;

use crate::{bundle, process, workspace::Workspace};

/// Its programs, which are built at once.
const PROGRAMS: [&str; 2] = ["playground", "backupstrategy-controller"];

/// The folder of its files, in the target folder.
const FOLDER: &str = "playground";

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
