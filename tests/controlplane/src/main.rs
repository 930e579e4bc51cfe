//! A control plane for work by hand; `cargo xtask controlplane` runs this.

#![allow(
    clippy::print_stdout,
    reason = "a command line tool speaks on standard output"
)]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use controlplane::{detached, operator_crds};

/// A real control plane on this machine, for work by hand.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Start it, with the operators' CRDs where they are there, and print the path of its kubeconfig
    Up(Place),
    /// End it and remove its files
    Down(Place),
}

/// Where it is.
#[derive(clap::Args)]
struct Place {
    /// The folder of its files
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Up(Place { folder }) => {
            let kubeconfig = detached::up(&folder, &operator_crds()?)?;
            println!("{}", kubeconfig.display());
        }
        Command::Down(Place { folder }) => {
            let was = detached::down(&folder)?;
            println!("{}", if was { "ended" } else { "there was none" });
        }
    }
    Ok(())
}
