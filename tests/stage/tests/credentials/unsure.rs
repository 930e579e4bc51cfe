//! Where it cannot be told whether somebody uses a copy, it stays, and follows the source all the same.

use backup_engine::{
    Strategies,
    cluster::memory::{Operation, Verb},
};

use super::*;

/// A tenant's copy that nobody needs, as far as can be told.
async fn copy_of_a_tenant() -> Stage {
    let mut stage = platform_of(
        StorageSettings::default(),
        Guest::default().manifest(&manifest(true)),
    );
    delete_database(&stage).await;
    put_copy(&stage, TENANT, "AK0-of-the-platform");
    stage.runner.settle().await.unwrap();
    stage
}

async fn stays(stage: &mut Stage, why: &str) {
    pass(stage, 3 * UNUSED).await;
    assert!(copy(stage, TENANT).is_some(), "{why}");
    source(stage, "AK2-of-the-platform", "SK2-of-the-platform");
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(stage, TENANT), "AK2-of-the-platform", "{why}");
}

async fn goes(stage: &mut Stage, why: &str) {
    tick(stage).await;
    pass(stage, UNUSED).await;
    assert_eq!(copy(stage, TENANT), None, "{why}");
}

#[tokio::test]
async fn a_list_that_fails_says_nothing() {
    for kind in [
        "Plan",
        "BackupJob",
        "RestoreJob",
        "Backup",
        "Postgres",
        "StrategyPlugin",
        "BackupClass",
    ] {
        let mut stage = copy_of_a_tenant().await;
        stage.cluster.set_policy(move |operation: &Operation| {
            operation.verb != Verb::List || operation.kind != kind
        });
        stays(&mut stage, kind).await;
        stage.cluster.clear_policy();
        goes(&mut stage, kind).await;
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_serve_yet_may_use_it() {
    let mut stage = copy_of_a_tenant().await;
    let plugin = json!({
        "apiVersion": API, "kind": "StrategyPlugin",
        "metadata": { "name": "vendor" },
        "spec": {
            "source": { "file": "vendor.wasm" },
            "strategyKind": "Vendor",
            "applications": [{ "kind": "Postgres" }],
            "storagePaths": ["{namespace}/{application}"],
            "serviceAccount": { "namespace": "cozy-backup-controller", "name": "strategy-vendor" },
        },
    });
    stage.cluster.put(plugin).unwrap();
    stays(&mut stage, "StrategyPlugin vendor does not serve").await;
    stage
        .delete_cluster_scoped(API, "StrategyPlugin", "vendor")
        .await
        .unwrap();
    goes(&mut stage, "StrategyPlugin vendor is gone").await;
}

#[tokio::test]
async fn a_strategy_that_a_class_names_and_nobody_serves_may_use_it() {
    let mut stage = copy_of_a_tenant().await;
    let serving = stage.strategies.serving("Guest").unwrap();
    stage.strategies.withdraw("Guest");
    stays(&mut stage, "no plugin serves Guest").await;
    let strategies: &Strategies = &stage.strategies;
    strategies.serve((*serving).clone());
    goes(&mut stage, "Guest is served again").await;
}
