//! What a restore asks of its Backup.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};

use super::*;

/// What a restore says of a Backup that is not as it should be; and that nothing was done for it.
async fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut stage = platform(Guest::default());
    backup(&stage, change);
    let said = ordered(&mut stage, "RestoreJob", "back").await;
    assert_eq!(copy(&stage), None);
    said
}

// TestRestoreJobReconciler_MissingBackupMarksFailed
#[tokio::test]
async fn a_backup_that_is_not_there_is_not_restored() {
    let said = refused(|backup| backup["metadata"]["name"] = json!("another")).await;
    assert!(
        said.starts_with("Failed RestoreFailed: Backup ad-hoc does not exist"),
        "{said}"
    );
}

#[tokio::test]
async fn a_backup_of_another_controller_is_not_restored() {
    let foreign = json!("strategies.example.org");
    let said = refused(|backup| backup["spec"]["strategyRef"]["apiGroup"] = foreign).await;
    assert!(
        said.starts_with("Failed RestoreFailed: the Backup was taken by a strategy of"),
        "{said}"
    );
}

// Defect 9 of the reference: neither was looked at.
#[tokio::test]
async fn a_backup_that_is_not_whole_is_not_restored() {
    for status in [
        json!({}),
        json!({ "phase": "Failed" }),
        json!({ "phase": "Pending" }),
    ] {
        let said = refused(|backup| backup["status"] = status).await;
        assert_eq!(said, "Failed RestoreFailed: Backup ad-hoc is not Ready");
    }
    let mut stage = platform(Guest::default());
    backup(&stage, |backup| {
        backup["metadata"]["finalizers"] = json!(["example.org/hold"]);
    });
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    let said = ordered(&mut stage, "RestoreJob", "back").await;
    assert_eq!(said, "Failed RestoreFailed: Backup ad-hoc is being deleted");
}

// Defect 9 of the reference: one request that failed was the end of a restore.
#[tokio::test]
async fn a_request_that_fails_is_not_the_end_of_a_restore() {
    for reason in [
        ApiReason::Unavailable,
        ApiReason::Timeout,
        ApiReason::TooManyRequests,
    ] {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        stage.runner.settle().await.unwrap();
        let failures = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&failures);
        stage.cluster.set_interceptor(move |operation: &Operation| {
            let is_read = operation.verb == Verb::Get && operation.kind == "Backup";
            if is_read && counter.fetch_add(1, Ordering::Relaxed) < 3 {
                return Verdict::Fail(ApiError::new(reason, "try again later"));
            }
            Verdict::Pass
        });
        let said = ordered(&mut stage, "RestoreJob", "back").await;
        assert!(!said.starts_with("Failed"), "{said}");
        let said = in_the_end(&mut stage, "RestoreJob", "back").await;
        assert_eq!(
            said,
            "Succeeded RestoreCompleted: Backup ad-hoc is restored"
        );
        assert!(failures.load(Ordering::Relaxed) > 3);
    }
}

// Defect 24 of the reference: any namespace that existed could be written.
#[tokio::test]
async fn a_target_namespace_that_nobody_granted_is_not_written() {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": "tenant-other" } });
    let body = format!("(call $plan.create '{map}' (i32.const 1))");
    let mut stage = platform(Guest::restoring(&body));
    stage.namespace("tenant-other").unwrap();
    backup(&stage, |_| {});
    let options = json!({ "targetNamespace": "tenant-other" });
    stage
        .restore_job(TENANT, "across", "ad-hoc", &options)
        .unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.said("RestoreJob", TENANT, "across");
    assert!(
        said.starts_with("Failed RestoreFailed: TargetNamespaceNotAllowed"),
        "{said}"
    );
    let written = stage
        .cluster
        .read("v1", "ConfigMap", Some("tenant-other"), "x");
    assert_eq!(written, None);
}
