//! `strategyctl render`

mod world;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use backup_api::BackupJob;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::output::{self, Format};
use world::{World, documents};

/// Shows what jobs would lead to, offline, step by step
///
/// The files hold what the cluster holds: BackupJobs, their BackupClass, the strategy object, the application and
/// whatever the strategy reads. What is missing of the platform itself (namespaces, its storage's Secret) is made
/// up. The jobs then go through the engine of production on a cluster in memory. Where a job waits for an operator,
/// files given with --then say what the operator did.
#[derive(Args)]
#[command(after_help = "Example:
  strategyctl render --plugin cnpg.wasm -f class.yaml -f database.yaml -f job.yaml --then backup-completed.yaml")]
pub(crate) struct Arguments {
    /// A component; may be given more than once
    #[arg(long = "plugin", value_name = "PLUGIN.wasm", required = true)]
    plugins: Vec<PathBuf>,
    /// A file of YAML documents, `-` for standard input; may be given more than once
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What changed by the next step: objects that are merged into those that are there; may be given more than
    /// once, for the steps in turn
    #[arg(long, value_name = "FILE")]
    then: Vec<PathBuf>,
    /// When the job runs [default: now]
    #[arg(long, value_name = "RFC 3339")]
    now: Option<Timestamp>,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("no runtime")?;
    let steps = runtime.block_on(steps(arguments))?;
    output::write(arguments.output, &steps)
}

async fn steps(arguments: &Arguments) -> anyhow::Result<Vec<Value>> {
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let mut objects = vec![];
    for file in &arguments.files {
        objects.extend(documents(file)?);
    }
    if !objects.iter().any(|object| object["kind"] == "BackupJob") {
        bail!("there is no BackupJob in the files");
    }
    let mut world = World::build(&arguments.plugins, objects, now)?;
    let mut steps = vec![step(&mut world, 1).await?];
    for (index, file) in arguments.then.iter().enumerate() {
        for change in documents(file)? {
            world.change(change).await?;
        }
        steps.push(step(&mut world, index + 2).await?);
    }
    Ok(steps)
}

/// Runs until nothing is due, and tells what came of it.
async fn step(world: &mut World, number: usize) -> anyhow::Result<Value> {
    let mut failed = vec![];
    for passed in world.runner.settle().await? {
        failed.extend(passed.failed.map(|error| error.to_string()));
    }
    let mut jobs = vec![];
    for job in world.jobs() {
        let parsed: BackupJob =
            serde_json::from_value(job.clone()).context("a BackupJob cannot be read")?;
        let paths = world.runner.host().backup_paths(&parsed).await;
        let paths = match paths {
            Ok(paths) => json!(
                paths
                    .iter()
                    .map(|path| json!({ "uri": path.uri, "purpose": path.purpose }))
                    .collect::<Vec<_>>()
            ),
            Err(why) => json!(format!("cannot be told: {why}")),
        };
        jobs.push(json!({
            "name": format!("{}/{}", world::text(&job, "/metadata/namespace"), world::text(&job, "/metadata/name")),
            "paths": paths,
            "status": job.get("status"),
        }));
    }
    let mut document = json!({ "step": number, "jobs": jobs, "objects": world.written() });
    if !failed.is_empty() {
        document["failedRequests"] = json!(failed);
    }
    Ok(document)
}
