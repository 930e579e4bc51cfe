//! `cargo xtask audit`: what the dependencies are allowed to be, by cargo-deny.
//!
//! Apart from `test`, because a vulnerability that becomes known breaks no build of yesterday's commit, and
//! because the database of vulnerabilities is reached over a network that a build may not have.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// The version of cargo-deny that the configuration was written for.
const VERSION: &str = "0.20.2";

/// Where the configuration lies, from the root of the repository.
const CONFIGURATION: &str = "tests/xtask/deny.toml";

/// What `cargo xtask audit` is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out known vulnerabilities, for a machine that cannot reach the database
    #[arg(long)]
    without_advisories: bool,
}

/// Checks the dependencies; installs cargo-deny into the target folder where it is absent.
///
/// # Errors
///
/// When a dependency is not allowed, or the database of vulnerabilities cannot be reached.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::ours()?;
    let deny = deny(&workspace)?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&deny);
        command
            .current_dir(&workspace.root)
            .args(["--locked", "--config", CONFIGURATION])
            .args(arguments);
        command
    };
    process::run(&mut command(&["check", "bans", "licenses", "sources"]))?;
    if options.without_advisories {
        println!("known vulnerabilities were not looked for");
        return Ok(());
    }
    process::run(&mut command(&["fetch", "db"])).context(
        "the database of known vulnerabilities (RustSec's repository of advisories) could not be fetched, so \
         vulnerabilities were not looked for; the checks before it passed. Run this where the database can be \
         reached, or leave it out with --without-advisories",
    )?;
    process::run(&mut command(&["check", "--disable-fetch", "advisories"]))
}

/// The program cargo-deny: from `PATH`, or built into the target folder.
fn deny(workspace: &Workspace) -> Result<std::path::PathBuf> {
    if process::exists("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let tools = workspace.target.join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        install(&tools)?;
    }
    Ok(program)
}

/// Builds cargo-deny into `tools`.
fn install(tools: &Path) -> Result<()> {
    println!(
        "cargo-deny is not there: building it into {}",
        tools.display()
    );
    process::run(
        process::cargo()
            .args([
                "install",
                "cargo-deny",
                "--version",
                VERSION,
                "--locked",
                "--root",
            ])
            .arg(tools),
    )
    .with_context(|| {
        format!("could not install cargo-deny {VERSION}, which checks the dependencies")
    })
}
