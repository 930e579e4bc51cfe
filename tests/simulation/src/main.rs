//! Runs seeds of the simulation, for `cargo xtask simulate`.

#![allow(
    clippy::print_stdout,
    reason = "a command line tool speaks on standard output"
)]

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use simulation::Bug;

/// Which seeds to run.
#[derive(Parser)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them; a random one when absent
    #[arg(long)]
    seed: Option<u64>,
    /// A bug to plant, as it is written where one was found
    #[arg(long)]
    bug: Option<Bug>,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let first = options
        .seed
        .unwrap_or_else(|| fastrand::u64(0..1_000_000_000_000));
    println!("{} seeds from {first} on", options.seeds);
    let began = Instant::now();
    let tally = simulation::hunt(first..first.saturating_add(options.seeds), options.bug)?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds and {} passes of the host in {seconds:.1} s",
        tally.seeds, tally.passes
    );
    for (end, count) in &tally.ends {
        println!("{count:>8}  {end}");
    }
    Ok(match tally.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("\n{failure}");
            ExitCode::FAILURE
        }
    })
}
