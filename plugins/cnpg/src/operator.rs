//! What stands around a Cluster, as far as it is looked at and written.

use backup_strategy::{items, kinds, prelude::*, set};

use crate::cluster::{PLUGIN, contains};

/// Container that the plugin puts into every Pod of a Cluster.
const SIDECAR: &str = "plugin-barman-cloud";
/// Container of a Pod that brings a Cluster's data back.
pub const RECOVERY: &str = "full-recovery";
/// Label of all that the operator makes for a Cluster.
pub const CLUSTER_LABEL: &str = "cnpg.io/cluster";

kinds! {
    /// One of a Cluster's Pods.
    Pod: "v1" "Pod";
    /// The data of one of a Cluster's instances.
    Volume: "v1" "PersistentVolumeClaim";
    /// A place in object storage, as Barman sees it.
    ObjectStore: "barmancloud.cnpg.io/v1" "ObjectStore";
    /// One base backup.
    Backup: "postgresql.cnpg.io/v1" "Backup";
}

impl Pod {
    /// Whether it was started with the plugin. An init container that keeps running where Kubernetes can do
    /// that, an ordinary one elsewhere.
    pub fn has_plugin(&self) -> bool {
        self.has("/initContainers", SIDECAR) || self.has("/containers", SIDECAR)
    }

    /// Whether it brings the data back.
    pub fn recovers(&self) -> bool {
        self.has("/containers", RECOVERY)
    }

    fn has(&self, containers: &str, name: &str) -> bool {
        items(&self.spec, containers).any(|container| container["name"] == name)
    }
}

impl ObjectStore {
    /// Whether it holds all that `wanted` says, and goes with the same Cluster.
    pub fn fits(&self, wanted: &Value) -> bool {
        let owners = &self.metadata.owner_references;
        let is_owned = |owner: &Value| owners.iter().any(|shown| owner["uid"] == *shown.uid);
        contains(&self.spec, &wanted["spec"])
            && items(wanted, "/metadata/ownerReferences").all(is_owned)
    }

    /// The oldest moment that a server can be brought back to.
    pub fn first_recoverability_point(&self, server_name: &str) -> Option<Timestamp> {
        let window = &self.status["serverRecoveryWindow"][server_name];
        window["firstRecoverabilityPoint"].as_str()?.parse().ok()
    }
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

impl Backup {
    /// A base backup by the plugin.
    pub fn of(cluster: &str, namespace: &str, name: &str) -> Value {
        let spec = json!({
            "method": "plugin",
            "cluster": { "name": cluster },
            "pluginConfiguration": { "name": PLUGIN },
        });
        let mut order = Self::object(namespace, name, spec);
        order["metadata"]["labels"][CLUSTER_LABEL] = cluster.into();
        order
    }

    pub fn completion(&self) -> Completion<'_> {
        match self.phase() {
            "completed" => Completion::Done,
            "failed" => Completion::Failed(self.error().unwrap_or("CloudNativePG gives no reason")),
            "walArchivingFailing" => Completion::HeldUp,
            "" | "pending" => Completion::Pending,
            _ => Completion::Running,
        }
    }

    /// What the operator says of the last attempt.
    pub fn error(&self) -> Option<&str> {
        set(self.status["error"].as_str())
    }

    /// A field of its status: `backupId`, the name of its folder, or `beginWal`, or `endWal`.
    pub fn says(&self, field: &str) -> Option<&str> {
        self.status[field].as_str()
    }

    /// A moment of its status: `startedAt` or `stoppedAt`.
    pub fn moment(&self, field: &str) -> Option<Timestamp> {
        self.says(field)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use backup_strategy::part;

    use super::*;

    #[test]
    fn an_object_store_fits_with_what_others_have_added() {
        let wanted = json!({
            "metadata": { "ownerReferences": [{ "uid": "1" }] },
            "spec": { "configuration": { "destinationPath": "s3://b/p" } },
        });
        let shown = |uid: &str, path: &str| {
            let object = json!({
                "metadata": { "ownerReferences": [{ "uid": uid, "controller": true }] },
                "spec": { "configuration": { "destinationPath": path, "tags": {} }, "retentionPolicy": "30d" },
            });
            part::<ObjectStore>(&object, "").unwrap()
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
            let object = json!({ "status": { "phase": phase, "error": error } });
            let backup: Backup = part(&object, "").unwrap();
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
