//! Backups that are removed with their data.

use serde_json::json;
use stage::FoundationDbOperator;

use crate::{TENANT, World};

// TestBackupCleanup_FoundationDB_DoesNotFallThroughToVelero, TestCleanupOnDelete_FoundationDB_DoesNotTouchVeleroNamespace
/// Defect 24: the agents of the last Backup wrote on until somebody noticed.
#[tokio::test]
async fn a_removal_ends_the_stream_and_takes_the_data_along() {
    let mut world = World::with_backup().await;
    world
        .stage
        .storage
        .put("data/tenant-acme/fdb/other/snapshots/snapshot,1,2,3", 1, 1);
    world.stage.storage.put("data/tenant-rival/fdb/x", 1, 1);
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(5).await;
    assert!(world.backup("ad-hoc").is_null());
    assert!(world.orders().is_empty());
    assert_eq!(
        FoundationDbOperator::streams_to(&world.cluster("fdb")),
        None
    );
    assert_eq!(
        world.stage.storage.keys(),
        [
            "data/tenant-acme/fdb/other/snapshots/snapshot,1,2,3",
            "data/tenant-rival/fdb/x"
        ]
    );
    assert!(world.of_kind("DeleteBackupRequest").is_empty());
}

#[tokio::test]
async fn a_removal_of_an_older_backup_leaves_the_stream_of_the_newer_alone() {
    let mut world = World::with_backup().await;
    let said = world.back_up("next").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(5).await;
    assert!(world.backup("ad-hoc").is_null());
    let to = FoundationDbOperator::streams_to(&world.cluster("fdb")).unwrap();
    let next = world.blob_name("next");
    assert!(to.contains(&next));
    assert!(
        world
            .stage
            .storage
            .keys()
            .iter()
            .all(|key| key.contains(&next))
    );
}

#[tokio::test]
async fn a_backup_that_is_to_be_kept_keeps_its_data() {
    let mut world = World::with_backup().await;
    let mut backup = world.backup("ad-hoc");
    backup["spec"]["deletionPolicy"] = "Retain".into();
    world.stage.cluster.put(backup).unwrap();
    let before = world.stage.storage.keys();
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(5).await;
    assert!(world.backup("ad-hoc").is_null());
    assert_eq!(world.stage.storage.keys(), before);
}

#[tokio::test]
async fn a_removal_that_cannot_reach_the_data_says_what_to_do() {
    let mut world = World::new();
    world.settings(|template| {
        template["blobStoreConfiguration"]["accountName"] = "@s3.example.org".into();
        template["blobStoreConfiguration"]["bucket"] = "own".into();
    });
    let said = world.back_up("ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(5).await;
    let backup = world.backup("ad-hoc");
    let told = backup.to_string();
    assert!(told.contains("BackupOutOfReach"), "{told}");
    assert!(told.contains("deletionPolicy to Retain"), "{told}");
    assert!(
        world.orders().is_empty(),
        "the stream has ended all the same"
    );
    assert_eq!(json!(world.stage.storage.keys().is_empty()), json!(false));
}
