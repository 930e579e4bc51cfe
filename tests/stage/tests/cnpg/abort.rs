//! Jobs that are deleted or fail before they have ended.

use serde_json::{Value, json};
use stage::{Cnpg, Fate, Stage};

use crate::world::*;

/// Plays until the restore says this, deletes the job, and plays on until it is gone, too.
async fn called_off(stage: &mut Stage, operator: &Cnpg, when: &str) {
    restore(stage, &nothing());
    for _ in 0..40 {
        stage.runner.settle().await.unwrap();
        if said(stage).contains(when) {
            break;
        }
        turn(stage, operator).await;
    }
    assert!(said(stage).contains(when), "{}", said(stage));
    assert!(is_suspended(stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    turns(stage, operator, 20).await;
    assert_eq!(stage.read("RestoreJob", TENANT, "back"), Value::Null);
    assert!(!is_suspended(stage));
}

/// Defect 15: the release stayed suspended. TestCleanupOnDelete_CNPG_DoesNotTouchVeleroNamespace: only what the job's own
/// strategy did is undone.
#[tokio::test]
async fn a_restore_that_is_called_off_while_the_cluster_goes_gives_it_back_empty() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let operator = operator(&stage, Fate::Completes);
    called_off(&mut stage, &operator, "ClusterPurging").await;
    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    assert_eq!(after["spec"]["instances"], before["spec"]["instances"]);
    assert_eq!(after["spec"].get("bootstrap"), None);
    assert_eq!(events(&stage, "ClusterRecreatedEmpty"), 1);
    assert_eq!(
        application(&stage)["spec"].get("bootstrap"),
        None,
        "the application is as it was"
    );
    // And it can be restored into.
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
}

#[tokio::test]
async fn a_restore_that_is_called_off_while_the_cluster_recovers_lets_it_recover() {
    let mut stage = backed_up().await;
    let stalled = operator(&stage, Fate::RecoveryStalls);
    called_off(&mut stage, &stalled, "ClusterRecovering").await;
    assert_eq!(application(&stage)["spec"]["bootstrap"]["enabled"], true);
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 4).await;
    assert!(!recovered_from(&stage, CLUSTER).is_empty());
    assert_eq!(helm(&stage), "True: Helm upgrade succeeded");
}

#[tokio::test]
async fn a_restore_that_is_called_off_before_anything_was_touched_touches_nothing() {
    let mut stage = backed_up().await;
    let before = (cluster(&stage), application(&stage));
    change(&stage, release(&stage), |release| {
        release["status"]["conditions"] = json!([{ "type": "Reconciling", "status": "True" }]);
    });
    let operator = operator(&stage, Fate::Completes);
    called_off(&mut stage, &operator, "HelmReleaseBusy").await;
    assert_eq!((cluster(&stage), application(&stage)), before);
}

/// The undoing goes by what the job noted when it began: neither Backup nor strategy object need to be there.
#[tokio::test]
async fn a_backup_and_a_strategy_that_are_deleted_midway_do_not_cost_the_cluster() {
    let mut stage = backed_up().await;
    let operator = operator(&stage, Fate::Completes);
    restore(&stage, &nothing());
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster(&stage).is_null() {
            break;
        }
        turn(&stage, &operator).await;
    }
    // Its removal would wait for the restore: somebody takes the finalizer off by hand.
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["metadata"]["finalizers"] = json!([]);
    });
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    let strategies = "strategy.backups.cozystack.io/v1alpha1";
    stage
        .delete_cluster_scoped(strategies, "CNPG", "cozy-default-cnpg")
        .await
        .unwrap();
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert!(
        said.starts_with("Failed RestoreFailed: Backup ad-hoc does not exist"),
        "{said}"
    );
    assert!(!cluster(&stage).is_null());
    assert!(!is_suspended(&stage));
}

/// The operator's object stayed behind, and nothing ever removed it.
#[tokio::test]
async fn a_backup_that_is_called_off_takes_its_order_back() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Stalls);
    turns(&mut stage, &operator, 8).await;
    assert_eq!(orders(&stage).len(), 1);
    stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
    turns(&mut stage, &operator, 2).await;
    assert_eq!(orders(&stage).len(), 0);
    assert_eq!(stage.read("BackupJob", TENANT, "ad-hoc"), Value::Null);
}

#[tokio::test]
async fn a_base_backup_that_is_no_backups_is_removed() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        let is_running = |order: &std::sync::Arc<Value>| order["status"]["phase"] == "running";
        if orders(&stage).iter().any(is_running) {
            break;
        }
        turn(&stage, &operator).await;
    }
    // The application goes in the moment in which its backup is complete.
    let found = application(&stage);
    remove(&stage, &found).await;
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: ApplicationNotFound"),
        "{said}"
    );
    assert_eq!(orders(&stage).len(), 0);
    let keys = stage.storage.keys();
    assert!(keys.iter().all(|key| !key.contains("/base/")), "{keys:?}");
}
