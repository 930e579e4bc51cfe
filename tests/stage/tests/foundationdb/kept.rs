//! Backups that were taken once: by the first controller, and by this version.

use serde_json::{Value, json};
use stage::{FoundationDbOperator, Kept};

use crate::{RESTORED, TENANT, World};

const VERSIONS: [&str; 2] = ["v0", "v1"];

/// A tenant with a database and a kept Backup of it, and without any object of the operator's.
async fn with(version: &str) -> (World, Kept) {
    let world = World::new();
    let kept = Kept::of("foundationdb", version).unwrap();
    world.stage.put_kept(&kept, TENANT).await.unwrap();
    assert!(world.orders().is_empty());
    (world, kept)
}

/// The name of a kept Backup in the bucket.
fn blob_name(kept: &Kept) -> Value {
    kept.backup["spec"]["driverMetadata"]["apps.foundationdb.org/blob-backup-name"].clone()
}

#[tokio::test]
async fn what_this_version_writes_is_as_it_was_kept() {
    let world = World::with_backup().await;
    world
        .stage
        .is_as_kept("foundationdb", "v1", TENANT, "ad-hoc")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_kept_backup_is_restored() {
    for version in VERSIONS {
        let (mut world, kept) = with(version).await;
        assert_eq!(kept.name(), "ad-hoc");
        assert_eq!(world.restore(&json!({})).await, RESTORED, "{version}");
        let (name, _) = FoundationDbOperator::restored(&world.cluster("fdb")).unwrap();
        assert_eq!(json!(name), blob_name(&kept));
    }
}

#[tokio::test]
async fn a_kept_backup_is_found_to_be_there_and_to_be_lost() {
    for version in VERSIONS {
        let (mut world, _) = with(version).await;
        let ask = |world: &World, word: &str| {
            let mut backup = world.backup("ad-hoc");
            backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = word.into();
            world.stage.cluster.put(backup).unwrap();
        };
        ask(&world, "once");
        world.stage.runner.settle().await.unwrap();
        let status = world.backup("ad-hoc")["status"].clone();
        assert!(!status.to_string().contains("Gone"), "{version}: {status}");
        assert!(
            status["artifact"]["sizeBytes"].is_u64(),
            "{version}: {status}"
        );
        for key in world.stage.storage.keys() {
            world.stage.storage.remove(&key);
        }
        ask(&world, "twice");
        world.stage.runner.settle().await.unwrap();
        let status = world.backup("ad-hoc")["status"].clone();
        assert!(
            status.to_string().contains("SnapshotGone"),
            "{version}: {status}"
        );
    }
}

#[tokio::test]
async fn a_kept_backup_is_removed_with_its_data() {
    for version in VERSIONS {
        let (mut world, _) = with(version).await;
        world.stage.runner.settle().await.unwrap();
        world
            .stage
            .delete("Backup", TENANT, "ad-hoc")
            .await
            .unwrap();
        world.turns_pass(3).await;
        assert!(world.backup("ad-hoc").is_null(), "{version}");
        assert!(world.stage.storage.keys().is_empty(), "{version}");
    }
}
