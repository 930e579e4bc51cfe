//! The removal of Backups.

use super::*;

/// Turns until the Backup is gone, at most some hours.
async fn gone(world: &mut World) {
    for _ in 0..200 {
        world.turn().await;
        if world.stage.read("Backup", TENANT, "nightly").is_null() {
            return;
        }
        if let Some(at) = world.stage.runner.next_at() {
            let at = at.as_second().max(world.stage.cluster.now());
            world.stage.cluster.set_now(at);
        }
    }
    panic!("{}", world.stage.read("Backup", TENANT, "nightly"));
}

fn folders(world: &World) -> Vec<String> {
    let keys = world.stage.storage.keys().into_iter();
    keys.filter(|key| key.contains("/backups/")).collect()
}

// TestBackupCleanup_Velero_DispatchUnchanged
// TestBackupReconciler_DeletionWithExistingVeleroBackup
#[tokio::test]
async fn velero_is_asked_once_to_remove_a_backup_and_waited_for() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    world
        .stage
        .delete("Backup", TENANT, "nightly")
        .await
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    let request = world.only("DeleteBackupRequest");
    assert_eq!(request["spec"]["backupName"], name(&order));
    // The Backup stays until Velero has done it.
    world.stage.runner.settle().await.unwrap();
    assert!(!world.stage.read("Backup", TENANT, "nightly").is_null());

    gone(&mut world).await;
    assert!(world.all((API, "Backup"), VELERO).is_empty());
    assert!(world.all((API, "DeleteBackupRequest"), VELERO).is_empty());
    assert!(folders(&world).is_empty(), "{:?}", folders(&world));
}

#[tokio::test]
async fn the_restores_of_a_backup_go_with_it() {
    let mut world = World::with_backup().await;
    assert!(world.restored(&json!({})).await.starts_with("Succeeded"));
    assert_eq!(world.all((API, "Restore"), VELERO).len(), 1);
    world
        .stage
        .delete("Backup", TENANT, "nightly")
        .await
        .unwrap();
    gone(&mut world).await;
    assert!(world.all((API, "Restore"), VELERO).is_empty());
    world.operators_rest().await;
    world.is_at_peace("first");
}

#[tokio::test]
async fn what_velero_refuses_is_told_and_asked_for_again() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::DeletionRefused(
        "backup storage location is currently in read-only mode".to_owned(),
    ));
    world
        .stage
        .delete("Backup", TENANT, "nightly")
        .await
        .unwrap();
    let mut said = String::new();
    for _ in 0..10 {
        world.turn().await;
        let backup = world.stage.read("Backup", TENANT, "nightly");
        said.push_str(&backup["status"]["conditions"].to_string());
    }
    assert!(said.contains("read-only mode"), "{said}");
    // Somebody mends it.
    world.fate(VeleroFate::Completes);
    gone(&mut world).await;
    assert!(folders(&world).is_empty());
}

// TestBackupReconciler_DeletionWithoutVeleroMetadata
#[tokio::test]
async fn a_backup_that_does_not_say_what_velero_calls_it_asks_for_nothing() {
    let mut world = World::with_backup().await;
    let mut backup = world.stage.read("Backup", TENANT, "nightly");
    backup["metadata"] = json!({ "name": "bare", "namespace": TENANT, "finalizers": ["backups.cozystack.io/cleanup"] });
    backup["spec"]["driverMetadata"] = json!({});
    world.stage.cluster.put(backup).unwrap();
    world.stage.delete("Backup", TENANT, "bare").await.unwrap();
    for _ in 0..6 {
        world.turn().await;
    }
    assert!(world.stage.read("Backup", TENANT, "bare").is_null());
    assert!(world.all((API, "DeleteBackupRequest"), VELERO).is_empty());
    assert_eq!(world.all((API, "Backup"), VELERO).len(), 1);
}

// TestBackupReconciler_DeletionVeleroBackupAlreadyGone
#[tokio::test]
async fn a_backup_that_velero_has_removed_already_just_goes() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    for key in world.stage.storage.keys() {
        world.stage.storage.remove(&key);
    }
    world.delete((API, "Backup"), VELERO, name(&order)).await;
    world
        .stage
        .delete("Backup", TENANT, "nightly")
        .await
        .unwrap();
    gone(&mut world).await;
    assert!(world.all((API, "DeleteBackupRequest"), VELERO).is_empty());
}

#[tokio::test]
async fn data_that_velero_has_yet_to_find_is_removed_too() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    // Somebody deletes Velero's own object: of the data nothing goes.
    world.delete((API, "Backup"), VELERO, name(&order)).await;
    assert!(!folders(&world).is_empty());
    world
        .stage
        .delete("Backup", TENANT, "nightly")
        .await
        .unwrap();
    gone(&mut world).await;
    assert!(folders(&world).is_empty());
}

#[tokio::test]
async fn the_backup_of_another_tenant_is_left_alone_whatever_the_metadata_says() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    let mut backup = world.stage.read("Backup", TENANT, "nightly");
    backup["metadata"] = json!({ "name": "forged", "namespace": OTHER, "finalizers": ["backups.cozystack.io/cleanup"] });
    world.stage.cluster.put(backup).unwrap();
    world.stage.delete("Backup", OTHER, "forged").await.unwrap();
    for _ in 0..20 {
        world.turn().await;
        let at = world.stage.runner.next_at();
        if let Some(at) = at {
            let at = at.as_second().max(world.stage.cluster.now());
            world.stage.cluster.set_now(at);
        }
    }
    assert_eq!(name(&world.only("Backup")), name(&order));
    assert!(world.all((API, "DeleteBackupRequest"), VELERO).is_empty());
    assert!(!folders(&world).is_empty());
}
