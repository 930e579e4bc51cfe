//! What the operator is asked for.

use backup_strategy::prelude::*;

use crate::{
    FoundationDb, agents,
    destination::{Blob, Commands, listed},
    operator::{FoundationDbBackup, FoundationDbCluster, FoundationDbRestore, can_encrypt},
};

/// What a FoundationDBBackup, or a FoundationDBRestore, is made of.
pub struct Order<'a> {
    pub name: &'a str,
    pub namespace: String,
    pub cluster: &'a FoundationDbCluster,
    pub blob: &'a Blob,
    pub commands: &'a Commands,
    pub agent_count: Option<i32>,
    pub snapshot_period_seconds: Option<i32>,
    pub pod_template: Value,
}

impl<'a> Order<'a> {
    /// What the settings ask for. What they leave out is the operator's to choose.
    pub fn of_settings(
        cx: &Context<FoundationDb>,
        name: &'a str,
        cluster: &'a FoundationDbCluster,
        blob: &'a Blob,
        commands: &'a Commands,
    ) -> Outcome<Self> {
        let version = cluster.version().unwrap_or_default();
        if commands.encryption_key_path.is_some() && !can_encrypt(version) {
            return fail!(
                "EncryptionUnsupported",
                "encryptionKeyPath is set, and FoundationDB {version} does not encrypt backups: it would store them in the \
                 clear; 7.3.73 or 7.4.6 is needed"
            );
        }
        let settings = cx.spec()?.template;
        Ok(Self {
            name,
            namespace: cx.subject().namespace,
            cluster,
            blob,
            commands,
            agent_count: settings.agent_count,
            snapshot_period_seconds: settings.snapshot_period_seconds,
            pod_template: agents::pod_template(cx, cluster, blob, commands)?,
        })
    }

    /// A backup that runs, until somebody ends it.
    pub fn backup(&self) -> Value {
        self.of_state("Running")
    }

    /// Agents alone, for a restore to be carried out.
    pub fn agents(&self) -> Value {
        self.of_state("Stopped")
    }

    fn of_state(&self, state: &str) -> Value {
        let cluster = &self.cluster.spec;
        let spec = json!({
            "clusterName": self.cluster.name(),
            "version": self.cluster.version(),
            "backupState": state,
            "blobStoreConfiguration": self.blob.to_value(),
            "agentCount": self.agent_count,
            "snapshotPeriodSeconds": self.snapshot_period_seconds,
            "customParameters": listed(&self.commands.custom_parameters),
            "encryptionKeyPath": self.commands.encryption_key_path,
            "podTemplateSpec": self.pod_template,
            // Agents are run of the same images, and speak to the cluster in the same way.
            "imageType": cluster["imageType"],
            "mainContainer": cluster["mainContainer"],
            "sidecarContainer": cluster["sidecarContainer"],
        });
        pruned(FoundationDbBackup::object(&self.namespace, self.name, spec))
    }

    /// A restore of the state of a version, or of the last one.
    pub fn restore(&self, name: &str, version: Option<i64>) -> Value {
        let spec = json!({
            "destinationClusterName": self.cluster.name(),
            "blobStoreConfiguration": self.blob.to_value(),
            "backupVersion": version,
            "customParameters": listed(&self.commands.custom_parameters),
            "encryptionKeyPath": self.commands.encryption_key_path,
        });
        pruned(FoundationDbRestore::object(&self.namespace, name, spec))
    }
}
