//! What the reference got wrong, by the number in the table of `tests/README.md`.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};

use super::*;

// 1
#[tokio::test]
async fn what_velero_finds_invalid_is_a_failure_at_once() {
    let mut world = World::new().await;
    world
        .delete((API, "BackupStorageLocation"), VELERO, "cozy-default")
        .await;
    let before = world.stage.cluster.now();
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    assert!(
        said.ends_with(
            "Velero says FailedValidation; backup storage location 'cozy-default' does not exist"
        ),
        "{said}"
    );
    assert!(world.stage.cluster.now() - before < 600);
    // Velero stored nothing, and its object is gone.
    assert!(world.all((API, "Backup"), VELERO).is_empty());
}

// 1
#[tokio::test]
async fn a_restore_that_velero_finds_invalid_is_a_failure_at_once() {
    let mut world = World::with_backup().await;
    // Velero has forgotten what it holds.
    let order = world.only("Backup");
    world.restore(&json!({}));
    world
        .says("RestoreJob", "back", "VeleroRestoreQueued")
        .await;
    world.fate(VeleroFate::RestoreStays("New".to_owned()));
    let restore = world.only("Restore");
    world.change((API, "Restore"), VELERO, name(&restore), |restore| {
        restore["status"] = json!({
            "phase": "FailedValidation",
            "validationErrors": [format!("backup {} has expired", name(&order))],
        });
    });
    world.fate(VeleroFate::Completes);
    let said = world.ends("RestoreJob", "back").await;
    assert!(
        said.contains("Velero says FailedValidation; backup "),
        "{said}"
    );
    world.operators_rest().await;
    world.is_at_peace("later");
}

// 1
#[tokio::test]
async fn a_backup_that_somebody_deletes_meanwhile_is_a_failure() {
    let mut world = World::new().await;
    world.fate(VeleroFate::BackupStays("InProgress".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    world
        .says("BackupJob", "nightly", "VeleroBackupRunning")
        .await;
    let order = world.only("Backup");
    world.change((API, "Backup"), VELERO, name(&order), |order| {
        order["status"]["phase"] = json!("Deleting");
    });
    world
        .says("BackupJob", "nightly", "VeleroBackupDeleted")
        .await;
}

// 2
#[tokio::test]
async fn no_phase_of_velero_is_waited_for_without_end() {
    for phase in [
        "",
        "Queued",
        "ReadyToStart",
        "InProgress",
        "WaitingForPluginOperations",
        "Finalizing",
    ] {
        let mut world = World::new().await;
        world.fate(VeleroFate::BackupStays(phase.to_owned()));
        world.backup("nightly", "VMInstance", "web");
        let said = world.ends("BackupJob", "nightly").await;
        assert!(said.starts_with("Failed BackupFailed: "), "{phase}: {said}");
    }
    for phase in ["", "InProgress", "WaitingForPluginOperations"] {
        let mut world = World::with_backup().await;
        world.fate(VeleroFate::RestoreStays(phase.to_owned()));
        let said = world.restored(&json!({})).await;
        assert!(
            said.starts_with("Failed RestoreFailed: "),
            "{phase}: {said}"
        );
        world.fate(VeleroFate::Completes);
        world.operators_rest().await;
        world.is_at_peace("later");
    }
}

// 4
#[tokio::test]
async fn a_job_that_names_no_group_is_backed_up() {
    let mut world = World::new().await;
    world
        .stage
        .cluster
        .put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "BackupJob",
            "metadata": { "name": "nightly", "namespace": TENANT },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "VMInstance", "name": "web" },
            },
        }))
        .unwrap();
    let said = world.ends("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// 6
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_takes_a_new_backup() {
    let mut world = World::new().await;
    world.fate(VeleroFate::UploadFails("x".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    world
        .says("BackupJob", "nightly", "VeleroBackupRunning")
        .await;
    let first = name(&world.only("Backup")).to_owned();
    assert!(
        world
            .ends("BackupJob", "nightly")
            .await
            .starts_with("Failed")
    );
    world
        .stage
        .delete("BackupJob", TENANT, "nightly")
        .await
        .unwrap();
    world.fate(VeleroFate::Completes);
    world.backed_up("nightly", "VMInstance", "web").await;
    assert_ne!(name(&world.only("Backup")), first);
}

// 7
#[tokio::test]
async fn a_request_that_fails_is_made_again() {
    let mut world = World::new().await;
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            let is_order = operation.kind == "Backup" && operation.verb == Verb::Create;
            if is_order && counted.fetch_add(1, Ordering::Relaxed) < 3 {
                return Verdict::Fail(ApiError::new(ApiReason::Unavailable, "etcd has no leader"));
            }
            Verdict::Pass
        });
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(failures.load(Ordering::Relaxed) > 3);
}

// 12
#[tokio::test]
async fn a_machine_that_cannot_be_halted_keeps_its_disks() {
    let mut world = World::with_backup().await;
    world
        .stage
        .cluster
        .set_interceptor(|operation: &Operation| {
            if operation.kind == "VirtualMachine" && operation.verb == Verb::Merge {
                return Verdict::Fail(ApiError::new(ApiReason::Forbidden, "somebody forbids it"));
            }
            Verdict::Pass
        });
    let said = world.restored(&json!({})).await;
    assert!(said.starts_with("Failed"), "{said}");
    world
        .stage
        .cluster
        .set_interceptor(|_: &Operation| Verdict::Pass);
    world.operators_rest().await;
    world.is_at_peace("later");
    assert!(world.aside().is_empty());
}

// 16
#[tokio::test]
async fn a_namespace_of_which_nobody_proves_the_authors_right_is_not_written() {
    let mut world = World::with_backup().await;
    let said = world.restored(&json!({ "targetNamespace": OTHER })).await;
    assert!(said.contains("TargetNamespaceNotAllowed"), "{said}");
    assert!(world.all(CLAIM, OTHER).is_empty());
    assert!(world.all((API, "Restore"), VELERO).is_empty());
}

// 17
#[tokio::test]
async fn the_modifiers_of_two_jobs_never_have_one_name() {
    let mut names = vec![];
    for namespace in ["tenant-a", "tenant-a-b"] {
        // `tenant-a/b-c` and `tenant-a-b/c`.
        let job = if namespace == "tenant-a" { "b-c" } else { "c" };
        let mut world = World::with_backup().await;
        world
            .stage
            .restore_job(TENANT, job, "nightly", &json!({}))
            .unwrap();
        world.fate(VeleroFate::RestoreStays("InProgress".to_owned()));
        world.says("RestoreJob", job, "VeleroRestoreRunning").await;
        names.extend(world.all(("v1", "ConfigMap"), VELERO).into_keys());
    }
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1]);
}

// 18
#[tokio::test]
async fn a_job_with_a_long_name_is_backed_up_and_restored() {
    let mut world = World::new().await;
    let long = "a-name-as-long-as-the-api-server-lets-it-be-".repeat(4);
    let long = long.trim_end_matches('-');
    world.backed_up(long, "VMInstance", "web").await;
    let order = world.only("Backup");
    assert!(name(&order).len() <= 63, "{order}");
    world
        .stage
        .restore_job(TENANT, &format!("r-{long}"), long, &json!({}))
        .unwrap();
    let said = world.ends("RestoreJob", &format!("r-{long}")).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// 21
#[tokio::test]
async fn a_backup_that_has_expired_is_found_within_a_day() {
    let mut world = World::with_backup().await;
    let backup = world.stage.read("Backup", TENANT, "nightly");
    let expires = backup["spec"]["driverMetadata"]["velero.io/expires-at"]
        .as_str()
        .unwrap();
    let expires: Timestamp = expires.parse().unwrap();
    world.stage.cluster.set_now(expires.as_second() + 60);
    // Velero removes it with its data.
    for key in world.stage.storage.keys() {
        world.stage.storage.remove(&key);
    }
    let order = world.only("Backup");
    world.delete((API, "Backup"), VELERO, name(&order)).await;
    for _ in 0..3 {
        world.stage.runner.settle().await.unwrap();
        if let Some(at) = world.stage.runner.next_at() {
            let at = at.as_second().max(world.stage.cluster.now());
            world.stage.cluster.set_now(at);
        }
    }
    let backup = world.stage.read("Backup", TENANT, "nightly");
    assert!(
        backup.is_null() || backup.to_string().contains("which expired at"),
        "{backup}"
    );
}

// 23
#[tokio::test]
async fn the_addresses_are_those_of_the_pod_that_runs() {
    let mut world = World::new().await;
    let pod = |name: &str, phase: &str, address: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": TENANT,
                "labels": { "vm.kubevirt.io/name": "vm-instance-web" },
                "annotations": { "ovn.kubernetes.io/ip_address": address },
            },
            "spec": { "containers": [{ "name": "compute", "image": "virt-launcher" }] },
            "status": { "phase": phase },
        })
    };
    world
        .stage
        .cluster
        .put(pod("a-finished-one", "Succeeded", "10.0.0.1"))
        .unwrap();
    world.stage.cluster.advance(10);
    world
        .stage
        .cluster
        .put(pod("a-migration", "Running", "10.0.0.2"))
        .unwrap();
    world.backed_up("nightly", "VMInstance", "web").await;
    let backup = world.stage.read("Backup", TENANT, "nightly");
    assert_eq!(backup["status"]["underlyingResources"]["ip"], "10.244.1.7");
}

// 23
#[tokio::test]
async fn a_disk_without_a_volume_is_waited_for_and_then_named() {
    let mut world = World::new().await;
    let application = ("apps.cozystack.io/v1alpha1", "VMInstance");
    world.change(application, TENANT, "web", |web| {
        web["spec"]["disks"] =
            json!([{ "name": "web-root" }, { "name": "nowhere" }, { "bus": "sata" }]);
    });
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    assert!(
        said.contains("DiskNotReady: VMDisk nowhere has no volume claim vm-disk-nowhere yet"),
        "{said}"
    );
    assert!(world.all((API, "Backup"), VELERO).is_empty());
}

// 24
#[tokio::test]
async fn events_tell_once_what_has_happened() {
    let mut world = World::with_backup().await;
    assert!(world.restored(&json!({})).await.starts_with("Succeeded"));
    let events = world.all(("events.k8s.io/v1", "Event"), TENANT);
    let told = |reason: &str| {
        events
            .values()
            .filter(|event| event["reason"] == reason)
            .count()
    };
    assert_eq!(told("VeleroBackupCreated"), 1);
    assert_eq!(told("VeleroRestoreCreated"), 1);
}

// 25
#[tokio::test]
async fn a_strategy_that_reaches_into_another_namespace_is_refused() {
    let mut world = World::new().await;
    world
        .stage
        .cluster
        .put(json!({
            "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
            "kind": "Velero",
            "metadata": { "name": "cozy-default-velero-vminstance" },
            "spec": { "template": { "spec": { "includedNamespaces": [OTHER] } } },
        }))
        .unwrap();
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    assert!(said.contains("NamespaceOutside: "), "{said}");
    assert!(world.all((API, "Backup"), VELERO).is_empty());
}
