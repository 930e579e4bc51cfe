//! `strategyctl check`

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use backup_engine::{Finding, conformance, proposed_grant};
use backup_sandbox::Strategy;
use clap::Args;
use serde_json::Value;

use crate::{load, render::documents};

/// The host's namespace, where it is not asked for: it names an account only.
const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// Tries whether a component keeps its promises
///
/// A host tries a component before it serves for the first time: each question once, and the life of a job of each kind
/// whose operator never answers, on a cluster in memory. Application, Backup and settings are made up; a strategy whose
/// `validate` refuses such settings is asked no more. A finding that is certain keeps the component from serving; the
/// others are advice.
///
/// Cases lie beside the component, and are for this command only: no host reads them. A case is a file of YAML documents:
/// the strategy object, an application, what its operator shows, definitions. Where a case gives the settings, what they
/// say of places counts too. A case passes when nothing is found.
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
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let strategy = load::strategy(&arguments.plugin)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("no runtime")?;
    let mut count = 0;
    let mut tell = |of: &str, findings: Vec<Finding>| {
        count += findings.len();
        for finding in findings {
            let weight = if finding.is_certain {
                "certain"
            } else {
                "advice"
            };
            println!("{of}: {weight}: {finding}");
        }
    };
    tell("made up", runtime.block_on(tried(&strategy, &[]))?);
    for case in cases(arguments.cases.as_deref())? {
        let name = case.display().to_string();
        let objects = documents(&case)?;
        let found = runtime.block_on(tried(&strategy, &objects));
        tell(&name, found.with_context(|| name.clone())?);
    }
    match count {
        0 => Ok(()),
        1 => bail!("there is a finding"),
        many => bail!("there are {many} findings"),
    }
}

/// Tries a strategy under the grant that its manifest proposes.
async fn tried(strategy: &Strategy, objects: &[Value]) -> anyhow::Result<Vec<Finding>> {
    let grant = proposed_grant(strategy.manifest(), "plugin.wasm", HOST_NAMESPACE);
    Ok(conformance(strategy, &grant, objects).await?)
}

/// The files of a folder, in the order of their names.
fn cases(folder: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = folder else {
        return Ok(vec![]);
    };
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut files = vec![];
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} holds no .yaml file", folder.display());
    }
    files.sort();
    Ok(files)
}
