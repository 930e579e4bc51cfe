//! What a restore found where it restores to. Remembered before anything is changed, so that it can be put back.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Velero,
    capture::Resources,
    kubevirt::{Claim, HelmRelease, VirtualMachine, Volume},
    target::Target,
};

/// What a job remembers.
#[derive(Default, Deserialize, Serialize)]
pub struct Memory {
    /// What the machine consists of, or did when it was backed up.
    pub captured: Resources,
    /// A restore: what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// What was there before a restore.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Found {
    /// Helm releases.
    pub releases: Vec<String>,
    /// The members of the virtual machine's spec that say whether it runs.
    pub running: Option<Value>,
    /// Disks with their volumes.
    pub disks: Vec<Kept>,
    /// Of a copy under another name: the disk that was restored and gets that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<Kept>,
}

/// A volume claim, as it was.
#[derive(Clone, Deserialize, Serialize)]
pub struct Kept {
    pub claim: String,
    pub uid: String,
    /// The volume; empty where it had none.
    pub volume: String,
    /// What becomes of the volume when its claim goes.
    pub reclaim_policy: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Found {
    /// Looks for everything that a restore would replace.
    pub fn of(cx: &Context<Velero>, target: &Target) -> Outcome<Self> {
        let mut found = Self::default();
        for release in target.restored_releases() {
            if cx.get::<HelmRelease>(&release)?.is_some() {
                found.releases.push(release);
            }
        }
        for disk in target.disks() {
            if let Some(claim) = cx.get::<Claim>(&disk)? {
                found.disks.push(Kept::of(cx, &claim)?);
            }
        }
        if target.is_machine() {
            let machine = cx.get::<VirtualMachine>(&target.restored_release())?;
            found.running = machine.map(|machine| machine.running());
        }
        Ok(found)
    }

    /// Whether nothing was there.
    pub fn is_nothing(&self) -> bool {
        self.releases.is_empty() && self.disks.is_empty() && self.running.is_none()
    }
}

impl Kept {
    pub fn of(cx: &Context<Velero>, claim: &Claim) -> Outcome<Self> {
        let volume = claim.volume();
        let reclaim_policy = if volume.is_empty() {
            String::new()
        } else {
            let found = cx.get::<Volume>(volume)?.or_fail(
                "VolumeMissing",
                format!(
                    "volume claim {} names volume {volume}, which does not exist",
                    claim.metadata.name
                ),
            )?;
            found.reclaim_policy().into()
        };
        let labels = claim.metadata.labels.clone().into_iter();
        Ok(Self {
            claim: claim.metadata.name.clone(),
            uid: claim.metadata.uid.clone(),
            volume: volume.into(),
            reclaim_policy,
            // Those of the host are the host's to set.
            labels: labels
                .filter(|(key, _)| !key.starts_with("backups.cozystack.io/"))
                .collect(),
        })
    }

    /// The name under which the volume stays while and after the claim's name is used for another.
    pub fn aside(&self, cx: &Context<Velero>) -> String {
        let name = cx.child_name("orig");
        let hash = name.rsplit('-').next().unwrap_or_default();
        format!("{}-orig-{hash}", self.claim)
    }

    /// Lets the volume go with its claim again, if it did.
    pub fn put_policy_back(&self, cx: &Context<Velero>) -> Outcome<()> {
        if self.volume.is_empty() || self.reclaim_policy.is_empty() {
            return Ok(());
        }
        let volume = cx.get::<Volume>(&self.volume)?;
        if volume.is_some_and(|volume| volume.reclaim_policy() != self.reclaim_policy) {
            let patch = json!({ "spec": { "persistentVolumeReclaimPolicy": self.reclaim_policy } });
            cx.merge::<Volume>(&self.volume, &patch);
        }
        Ok(())
    }
}
