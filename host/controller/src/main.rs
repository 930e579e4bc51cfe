//! `backupstrategy-controller`

use std::process::ExitCode;

use backupstrategy_controller::{Options, Telemetry, run};
use clap::Parser as _;

/// The hidden subcommand by which the host compiles a component in a process of its own.
const COMPILE: &str = "compile-component";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILE) {
        return backup_sandbox::compile_child_main();
    }
    let options = Options::parse();
    let telemetry = match Telemetry::start(&options) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("backupstrategy-controller: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let code = match run(options, &[COMPILE]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    };
    telemetry.stop();
    code
}
