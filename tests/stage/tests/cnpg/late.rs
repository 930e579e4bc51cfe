//! Clusters that do not recover in time, and why.

use serde_json::{Value, json};
use stage::{Fate, Stage};

use crate::world::*;

const UNREACHABLE: &str =
    r#"{"record":{"message":"recovery ended before configured recovery target was reached"}}"#;

/// A moment that the archive reaches, as far as can be told.
fn moment(stage: &Stage) -> Value {
    stage.cluster.advance(600);
    archive_wal(stage, ARCHIVE, 9);
    json!({ "recoveryTime": now(stage).to_string(), "restoreTimeoutSeconds": 600 })
}

/// The logs of the Pod that recovers.
fn log(stage: &Stage, text: &str) {
    let pod = format!("{CLUSTER}-1-full-recovery");
    stage
        .cluster
        .set_log(TENANT, &pod, "full-recovery", false, text);
}

// TestReconcileCNPGRestore_DeadlineClassifiesRecoveryTargetUnreachable: FATAL. TestRecoveryTargetUnreachable_ClassifiesFromLogs,
// TestLogIndicatesRecoveryTargetUnreachable: FATAL in JSON.
#[tokio::test]
async fn a_moment_that_postgres_did_not_reach_is_told_from_its_log() {
    let mut stage = backed_up().await;
    let options = moment(&stage);
    log(&stage, UNREACHABLE);
    let said = restored(&mut stage, &options, Fate::RecoveryStalls).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RecoveryTargetUnreachable: recoveryTime "),
        "{said}"
    );
    assert!(said.contains("past the latest WAL archived"), "{said}");
    assert!(
        said.contains("postgres-orders-db-1-full-recovery"),
        "{said}"
    );
    assert!(
        condition(&stage, "RecoveryConverged").starts_with("False RecoveryTargetUnreachable: ")
    );
    assert!(!is_suspended(&stage));
}

// …DeadlineClassifiesRecoveryTargetUnreachable: no FATAL.
#[tokio::test]
async fn a_log_that_says_nothing_of_it_leaves_the_deadline() {
    let mut stage = backed_up().await;
    let options = moment(&stage);
    log(&stage, "restored log file; redo in progress");
    let said = restored(&mut stage, &options, Fate::RecoveryStalls).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RecoveryDeadlineExceeded: "),
        "{said}"
    );
    for word in [
        "deadline",
        "600 seconds",
        "restoreTimeoutSeconds",
        "recoveryTime",
    ] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(condition(&stage, "RecoveryConverged"), " : ");
}

// …DeadlineClassifiesRecoveryTargetUnreachable: Forbidden.
#[tokio::test]
async fn a_log_that_cannot_be_read_is_said() {
    let mut stage = backed_up().await;
    let options = moment(&stage);
    let said = restored(&mut stage, &options, Fate::RecoveryStalls).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RecoveryDeadlineExceeded: "),
        "{said}"
    );
    assert!(said.contains("pods/log"), "{said}");
    assert_eq!(events(&stage, "RecoveryClassificationForbidden"), 1);
}

/// Without a moment there is nothing to look for in logs.
// TestEffectiveRestoreDeadline: unset.
#[tokio::test]
async fn a_cluster_has_half_an_hour() {
    let mut stage = backed_up().await;
    log(&stage, UNREACHABLE);
    let began = stage.cluster.now();
    let said = restored(&mut stage, &nothing(), Fate::RecoveryStalls).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RecoveryDeadlineExceeded: "),
        "{said}"
    );
    let waited = stage.cluster.now() - began;
    assert!((1800..2200).contains(&waited), "{waited}");
}

// TestReconcileCNPGRestore_HealthyPastDeadlineSucceeds
#[tokio::test]
async fn a_cluster_that_is_healthy_counts_at_any_time() {
    let mut stage = backed_up().await;
    restore(&stage, &nothing());
    let stalled = operator(&stage, Fate::RecoveryStalls);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if said(&stage).contains("ClusterRecovering") {
            break;
        }
        turn(&stage, &stalled).await;
    }
    turn(&stage, &stalled).await;
    let operator = operator(&stage, Fate::Completes);
    turn(&stage, &operator).await;
    // Nobody has looked for three days.
    stage.cluster.advance(20 * 3600);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert_eq!(said, RESTORED);
}

/// What is left can be looked at, and restored into again.
#[tokio::test]
async fn a_cluster_that_did_not_recover_is_left_and_the_application_says_so() {
    let mut stage = backed_up().await;
    let said = restored(&mut stage, &nothing(), Fate::RecoveryStalls).await;
    assert!(said.starts_with("Failed"), "{said}");
    assert!(!cluster(&stage).is_null());
    assert_eq!(application(&stage)["spec"]["bootstrap"]["enabled"], true);
    let operator = operator(&stage, Fate::RecoveryStalls);
    turns(&mut stage, &operator, 3).await;
    assert_eq!(helm(&stage), "True: Helm upgrade succeeded");
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
}
