//! `cargo xtask package`: the SDK as its authors get it.
//!
//! The crates are packaged as they would be published, and built from that: whatever they need has to be in them, the
//! WIT above all, which lies elsewhere in this repository. Apart from `test`, because cargo asks the registry for it.

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// What an author depends on. Each is published after those that it needs.
const CRATES: [&str; 2] = ["backup-strategy-derive", "backup-strategy"];

/// What the SDK's package holds beside its sources.
const CONTRACT: [&str; 2] = ["wit/strategy.wit", "wit/manifest.schema.json"];

/// Packages the SDK and builds it from its packages.
///
/// # Errors
///
/// When a package lacks something.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::ours()?;
    let mut list = process::cargo();
    list.args(["package", "--list", "--allow-dirty", "--manifest-path"]);
    list.arg(workspace.root.join("sdk/Cargo.toml"));
    let files = process::output(&mut list)?;
    for file in CONTRACT {
        if !files.lines().any(|line| line == file) {
            bail!("the package of the SDK lacks {file}");
        }
    }
    let mut package = process::cargo();
    package.args(["package", "--allow-dirty"]);
    for name in CRATES {
        package.args(["--package", name]);
    }
    process::run(&mut package)
}
