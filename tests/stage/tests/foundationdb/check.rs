//! Whether a finished backup is still there.

use serde_json::Value;

use crate::{TENANT, World};

/// What a Backup says once somebody has asked.
async fn looked_at(world: &mut World) -> Value {
    let mut backup = world.backup("ad-hoc");
    let asked = world.now().to_string();
    backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = asked.into();
    world.stage.cluster.put(backup).unwrap();
    world.stage.runner.settle().await.unwrap();
    world.backup("ad-hoc")["status"].clone()
}

/// The condition by which a Backup says whether its data is there.
fn condition(status: &Value) -> String {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let words = conditions.iter().map(|condition| {
        format!(
            "{}={} {}: {}",
            condition["type"].as_str().unwrap_or_default(),
            condition["status"].as_str().unwrap_or_default(),
            condition["reason"].as_str().unwrap_or_default(),
            condition["message"].as_str().unwrap_or_default()
        )
    });
    words.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_backup_is_there_as_long_as_its_state_can_be_restored() {
    let mut world = World::with_backup().await;
    let status = looked_at(&mut world).await;
    assert_eq!(status["phase"], "Ready", "{status}");
    assert!(!condition(&status).contains("Gone"), "{status}");
    // What the stream has added since does not matter.
    for key in world.stage.storage.keys() {
        if key.contains("/kvranges/") {
            continue;
        }
        assert!(key.contains("ad-hoc"), "{key}");
    }
}

#[tokio::test]
async fn a_backup_that_has_lost_its_snapshot_or_its_logs_is_lost() {
    for (part, reason) in [("/snapshots/", "SnapshotGone"), ("/logs/", "LogsGone")] {
        let mut world = World::with_backup().await;
        for key in world.stage.storage.keys() {
            if key.contains(part) {
                world.stage.storage.remove(&key);
            }
        }
        let status = looked_at(&mut world).await;
        assert!(
            condition(&status).contains(reason),
            "{}",
            condition(&status)
        );
        assert!(world.backup("ad-hoc")["metadata"]["namespace"] == TENANT);
    }
}

#[tokio::test]
async fn a_backup_elsewhere_is_there_as_long_as_the_operator_says_so() {
    let mut world = World::new();
    world.settings(|template| {
        template["blobStoreConfiguration"]["accountName"] = "@s3.example.org".into();
        template["blobStoreConfiguration"]["bucket"] = "own".into();
    });
    let said = world.back_up("ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let status = looked_at(&mut world).await;
    assert!(
        !condition(&status).contains("BackupOutOfSight"),
        "{}",
        condition(&status)
    );
    let name = world.orders()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .stage
        .delete_any(crate::OPERATOR, "FoundationDBBackup", Some(TENANT), &name)
        .await
        .unwrap();
    world.stage.cluster.advance(600);
    let status = looked_at(&mut world).await;
    assert!(
        condition(&status).contains("BackupOutOfSight"),
        "{}",
        condition(&status)
    );
}
