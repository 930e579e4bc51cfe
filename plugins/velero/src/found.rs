//! What a job remembers: what a machine consists of, and what a restore found where it restores to, written down before
//! anything is changed. Also how far each disk is: a read takes a round, and a machine may have many disks.

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Velero,
    capture::Resources,
    kubevirt::{Claim, HelmRelease, VirtualMachine},
    target::Target,
};

/// What was there before.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Found {
    /// What the machine consists of, or did when it was backed up.
    pub captured: Resources,
    /// Helm releases.
    pub releases: Vec<String>,
    /// The members of the virtual machine's spec that say whether it runs.
    pub running: Option<Value>,
    /// Disks with their volumes.
    pub disks: Vec<Kept>,
    /// Of a copy under another name: the disk that was restored and gets that name.
    pub renamed: Option<Kept>,
}

/// A disk, as it was.
#[derive(Deserialize, Serialize)]
pub struct Kept {
    pub claim: String,
    pub uid: String,
    /// The volume; empty where it had none.
    pub volume: String,
    /// What becomes of the volume when its claim goes; empty until it is about to be given to another.
    pub reclaim_policy: String,
    pub labels: Value,
    /// Whether the volume is another claim's by now.
    pub is_aside: bool,
}

impl Found {
    /// Looks for everything that a restore would replace.
    pub fn look(&mut self, cx: &Context<Velero>, target: &Target) -> Outcome<()> {
        let wanted = target.restored_releases();
        for release in cx.find::<HelmRelease>(&[])? {
            if wanted.contains(&release.metadata.name) {
                self.releases.push(release.metadata.name.clone());
            }
        }
        let disks = target.disks();
        for claim in cx.find::<Claim>(&[])? {
            if disks.contains(&claim.metadata.name) {
                self.disks.push(Kept::of(&claim));
            }
        }
        if target.is_machine() {
            let machine = cx.get::<VirtualMachine>(&target.restored_release())?;
            self.running = machine.map(|machine| machine.running());
        }
        Ok(())
    }

    /// Whether nothing was there.
    pub fn is_nothing(&self) -> bool {
        self.releases.is_empty() && self.disks.is_empty() && self.running.is_none()
    }
}

impl Kept {
    pub fn of(claim: &Claim) -> Self {
        let mut labels = json!({});
        for (key, value) in &claim.metadata.labels {
            // Those of the host are the host's to set, and Velero's tell of a restore.
            if !key.starts_with("backups.cozystack.io/") && !key.starts_with("velero.io/") {
                labels[key] = value.as_str().into();
            }
        }
        Self {
            claim: claim.metadata.name.clone(),
            uid: claim.metadata.uid.clone(),
            volume: claim.volume().into(),
            reclaim_policy: String::new(),
            labels,
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
