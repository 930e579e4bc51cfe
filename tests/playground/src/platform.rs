//! The platform: its namespaces, its charts, and the keys to its storage.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use charts::{HOST, VELERO};
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
    let values = (host_values(storage), velero_values(storage));
    let plane = Arc::clone(plane);
    tokio::task::spawn_blocking(move || {
        let helm = Helm::of(&plane)?;
        HOST.install(&helm, &values.0)?;
        VELERO.install(&helm, &values.1)
    })
    .await
    .context("Helm was cut off")?
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
