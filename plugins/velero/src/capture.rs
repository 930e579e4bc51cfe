//! What a virtual machine consists of beside its own objects. Captured when a backup starts: when it is complete, the
//! machine may run elsewhere, or not at all.

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Velero,
    kubevirt::{self, Claim, Pod},
};

/// In a Backup's `status.underlyingResources`. The first controller wrote it without `apiVersion` and `kind`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_volumes: Vec<Disk>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
}

/// A disk of a virtual machine: a DataVolume, its volume claim and its Helm release have one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    pub data_volume_name: String,
    pub application_name: String,
}

impl Disk {
    pub fn of(application: &str) -> Self {
        Self {
            data_volume_name: kubevirt::release_of(kubevirt::DISK, application),
            application_name: application.into(),
        }
    }

    /// The labels of its objects.
    pub fn selector(&self) -> Value {
        json!({ "matchLabels": {
            "apps.cozystack.io/application.kind": kubevirt::DISK,
            "apps.cozystack.io/application.name": self.application_name,
        } })
    }
}

impl Resources {
    /// Of the application as it is now.
    pub fn of(cx: &Context<Velero>) -> Outcome<Self> {
        let subject = cx.subject();
        let application = cx.application::<Value>()?.or_fail(
            "ApplicationNotFound",
            format!("there is no {} {}", subject.kind, subject.name),
        )?;
        if subject.kind != kubevirt::MACHINE {
            have_volumes(cx, &[Disk::of(&subject.name)])?;
            return Ok(Self::default());
        }
        let disks = application["spec"]["disks"].as_array();
        let names = disks
            .into_iter()
            .flatten()
            .filter_map(|disk| disk["name"].as_str().filter(|name| !name.is_empty()));
        let data_volumes: Vec<Disk> = names.map(Disk::of).collect();
        have_volumes(cx, &data_volumes)?;
        let (ip, mac) = addresses(cx, &subject.name)?;
        Ok(Self {
            data_volumes,
            ip,
            mac,
        })
    }

    /// As the Backup keeps it; none where there is nothing to keep.
    pub fn document(&self) -> Option<Value> {
        if *self == Self::default() {
            return None;
        }
        let mut document = json!(self);
        document["apiVersion"] = "backups.cozystack.io/v1alpha1".into();
        document["kind"] = "VMInstanceResources".into();
        Some(document)
    }
}

/// Without its claim a disk would be missing in the backup, and nobody would know.
fn have_volumes(cx: &Context<Velero>, disks: &[Disk]) -> Outcome<()> {
    let claims = cx.find::<Claim>(&[])?;
    let has_volume = |disk: &&Disk| {
        let mut claims = claims.iter();
        claims.any(|claim| claim.metadata.name == disk.data_volume_name)
    };
    match disks.iter().find(|disk| !has_volume(disk)) {
        None => Ok(()),
        Some(disk) => wait!(
            "DiskNotReady",
            "VMDisk {} has no volume claim {} yet; if the disk was removed, take it out of the spec.disks of the \
             virtual machine",
            disk.application_name,
            disk.data_volume_name
        )
        .pending()
        .at_most(15.minutes()),
    }
}

/// The addresses of the Pod that the machine runs in: of two, while it moves to another node, the older.
fn addresses(cx: &Context<Velero>, machine: &str) -> Outcome<(String, String)> {
    let release = kubevirt::release_of(kubevirt::MACHINE, machine);
    let pods = cx.find::<Pod>(&[("vm.kubevirt.io/name", &release)])?;
    let running = pods.iter().filter(|pod| pod.is_running());
    let oldest = running.min_by_key(|pod| pod.metadata.creation_timestamp);
    let address = |annotation: &str| {
        let annotations = oldest.map(|pod| &pod.metadata.annotations);
        let found = annotations.and_then(|annotations| annotations.get(annotation));
        found.cloned().unwrap_or_default()
    };
    Ok((address(kubevirt::IP), address(kubevirt::MAC)))
}
