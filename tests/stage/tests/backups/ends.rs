//! A removal always ends, and says what it leaves behind.

use super::*;

/// Deletes `mine`, lets time pass until it is gone, and checks how long that took and what is said.
async fn left_behind(stage: &mut Stage, seconds: i64, fragment: &str) {
    let name = "mine";
    delete(stage, name).await;
    let said = ready(stage, name);
    assert!(said.contains(fragment), "{said}");
    let took = until_gone(stage, name).await;
    assert!(
        (seconds..seconds + 10 * MINUTE).contains(&took),
        "it took {took} seconds, not {seconds}"
    );
    let events = events(stage, "LeftBehind");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("Warning: "), "{events:?}");
    assert!(events[0].contains(fragment), "{events:?}");
    assert!(
        events[0].ends_with("its data stays at s3://cozy-backups/tenant-acme/orders-db/mine"),
        "{events:?}"
    );
    assert_eq!(stage.storage.keys().len(), 2, "its data is untouched");
    nothing_is_kept_of(stage, name).await;
}

fn purging() -> Guest {
    Guest::default().on("forget", "(call $plan.purge 'tenant-acme/orders-db/mine')")
}

#[tokio::test]
async fn a_guest_that_behaves_removes_its_data() {
    let mut stage = guest(purging());
    delete(&mut stage, "mine").await;
    assert_eq!(backup(&stage, "mine"), Value::Null);
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
    assert_eq!(events(&stage, "LeftBehind"), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_plugin() {
    let mut stage = guest(purging());
    stage.strategies.withdraw("Guest");
    left_behind(
        &mut stage,
        30 * MINUTE,
        "PluginNotReady: no plugin serves strategies of kind Guest",
    )
    .await;
}

#[tokio::test]
async fn with_a_plugin_that_comes_back_in_time_nothing_is_left_behind() {
    let mut stage = guest(purging());
    let serving = stage.strategies.serving("Guest").unwrap();
    stage.strategies.withdraw("Guest");
    delete(&mut stage, "mine").await;
    pass_time(&mut stage, 20 * MINUTE).await;
    stage.strategies.serve((*serving).clone());
    until_gone(&mut stage, "mine").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_strategy_object_the_data_is_removed_all_the_same() {
    let mut stage = etcd().await;
    stage
        .delete_cluster_scoped(
            "strategy.backups.cozystack.io/v1alpha1",
            "Etcd",
            "cozy-default-etcd",
        )
        .await
        .unwrap();
    stage
        .delete_cluster_scoped(API, "BackupClass", "cozy-default")
        .await
        .unwrap();
    delete(&mut stage, "ad-hoc").await;
    until_gone(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
    assert_eq!(events(&stage, "LeftBehind"), Vec::<String>::new());
}

#[tokio::test]
async fn without_the_definition_of_its_strategy_kind() {
    let mut stage = guest(purging());
    stage
        .cluster
        .remove_crd("guests.strategy.backups.cozystack.io")
        .unwrap();
    left_behind(
        &mut stage,
        30 * MINUTE,
        "StrategyNotReady: the definition of strategy kind Guest is gone",
    )
    .await;
}

#[tokio::test]
async fn without_the_operators_definition_the_data_is_removed_all_the_same() {
    let mut stage = etcd().await;
    stage
        .cluster
        .remove_crd("etcdsnapshots.etcd-operator.cozystack.io")
        .unwrap();
    delete(&mut stage, "ad-hoc").await;
    stage.runner.settle().await.unwrap();
    assert_eq!(backup(&stage, "ad-hoc"), Value::Null);
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_storage_that_answers() {
    let mut stage = guest(purging());
    stage.storage.answers(false);
    left_behind(
        &mut stage,
        DAY,
        "StorageUnreachable: the object storage did not answer: no route to host",
    )
    .await;
}

#[tokio::test]
async fn with_a_storage_that_comes_back_in_time_nothing_is_left_behind() {
    let mut stage = guest(purging());
    stage.storage.answers(false);
    delete(&mut stage, "mine").await;
    drop(requests(&stage));
    pass_time(&mut stage, 20 * HOUR).await;
    let asked = requests(&stage).len();
    assert!(asked < 2_500, "{asked} requests in 20 hours");
    stage.storage.answers(true);
    until_gone(&mut stage, "mine").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn without_the_platforms_credentials() {
    let mut stage = guest(purging());
    stage
        .delete_any(
            "v1",
            "Secret",
            Some("cozy-backup-controller"),
            "cozy-backups-system-credentials",
        )
        .await
        .unwrap();
    left_behind(&mut stage, DAY, "CredentialsProjectionPending: ").await;
}

#[tokio::test]
async fn with_another_storage_nothing_is_touched() {
    let mut stage = guest(purging());
    put(&stage, "mine", |backup| {
        backup["spec"]["storage"]["bucket"] = json!("of-old");
    });
    left_behind(
        &mut stage,
        DAY,
        "StorageChanged: the Backup lies in bucket of-old at https://s3.cozy.example, and the platform's storage is now \
         bucket cozy-backups",
    )
    .await;
    let asked = requests(&stage);
    assert!(!asked.iter().any(|asked| asked.contains("ConfigMap")));
}

#[tokio::test]
async fn with_a_strategy_that_traps() {
    let forget = "(call $log.write (i32.const 3) 'the disk is a lie') unreachable";
    let mut stage = guest(Guest::default().on("forget", forget));
    left_behind(&mut stage, 36 * MINUTE, "the disk is a lie").await;
}

#[tokio::test]
async fn with_a_strategy_that_fails() {
    let mut stage = guest(answering().on("forget", "(return @failed)"));
    left_behind(&mut stage, 30 * MINUTE, "Gone: Gone").await;
}

#[tokio::test]
async fn with_a_strategy_that_waits_for_ever() {
    let mut stage = guest(answering().on("forget", "(return @wait)"));
    left_behind(&mut stage, DAY, "Gone: Gone").await;
}

#[tokio::test]
async fn with_a_strategy_that_does_not_remove() {
    let mut stage = guest_with(Guest::default(), SILENT);
    delete(&mut stage, "mine").await;
    assert_eq!(backup(&stage, "mine"), Value::Null);
    assert_eq!(
        events(&stage, "LeftBehind"),
        [
            "Warning: plugin guest does not remove backups; its data stays at \
             s3://cozy-backups/tenant-acme/orders-db/mine"
        ]
    );
}

#[tokio::test]
async fn without_the_permission() {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": TENANT } });
    let forget = format!("(call $plan.create '{map}' (i32.const 1))");
    let mut stage = guest(Guest::default().on("forget", &forget));
    stage
        .cluster
        .set_policy(|operation: &Operation| operation.kind != "ConfigMap");
    left_behind(&mut stage, 36 * MINUTE, "PermissionMissing: ").await;
}

#[tokio::test]
async fn with_an_api_server_that_fails_on_one_kind_for_ever() {
    let mut stage = etcd().await;
    stage.cluster.set_interceptor(|operation: &Operation| {
        if operation.kind == "EtcdSnapshot" && operation.purpose.contains("Backup/") {
            let error = backup_engine::cluster::ApiError::new(
                backup_engine::cluster::ApiReason::Unavailable,
                "conversion webhook failed",
            );
            return backup_engine::cluster::memory::Verdict::Fail(error);
        }
        backup_engine::cluster::memory::Verdict::Pass
    });
    delete(&mut stage, "ad-hoc").await;
    assert_eq!(
        ready(&stage, "ad-hoc"),
        "False Forgetting: the API server does not answer: conversion webhook failed"
    );
    stage.cluster.advance(7 * DAY - HOUR);
    stage.runner.settle().await.unwrap();
    assert_ne!(backup(&stage, "ad-hoc"), Value::Null);
    until_gone(&mut stage, "ad-hoc").await;
    assert!(events(&stage, "LeftBehind")[0].contains("conversion webhook failed"));
    assert_eq!(stage.storage.keys().len(), 1);
}

#[tokio::test]
async fn a_backup_that_cannot_be_read_goes_and_says_so() {
    let mut stage = guest(purging());
    // As an old definition, without a schema, let it through.
    put(&stage, "odd", |backup| {
        backup["spec"]["parameters"] = json!({ "replicas": 3 });
    });
    delete(&mut stage, "odd").await;
    assert_eq!(backup(&stage, "odd"), Value::Null);
    assert!(events(&stage, "LeftBehind")[0].contains("cannot be read"));
}
