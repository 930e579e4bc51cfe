//! The platform: its namespaces, its charts, and the keys to its storage.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use charts::{Chart, HOST, VELERO};
use controlplane::{ControlPlane, Helm};
use serde_json::{Value, json};

use crate::play::Storage;

/// Any region will do.
const REGION: &str = "us-east-1";

/// Makes the namespaces, and installs the charts as their READMEs say.
///
/// # Errors
/// When Helm or the API server refuses, with what it says.
pub(crate) async fn install(plane: &Arc<ControlPlane>, storage: &Storage) -> Result<()> {
    let namespace = |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let namespaces = [HOST.namespace, VELERO.namespace].map(namespace);
    plane.apply(&namespaces).await?;
    tokio::try_join!(
        release(plane, HOST, host_values(storage)),
        release(plane, VELERO, velero_values(storage)),
    )?;
    Ok(())
}

async fn release(plane: &Arc<ControlPlane>, chart: Chart, values: Value) -> Result<()> {
    let plane = Arc::clone(plane);
    let installed =
        tokio::task::spawn_blocking(move || chart.install(&Helm::of(&plane)?, &values)).await;
    installed.context("Helm was cut off")?
}

/// What is not as the chart has it: one host, and a storage on this machine.
fn host_values(storage: &Storage) -> Value {
    json!({
        "backupStrategyController": { "replicas": 1 },
        "backupStorage": { "endpoint": storage.endpoint, "region": REGION },
    })
}

fn velero_values(storage: &Storage) -> Value {
    json!({ "configuration": { "backupStorageLocation": [{
        "name": "cozy-default",
        "provider": "aws",
        "bucket": storage.bucket,
        "prefix": "velero",
        "credential": { "name": "cozy-backups-creds", "key": "cloud" },
        "config": { "region": REGION, "s3ForcePathStyle": "true", "s3Url": storage.endpoint },
    }] } })
}

/// What Cozystack's object storage makes of a bucket that was ordered: the Secret with its keys.
///
/// # Errors
/// When the API server does not take it.
pub(crate) async fn keys(
    plane: &ControlPlane,
    storage: &Storage,
    (namespace, name): (&str, &str),
) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "stringData": {
            "accessKey": storage.access_key,
            "secretKey": storage.secret_key,
            "endpoint": storage.endpoint,
            "bucketName": storage.bucket,
            "region": REGION,
        },
    });
    plane.apply(&[secret]).await
}
