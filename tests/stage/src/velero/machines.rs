//! Helm, CDI and KubeVirt: releases become disks and machines, and machines run or do not.

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use serde_json::{Value, json};

use super::{
    CDI, HELM, KUBEVIRT, MANAGER, VeleroFate, VeleroServer, controller, create, delete,
    is_deleting, merge, name_of, read, volumes,
};
use crate::play::{all, text};

const FORCE: &str = "/metadata/annotations/reconcile.fluxcd.io~1forceAt";

impl VeleroServer {
    /// Installs releases that are new, and makes what is missing of those of which somebody asks for it.
    pub(super) async fn helm<C: Cluster>(&self, cluster: &C) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for release in all(cluster, HELM, "HelmRelease").await? {
            let rests = release.pointer("/spec/suspend") == Some(&json!(true));
            let name = name_of(&release);
            if rests
                || is_deleting(&release)
                || !name.starts_with("vm-")
                || !self.place.covers(&release)
            {
                continue;
            }
            let is_new = release.pointer("/status/conditions").is_none();
            let asked = text(&release, FORCE);
            let is_asked =
                !asked.is_empty() && text(&release, "/status/lastHandledForceAt") != asked;
            if !is_new && !is_asked {
                continue;
            }
            if name.starts_with("vm-disk-") {
                install_disk(cluster, &release).await?;
            } else {
                install_machine(cluster, &release).await?;
            }
            let status = json!({
                "lastHandledForceAt": asked,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "message": "",
                    "lastTransitionTime": "2026-11-25T11:00:00Z",
                }],
            });
            let patch = json!({ "status": status });
            let host = Caller::host();
            cluster
                .merge(&host, MANAGER, &reference(&release), &patch, Part::Status)
                .await?;
            steps.push(format!("Helm installs {name}"));
        }
        Ok(steps)
    }

    /// Starts machines that are to run once their disks are there, and stops those that are not.
    pub(super) async fn machines<C: Cluster>(&self, cluster: &C) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for machine in all(cluster, KUBEVIRT, "VirtualMachine").await? {
            if !self.place.covers(&machine) {
                continue;
            }
            let (namespace, name) = (text(&machine, "/metadata/namespace"), name_of(&machine));
            let kind = (KUBEVIRT, "VirtualMachineInstance");
            let running = read(cluster, kind, namespace, name).await?;
            let rests = text(&machine, "/spec/runStrategy") == "Halted";
            if rests && !running.is_null() && self.fate != VeleroFate::MachineHangs {
                let pod = read(cluster, ("v1", "Pod"), namespace, &launcher(name)).await?;
                if !pod.is_null() {
                    delete(cluster, &pod).await?;
                }
                delete(cluster, &running).await?;
                steps.push(format!("machine {name} stops"));
            }
            if !rests && running.is_null() && disks_are_bound(cluster, &machine).await? {
                start(cluster, &machine).await?;
                steps.push(format!("machine {name} starts"));
            }
        }
        Ok(steps)
    }
}

fn launcher(machine: &str) -> String {
    format!("virt-launcher-{machine}-x")
}

fn labels(release: &str) -> Value {
    json!({
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/managed-by": "Helm",
    })
}

/// A DataVolume and its claim, which it makes unless it may take one that is there.
async fn install_disk<C: Cluster>(cluster: &C, release: &Value) -> Result<(), ApiError> {
    let (namespace, name) = (text(release, "/metadata/namespace"), name_of(release));
    let volume = json!({
        "apiVersion": CDI,
        "kind": "DataVolume",
        "metadata": { "name": name, "namespace": namespace, "labels": labels(name) },
        "spec": {
            "source": { "blank": {} },
            "storage": { "resources": { "requests": { "storage": "5Gi" } } },
        },
    });
    let volume = create(cluster, &volume).await?;
    let kind = ("v1", "PersistentVolumeClaim");
    let found = read(cluster, kind, namespace, name).await?;
    if found.is_null() {
        let mut labels = labels(name);
        for label in ["kind", "name"] {
            let label = format!("apps.cozystack.io/application.{label}");
            labels[&label] = release["metadata"]["labels"][&label].clone();
        }
        let mut claim = volumes::claim(namespace, name, &labels);
        claim["metadata"]["ownerReferences"] = controller(&volume);
        let claim = create(cluster, &claim).await?;
        return volumes::fill(cluster, &claim, "blank").await;
    }
    let adopts = found.pointer("/metadata/annotations/cdi.kubevirt.io~1allowClaimAdoption");
    if adopts == Some(&json!("true")) {
        let patch = json!({ "metadata": { "ownerReferences": controller(&volume) } });
        merge(cluster, &found, &patch).await?;
    }
    Ok(())
}

async fn install_machine<C: Cluster>(cluster: &C, release: &Value) -> Result<(), ApiError> {
    let (namespace, name) = (text(release, "/metadata/namespace"), name_of(release));
    let run_strategy = match text(release, "/spec/values/runStrategy") {
        "" => "Always",
        strategy => strategy,
    };
    let found = read(cluster, (KUBEVIRT, "VirtualMachine"), namespace, name).await?;
    if !found.is_null() {
        let patch = json!({ "spec": { "runStrategy": run_strategy } });
        return merge(cluster, &found, &patch).await;
    }
    let disks = release.pointer("/spec/values/disks");
    let disks = disks.and_then(Value::as_array).into_iter().flatten();
    let volumes: Vec<Value> = disks
        .map(|disk| {
            let disk = text(disk, "/name");
            json!({ "name": disk, "dataVolume": { "name": format!("vm-disk-{disk}") } })
        })
        .collect();
    let machine = json!({
        "apiVersion": KUBEVIRT,
        "kind": "VirtualMachine",
        "metadata": { "name": name, "namespace": namespace, "labels": labels(name) },
        "spec": {
            "runStrategy": run_strategy,
            "template": { "spec": { "domain": { "devices": {} }, "volumes": volumes } },
        },
    });
    create(cluster, &machine).await.map(|_| ())
}

/// The claims of a machine's disks.
fn disks(machine: &Value) -> Vec<String> {
    let volumes = machine.pointer("/spec/template/spec/volumes");
    let volumes = volumes.and_then(Value::as_array).into_iter().flatten();
    volumes
        .map(|volume| text(volume, "/dataVolume/name").to_owned())
        .collect()
}

async fn disks_are_bound<C: Cluster>(cluster: &C, machine: &Value) -> Result<bool, ApiError> {
    let namespace = text(machine, "/metadata/namespace");
    for disk in disks(machine) {
        let kind = ("v1", "PersistentVolumeClaim");
        let claim = read(cluster, kind, namespace, &disk).await?;
        if text(&claim, "/status/phase") != "Bound" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a machine in a Pod, with the addresses that its template asks for.
async fn start<C: Cluster>(cluster: &C, machine: &Value) -> Result<(), ApiError> {
    let (namespace, name) = (text(machine, "/metadata/namespace"), name_of(machine));
    let running = json!({
        "apiVersion": KUBEVIRT,
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels(name),
            "ownerReferences": controller(machine),
        },
        "spec": { "domain": { "devices": {} } },
    });
    let running = create(cluster, &running).await?;
    let asked = machine.pointer("/spec/template/metadata/annotations");
    let annotations = asked.cloned().unwrap_or_else(|| {
        json!({
            "ovn.kubernetes.io/ip_address": "10.244.1.7",
            "ovn.kubernetes.io/mac_address": "02:00:00:aa:bb:cc",
        })
    });
    let volumes: Vec<Value> = disks(machine)
        .iter()
        .map(|disk| json!({ "name": disk, "persistentVolumeClaim": { "claimName": disk } }))
        .collect();
    let mut labels = labels(name);
    labels["vm.kubevirt.io/name"] = json!(name);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": launcher(name),
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": controller(&running),
        },
        "spec": { "containers": [{ "name": "compute", "image": "virt-launcher" }], "volumes": volumes },
    });
    let pod = create(cluster, &pod).await?;
    let patch = json!({ "status": { "phase": "Running" } });
    let host = Caller::host();
    cluster
        .merge(&host, MANAGER, &reference(&pod), &patch, Part::Status)
        .await
        .map(|_| ())
}
