//! A cluster has one stream at a time, and streams come to an end.

use serde_json::json;
use stage::{FoundationDbFate, FoundationDbOperator, Operator as _};

use crate::{COMPLETED, TENANT, World, labels_of_the_first_controller};

// TestEnsureFoundationDBBackup_StopsPriorRunning, TestFoundationDBBackupStateConstants_OnlyReadableValues
/// Defects 10 and 11: what is parked as Stopped keeps its agents, and ends the stream of others.
#[tokio::test]
async fn the_stream_of_the_backup_before_ends_before_a_new_one_begins() {
    let mut world = World::with_backup().await;
    let before = world.orders().remove(0);
    assert_eq!(before["spec"]["backupState"], "Running");
    world.order("next");
    world.stage.runner.settle().await.unwrap();
    let told = world.orders().remove(0);
    assert_eq!(told["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(told["spec"]["backupState"], "Stopped");
    assert_eq!(world.orders().len(), 1, "the new one waits");
    assert!(
        world.job("next").contains("FoundationDBBackupStopping"),
        "{}",
        world.job("next")
    );
    let said = world.play("BackupJob", "next").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let orders = world.orders();
    assert_eq!(orders.len(), 1, "the old one is gone");
    let to = FoundationDbOperator::streams_to(&world.cluster("fdb")).unwrap();
    assert!(to.contains(&world.blob_name("next")), "{to}");
    // What it has stored stays.
    let old = format!("data/{}/snapshots", world.blob_name("ad-hoc"));
    assert!(
        world
            .stage
            .storage
            .keys()
            .iter()
            .any(|key| key.starts_with(&old))
    );
}

/// Defect 10: until the operator has started a new backup its object shows the state of the one before.
#[tokio::test]
async fn the_stream_of_another_backup_is_not_taken_for_ones_own() {
    let mut world = World::of_fate(FoundationDbFate::NoCredentials);
    world.order("ad-hoc");
    world.turns_pass(2).await;
    let mut order = world.orders().remove(0);
    order["status"] = json!({
        "agentCount": 2,
        "deploymentConfigured": true,
        "backupDetails": {
            "url": "blobstore://@s3.cozy.example:443/tenant-acme/fdb/other?bucket=cozy-backups",
            "running": true,
            "restorable": true,
            "snapshotTime": 3600,
        },
        "generations": { "reconciled": 1 },
    });
    world.stage.cluster.put(order).unwrap();
    world.stage.runner.settle().await.unwrap();
    let said = world.job("ad-hoc");
    assert!(
        said.contains(
            "FoundationDBBackupNotStarted: the cluster still stores its changes at blobstore://"
        ),
        "{said}"
    );
}

// TestStopOtherFoundationDBBackups_RetriesOnConflict
#[tokio::test]
async fn a_stream_that_does_not_end_ends_the_job_and_no_second_one_begins() {
    let mut world = World::with_backup().await;
    world.turns(FoundationDbFate::StreamsGoOn);
    let said = world.back_up("next").await;
    assert!(
        said.starts_with("Failed BackupFailed: FoundationDBBackupStopping: "),
        "{said}"
    );
    assert_eq!(world.orders().len(), 1);
}

/// The first controller left its backups running, and others parked.
#[tokio::test]
async fn backups_of_the_first_controller_make_room() {
    let mut world = World::new();
    world.put_order(
        "running",
        &labels_of_the_first_controller("running"),
        &json!({
            "backupState": "Running",
            "blobStoreConfiguration": { "accountName": "@s3.cozy.example", "bucket": "cozy-backups", "backupName": "running" },
        }),
    );
    world.put_order(
        "parked",
        &labels_of_the_first_controller("parked"),
        &json!({ "backupState": "Stopped" }),
    );
    world.turns_pass(1).await;
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    assert_eq!(orders.len(), 1);
    assert_eq!(
        orders[0]["metadata"]["labels"]["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
}

/// Without a cluster there is nothing that could be told to end a stream, and the operator would hold the object for ever.
#[tokio::test]
async fn a_backup_of_a_cluster_that_is_gone_is_not_held() {
    let mut world = World::with_backup().await;
    world
        .stage
        .delete_any(
            crate::OPERATOR,
            "FoundationDBCluster",
            Some(TENANT),
            "foundationdb-fdb",
        )
        .await
        .unwrap();
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.turns_pass(4).await;
    assert!(world.orders().is_empty());
    assert!(world.backup("ad-hoc").is_null());
}

/// Defect 15.
#[tokio::test]
async fn a_backup_of_one_time_ends_its_stream_and_sends_its_agents_home() {
    let mut world = World::new();
    world.settings(|template| template["backupMode"] = "oneTime".into());
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    world.turns_pass(2).await;
    assert_eq!(
        FoundationDbOperator::streams_to(&world.cluster("fdb")),
        None
    );
    let orders = world.orders();
    assert_eq!(orders[0]["spec"]["backupState"], "Stopped");
    assert!(
        orders[0]["spec"].get("backupMode").is_none(),
        "the operator would take the backup before for this one, and do nothing"
    );
    assert!(world.of_kind("Pod").is_empty());
    // The next one is not kept from running by it.
    let said = world.back_up("next").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_ne!(world.blob_name("next"), world.blob_name("ad-hoc"));
}

#[tokio::test]
async fn a_backup_goes_on_streaming_until_it_is_told_to_end() {
    let mut world = World::with_backup().await;
    world.turns_pass(3).await;
    let to = FoundationDbOperator::streams_to(&world.cluster("fdb")).unwrap();
    assert!(to.contains(&world.blob_name("ad-hoc")));
    let before = world.stage.storage.keys().len();
    world.stage.cluster.advance(20);
    world
        .operator
        .stream(&world.stage.cluster, world.now())
        .await
        .unwrap();
    assert_eq!(world.stage.storage.keys().len(), before + 1);
    // It is over once nothing changes any more.
    let steps = world
        .operator
        .step(&world.stage.cluster, world.now())
        .await
        .unwrap();
    assert!(steps.is_empty(), "{steps:?}");
}
