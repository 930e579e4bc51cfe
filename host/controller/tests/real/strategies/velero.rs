//! Virtual machines and disks.

use serde_json::{Value, json};
use stage::{VeleroFate, VeleroServer, Workplace};

use crate::{bucket::bucket, cluster::Scene, installed::Alone};

const VELERO: &str = "cozy-velero";
const CLAIM: (&str, &str) = ("v1", "PersistentVolumeClaim");
const MACHINE: (&str, &str) = ("kubevirt.io/v1", "VirtualMachineInstance");
const RELEASE: (&str, &str) = ("helm.toolkit.fluxcd.io/v2", "HelmRelease");

/// A tenant's virtual machine, from its backup on.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    let copies = Scene::empty(alone).await;
    let location = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    scene
        .until_in(VELERO, location, |location| {
            location["spec"]["objectStorage"]["prefix"] == "velero"
        })
        .await;
    let tenant = scene.namespace();
    let velero = VeleroServer::at(Workplace::new(bucket()), VeleroFate::Completes);
    let places = [tenant, copies.namespace(), VELERO];
    let playing = scene.play_in(&places, velero.clone());
    let objects = stage::virtual_machine_objects(tenant, "web").unwrap();
    scene.put_with_status(objects).await;
    let running = |machine: &Value| !machine.is_null();
    scene
        .until_in(tenant, (MACHINE.0, MACHINE.1, "vm-instance-web"), running)
        .await;

    scene.backup_job_of("nightly", "VMInstance", "web").await;
    let job = scene.ended("BackupJob", "nightly").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    scene.is_available("nightly").await;

    scene.restore_job("restore", "nightly").await;
    let job = scene.ended("RestoreJob", "restore").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    goes_on(&scene, tenant).await;

    let options = json!({ "targetNamespace": copies.namespace() });
    let spec = json!({
        "backupRef": { "name": "nightly" },
        "targetApplicationRef": { "apiGroup": "apps.cozystack.io", "kind": "VMInstance", "name": "copy" },
        "options": options,
    });
    scene.job("RestoreJob", "copy", &spec).await;
    let job = scene.ended("RestoreJob", "copy").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    scene
        .until_in(
            copies.namespace(),
            (MACHINE.0, MACHINE.1, "vm-instance-copy"),
            running,
        )
        .await;

    // A restore that comes to nothing, and one that is deleted midway.
    drop(playing);
    let fails = velero.with_fate(VeleroFate::RestoreEnds("Failed".to_owned(), "x".to_owned()));
    let playing = scene.play_in(&places, fails);
    scene.restore_job("fails", "nightly").await;
    let job = scene.ended("RestoreJob", "fails").await;
    assert_eq!(job["status"]["phase"], "Failed", "{job}");
    drop(playing);
    let stalls = velero.with_fate(VeleroFate::RestoreStays("InProgress".to_owned()));
    let playing = scene.play_in(&places, stalls);
    goes_on(&scene, tenant).await;
    scene.restore_job("deleted", "nightly").await;
    scene
        .until("RestoreJob", "deleted", |job| {
            let message = job["status"]["message"].as_str().unwrap_or_default();
            message.contains("Velero is restoring")
        })
        .await;
    scene.delete("RestoreJob", "deleted").await;
    scene.gone("RestoreJob", "deleted").await;
    drop(playing);
    let _playing = scene.play_in(&places, velero);
    goes_on(&scene, tenant).await;

    scene.delete("Backup", "nightly").await;
    scene.gone("Backup", "nightly").await;
}

/// The machine runs on disks that are bound, and Helm goes on.
async fn goes_on(scene: &Scene, namespace: &str) {
    for disk in ["vm-disk-web-root", "vm-disk-web-data"] {
        scene
            .until_in(namespace, (CLAIM.0, CLAIM.1, disk), |claim| {
                claim["status"]["phase"] == "Bound"
                    && claim["metadata"]["deletionTimestamp"].is_null()
            })
            .await;
    }
    for release in ["vm-instance-web", "vm-disk-web-root", "vm-disk-web-data"] {
        scene
            .until_in(namespace, (RELEASE.0, RELEASE.1, release), |release| {
                release["spec"]["suspend"] != true
            })
            .await;
    }
    scene
        .until_in(
            namespace,
            (MACHINE.0, MACHINE.1, "vm-instance-web"),
            |machine| machine["metadata"]["deletionTimestamp"].is_null(),
        )
        .await;
}
