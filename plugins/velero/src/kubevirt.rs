//! What an application consists of in the cluster: a Helm release, a virtual machine, disks and their volumes.

use backup_strategy::prelude::*;
use serde::Deserialize;

/// Kind of the application that is a virtual machine.
pub const MACHINE: &str = "VMInstance";
/// Kind of the application that is a disk.
pub const DISK: &str = "VMDisk";
/// Annotation of a Pod, and of a machine's template, with the address that the network gives it.
pub const IP: &str = "ovn.kubernetes.io/ip_address";
/// The same for the MAC address.
pub const MAC: &str = "ovn.kubernetes.io/mac_address";
/// Run strategy of a machine that does not run.
pub const HALTED: &str = "Halted";

/// The name of an application's Helm release, and of all that it makes.
pub fn release_of(kind: &str, application: &str) -> String {
    let prefix = if kind == DISK {
        "vm-disk"
    } else {
        "vm-instance"
    };
    format!("{prefix}-{application}")
}

/// What lets a DataVolume take a volume claim of its name as it is, as a part of the claim.
pub fn adopted() -> Value {
    json!({ "metadata": { "annotations": { "cdi.kubevirt.io/allowClaimAdoption": "true" } } })
}

/// The Helm release of an application.
#[derive(Deserialize)]
pub struct HelmRelease {
    pub metadata: Metadata,
    /// Whole: of a copy under another name it is written once more.
    #[serde(default)]
    pub spec: Value,
    #[serde(default)]
    status: Conditions,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Conditions {
    conditions: Vec<Condition>,
}

impl Object for HelmRelease {
    const API_VERSION: &str = "helm.toolkit.fluxcd.io/v2";
    const KIND: &str = "HelmRelease";
}

impl HelmRelease {
    #[cfg(test)]
    pub fn of(metadata: Metadata, spec: Value) -> Self {
        Self {
            metadata,
            spec,
            status: Conditions::default(),
        }
    }

    pub fn is_suspended(&self) -> bool {
        self.spec["suspend"] == true
    }

    /// Whether Helm is at work. What it has begun it finishes, also after it was suspended.
    pub fn is_busy(&self) -> bool {
        Condition::named(&self.status.conditions, "Reconciling").is_some_and(Condition::is_true)
    }
}

/// A virtual machine, whether it runs or not.
#[derive(Deserialize)]
pub struct VirtualMachine {
    pub metadata: Metadata,
    #[serde(default)]
    spec: MachineSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MachineSpec {
    run_strategy: Option<String>,
    running: Option<bool>,
}

impl Object for VirtualMachine {
    const API_VERSION: &str = "kubevirt.io/v1";
    const KIND: &str = "VirtualMachine";
}

impl VirtualMachine {
    pub fn is_halted(&self) -> bool {
        self.spec.run_strategy.as_deref() == Some(HALTED) || self.spec.running == Some(false)
    }

    /// The members of its spec that say whether it runs; one of the two is there.
    pub fn running(&self) -> Value {
        json!({ "runStrategy": self.spec.run_strategy, "running": self.spec.running })
    }
}

/// A virtual machine that runs, or has yet to stop.
#[derive(Deserialize)]
pub struct VirtualMachineInstance {}

impl Object for VirtualMachineInstance {
    const API_VERSION: &str = VirtualMachine::API_VERSION;
    const KIND: &str = "VirtualMachineInstance";
}

/// What fills a disk's volume, and stays beside it.
#[derive(Deserialize)]
pub struct DataVolume {
    pub metadata: Metadata,
}

impl Object for DataVolume {
    const API_VERSION: &str = "cdi.kubevirt.io/v1beta1";
    const KIND: &str = "DataVolume";
}

/// A claim on a volume.
#[derive(Deserialize)]
pub struct Claim {
    pub metadata: Metadata,
    /// Whole: its like is created under another name.
    #[serde(default)]
    pub spec: Value,
    #[serde(default)]
    status: Phase,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Phase {
    phase: String,
}

impl Object for Claim {
    const API_VERSION: &str = "v1";
    const KIND: &str = "PersistentVolumeClaim";
}

impl Claim {
    /// The volume; empty while it has none.
    pub fn volume(&self) -> &str {
        self.spec["volumeName"].as_str().unwrap_or_default()
    }

    pub fn is_bound(&self) -> bool {
        self.status.phase == "Bound"
    }
}

/// A volume.
#[derive(Deserialize)]
pub struct Volume {
    #[serde(default)]
    spec: VolumeSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct VolumeSpec {
    persistent_volume_reclaim_policy: String,
    claim_ref: Option<ClaimRef>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimRef {
    uid: String,
}

impl Object for Volume {
    const API_VERSION: &str = "v1";
    const KIND: &str = "PersistentVolume";
    const CLUSTER_SCOPED: bool = true;
}

impl Volume {
    /// What becomes of it when its claim goes.
    pub fn reclaim_policy(&self) -> &str {
        &self.spec.persistent_volume_reclaim_policy
    }

    /// The UID of its claim.
    pub fn claim(&self) -> &str {
        let claim = self.spec.claim_ref.as_ref();
        claim.map_or("", |claim| claim.uid.as_str())
    }
}

/// A Pod.
#[derive(Deserialize)]
pub struct Pod {
    pub metadata: Metadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: Phase,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodSpec {
    volumes: Vec<PodVolume>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodVolume {
    persistent_volume_claim: Option<PodClaim>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodClaim {
    claim_name: String,
}

impl Object for Pod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl Pod {
    pub fn is_running(&self) -> bool {
        self.status.phase == "Running" && !self.metadata.is_being_deleted()
    }

    /// Whether it holds a claim: it does until it has ended.
    pub fn holds(&self, claim: &str) -> bool {
        !matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
            && self.spec.volumes.iter().any(|volume| {
                let held = volume.persistent_volume_claim.as_ref();
                held.is_some_and(|held| held.claim_name == claim)
            })
    }

    /// Whether it is there for a virtual machine: the machine runs in it, or it holds a disk that was plugged in.
    pub fn is_of(&self, machine: &str) -> bool {
        let labels = &self.metadata.labels;
        labels
            .get("vm.kubevirt.io/name")
            .is_some_and(|name| name == machine)
            || labels
                .get("kubevirt.io")
                .is_some_and(|what| what == "hotplug-disk")
    }
}
