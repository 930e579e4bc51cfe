//! The commands of this repository, as `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! | --- | --- |
//! | `bundle` | builds the strategies under `plugins/` and the test fixtures as WebAssembly components |
//! | `test` | checks everything, as CI does |
//! | `demo` | carries one backup of a Postgres application through, on an in-memory cluster |
//! | `up`, `kubectl`, `down` | a platform on a real API server, to try things on, a kubectl for it, and its end |
//! | `simulate` | the whole engine under simulated faults, for many seeds |
//! | `image` | the container image of the host, where something is there that builds images |
//! | `reproduce` | whether the strategies have the same digests when they are built in another folder |
//! | `package` | the SDK as its authors get it, built from what would be published |
//! | `audit` | licences, sources and known vulnerabilities of the dependencies |
//!
//! Each command sets up what it needs, so that a fresh clone needs a Rust toolchain, Go and a C compiler
//! and no preparation.
//!
//! The rooms: a file for each command; [`wasm_std`] decides where the plugins' standard library comes from
//! ([`debian`] is one of the places), [`reproducible`] keeps this checkout's paths out of what is built,
//! [`component`] encodes, [`results`] counts tests, [`workspace`] asks cargo what there is.

#![allow(
    clippy::print_stdout,
    reason = "a command line tool speaks on standard output"
)]

mod audit;
mod bundle;
mod component;
mod controlplane;
mod debian;
mod demo;
mod image;
mod package;
mod playground;
mod process;
mod reproduce;
mod reproducible;
mod results;
mod simulate;
mod test;
mod wasm_std;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Build the strategies and the test fixtures as WebAssembly components
    Bundle(bundle::Options),
    /// Check everything, as CI does
    Test(test::Options),
    /// Carry one backup through on an in-memory cluster and show what happens
    Demo,
    /// Start a platform on a real API server, to try things on: charts, host, operators, tenants
    Up,
    /// Ask that platform with kubectl, for who has none
    Kubectl(playground::Question),
    /// End that platform, and remove its files
    Down,
    /// Run seeds of the simulation: users, operators and faults, and promises that must hold
    Simulate(simulate::Options),
    /// Start or end a real control plane for work by hand
    #[command(subcommand)]
    Controlplane(controlplane::Action),
    /// Build the container image of the host, with buildah, podman or docker
    Image(image::Options),
    /// Build the strategies in another folder as well, and compare their digests
    Reproduce(reproduce::Options),
    /// Package the SDK, and build it from that
    Package,
    /// Check the dependencies' licences, sources and known vulnerabilities
    Audit(audit::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bundle(options) => bundle::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Test(options) => Ok(test::run(&options)),
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
        Command::Up => playground::up().map(|()| ExitCode::SUCCESS),
        Command::Kubectl(question) => playground::kubectl(&question).map(|()| ExitCode::SUCCESS),
        Command::Down => playground::down().map(|()| ExitCode::SUCCESS),
        Command::Simulate(options) => simulate::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Controlplane(action) => controlplane::run(&action).map(|()| ExitCode::SUCCESS),
        Command::Image(options) => image::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Reproduce(options) => reproduce::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Package => package::run().map(|()| ExitCode::SUCCESS),
        Command::Audit(options) => audit::run(&options).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("  because: {cause}");
        }
        ExitCode::FAILURE
    })
}
