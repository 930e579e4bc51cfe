//! What a restore leaves that is called off.

use super::*;

/// Plays until the old cluster is gone, deletes the job, and plays on until it is gone, too.
async fn called_off(stage: &mut Stage, operator: &EtcdOperator) {
    order_restore(stage);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster(stage).is_null() {
            break;
        }
        turn(stage, operator).await;
    }
    assert!(is_suspended(stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        turn(stage, operator).await;
    }
    assert_eq!(stage.read("RestoreJob", TENANT, "back"), Value::Null);
}

// Defect 11 of the reference: the release stayed suspended. TestCleanupOnDelete_Etcd_DoesNotTouchVeleroNamespace: only
// what the job's own strategy did is undone.
#[tokio::test]
async fn a_job_that_is_deleted_midway_gives_the_cluster_and_the_release_back() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    called_off(&mut stage, &operator).await;
    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    assert!(!is_suspended(&stage));
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);

    // And it can be restored into.
    order_restore(&stage);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
}

/// The undoing goes by what the job noted when it began: neither Backup nor strategy object need to be there.
// TestCleanupOnDelete_BackupUnreadable_DoesNotEmitVeleroCleanupEvent
#[tokio::test]
async fn a_backup_and_a_strategy_that_are_deleted_midway_do_not_cost_the_cluster() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    order_restore(&stage);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster(&stage).is_null() {
            break;
        }
        turn(&stage, &operator).await;
    }
    // Its removal would wait for the restore: somebody takes the finalizer off by hand.
    let mut held = stage.read("Backup", TENANT, "ad-hoc");
    held["metadata"]["finalizers"] = json!([]);
    stage.cluster.put(held).unwrap();
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    let strategies = "strategy.backups.cozystack.io/v1alpha1";
    stage
        .delete_cluster_scoped(strategies, "Etcd", "cozy-default-etcd")
        .await
        .unwrap();
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: Backup ad-hoc does not exist"),
        "{said}"
    );
    assert_eq!(cluster(&stage)["spec"], before["spec"]);
    assert!(!is_suspended(&stage));
}

#[tokio::test]
async fn a_job_that_is_deleted_before_anything_was_touched_leaves_the_cluster_alone() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let mut found = release(&stage);
    found["status"]["conditions"] = json!([{ "type": "Reconciling", "status": "True" }]);
    stage.cluster.put(found).unwrap();
    order_restore(&stage);
    stage.runner.settle().await.unwrap();
    assert!(is_suspended(&stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("RestoreJob", TENANT, "back"), Value::Null);
    assert_eq!(cluster(&stage), before);
    assert!(!is_suspended(&stage));
}
