//! `backupstrategy-controller`

use std::{io::IsTerminal as _, process::ExitCode};

use backupstrategy_controller::{Options, run};
use clap::Parser as _;

/// The hidden subcommand by which the host compiles a component in a process of its own.
const COMPILE: &str = "compile-component";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILE) {
        return backup_sandbox::compile_child_main();
    }
    let options = Options::parse();
    if let Err(error) = log(&options) {
        eprintln!("backupstrategy-controller: {error:#}");
        return ExitCode::FAILURE;
    }
    match run(options, &[COMPILE]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Log lines: for people on a terminal, JSON elsewhere.
fn log(options: &Options) -> anyhow::Result<()> {
    use backupstrategy_controller::LogFormat;
    let filter = tracing_subscriber::EnvFilter::try_new(&options.log_level)?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match options.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    if is_json {
        builder.json().init()
    } else {
        builder.init()
    }
    Ok(())
}
