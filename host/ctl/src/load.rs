//! Loads a component that the user names.

use std::{fs, path::Path};

use anyhow::Context as _;
use backup_engine::limits;
use backup_sandbox::{Compiler, Sandbox, Settings, Strategy};

/// Loads a component, as the host would: with its limits, a trial instantiation and `describe`.
pub(crate) fn strategy(path: &Path) -> anyhow::Result<Strategy> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    // The compiled code is in use only until the command ends.
    let cache = tempfile::tempdir().context("there is no folder for compiled code")?;
    let sandbox = Sandbox::new(Settings::new(
        cache.path().join("compiled"),
        Compiler::InProcess,
    ))?;
    sandbox
        .load(&bytes, limits(None))
        .with_context(|| format!("{} cannot be used", path.display()))
}
