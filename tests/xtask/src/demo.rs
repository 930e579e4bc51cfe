//! `cargo xtask demo`: one backup from beginning to end, for somebody who sees this for the first time.

use anyhow::Result;

use crate::{bundle, process};

/// Builds the strategies and tells the story (`tests/demo`).
///
/// # Errors
///
/// When the strategies cannot be built or the demo fails.
pub(crate) fn run() -> Result<()> {
    let strategies = bundle::strategies(None)?;
    process::run(process::built(&strategies.target, &["demo"])?.arg(strategies.folder))
}
