//! What a restore found where it restores to. Remembered before anything is changed, so that it can be put back.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Velero,
    capture::Resources,
    kubevirt::{Claim, HelmRelease, VirtualMachine},
    target::Target,
};

/// What a job remembers. Also how far it is: a read takes a round, and a machine may have many disks.
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

/// A disk, as it was.
#[derive(Clone, Deserialize, Serialize)]
pub struct Kept {
    pub claim: String,
    pub uid: String,
    /// The volume; empty where it had none.
    pub volume: String,
    /// What becomes of the volume when its claim goes; empty until it is about to be given to another.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reclaim_policy: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether the volume is another claim's by now.
    #[serde(default)]
    pub is_aside: bool,
}

impl Found {
    /// Looks for everything that a restore would replace.
    pub fn of(cx: &Context<Velero>, target: &Target) -> Outcome<Self> {
        let wanted = target.restored_releases();
        let releases = cx.find::<HelmRelease>(&[])?.into_iter();
        let releases = releases.map(|release| release.metadata.name.clone());
        let disks = target.disks();
        let claims = cx.find::<Claim>(&[])?;
        let claims = claims.iter();
        let machine = match target.is_machine() {
            true => cx.get::<VirtualMachine>(&target.restored_release())?,
            false => None,
        };
        Ok(Self {
            releases: releases
                .filter(|release| wanted.contains(release))
                .collect(),
            running: machine.map(|machine| machine.running()),
            disks: claims
                .filter(|claim| disks.contains(&claim.metadata.name))
                .map(|claim| Kept::of(claim))
                .collect(),
            renamed: None,
        })
    }

    /// Whether nothing was there.
    pub fn is_nothing(&self) -> bool {
        self.releases.is_empty() && self.disks.is_empty() && self.running.is_none()
    }
}

impl Kept {
    pub fn of(claim: &Claim) -> Self {
        let labels = claim.metadata.labels.clone().into_iter();
        Self {
            claim: claim.metadata.name.clone(),
            uid: claim.metadata.uid.clone(),
            volume: claim.volume().into(),
            reclaim_policy: String::new(),
            // Those of the host are the host's to set.
            labels: labels
                .filter(|(key, _)| !key.starts_with("backups.cozystack.io/"))
                .collect(),
            is_aside: false,
        }
    }

    /// The name under which the volume stays while and after the claim's name is used for another.
    pub fn aside(&self, cx: &Context<Velero>) -> String {
        let name = cx.child_name("orig");
        let hash = name.rsplit('-').next().unwrap_or_default();
        format!("{}-orig-{hash}", self.claim)
    }
}
