//! `cargo xtask controlplane`: a real control plane for work by hand.

use anyhow::Result;
use clap::Subcommand;

use crate::process;
use crate::workspace::Workspace;

/// What `cargo xtask controlplane` is asked for.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Start it and print the path of its kubeconfig
    Up,
    /// End it and remove its files
    Down,
}

/// Starts or ends the control plane in the target folder (`tests/controlplane`).
///
/// # Errors
///
/// When it cannot be built, started or ended.
pub(crate) fn run(action: &Action) -> Result<()> {
    let word = match action {
        Action::Up => "up",
        Action::Down => "down",
    };
    process::run(
        process::cargo()
            .args([
                "run",
                "--quiet",
                "--locked",
                "--package",
                "controlplane",
                "--",
            ])
            .args([word, "--folder"])
            .arg(Workspace::ours()?.target.join("controlplane")),
    )
}
