//! What a job waits for, and for how long.

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};
use serde_json::json;
use stage::MariaDbFate;

use crate::{OPERATOR, TENANT, scene::Scene};

/// Minutes that a job took.
async fn minutes(scene: &mut Scene, kind: &str, name: &str) -> (i64, String) {
    let start = scene.stage.cluster.now();
    let said = scene.play(kind, name).await;
    ((scene.stage.cluster.now() - start) / 60, said)
}

// TestReconcileMariaDBBackup_TargetMariaDBNotFoundIsTransient
#[tokio::test]
async fn a_mariadb_that_is_not_there_is_waited_for_and_then_given_up() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.delete("MariaDB", "mariadb-orders").await;
    scene.order_backup("nightly");
    scene.turn().await;
    let said = scene.stage.job(TENANT, "nightly");
    assert_eq!(
        said,
        "Pending Waiting: MariaDBNotReady: MariaDB tenant-acme/mariadb-orders: it does not exist yet; deploy the \
         application first"
    );
    assert!(scene.dumps().is_empty());
    let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
    assert!((29..32).contains(&minutes), "{minutes} minutes");
    assert!(
        said.starts_with("Failed BackupFailed: MariaDBNotReady: "),
        "{said}"
    );
}

#[tokio::test]
async fn a_mariadb_that_is_not_ready_is_waited_for() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.change_instance("orders", |mariadb| {
        let ready = &mut mariadb["status"]["conditions"][0];
        ready["status"] = "False".into();
        ready["reason"] = "SwitchPrimary".into();
        ready["message"] = "Switching primary".into();
    });
    scene.order_backup("nightly");
    scene.turn().await;
    let said = scene.stage.job(TENANT, "nightly");
    assert!(
        said.ends_with(": Ready=False, SwitchPrimary: Switching primary"),
        "{said}"
    );
    assert!(scene.dumps().is_empty());
    scene.change_instance("orders", |mariadb| {
        mariadb["status"]["conditions"][0]["status"] = "True".into();
    });
    scene.turn().await;
    // Defect 16 of the reference.
    let said = scene.stage.job(TENANT, "nightly");
    assert!(
        said.starts_with("Running Running: MariaDBBackupRunning: "),
        "{said}"
    );
    let said = scene.play("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn what_the_operator_will_try_again_is_no_failure() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.order_backup("nightly");
    scene.stage.runner.settle().await.unwrap();
    // Between the host's look and the operator's the MariaDB has left.
    scene.change_instance("orders", |mariadb| {
        mariadb["status"]["conditions"][0]["status"] = "False".into();
    });
    scene.step().await;
    scene.stage.runner.settle().await.unwrap();
    let said = scene.stage.job(TENANT, "nightly");
    assert!(
        said.contains("MariaDBBackupRunning: mariadb-operator is dumping: Complete=False, Failed: MariaDB not ready"),
        "{said}"
    );
    scene.change_instance("orders", |mariadb| {
        mariadb["status"]["conditions"][0]["status"] = "True".into();
    });
    let said = scene.play("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// TestMariaDBBackupDeadlineExceeded. Defect 6 of the reference: what was given up ran on.
#[tokio::test]
async fn a_dump_that_does_not_end_is_given_up_and_stopped() {
    for (parameters, expected) in [
        (json!({}), 30),
        (json!({ "backupTimeoutSeconds": "7200" }), 120),
    ] {
        let mut scene = Scene::new(MariaDbFate::DumpStalls);
        scene.parameters(&parameters);
        scene.order_backup("nightly");
        let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
        assert!(
            (expected..expected + 3).contains(&minutes),
            "{minutes} minutes"
        );
        assert!(
            said.starts_with("Failed BackupFailed: MariaDBBackupRunning: "),
            "{said}"
        );
        assert!(said.contains("backupTimeoutSeconds"), "{said}");
        assert!(scene.dumps().is_empty());
        assert!(scene.of_core("Pod").is_empty(), "nothing runs on");
    }
}

#[tokio::test]
async fn an_operator_that_is_not_there_is_given_up() {
    let mut scene = Scene::new(MariaDbFate::Absent);
    scene.order_backup("nightly");
    let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
    assert!((30..33).contains(&minutes), "{minutes} minutes");
    assert!(
        said.contains("mariadb-operator has not taken it up yet"),
        "{said}"
    );
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named_long_before() {
    let why = "secret \"cozy-backups-creds\" not found".to_owned();
    let mut scene = Scene::new(MariaDbFate::DumpStuck(why));
    scene.order_backup("nightly");
    let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
    assert!(minutes < 13, "{minutes} minutes");
    assert!(
        said.contains("MariaDBBackupStuck: the Pod of Job nightly-"),
        "{said}"
    );
    assert!(
        said.contains("CreateContainerConfigError: secret \"cozy-backups-creds\" not found"),
        "{said}"
    );
}

#[tokio::test]
async fn a_dump_that_is_said_to_be_stored_and_is_not_is_no_backup() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.backup("before").await;
    scene.fate(MariaDbFate::DumpVanishes);
    let said = scene.backup_job("nightly").await;
    assert!(
        said.starts_with("Failed BackupFailed: DumpMissing: "),
        "{said}"
    );
    assert!(said.contains("maxRetention"), "{said}");
    assert_eq!(scene.keys().len(), 1, "the other one is left alone");
}

#[tokio::test]
async fn a_mariadb_that_is_deleted_meanwhile_ends_the_job_at_once() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene.order_backup("nightly");
    scene.turn().await;
    scene.turn().await;
    scene.delete("MariaDB", "mariadb-orders").await;
    let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
    assert!(minutes < 2, "{minutes} minutes");
    assert!(
        said.starts_with("Failed BackupFailed: MariaDBGone: "),
        "{said}"
    );
    assert!(scene.dumps().is_empty());
}

fn refuse(scene: &Scene, kind: &'static str) {
    scene
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            if operation.verb == Verb::Create
                && operation.kind == kind
                && operation.api_version == OPERATOR
            {
                return Verdict::Fail(ApiError::new(ApiReason::Invalid, "spec.storage: no"));
            }
            Verdict::Pass
        });
}

#[tokio::test]
async fn what_the_operators_webhook_refuses_it_refuses_for_good() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    refuse(&scene, "Backup");
    scene.order_backup("nightly");
    let (minutes, said) = minutes(&mut scene, "BackupJob", "nightly").await;
    assert!(minutes < 5, "{minutes} minutes");
    assert!(said.contains("Refused: create was refused: "), "{said}");

    let mut scene = Scene::with_backup("nightly").await;
    refuse(&scene, "Restore");
    let said = scene.restore_job("nightly").await;
    assert!(said.contains("Refused: create was refused: "), "{said}");
}

// Defect 5 of the reference.
#[tokio::test]
async fn a_request_that_fails_is_tried_again() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let failures = std::sync::atomic::AtomicUsize::new(0);
    scene
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            let is_order = operation.verb == Verb::Create && operation.api_version == OPERATOR;
            if is_order && failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 {
                return Verdict::Fail(ApiError::new(
                    ApiReason::Unavailable,
                    "the webhook does not answer",
                ));
            }
            Verdict::Pass
        });
    scene.order_backup("nightly");
    for _ in 0..40 {
        // A pass that fails is made again by the queue.
        while scene.stage.runner.step().await.is_some() {}
        scene.step().await;
    }
    let said = scene.stage.job(TENANT, "nightly");
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(scene.dumps().len(), 1);
}
