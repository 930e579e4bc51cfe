//! `cargo xtask demo`: one backup from beginning to end, for somebody who sees this for the first time.

use anyhow::Result;

use crate::{bundle, process};

/// Builds the strategies and tells the story (`tests/demo`).
///
/// # Errors
///
/// When the strategies cannot be built or the demo fails.
pub(crate) fn run() -> Result<()> {
    let components = bundle::strategies(None)?;
    process::run(
        process::cargo()
            .args(["run", "--quiet", "--locked", "--package", "demo", "--"])
            .arg(components),
    )
}
