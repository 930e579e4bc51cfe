//! Restores: objects first, then the data of their volumes.

use backup_engine::cluster::{ApiError, Cluster};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    API, Archive, NAMESPACE, VeleroFate, VeleroServer, all_in, create, is_deleting, merge, name_of,
    read,
    selection::{difference, modified, resource_of, selects},
    volumes,
};
use crate::play::text;

impl VeleroServer {
    pub(super) async fn restores<C: Cluster>(
        &self,
        cluster: &C,
        now: Timestamp,
    ) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for restore in all_in(cluster, (API, "Restore"), NAMESPACE).await? {
            if is_deleting(&restore) {
                continue;
            }
            if let Some(status) = self.next_of_restore(cluster, &restore, now).await? {
                self.status(cluster, &restore, &status).await?;
                let phase = text(&status, "/phase");
                steps.push(format!("Restore {} is {phase}", name_of(&restore)));
            }
        }
        Ok(steps)
    }

    async fn next_of_restore<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
        now: Timestamp,
    ) -> Result<Option<Value>, ApiError> {
        let phase = text(restore, "/status/phase");
        if self.fate == VeleroFate::RestoreStays(phase.to_owned()) {
            return Ok(None);
        }
        let name = text(restore, "/spec/backupName");
        Ok(match phase {
            "" | "New" => Some(match self.archive(name) {
                None => json!({
                    "phase": "FailedValidation",
                    "validationErrors": [format!("Error retrieving backup: backup {name:?} not found")],
                }),
                Some(_) => json!({ "phase": "InProgress", "startTimestamp": now.to_string() }),
            }),
            "InProgress" => {
                let archive = self.archive(name).unwrap_or_default();
                self.bring(cluster, restore, &archive).await?;
                Some(json!({ "phase": "WaitingForPluginOperations" }))
            }
            "WaitingForPluginOperations" => {
                let archive = self.archive(name).unwrap_or_default();
                let claims = self.claims(cluster, restore).await?;
                for claim in claims.iter().filter(|claim| volumes::is_unbound(claim)) {
                    let data = archive.data.get(name_of(claim));
                    volumes::fill(cluster, claim, data.map_or("", String::as_str)).await?;
                }
                Some(json!({ "phase": "Finalizing" }))
            }
            "Finalizing" => Some(match &self.fate {
                VeleroFate::RestoreEnds(phase, why) => {
                    json!({ "phase": phase, "failureReason": why })
                }
                _ => json!({ "phase": "Completed", "completionTimestamp": now.to_string() }),
            }),
            _ => None,
        })
    }

    /// The claims that a restore has made.
    async fn claims<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
    ) -> Result<Vec<Value>, ApiError> {
        let mut claims = crate::play::all(cluster, "v1", "PersistentVolumeClaim").await?;
        claims.retain(|claim| {
            claim["metadata"]["labels"]["velero.io/restore-name"] == *name_of(restore)
        });
        Ok(claims)
    }

    /// Brings the objects back.
    async fn bring<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
        archive: &Archive,
    ) -> Result<(), ApiError> {
        let spec = &restore["spec"];
        let modifier = text(spec, "/resourceModifier/name");
        let rules = read(cluster, ("v1", "ConfigMap"), NAMESPACE, modifier).await?;
        let rules = text(&rules["data"]["resource-modifier-rules.yaml"], "");
        let rules: Value = rules.parse().unwrap_or_default();
        for object in &archive.objects {
            // KubeVirt's plugin leaves to KubeVirt what runs.
            let runs = matches!(
                resource_of(object),
                "pods" | "virtualmachineinstances.kubevirt.io"
            );
            if runs || !selects(spec, object) {
                continue;
            }
            let object = restored(modified(object.clone(), &rules), restore);
            self.bring_one(cluster, spec, &object).await?;
        }
        Ok(())
    }

    async fn bring_one<C: Cluster>(
        &self,
        cluster: &C,
        spec: &Value,
        object: &Value,
    ) -> Result<(), ApiError> {
        let kind = (text(object, "/apiVersion"), text(object, "/kind"));
        let namespace = text(object, "/metadata/namespace");
        let found = read(cluster, kind, namespace, name_of(object)).await?;
        if found.is_null() {
            create(cluster, object).await?;
            return Ok(());
        }
        if spec["existingResourcePolicy"] != "update" {
            return Ok(());
        }
        let metadata = &object["metadata"];
        let mut patch = json!({ "metadata": {
            "labels": metadata["labels"],
            "annotations": metadata.get("annotations").cloned().unwrap_or_else(|| json!({})),
        } });
        // What a claim asks for cannot be changed; its data stays.
        if kind.1 != "PersistentVolumeClaim" {
            patch["spec"] = difference(&found["spec"], &object["spec"]);
        }
        merge(cluster, &found, &patch).await
    }
}

/// An object of the archive as it is created.
fn restored(object: Value, restore: &Value) -> Value {
    let metadata = &object["metadata"];
    let from = text(metadata, "/namespace");
    let mapped = restore["spec"]["namespaceMapping"][from].as_str();
    let mut labels = metadata["labels"].clone();
    labels["velero.io/backup-name"] = restore["spec"]["backupName"].clone();
    labels["velero.io/restore-name"] = json!(name_of(restore));
    let mut made = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": mapped.unwrap_or(from),
            "labels": labels,
        },
    });
    if let Some(annotations) = metadata.get("annotations") {
        made["metadata"]["annotations"] = annotations.clone();
    }
    for member in ["spec", "data"] {
        if let Some(value) = object.get(member) {
            made[member] = value.clone();
        }
    }
    if object["kind"] == "PersistentVolumeClaim" {
        volumes::without_volume(&mut made);
    }
    made
}
