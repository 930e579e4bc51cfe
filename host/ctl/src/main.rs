//! `strategyctl`: looks into strategies, and tries them, without a cluster.
//!
//! | command | tells |
//! |---|---|
//! | `inspect` | what a component is, imports and exports |
//! | `render` | what a job would lead to, step by step, through the engine of production |
//! | `check` | whether a component keeps its promises, before a host finds out |
//! | `manifests` | what an administrator applies to install a plugin |
//! | `crds` | the definitions of the host's own kinds |
//!
//! Exit codes: 0, it went well; 1, it did not, and standard error says why; 2, the command line makes no sense.

#![allow(
    clippy::print_stdout,
    reason = "a command's answer goes to standard output"
)]

mod check;
mod crds;
mod inspect;
mod load;
mod manifests;
mod output;
mod render;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks into backup strategies, and tries them, without a cluster.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Render(render::Arguments),
    Check(check::Arguments),
    Manifests(manifests::Arguments),
    Crds(crds::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Render(arguments) => render::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Manifests(arguments) => manifests::run(&arguments),
        Command::Crds(arguments) => crds::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strategyctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
