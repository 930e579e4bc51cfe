//! Backups: their queue, what they take, and how they are removed.

use std::{collections::BTreeMap, time::Duration};

use backup_engine::cluster::{ApiError, Cluster};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    API, Archive, MOVER_API, NAMESPACE, VeleroFate, VeleroServer, all_in,
    archive::Location,
    controller, create, delete, is_deleting, name_of, read,
    selection::{RESOURCES, refused, selects},
    volumes::data_of,
};
use crate::{
    Bucket,
    play::{all, text},
};

/// How long a backup stays when it says nothing.
const MONTH: Duration = Duration::from_secs(720 * 3600);

impl VeleroServer {
    /// What a BackupStorageLocation says; none where there is no such.
    async fn location<C: Cluster>(
        &self,
        cluster: &C,
        name: &str,
    ) -> Result<Option<Location>, ApiError> {
        let kind = (API, "BackupStorageLocation");
        let found = read(cluster, kind, NAMESPACE, name).await?;
        Ok((!found.is_null()).then(|| Location::of(&found)))
    }

    fn bucket(&self, location: &Location) -> &dyn Bucket {
        self.place.bucket(&location.bucket)
    }

    /// Makes Backups anew that are in the bucket and not in the cluster.
    pub(super) async fn sync<C: Cluster>(&self, cluster: &C) -> Result<Vec<String>, ApiError> {
        let known: Vec<(String, Archive)> = self
            .archives()
            .iter()
            .map(|(name, archive)| (name.clone(), archive.clone()))
            .collect();
        let mut steps = vec![];
        // One that is still being taken has no description yet.
        let described = known
            .into_iter()
            .filter(|(_, archive)| !archive.backup.is_null());
        for (name, archive) in described {
            let location = text(&archive.backup, "/spec/storageLocation");
            if self.location(cluster, location).await?.as_ref() != Some(&archive.location) {
                continue;
            }
            let keys = self.bucket(&archive.location).keys().await;
            let is_stored = keys.contains(&archive.location.description(&name));
            let is_there = !read(cluster, (API, "Backup"), NAMESPACE, &name)
                .await?
                .is_null();
            if is_stored && !is_there {
                create(cluster, &archive.backup).await?;
                steps.push(format!("Backup {name} is found in the bucket"));
            }
        }
        Ok(steps)
    }

    pub(super) async fn backups<C: Cluster>(
        &self,
        cluster: &C,
        now: Timestamp,
    ) -> Result<Vec<String>, ApiError> {
        let backups = all_in(cluster, (API, "Backup"), NAMESPACE).await?;
        let is_at_work = |backup: &Value| {
            matches!(
                text(backup, "/status/phase"),
                "InProgress" | "WaitingForPluginOperations" | "Finalizing"
            )
        };
        let mut is_free = !backups.iter().any(is_at_work);
        let mut steps = vec![];
        for backup in backups {
            let phase = text(&backup, "/status/phase");
            let waits = matches!(phase, "Queued" | "ReadyToStart");
            if is_deleting(&backup) || (waits && !is_free) {
                continue;
            }
            is_free &= !waits;
            if let Some(status) = self.next_of_backup(cluster, &backup, now).await? {
                self.status(cluster, &backup, &status).await?;
                let phase = text(&status, "/phase");
                steps.push(format!("Backup {} is {phase}", name_of(&backup)));
            }
        }
        Ok(steps)
    }

    async fn next_of_backup<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Option<Value>, ApiError> {
        let phase = text(backup, "/status/phase");
        if self.fate == VeleroFate::BackupStays(phase.to_owned()) {
            return Ok(None);
        }
        Ok(match phase {
            "" | "New" => Some(json!({ "phase": "Queued" })),
            "Queued" => Some(json!({ "phase": "ReadyToStart" })),
            "ReadyToStart" => Some(self.begin(cluster, backup, now).await?),
            "InProgress" => Some(json!({ "phase": "WaitingForPluginOperations" })),
            "WaitingForPluginOperations" => Some(json!({ "phase": "Finalizing" })),
            "Finalizing" => Some(self.complete(backup, now).await),
            _ => None,
        })
    }

    /// Looks at what was asked for, and takes the objects.
    async fn begin<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let spec = &backup["spec"];
        let location = text(spec, "/storageLocation");
        let stored = self.location(cluster, location).await?;
        let why = match (refused(spec), &stored) {
            (None, None) => Some(format!(
                "backup storage location '{location}' does not exist"
            )),
            (why, _) => why.map(ToOwned::to_owned),
        };
        if let Some(why) = why {
            return Ok(json!({ "phase": "FailedValidation", "validationErrors": [why] }));
        }
        let mut archive = self.taken(cluster, backup).await?;
        archive.location = stored.unwrap_or_default();
        for claim in archive.data.keys() {
            create(cluster, &self.upload(backup, claim)).await?;
        }
        self.archives().insert(name_of(backup).to_owned(), archive);
        Ok(json!({
            "phase": "InProgress",
            "version": 1,
            "formatVersion": "1.1.0",
            "startTimestamp": now.to_string(),
            "expiration": (now + MONTH).to_string(),
        }))
    }

    async fn taken<C: Cluster>(&self, cluster: &C, backup: &Value) -> Result<Archive, ApiError> {
        let spec = &backup["spec"];
        let namespace = text(spec, "/includedNamespaces/0");
        let mut archive = Archive::default();
        let volumes = all(cluster, "v1", "PersistentVolume").await?;
        for (_, api_version, kind) in RESOURCES {
            for object in all_in(cluster, (api_version, kind), namespace).await? {
                if !selects(spec, &object) {
                    continue;
                }
                if kind == "PersistentVolumeClaim" {
                    let claim = name_of(&object).to_owned();
                    archive.data.insert(claim, data_of(&volumes, &object));
                }
                archive.objects.push(object);
            }
        }
        Ok(archive)
    }

    fn upload(&self, backup: &Value, claim: &str) -> Value {
        let status = match &self.fate {
            VeleroFate::UploadFails(why) => json!({ "phase": "Failed", "message": why }),
            _ => {
                json!({ "phase": "Completed", "progress": { "totalBytes": 1 << 30, "bytesDone": 1 << 30 } })
            }
        };
        json!({
            "apiVersion": MOVER_API,
            "kind": "DataUpload",
            "metadata": {
                "name": format!("{}-{claim}", name_of(backup)),
                "namespace": NAMESPACE,
                "labels": { "velero.io/backup-uid": text(backup, "/metadata/uid") },
                "ownerReferences": controller(backup),
            },
            "spec": {
                "backupStorageLocation": text(backup, "/spec/storageLocation"),
                "operationTimeout": "10m0s",
                "snapshotType": "CSI",
                "sourceNamespace": text(backup, "/spec/includedNamespaces/0"),
                "sourcePVC": claim,
            },
            "status": status,
        })
    }

    /// Stores what was taken.
    async fn complete(&self, backup: &Value, now: Timestamp) -> Value {
        let name = name_of(backup);
        let mut status = backup["status"].clone();
        status["phase"] = json!("Completed");
        status["completionTimestamp"] = json!(now.to_string());
        match &self.fate {
            VeleroFate::BackupEnds(phase, why) => {
                status["phase"] = json!(phase);
                status["failureReason"] = json!(why);
            }
            VeleroFate::UploadFails(_) => {
                status["phase"] = json!("PartiallyFailed");
                status["backupItemOperationsAttempted"] = json!(2);
                status["backupItemOperationsCompleted"] = json!(1);
                status["backupItemOperationsFailed"] = json!(1);
            }
            _ => {}
        }
        let archive = self.archive(name).unwrap_or_default();
        let namespace = text(backup, "/spec/includedNamespaces/0");
        for (key, size) in archive.location.files(name, namespace) {
            self.bucket(&archive.location).put(&key, size, now).await;
        }
        let description = described(backup, &status);
        if let Some(archive) = self.archives().get_mut(name) {
            archive.backup = description;
        }
        status
    }

    /// Removes what it is asked to.
    pub(super) async fn deletions<C: Cluster>(&self, cluster: &C) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for request in all_in(cluster, (API, "DeleteBackupRequest"), NAMESPACE).await? {
            if text(&request, "/status/phase") == "Processed" {
                continue;
            }
            let name = text(&request, "/spec/backupName").to_owned();
            let backup = read(cluster, (API, "Backup"), NAMESPACE, &name).await?;
            let phase = text(&backup, "/status/phase");
            let refusal = match &self.fate {
                VeleroFate::DeletionRefused(why) => Some(why.as_str()),
                _ if backup.is_null() => Some("backup not found"),
                _ if phase == "InProgress" => Some("backup is still in progress"),
                _ => None,
            };
            if let Some(why) = refusal {
                let status = json!({ "phase": "Processed", "errors": [why] });
                self.status(cluster, &request, &status).await?;
                steps.push(format!("Backup {name} is not removed"));
                continue;
            }
            if phase != "Deleting" {
                self.status(cluster, &backup, &json!({ "phase": "Deleting" }))
                    .await?;
                continue;
            }
            self.remove(cluster, &name).await?;
            delete(cluster, &backup).await?;
            delete(cluster, &request).await?;
            steps.push(format!("Backup {name} is removed"));
        }
        Ok(steps)
    }

    async fn remove<C: Cluster>(&self, cluster: &C, name: &str) -> Result<(), ApiError> {
        let location = self.archive(name).unwrap_or_default().location;
        let bucket = self.bucket(&location);
        for key in bucket.keys().await {
            if key.starts_with(&format!("{}/", location.folder(name))) {
                bucket.remove(&key).await;
            }
        }
        for restore in all_in(cluster, (API, "Restore"), NAMESPACE).await? {
            if text(&restore, "/spec/backupName") == name {
                delete(cluster, &restore).await?;
            }
        }
        self.archives().remove(name);
        Ok(())
    }
}

/// Velero's Backup as it makes it anew from the bucket.
fn described(backup: &Value, status: &Value) -> Value {
    let labels: BTreeMap<&String, &Value> = backup["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .collect();
    let mut metadata = json!({
        "name": name_of(backup),
        "namespace": NAMESPACE,
        "labels": labels,
    });
    if let Some(annotations) = backup.pointer("/metadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    json!({
        "apiVersion": API,
        "kind": "Backup",
        "metadata": metadata,
        "spec": backup["spec"],
        "status": status,
    })
}
