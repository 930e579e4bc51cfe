//! Helm renders nothing while a cluster is restored, and goes on behind it.

use super::*;

#[tokio::test]
async fn helm_cannot_slip_an_empty_cluster_in() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let mut was_resumed = false;
    for _ in 0..60 {
        stage.runner.settle().await.unwrap();
        if restore_says(&stage).starts_with("Succeeded") {
            break;
        }
        if cluster(&stage).is_null() && !was_resumed {
            // Somebody resumes the release in the very moment in which the cluster is gone.
            let mut found = release(&stage);
            found["spec"]["suspend"] = false.into();
            stage.cluster.put(found).unwrap();
            was_resumed = true;
        }
        turn(&stage, &operator).await;
    }
    assert!(was_resumed);
    assert_eq!(restore_says(&stage), RESTORED);
    assert!(cluster(&stage)["spec"].get("bootstrap").is_some());
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);
}

// TestSetEtcdRestoreHRSuspended
#[tokio::test]
async fn a_release_that_was_suspended_before_stays_so() {
    let mut stage = backed_up().await;
    let mut found = release(&stage);
    found["spec"]["suspend"] = true.into();
    stage.cluster.put(found).unwrap();
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    assert!(is_suspended(&stage));
}

// TestSetEtcdRestoreHRSuspended
#[tokio::test]
async fn a_cluster_without_a_release_is_restored_all_the_same() {
    let mut stage = backed_up().await;
    stage
        .delete_any(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            Some(TENANT),
            "etcd",
        )
        .await
        .unwrap();
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
}

#[tokio::test]
async fn helm_finishes_what_it_has_begun_before_anything_is_deleted() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let conditions = |stage: &Stage, conditions: Value| {
        let mut found = release(stage);
        found["status"]["conditions"] = conditions;
        stage.cluster.put(found).unwrap();
    };
    conditions(
        &stage,
        json!([{ "type": "Reconciling", "status": "True", "reason": "Progressing" }]),
    );
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    for _ in 0..4 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
    }
    assert!(
        restore_says(&stage).contains("HelmReleaseBusy"),
        "{}",
        restore_says(&stage)
    );
    assert_eq!(cluster(&stage), before);
    conditions(&stage, json!([]));
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
}
