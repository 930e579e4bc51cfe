//! A platform on a real API server, to try things on. `cargo xtask up` and `cargo xtask down` run this.
//!
//! ```text
//!  up ──► control plane ──► charts, by Helm ──► the host ──► the first backup
//!                 │                              as the chart's Deployment says
//!                 └──► operators and storage, played by a process of their own
//! ```
//!
//! What `up` starts goes on when it has ended. It is listed in `processes.jsonl`, in the folder with its files and logs,
//! and `down` ends it by that list. API server, charts, host and strategies are those of production, and the storage is
//! an S3 service that checks signatures. What is played is the operators (those of `tests/stage`), and Cozystack as far
//! as an application gets what it consists of.
//!
//! | room | holds |
//! |---|---|
//! | `up` | what is started, in which order |
//! | `definitions` | the kinds of the cluster |
//! | `platform` | the charts, and the storage's keys |
//! | `deployment` | the host's process, from the chart's Deployment |
//! | `tenants` | two tenants with an application of each kind, and their kubeconfigs |
//! | `first` | the first backup |
//! | `kubectl` | kubectl, for who has none |
//! | `told` | what a person reads |
//! | `background` | processes that go on |
//! | `play` | the process with the operators and the storage |
//! | `operators` | how an operator reacts for ever |
//! | `cozystack` | what an application consists of |
//! | `bucket` | the storage, as operators have it |
//! | `watching` | waiting for an object |

mod background;
mod bucket;
mod cozystack;
mod definitions;
mod deployment;
mod first;
mod kubectl;
mod operators;
mod platform;
mod play;
mod tenants;
mod told;
mod up;
mod watching;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use controlplane::detached;

/// A platform on a real API server, to try things on.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Start it, and make the first backup
    Up {
        #[command(flatten)]
        place: Place,
        /// The folder with the built strategies
        #[arg(long, value_name = "FOLDER")]
        plugins: PathBuf,
    },
    /// End all of it, and remove its files
    Down(Place),
    /// Ask it with kubectl
    Kubectl {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        question: kubectl::Question,
    },
    /// The operators and the storage; `up` starts this
    #[command(hide = true)]
    Play(Place),
}

/// Where it is.
#[derive(clap::Args)]
struct Place {
    /// The folder of its files
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { place, plugins } => {
            runtime()?.block_on(up::up(&absolute(&place.folder)?, &absolute(&plugins)?))
        }
        Command::Down(Place { folder }) => {
            let was = detached::down(&folder)?;
            told::say(if was { "ended" } else { "there was none" });
            Ok(())
        }
        Command::Kubectl { place, question } => question.ask(&place.folder),
        Command::Play(Place { folder }) => runtime()?.block_on(play::play(&folder)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    // The client of the storage takes the cryptography that the process has chosen. An error says that it has.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
}
