//! `cargo xtask simulate`: the whole engine under simulated faults, for as many seeds as one has time for.

use anyhow::Result;
use clap::Args;

use crate::{bundle, process};

/// What `cargo xtask simulate` is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them; a random one, which is told, when absent
    #[arg(long)]
    seed: Option<u64>,
    /// A bug to plant between the host and the cluster, such as `forgotten-resume`
    #[arg(long)]
    bug: Option<String>,
}

/// Builds the strategies and runs the seeds (`tests/simulation`).
///
/// # Errors
///
/// When the strategies cannot be built, or a seed breaks a promise.
pub(crate) fn run(options: &Options) -> Result<()> {
    let strategies = bundle::strategies(None)?;
    let mut command = process::built(&strategies.target, &["simulation"])?;
    command.args(["--seeds", &options.seeds.to_string()]);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(bug) = &options.bug {
        command.args(["--bug", bug]);
    }
    process::run(&mut command)
}
