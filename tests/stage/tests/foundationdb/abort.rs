//! Jobs that are deleted before their end.

use serde_json::json;
use stage::{FoundationDbFate, FoundationDbOperator};

use crate::{COMPLETED, OPERATOR, TENANT, World};

#[tokio::test]
async fn a_backup_that_is_deleted_midway_ends_its_stream_and_takes_along_what_was_stored() {
    let mut world = World::new();
    world.order("ad-hoc");
    // Stored and restorable, and the job has not seen it.
    for _ in 0..2 {
        world.stage.runner.settle().await.unwrap();
        world.turn().await;
    }
    assert!(FoundationDbOperator::streams_to(&world.cluster("fdb")).is_some());
    assert!(!world.stage.storage.keys().is_empty());
    world
        .stage
        .delete("BackupJob", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(8).await;
    assert!(world.stage.read("BackupJob", TENANT, "ad-hoc").is_null());
    assert!(world.orders().is_empty());
    assert!(world.of_kind("Pod").is_empty());
    assert_eq!(
        FoundationDbOperator::streams_to(&world.cluster("fdb")),
        None
    );
    assert!(world.stage.storage.keys().is_empty());
}

#[tokio::test]
async fn a_backup_that_is_deleted_before_it_has_begun_leaves_nothing() {
    let mut world = World::new();
    world.change(|cluster| cluster["status"]["health"]["available"] = false.into());
    world.order("ad-hoc");
    world.stage.runner.settle().await.unwrap();
    world
        .stage
        .delete("BackupJob", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    assert!(world.stage.read("BackupJob", TENANT, "ad-hoc").is_null());
    assert!(world.orders().is_empty());
}

/// Of the backup before nothing is taken along.
#[tokio::test]
async fn an_aborted_backup_leaves_the_backup_before_as_it_was() {
    let mut world = World::with_backup().await;
    let before: Vec<String> = world.stage.storage.keys();
    world.order("next");
    world.turns_pass(6).await;
    world
        .stage
        .delete("BackupJob", TENANT, "next")
        .await
        .unwrap();
    world.turns_pass(5).await;
    let after = world.stage.storage.keys();
    assert!(before.iter().all(|key| after.contains(key)));
    assert!(world.stage.read("BackupJob", TENANT, "next").is_null());
}

/// Defect 20: a job created anew under an old name took the old one's object for its own, stopped as it was.
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_stores_anew() {
    let mut world = World::with_backup().await;
    let first = world.blob_name("ad-hoc");
    world
        .stage
        .delete("BackupJob", TENANT, "ad-hoc")
        .await
        .unwrap();
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(5).await;
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    assert_ne!(world.blob_name("ad-hoc"), first);
}

#[tokio::test]
async fn a_restore_that_is_deleted_midway_gives_the_cluster_and_the_release_back() {
    for turns in 1..12 {
        let mut world = World::with_backup().await;
        world.turns(FoundationDbFate::RestoreStalls);
        world
            .stage
            .restore_job(TENANT, "back", "ad-hoc", &json!({}))
            .unwrap();
        world.turns_pass(turns).await;
        world
            .stage
            .delete("RestoreJob", TENANT, "back")
            .await
            .unwrap();
        world.turns_pass(8).await;
        assert!(
            world.stage.read("RestoreJob", TENANT, "back").is_null(),
            "after {turns} turns"
        );
        assert!(!world.is_suspended(), "after {turns} turns");
        let cluster = world.cluster("fdb");
        assert_eq!(
            cluster["status"]["health"]["available"], true,
            "after {turns} turns"
        );
        assert!(world.of_kind("FoundationDBRestore").is_empty());
        let agents = |order: &serde_json::Value| {
            let name = order["metadata"]["name"].as_str().unwrap();
            name.contains("agents")
        };
        assert!(!world.orders().iter().any(agents), "after {turns} turns");
    }
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_created_again_empty_and_that_is_told() {
    let mut world = World::of_fate(FoundationDbFate::VolumesStay);
    world.turns_pass(1).await;
    world.turns(FoundationDbFate::Completes);
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let before = world.cluster("fdb");
    world
        .stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    while !world
        .stage
        .said("RestoreJob", TENANT, "back")
        .contains("Aborting")
    {
        world.turns_pass(1).await;
    }
    // Somebody lets the volumes go at last.
    for volume in world.of_kind("PersistentVolumeClaim") {
        let released = json!({ "metadata": { "finalizers": null } });
        world.patch(&volume, &released).await;
    }
    let said = world.play("RestoreJob", "back").await;
    assert!(said.contains("FoundationDBClusterPurging"), "{said}");
    world.turns_pass(2).await;
    let cluster = world.cluster("fdb");
    assert_eq!(cluster["spec"], before["spec"]);
    let events = world.of_kind("Event");
    let told = |event: &serde_json::Value| event["reason"] == "FoundationDBClusterRecreatedEmpty";
    assert!(events.iter().any(told));
    assert_eq!(cluster["apiVersion"], OPERATOR);
}
