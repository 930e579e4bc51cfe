//! What an application consists of in the cluster: a Helm release, a virtual machine, disks and their volumes.

use backup_strategy::{items, kinds, prelude::*, text};

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

kinds! {
    /// The Helm release of an application.
    HelmRelease: "helm.toolkit.fluxcd.io/v2" "HelmRelease";
    /// A virtual machine, whether it runs or not.
    VirtualMachine: "kubevirt.io/v1" "VirtualMachine";
    /// A virtual machine that runs, or has yet to stop.
    VirtualMachineInstance: "kubevirt.io/v1" "VirtualMachineInstance";
    /// What fills a disk's volume, and stays beside it.
    DataVolume: "cdi.kubevirt.io/v1beta1" "DataVolume";
    /// A claim on a volume.
    Claim: "v1" "PersistentVolumeClaim";
    /// A volume.
    Volume: "v1" "PersistentVolume" { CLUSTER_SCOPED };
    /// A Pod.
    Pod: "v1" "Pod";
}

impl HelmRelease {
    pub fn is_suspended(&self) -> bool {
        self.spec["suspend"] == true
    }

    /// Whether Helm is at work.
    pub fn is_busy(&self) -> bool {
        let reconciling = self.condition("Reconciling");
        reconciling.is_some_and(|reconciling| reconciling.is_true())
    }
}

impl VirtualMachine {
    pub fn is_halted(&self) -> bool {
        text(&self.spec, "/runStrategy") == HALTED || self.spec["running"] == false
    }

    /// The members of its spec that say whether it runs; one of the two is there.
    pub fn running(&self) -> Value {
        json!({ "runStrategy": self.spec["runStrategy"], "running": self.spec["running"] })
    }
}

impl Claim {
    /// The volume; empty while it has none.
    pub fn volume(&self) -> &str {
        text(&self.spec, "/volumeName")
    }

    pub fn is_bound(&self) -> bool {
        self.phase() == "Bound"
    }
}

impl Volume {
    /// What becomes of it when its claim goes.
    pub fn reclaim_policy(&self) -> &str {
        text(&self.spec, "/persistentVolumeReclaimPolicy")
    }

    /// The UID of its claim.
    pub fn claim(&self) -> &str {
        text(&self.spec, "/claimRef/uid")
    }
}

impl Pod {
    pub fn is_running(&self) -> bool {
        self.phase() == "Running" && !self.metadata.is_being_deleted()
    }

    /// Whether it holds a claim: it does until it has ended.
    pub fn holds(&self, claim: &str) -> bool {
        let mut volumes = items(&self.spec, "/volumes");
        !matches!(self.phase(), "Succeeded" | "Failed")
            && volumes.any(|volume| text(volume, "/persistentVolumeClaim/claimName") == claim)
    }

    /// Whether it is there for a virtual machine: the machine runs in it, or it holds a disk that was plugged in.
    pub fn is_of(&self, machine: &str) -> bool {
        let has = |label: &str, value: &str| {
            let labels = &self.metadata.labels;
            labels.get(label).is_some_and(|found| found == value)
        };
        has("vm.kubevirt.io/name", machine) || has("kubevirt.io", "hotplug-disk")
    }
}
