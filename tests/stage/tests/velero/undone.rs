//! Jobs that fail or are deleted: everything is as it was.

use super::*;

/// A restore comes to nothing by a fate, and says so.
async fn fails(fate: VeleroFate, words: &str) -> World {
    let mut world = World::with_backup().await;
    world.fate(fate);
    world.restore(&json!({}));
    let said = world.ends("RestoreJob", "back").await;
    assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
    assert!(said.contains(words), "{said}");
    world
}

#[tokio::test]
async fn a_restore_that_velero_fails_brings_everything_back() {
    for phase in ["Failed", "PartiallyFailed"] {
        let fate = VeleroFate::RestoreEnds(phase.to_owned(), "the repository is locked".to_owned());
        let words = "VeleroRestoreFailed: Restore tenant-acme.back-";
        let mut world = fails(fate, words).await;
        let said = world.stage.said("RestoreJob", TENANT, "back");
        let why = format!("Velero says {phase}; the repository is locked");
        assert!(said.contains(&why), "{said}");
        world.fate(VeleroFate::Completes);
        world.operators_rest().await;
        world.is_at_peace("later");
        assert!(world.aside().is_empty(), "{:?}", world.aside());
        assert_eq!(world.all(VOLUME, TENANT).len(), 2);
        let labels = world.read(CLAIM, TENANT, "vm-disk-web-root")["metadata"]["labels"].clone();
        assert_eq!(labels["apps.cozystack.io/application.name"], "web-root");
        assert!(labels.get("velero.io/restore-name").is_none(), "{labels}");
    }
}

#[tokio::test]
async fn a_restore_of_which_the_disks_are_not_to_be_kept_is_undone_all_the_same() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::RestoreEnds("Failed".to_owned(), "x".to_owned()));
    let said = world.restored(&json!({ "keepOriginalPVC": false })).await;
    assert!(said.starts_with("Failed"), "{said}");
    world.fate(VeleroFate::Completes);
    world.operators_rest().await;
    world.is_at_peace("later");
}

#[tokio::test]
async fn a_machine_that_does_not_stop_keeps_its_disks() {
    let mut world = fails(VeleroFate::MachineHangs, "VirtualMachineStopping: ").await;
    let said = world.stage.said("RestoreJob", TENANT, "back");
    assert!(
        said.contains("virtctl stop vm-instance-web --force"),
        "{said}"
    );
    world.fate(VeleroFate::Completes);
    world.operators_rest().await;
    world.is_at_peace("later");
    assert!(world.aside().is_empty());
    let machine = world.read(MACHINE, TENANT, "vm-instance-web");
    assert_eq!(machine["spec"]["runStrategy"], "Always");
}

#[tokio::test]
async fn a_claim_that_does_not_go_ends_the_restore() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::ClaimsStay);
    world.restore(&json!({}));
    world
        .says("RestoreJob", "back", "VolumeClaimRemoving")
        .await;
    // Long after the restore has given up the claim goes, and is brought back.
    world.stage.cluster.advance(20 * 60);
    world.turn().await;
    world.fate(VeleroFate::Completes);
    let said = world.ends("RestoreJob", "back").await;
    assert!(
        said.starts_with("Failed RestoreFailed: VolumeClaimRemoving: "),
        "{said}"
    );
    world.operators_rest().await;
    world.is_at_peace("later");
}

#[tokio::test]
async fn a_restore_that_is_deleted_midway_is_undone_at_every_step() {
    for turns in 0..14 {
        let mut world = World::with_backup().await;
        world.restore(&json!({}));
        for _ in 0..turns {
            world.turn().await;
        }
        world.stage.runner.settle().await.unwrap();
        let said = world.stage.said("RestoreJob", TENANT, "back");
        let has_ended = said.starts_with("Succeeded");
        world
            .stage
            .delete("RestoreJob", TENANT, "back")
            .await
            .unwrap();
        for _ in 0..60 {
            world.turn().await;
            if world.stage.read("RestoreJob", TENANT, "back").is_null() {
                break;
            }
        }
        assert!(
            world.stage.read("RestoreJob", TENANT, "back").is_null(),
            "after {turns} turns: {said}"
        );
        world.operators_rest().await;
        let word = if has_ended { "first" } else { "later" };
        assert_eq!(
            world.data(TENANT, "vm-disk-web-root"),
            word,
            "after {turns} turns: {said}"
        );
        world.is_at_peace(word);
    }
}

// TestCleanupOnDelete_Velero_DeletesOwnedRestore
#[tokio::test]
async fn a_deleted_job_takes_its_restore_along() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::RestoreStays("InProgress".to_owned()));
    world.restore(&json!({}));
    world
        .says("RestoreJob", "back", "VeleroRestoreRunning")
        .await;
    world
        .stage
        .delete("RestoreJob", TENANT, "back")
        .await
        .unwrap();
    world.fate(VeleroFate::Completes);
    for _ in 0..40 {
        world.turn().await;
    }
    assert!(world.all((API, "Restore"), VELERO).is_empty());
    assert!(world.all(("v1", "ConfigMap"), VELERO).is_empty());
    world.operators_rest().await;
    world.is_at_peace("later");
}

#[tokio::test]
async fn of_a_copy_that_fails_nothing_stays() {
    let mut world = World::with_backup().await;
    world.open();
    world.fate(VeleroFate::RestoreEnds("Failed".to_owned(), "x".to_owned()));
    let said = world.restored(&json!({ "targetNamespace": OTHER })).await;
    assert!(said.contains("VeleroRestoreFailed"), "{said}");
    world.operators_rest().await;
    for kind in [RELEASE, MACHINE, RUNNING, DATA_VOLUME, CLAIM] {
        let left = world.all(kind, OTHER);
        assert!(left.is_empty(), "{:?}", left.keys());
    }
    world.is_at_peace("later");
}

#[tokio::test]
async fn a_backup_that_is_deleted_before_velero_has_begun_is_taken_back() {
    for phase in ["New", "Queued"] {
        let mut world = World::new().await;
        let phase = if phase == "New" { "" } else { phase };
        world.fate(VeleroFate::BackupStays(phase.to_owned()));
        world.backup("nightly", "VMInstance", "web");
        world.turn().await;
        world.turn().await;
        world
            .stage
            .delete("BackupJob", TENANT, "nightly")
            .await
            .unwrap();
        world.turn().await;
        world.turn().await;
        assert!(world.stage.read("BackupJob", TENANT, "nightly").is_null());
        assert!(world.all((API, "Backup"), VELERO).is_empty());
        assert!(world.all((API, "DeleteBackupRequest"), VELERO).is_empty());
    }
}

#[tokio::test]
async fn a_backup_that_is_deleted_while_velero_takes_it_is_removed_when_that_has_ended() {
    let mut world = World::new().await;
    world.fate(VeleroFate::BackupStays("InProgress".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    world
        .says("BackupJob", "nightly", "VeleroBackupRunning")
        .await;
    world
        .stage
        .delete("BackupJob", TENANT, "nightly")
        .await
        .unwrap();
    for _ in 0..10 {
        world.turn().await;
    }
    assert_eq!(world.all((API, "Backup"), VELERO).len(), 1);
    world.fate(VeleroFate::Completes);
    for _ in 0..20 {
        world.turn().await;
    }
    assert!(world.stage.read("BackupJob", TENANT, "nightly").is_null());
    assert!(world.all((API, "Backup"), VELERO).is_empty());
    let keys = world.stage.storage.keys();
    assert!(
        keys.iter().all(|key| !key.contains("/backups/")),
        "{keys:?}"
    );
    // No Backup of the host's was ever made.
    assert!(world.stage.read("Backup", TENANT, "nightly").is_null());
}

#[tokio::test]
async fn a_backup_that_failed_leaves_nothing_behind() {
    let mut world = World::new().await;
    world.fate(VeleroFate::UploadFails("no space left".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    assert!(
        world
            .ends("BackupJob", "nightly")
            .await
            .starts_with("Failed")
    );
    world.operators_rest().await;
    assert!(world.all((API, "Backup"), VELERO).is_empty());
    let keys = world.stage.storage.keys();
    assert!(
        keys.iter().all(|key| !key.contains("/backups/")),
        "{keys:?}"
    );
}
