//! CloudNativePG and its Barman Cloud plugin.

use std::sync::Arc;

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, DeleteOptions},
    reference,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Workplace,
    play::{all, set_status, text},
};

const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
const MANAGER: &str = "cloudnative-pg";

/// How the base backups that are ordered end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// They complete.
    #[default]
    Completes,
    /// They fail for good, with this error.
    Fails(String),
    /// They never go on.
    Stalls,
}

/// The operator: it brings Pods of a Cluster up to its spec, and takes base backups, one step at a time.
pub struct Cnpg {
    place: Workplace,
    fate: Fate,
}

impl Operator for Cnpg {
    const WATCHES: &[(&str, &str)] = &[
        ("postgresql.cnpg.io/v1", "Cluster"),
        ("postgresql.cnpg.io/v1", "Backup"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for found in all(cluster, "postgresql.cnpg.io/v1", "Cluster").await? {
            if self.place.covers(&found) {
                steps.extend(roll_out(cluster, &found).await?);
            }
        }
        for found in all(cluster, "postgresql.cnpg.io/v1", "Backup").await? {
            if self.place.covers(&found) {
                steps.extend(self.back_up(cluster, &found, now).await?);
            }
        }
        Ok(steps)
    }
}

impl Cnpg {
    /// An operator that writes to a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: Fate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// An operator at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: Fate) -> Self {
        Self { place, fate }
    }

    /// Takes a base backup one step further.
    async fn back_up<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let phase = text(backup, "/status/phase");
        let status = match (phase, &self.fate) {
            ("" | "pending", _) => {
                json!({ "phase": "started", "startedAt": now.to_string(), "method": "plugin" })
            }
            ("started", _) => json!({ "phase": "running" }),
            ("running", Fate::Fails(error)) => json!({ "phase": "failed", "error": error }),
            ("running", Fate::Completes) => {
                let id = now.strftime("%Y%m%dT%H%M%S").to_string();
                match self.write(cluster, backup, &id, now).await? {
                    true => json!({
                        "phase": "completed",
                        "stoppedAt": now.to_string(),
                        "backupId": id,
                        "beginWal": "000000010000000000000003",
                        "endWal": "000000010000000000000003",
                    }),
                    false => {
                        json!({ "phase": "failed", "error": "the Cluster or its ObjectStore is gone" })
                    }
                }
            }
            _ => return Ok(None),
        };
        set_status(cluster, MANAGER, backup, &status).await?;
        Ok(Some(format!(
            "Backup {} is {}",
            text(backup, "/metadata/name"),
            text(&status, "/phase")
        )))
    }

    /// What Barman leaves in the bucket. Gives back whether it knows where: it reads that from the Cluster and its
    /// ObjectStore, and either may be gone.
    async fn write<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let namespace = text(backup, "/metadata/namespace");
        let of = |api_version: &str, kind: &str, name: &str| backup_sandbox::contract::ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let name = text(backup, "/spec/cluster/name");
        let database = cluster
            .get(
                &Caller::host(),
                &of("postgresql.cnpg.io/v1", "Cluster", name),
            )
            .await?;
        let plugin = database
            .as_ref()
            .and_then(our_plugin)
            .cloned()
            .unwrap_or_default();
        let store = text(&plugin, "/parameters/barmanObjectName");
        let store = cluster
            .get(
                &Caller::host(),
                &of("barmancloud.cnpg.io/v1", "ObjectStore", store),
            )
            .await?;
        let destination = store.as_ref().map_or("", |store| {
            text(store, "/spec/configuration/destinationPath")
        });
        let place = destination.strip_prefix("s3://");
        let Some((bucket, path)) = place.and_then(|rest| rest.split_once('/')) else {
            return Ok(false);
        };
        let bucket = self.place.bucket(bucket);
        let server = text(&plugin, "/parameters/serverName");
        let folder = format!("{}/{server}", path.trim_matches('/'));
        let wal = "wals/0000000100000000/000000010000000000000003.gz";
        for (file, size_bytes) in [
            (format!("base/{id}/backup.info"), 1_204),
            (format!("base/{id}/data.tar.gz"), 4_194_304),
            (wal.to_owned(), 65_536),
        ] {
            bucket
                .put(&format!("{folder}/{file}"), size_bytes, now)
                .await;
        }
        Ok(true)
    }
}

/// Restarts a Cluster's Pods with the plugin once its spec names it, then tells that it is healthy.
async fn roll_out<C: Cluster>(cluster: &C, database: &Value) -> Result<Option<String>, ApiError> {
    let name = text(database, "/metadata/name");
    if our_plugin(database).is_none() {
        return Ok(None);
    }
    let loaded = database.pointer("/status/pluginStatus/0/name").is_some();
    let phase = text(database, "/status/phase");
    if !loaded {
        let status = json!({
            "phase": "Applying configuration",
            "pluginStatus": [{ "name": PLUGIN, "version": "0.13.0" }],
        });
        set_status(cluster, MANAGER, database, &status).await?;
        return Ok(Some(format!(
            "Cluster {name} loads the Barman Cloud plugin"
        )));
    }
    if phase == "Cluster in healthy state" {
        return Ok(None);
    }
    for pod in all(cluster, "v1", "Pod").await? {
        let is_its = text(&pod, "/metadata/namespace") == text(database, "/metadata/namespace");
        if is_its && text(&pod, "/metadata/labels/cnpg.io~1cluster") == name {
            restart_with_plugin(cluster, &pod).await?;
        }
    }
    set_status(
        cluster,
        MANAGER,
        database,
        &json!({ "phase": "Cluster in healthy state" }),
    )
    .await?;
    Ok(Some(format!(
        "Cluster {name} has restarted its Pods with the plugin and is healthy"
    )))
}

/// A Pod's containers cannot be changed: another Pod takes its place.
async fn restart_with_plugin<C: Cluster>(cluster: &C, pod: &Value) -> Result<(), ApiError> {
    let host = Caller::host();
    cluster
        .delete(&host, &reference(pod), &DeleteOptions::default())
        .await?;
    let restarted = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": text(pod, "/metadata/name"),
            "namespace": text(pod, "/metadata/namespace"),
            "labels": pod.pointer("/metadata/labels"),
        },
        "spec": {
            "containers": pod.pointer("/spec/containers"),
            "initContainers": [{ "name": "plugin-barman-cloud", "image": "plugin", "restartPolicy": "Always" }],
        },
    });
    cluster
        .create(&host, MANAGER, &restarted, false)
        .await
        .map(|_| ())
}

fn our_plugin(database: &Value) -> Option<&Value> {
    let plugins = database.pointer("/spec/plugins")?.as_array()?;
    plugins
        .iter()
        .find(|plugin| text(plugin, "/name") == PLUGIN)
}
