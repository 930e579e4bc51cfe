//! Whether a Backup can still be restored.

use super::*;

/// What the Backup says of itself once it was looked at.
async fn looked_at(world: &mut World) -> String {
    let mut backup = world.stage.read("Backup", TENANT, "nightly");
    let now = Timestamp::from_second(world.stage.cluster.now()).unwrap();
    backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"] =
        json!(now.to_string());
    world.stage.cluster.put(backup).unwrap();
    world.stage.runner.settle().await.unwrap();
    let backup = world.stage.read("Backup", TENANT, "nightly");
    let conditions = backup["status"]["conditions"].as_array().unwrap();
    let available = conditions
        .iter()
        .find(|condition| condition["type"] == "Available")
        .unwrap();
    let text = |field: &str| available[field].as_str().unwrap().to_owned();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

#[tokio::test]
async fn a_backup_that_is_there_is_available() {
    let mut world = World::with_backup().await;
    let said = looked_at(&mut world).await;
    assert!(said.starts_with("True "), "{said}");
}

#[tokio::test]
async fn one_that_velero_has_yet_to_find_is_available_too() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    world.delete((API, "Backup"), VELERO, name(&order)).await;
    let said = looked_at(&mut world).await;
    assert!(said.starts_with("True "), "{said}");
}

#[tokio::test]
async fn one_that_is_gone_from_the_bucket_is_lost() {
    let mut world = World::with_backup().await;
    for key in world.stage.storage.keys() {
        world.stage.storage.remove(&key);
    }
    let said = looked_at(&mut world).await;
    assert!(said.starts_with("False "), "{said}");
    assert!(said.contains("the bucket holds nothing of it"), "{said}");
}

#[tokio::test]
async fn one_that_velero_is_deleting_is_lost() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    world.change((API, "Backup"), VELERO, name(&order), |order| {
        order["status"]["phase"] = json!("Deleting");
    });
    let said = looked_at(&mut world).await;
    assert!(said.starts_with("False "), "{said}");
    assert!(said.contains("Velero says Deleting"), "{said}");
}

#[tokio::test]
async fn a_storage_that_does_not_answer_tells_nothing() {
    let mut world = World::with_backup().await;
    assert!(looked_at(&mut world).await.starts_with("True "));
    world.stage.storage.answers(false);
    world.stage.cluster.advance(60);
    let said = looked_at(&mut world).await;
    assert!(!said.starts_with("False "), "{said}");
}
