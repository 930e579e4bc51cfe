//! The process with the operators and the storage. Its keys are made for each run, and told to the one that starts it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use s3::{Objects, S3};
use serde::{Deserialize, Serialize};
use stage::{
    AltinityFate, ClickHouse, Cnpg, EtcdFate, EtcdOperator, Fate, FoundationDbFate,
    FoundationDbOperator, MariaDbFate, MariaDbOperator, VeleroFate, VeleroServer, Workplace,
};

use crate::{background, bucket::S3Bucket, cozystack::Cozystack, operators::Ground, told};

/// The name of the process.
pub(crate) const NAME: &str = "operators";

/// The platform's bucket.
const BUCKET: &str = "cozy-backups";

/// Where the storage is, and the keys to it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Storage {
    /// Its URL.
    pub(crate) endpoint: String,
    /// The platform's bucket.
    pub(crate) bucket: String,
    /// Who asks.
    pub(crate) access_key: String,
    /// How that is proven.
    pub(crate) secret_key: String,
}

/// Starts the process in the background, and waits until the storage serves.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(folder: &Path) -> Result<Storage> {
    let program = std::env::current_exe().context("the running program is not found")?;
    let mut command = Command::new(program);
    command.args(["play", "--folder"]).arg(folder);
    let mut child = background::start(folder, NAME, &mut command, Some(Stdio::piped()))?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output)
            .read_line(&mut line)
            .context("could not listen to the operators")?;
    }
    serde_json::from_str(&line).with_context(|| background::log_end(folder, NAME))
}

/// Plays, until it is killed.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn play(folder: &Path) -> Result<()> {
    let s3 = S3::start_in(&folder.join("storage"), BUCKET)?;
    let bucket = Arc::new(S3Bucket(
        Objects::of(&s3, &s3.bucket).context("the storage has no client")?,
    ));
    let client = client(&told::kubeconfig(folder)).await?;
    let storage = Storage {
        endpoint: s3.endpoint.clone(),
        bucket: s3.bucket.clone(),
        access_key: s3.access_key.clone(),
        secret_key: s3.secret_key.clone(),
    };
    let mut output = std::io::stdout();
    writeln!(output, "{}", serde_json::to_string(&storage)?)
        .and_then(|()| output.flush())
        .context("nobody listens")?;

    let place = || Workplace::new(Arc::clone(&bucket));
    let ground = Ground::of(client);
    tokio::join!(
        ground.play("Cozystack", Cozystack),
        ground.play("CloudNativePG", Cnpg::at(place(), Fate::Completes)),
        ground.play(
            "mariadb-operator",
            MariaDbOperator::at(place(), MariaDbFate::Completes)
        ),
        ground.play(
            "ClickHouse",
            ClickHouse::at(place(), AltinityFate::Completes).beside_a_job_controller()
        ),
        ground.play(
            "etcd-operator",
            EtcdOperator::at(place(), EtcdFate::Completes)
        ),
        ground.play(
            "FoundationDB",
            FoundationDbOperator::at(place(), FoundationDbFate::Completes)
        ),
        ground.play("Velero", VeleroServer::at(place(), VeleroFate::Completes)),
    );
    Ok(())
}

/// The client of whom a kubeconfig is for.
///
/// # Errors
/// When the file cannot be read.
pub(crate) async fn client(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig);
    let read = read.with_context(|| format!("could not read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("could not make a client")
}
