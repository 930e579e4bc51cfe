//! `strategyctl check`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use backup_engine::{Finding, conformance, proposed_grant};
use backup_sandbox::Strategy;
use backup_strategy_kit::Kit;
use clap::Args;

use crate::load;

/// The host's namespace, where it is not asked for: it names an account only.
const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// Tries whether a component keeps its promises
///
/// A host tries a component before it serves for the first time: each question once, and the life of a job of each kind
/// whose operator never answers, on a cluster in memory. Application, Backup and settings are made up; a strategy whose
/// `validate` refuses such settings is asked no more. A finding that is certain keeps the component from serving; the
/// others are advice.
///
/// Cases lie beside the component, and are for this command and for tests only: no host reads them. A case is a story:
/// what is there, what happens, and what is expected then. A file of objects without a story is tried as a host tries
/// made-up ones. `sdk/kit/README.md` says what may stand in a case.
#[derive(Args)]
#[command(after_help = "Exit code 1: something was found.

Example:
  strategyctl check cnpg.wasm --cases cases/")]
pub(crate) struct Arguments {
    /// The component
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// A folder of cases, each a file that ends in .yaml
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Write the plans in the folder `plans` of the cases anew, for a person to look at
    #[arg(long, requires = "cases")]
    update: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let strategy = load::strategy(&arguments.plugin)?;
    let made_up = made_up(&strategy)?;
    for finding in &made_up {
        let weight = if finding.is_certain {
            "certain"
        } else {
            "advice"
        };
        println!("made up: {weight}: {finding}");
    }
    let mut count = made_up.len();
    if let Some(cases) = &arguments.cases {
        count += tried(&strategy, cases, arguments.update)?;
    }
    match count {
        0 => Ok(()),
        1 => bail!("there is a finding"),
        many => bail!("there are {many} findings"),
    }
}

/// What a host finds, under the grant that the manifest proposes.
fn made_up(strategy: &Strategy) -> anyhow::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("no runtime")?;
    let grant = proposed_grant(strategy.manifest(), "plugin.wasm", HOST_NAMESPACE);
    Ok(runtime.block_on(conformance(strategy, &grant, &[]))?)
}

/// How many cases went astray, each of them printed.
fn tried(strategy: &Strategy, cases: &Path, updates: bool) -> anyhow::Result<usize> {
    let report = Kit::of(strategy).updating(updates).run(cases)?;
    for failure in &report.failures {
        println!("{failure}");
    }
    for file in &report.updated {
        eprintln!("{} is written", file.display());
    }
    Ok(report.failures.len())
}
