//! What stands around a Cluster, as far as it is looked at and written.

use backup_strategy::prelude::*;
use serde::Deserialize;

use crate::cluster::{PLUGIN, contains, list};

/// Container that the plugin puts into every Pod of a Cluster.
const SIDECAR: &str = "plugin-barman-cloud";
/// Container of a Pod that brings a Cluster's data back.
pub const RECOVERY: &str = "full-recovery";
/// Label of all that the operator makes for a Cluster.
pub const CLUSTER_LABEL: &str = "cnpg.io/cluster";

/// One of a Cluster's Pods.
#[derive(Deserialize)]
pub struct Pod {
    pub metadata: Metadata,
    #[serde(default)]
    spec: Value,
}

impl Object for Pod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl Pod {
    /// Whether it was started with the plugin. An init container that keeps running where Kubernetes can do
    /// that, an ordinary one elsewhere.
    pub fn has_plugin(&self) -> bool {
        self.has("initContainers", SIDECAR) || self.has("containers", SIDECAR)
    }

    /// Whether it brings the data back.
    pub fn recovers(&self) -> bool {
        self.has("containers", RECOVERY)
    }

    fn has(&self, containers: &str, name: &str) -> bool {
        let mut containers = list(&self.spec[containers]).iter();
        containers.any(|container| container["name"] == name)
    }
}

/// The data of one of a Cluster's instances.
#[derive(Deserialize)]
pub struct Volume {
    pub metadata: Metadata,
}

impl Object for Volume {
    const API_VERSION: &str = "v1";
    const KIND: &str = "PersistentVolumeClaim";
}

/// A place in object storage, as Barman sees it.
#[derive(Deserialize)]
pub struct ObjectStore {
    metadata: Value,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl Object for ObjectStore {
    const API_VERSION: &str = "barmancloud.cnpg.io/v1";
    const KIND: &str = "ObjectStore";
}

impl ObjectStore {
    /// Whether it holds all that `wanted` says.
    pub fn fits(&self, wanted: &Value) -> bool {
        let owners = list(&self.metadata["ownerReferences"]);
        let owned = |owner: &Value| owners.iter().any(|shown| contains(shown, owner));
        let wanted_owners = list(&wanted["metadata"]["ownerReferences"]);
        contains(&self.spec, &wanted["spec"]) && wanted_owners.iter().all(owned)
    }

    /// The oldest moment that a server can be brought back to.
    pub fn first_recoverability_point(&self, server_name: &str) -> Option<Timestamp> {
        let window = &self.status["serverRecoveryWindow"][server_name];
        window["firstRecoverabilityPoint"].as_str()?.parse().ok()
    }
}

/// One base backup.
#[derive(Deserialize)]
pub struct Backup {
    pub metadata: Metadata,
    #[serde(default)]
    pub status: BackupStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupStatus {
    pub phase: String,
    error: Option<String>,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    /// Name of its folder.
    pub backup_id: Option<String>,
    pub begin_wal: Option<String>,
    pub end_wal: Option<String>,
}

/// How far a base backup is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    /// The operator has not taken it up, or waits for another backup of the Cluster or for a Pod.
    Pending,
    Running,
    /// The operator goes on trying once WAL is archived again.
    HeldUp,
    Done,
    /// The operator never tries again.
    Failed(&'a str),
}

impl Object for Backup {
    const API_VERSION: &str = "postgresql.cnpg.io/v1";
    const KIND: &str = "Backup";
}

impl Backup {
    /// A base backup by the plugin.
    pub fn of(cluster: &str, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": { "name": name, "namespace": namespace, "labels": { "cnpg.io/cluster": cluster } },
            "spec": {
                "method": "plugin",
                "cluster": { "name": cluster },
                "pluginConfiguration": { "name": PLUGIN },
            },
        })
    }

    pub fn completion(&self) -> Completion<'_> {
        match self.status.phase.as_str() {
            "completed" => Completion::Done,
            "failed" => Completion::Failed(self.error().unwrap_or("CloudNativePG gives no reason")),
            "walArchivingFailing" => Completion::HeldUp,
            "" | "pending" => Completion::Pending,
            _ => Completion::Running,
        }
    }

    /// What the operator says of the last attempt.
    pub fn error(&self) -> Option<&str> {
        self.status
            .error
            .as_deref()
            .filter(|error| !error.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_store_fits_with_what_others_have_added() {
        let wanted = json!({
            "metadata": { "ownerReferences": [{ "uid": "1" }] },
            "spec": { "configuration": { "destinationPath": "s3://b/p" } },
        });
        let shown = |uid: &str, path: &str| ObjectStore {
            metadata: json!({ "ownerReferences": [{ "uid": uid, "controller": true }] }),
            spec: json!({ "configuration": { "destinationPath": path, "tags": {} }, "retentionPolicy": "30d" }),
            status: Value::Null,
        };
        assert!(shown("1", "s3://b/p").fits(&wanted));
        assert!(!shown("1", "s3://b/other").fits(&wanted));
        assert!(
            !shown("2", "s3://b/p").fits(&wanted),
            "it goes with a Cluster that is gone already"
        );
    }

    // TestCNPGBackupPhase
    #[test]
    fn phases_of_the_operator() {
        let completion = |phase: &str, error: Option<&str>| {
            let status = BackupStatus {
                phase: phase.into(),
                error: error.map(Into::into),
                ..BackupStatus::default()
            };
            let backup = Backup {
                metadata: Metadata::default(),
                status,
            };
            match backup.completion() {
                Completion::Failed(why) => format!("Failed: {why}"),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(completion("", None), "Pending");
        assert_eq!(completion("started", None), "Running");
        assert_eq!(completion("finalizing", None), "Running");
        assert_eq!(completion("walArchivingFailing", Some("x")), "HeldUp");
        assert_eq!(completion("failed", Some("boom")), "Failed: boom");
        assert_eq!(
            completion("failed", Some("")),
            "Failed: CloudNativePG gives no reason"
        );
        assert_eq!(completion("completed", None), "Done");
    }
}
