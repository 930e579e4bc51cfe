//! A host that stops, or a request that is lost, at any write.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};

use super::*;

/// Whether a request is of what is played.
fn is_played(operation: &Operation) -> bool {
    operation.purpose.is_empty() && matches!(operation.kind.as_str(), "Pod" | "Job")
}

/// Plays a job with a fault at the nth request that writes, and a restart of the host after it. Gives back whether there
/// was one.
async fn with_fault_at(
    stage: &mut Stage,
    around: &ClickHouse,
    (kind, job): (&str, &str),
    nth: usize,
    is_lost: bool,
) -> (String, bool) {
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if !operation.writes()
            || is_played(operation)
            || counter.fetch_add(1, Ordering::Relaxed) != nth
        {
            return Verdict::Pass;
        }
        let error = ApiError::new(ApiReason::Unavailable, "the connection broke");
        if is_lost {
            Verdict::Fail(error)
        } else {
            Verdict::PassThenFail(error)
        }
    });
    let mut was_hit = false;
    for _ in 0..60 {
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
        }
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            break;
        }
        turn(stage, around).await;
    }
    stage.cluster.set_interceptor(|_: &Operation| Verdict::Pass);
    (stage.said(kind, TENANT, job), was_hit)
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_backup_ends_with_one_archive() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = stage();
            let around = play(&stage, AltinityFate::Completes);
            stage
                .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
                .unwrap();
            let (said, was_hit) =
                with_fault_at(&mut stage, &around, ("BackupJob", "ad-hoc"), nth, is_lost).await;
            assert_eq!(
                said, "Succeeded BackupCompleted: Backup ad-hoc is complete",
                "write {nth}"
            );
            assert_eq!(
                archives(&stage, FOLDER),
                [archive(&stage, "ad-hoc")],
                "write {nth}"
            );
            assert_eq!(jobs(&stage).len(), 1, "write {nth}");
            if !was_hit {
                assert!(nth >= 4, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_backup_that_restarts_pods_restarts_each_once() {
    for nth in 0.. {
        let mut stage = stage_of((1, 1));
        parameters(&stage, &json!({ "restartSidecar": "WhenOutdated" }));
        let around = play(&stage, AltinityFate::KeysRefused);
        stage
            .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
            .unwrap();
        let (said, was_hit) =
            with_fault_at(&mut stage, &around, ("BackupJob", "ad-hoc"), nth, false).await;
        assert_eq!(
            said, "Succeeded BackupCompleted: Backup ad-hoc is complete",
            "write {nth}"
        );
        assert_eq!(
            archives(&stage, FOLDER),
            [archive(&stage, "ad-hoc")],
            "write {nth}"
        );
        assert_eq!(jobs(&stage).len(), 2, "write {nth}");
        if !was_hit {
            break;
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_restore_restores_once() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = stage_of((1, 1));
            let around = play(&stage, AltinityFate::Completes);
            backed_up(&mut stage, &around, "ad-hoc").await;
            stage
                .restore_job(TENANT, "back", "ad-hoc", &json!({}))
                .unwrap();
            let (said, was_hit) =
                with_fault_at(&mut stage, &around, ("RestoreJob", "back"), nth, is_lost).await;
            assert!(said.starts_with("Succeeded"), "write {nth}: {said}");
            let restores = around
                .told()
                .iter()
                .filter(|told| told.contains("|restore "))
                .count();
            assert_eq!(restores, 1, "write {nth}");
            if !was_hit {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_evaluation_that_is_repeated_changes_nothing() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let keys = stage.storage.keys();
    let told = around.told().len();
    for _ in 0..3 {
        stage.restart();
        stage.runner.settle().await.unwrap();
        turn(&stage, &around).await;
    }
    assert_eq!(stage.storage.keys(), keys);
    assert_eq!(around.told().len(), told);
}
