//! Velero, and around it what virtual machines need: Helm, KubeVirt with its disks, and what binds volumes.
//!
//! Velero keeps what it backs up in the bucket. A [`Bucket`](crate::Bucket) holds no content, so the contents are kept
//! beside it: an archive counts as there while its description is in the bucket.

mod archive;
mod backups;
mod machines;
mod restores;
mod selection;
mod volumes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use backup_engine::{
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part},
    reference,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Operator, Workplace,
    play::{all, text},
};
pub use archive::{Archive, Location};

pub(crate) const API: &str = "velero.io/v1";
pub(crate) const MOVER_API: &str = "velero.io/v2alpha1";
pub(crate) const NAMESPACE: &str = "cozy-velero";
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub(crate) const KUBEVIRT: &str = "kubevirt.io/v1";
pub(crate) const CDI: &str = "cdi.kubevirt.io/v1beta1";
const MANAGER: &str = "velero";

/// How it goes with what Velero and the others are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VeleroFate {
    /// Backups and restores complete, machines stop, volumes are bound.
    #[default]
    Completes,
    /// Velero does not run.
    Deaf,
    /// Backups stay in this phase.
    BackupStays(String),
    /// Backups end in this phase, for this reason.
    BackupEnds(String, String),
    /// The data of the first volume is not moved into the bucket, for this reason.
    UploadFails(String),
    /// Restores stay in this phase.
    RestoreStays(String),
    /// Restores end in this phase, for this reason, once objects and volumes are there.
    RestoreEnds(String, String),
    /// Backups are not removed, for this reason.
    DeletionRefused(String),
    /// Machines do not stop.
    MachineHangs,
    /// Volume claims that are deleted stay.
    ClaimsStay,
    /// Claims are not bound to volumes that they are given.
    Unbound,
}

/// Velero and the others: each step takes everything one step further.
#[derive(Clone)]
pub struct VeleroServer {
    place: Workplace,
    fate: VeleroFate,
    archives: Arc<Mutex<BTreeMap<String, Archive>>>,
}

impl Operator for VeleroServer {
    const WATCHES: &[(&str, &str)] = &[
        (API, "Backup"),
        (API, "Restore"),
        (API, "DeleteBackupRequest"),
        (MOVER_API, "DataUpload"),
        (HELM, "HelmRelease"),
        (KUBEVIRT, "VirtualMachine"),
        (KUBEVIRT, "VirtualMachineInstance"),
        (CDI, "DataVolume"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "PersistentVolume"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = self.volumes(cluster).await?;
        steps.extend(self.helm(cluster).await?);
        steps.extend(self.machines(cluster).await?);
        if self.fate != VeleroFate::Deaf {
            steps.extend(self.sync(cluster).await?);
            steps.extend(self.backups(cluster, now).await?);
            steps.extend(self.restores(cluster, now).await?);
            steps.extend(self.deletions(cluster).await?);
        }
        Ok(steps)
    }
}

impl VeleroServer {
    /// A Velero that keeps its data in a place.
    #[must_use]
    pub fn at(place: Workplace, fate: VeleroFate) -> Self {
        Self {
            place,
            fate,
            archives: Arc::default(),
        }
    }

    /// The same with what it has stored, to which from now on something else happens.
    #[must_use]
    pub fn with_fate(&self, fate: VeleroFate) -> Self {
        Self {
            fate,
            ..self.clone()
        }
    }

    /// Has it know what a backup holds that it did not take itself.
    pub fn knows(&self, name: &str, archive: Archive) {
        self.archives().insert(name.to_owned(), archive);
    }

    /// What a backup holds.
    #[must_use]
    pub fn archive(&self, name: &str) -> Option<Archive> {
        self.archives().get(name).cloned()
    }

    fn archives(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Archive>> {
        self.archives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn status<C: Cluster>(
        &self,
        cluster: &C,
        object: &Value,
        status: &Value,
    ) -> Result<(), ApiError> {
        // None of Velero's kinds has a status subresource.
        let patch = json!({ "status": status });
        merge(cluster, object, &patch).await
    }
}

/// A virtual machine with the disks `NAME-root` and `NAME-data`, as applications with their Helm releases. The played
/// Helm makes of them what they consist of.
///
/// # Errors
/// When the stage itself is not in order.
pub fn virtual_machine_objects(namespace: &str, name: &str) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("velero.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name);
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// Velero's BackupStorageLocation for the platform's bucket, as the host keeps it.
#[must_use]
pub fn storage_location() -> Value {
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "BackupStorageLocation",
        "metadata": { "name": "cozy-default", "namespace": "cozy-velero" },
        "spec": {
            "provider": "aws",
            "objectStorage": { "bucket": "cozy-backups", "prefix": "velero" },
        },
    })
}

/// Changes an object that is there.
async fn merge<C: Cluster>(cluster: &C, object: &Value, patch: &Value) -> Result<(), ApiError> {
    let target = reference(object);
    let host = Caller::host();
    cluster
        .merge(&host, MANAGER, &target, patch, Part::Main)
        .await
        .map(|_| ())
}

/// Creates an object, or finds it.
async fn create<C: Cluster>(cluster: &C, object: &Value) -> Result<Value, ApiError> {
    let host = Caller::host();
    match cluster.create(&host, MANAGER, object, false).await {
        Err(error) if error.reason == ApiReason::AlreadyExists => {
            let found = cluster.get(&host, &reference(object)).await?;
            Ok(found.unwrap_or_default())
        }
        created => created,
    }
}

/// Deletes an object that may be gone.
async fn delete<C: Cluster>(cluster: &C, object: &Value) -> Result<(), ApiError> {
    let options = DeleteOptions::default();
    match cluster
        .delete(&Caller::host(), &reference(object), &options)
        .await
    {
        Err(error) if error.reason == ApiReason::NotFound => Ok(()),
        deleted => deleted,
    }
}

/// One object by its name; null when absent.
async fn read<C: Cluster>(
    cluster: &C,
    (api_version, kind): (&str, &str),
    namespace: &str,
    name: &str,
) -> Result<Value, ApiError> {
    let target = reference(&json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace },
    }));
    let found = cluster.get(&Caller::host(), &target).await?;
    Ok(found.unwrap_or_default())
}

/// The objects of a kind in a namespace.
async fn all_in<C: Cluster>(
    cluster: &C,
    (api_version, kind): (&str, &str),
    namespace: &str,
) -> Result<Vec<Value>, ApiError> {
    let mut found = all(cluster, api_version, kind).await?;
    found.retain(|object| text(object, "/metadata/namespace") == namespace);
    Ok(found)
}

/// An owner reference to an object that controls another.
fn controller(object: &Value) -> Value {
    json!([{
        "apiVersion": text(object, "/apiVersion"),
        "kind": text(object, "/kind"),
        "name": text(object, "/metadata/name"),
        "uid": text(object, "/metadata/uid"),
        "controller": true,
    }])
}

fn name_of(object: &Value) -> &str {
    text(object, "/metadata/name")
}

fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}
