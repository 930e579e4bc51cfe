//! How a job lives, whatever its strategy does.

use std::{sync::Arc, time::Duration};

use backup_engine::Key;

use super::*;

fn key(kind: &str, name: &str) -> Key {
    Key {
        kind: kind.to_owned(),
        namespace: TENANT.to_owned(),
        name: name.to_owned(),
    }
}

// TestBackupJobReconciler_NotFoundIsNoop, TestRestoreJobReconciler_NotFoundIsNoop
#[tokio::test]
async fn a_job_that_is_not_there_needs_nothing() {
    let mut stage = platform(Guest::default());
    stage.runner.settle().await.unwrap();
    for (kind, _) in KINDS {
        drop(stage.cluster.take_requests());
        let host = Arc::clone(stage.runner.host());
        let next = host.reconcile(&key(kind, "absent")).await.unwrap();
        assert_eq!((next.interest, next.at), (None, None));
        assert_eq!(stage.cluster.take_requests().len(), 1);
    }
}

// TestReconcile_SkipsProjection_TerminalPhase, TestRestoreJobReconciler_AlreadyCompletedIsSkipped
#[tokio::test]
async fn a_job_that_has_ended_is_never_touched_again() {
    for (kind, _) in KINDS {
        for phase in ["Succeeded", "Failed"] {
            let mut stage = platform(Guest::default());
            backup(&stage, |_| {});
            stage.runner.settle().await.unwrap();
            order(&stage, kind, "done");
            let mut job = stage.read(kind, TENANT, "done");
            job["status"] = json!({ "phase": phase, "message": "as it was" });
            stage.cluster.put(job).unwrap();
            let revision = stage.cluster.revision();
            // Seen as it is, seen by a host that starts, and looked at all the same.
            stage.runner.settle().await.unwrap();
            stage.restart();
            stage.runner.settle().await.unwrap();
            let host = Arc::clone(stage.runner.host());
            let next = host.reconcile(&key(kind, "done")).await.unwrap();
            assert_eq!((next.interest, next.at), (None, None));
            assert_eq!(stage.cluster.revision(), revision, "{kind} {phase}");
            assert_eq!(copy(&stage), None);
        }
    }
}

// TestMarkBackupJobFailed_DoesNotAppendDuplicateReady, TestMarkRestoreJobFailed_DoesNotAppendDuplicateReady
#[tokio::test]
async fn a_job_has_one_ready_condition_from_beginning_to_end() {
    for (kind, failed) in KINDS {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        stage.strategies.withdraw("Guest");
        ordered(&mut stage, kind, "job").await;
        let first = ready(&stage, kind);
        assert_eq!(first["reason"], "PluginNotReady");
        in_the_end(&mut stage, kind, "job").await;
        let last = ready(&stage, kind);
        assert_eq!(last["reason"], failed);
        assert_eq!(last["status"], "False");
        let message = stage.read(kind, TENANT, "job")["status"]["message"].clone();
        assert_eq!(last["message"], message);
        // It has been False all the time.
        assert_eq!(last["lastTransitionTime"], first["lastTransitionTime"]);
    }
}

/// The job's only Ready condition.
fn ready(stage: &Stage, kind: &str) -> Value {
    let job = stage.read(kind, TENANT, "job");
    let conditions = job["status"]["conditions"].as_array().unwrap();
    let ready: Vec<&Value> = conditions
        .iter()
        .filter(|condition| condition["type"] == "Ready")
        .collect();
    assert_eq!(ready.len(), 1, "{conditions:?}");
    ready[0].clone()
}

// Defect 10 of the reference: without the source Secret jobs waited for ever, and had no phase. Also
// TestBackupJobReconciler_MissingBackupClassIsTransient and TestReconcile_BackupClassNotFound_IsTransient, beside
// `bad_input::an_unknown_class_is_waited_for_and_then_given_up`.
#[tokio::test]
async fn a_job_whose_platform_never_has_a_storage_ends_as_failed() {
    for (kind, failed) in KINDS {
        let settings = Settings {
            job_deadline: Duration::from_secs(2 * 60 * 60),
            ..Settings::default()
        };
        let mut stage = platform_with(settings, Guest::default());
        backup(&stage, |_| {});
        let (namespace, name) = ("cozy-backup-controller", "cozy-backups-system-credentials");
        stage
            .delete_any("v1", "Secret", Some(namespace), name)
            .await
            .unwrap();
        let began = stage.cluster.now();
        let said = ordered(&mut stage, kind, "job").await;
        assert!(
            said.starts_with("Pending CredentialsProjectionPending"),
            "{said}"
        );
        let said = in_the_end(&mut stage, kind, "job").await;
        assert!(
            said.starts_with(&format!(
                "Failed {failed}: CredentialsProjectionPending: the source Secret"
            )),
            "{said}"
        );
        assert_eq!(stage.cluster.now() - began, 2 * 60 * 60);
    }
}
