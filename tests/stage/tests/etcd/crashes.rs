//! The host crashes before or after any request that writes, and a new one goes on.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Verb, Verdict},
};

use super::*;

/// Of requests that write, the nth is not answered: it is lost, or it was carried out.
fn fault(
    counter: &AtomicUsize,
    nth: usize,
    is_lost: bool,
    operation: &Operation,
) -> Option<Verdict> {
    let is_counted = operation.writes() && !is_operators(operation);
    if !is_counted || counter.fetch_add(1, Ordering::Relaxed) != nth {
        return None;
    }
    let error = ApiError::new(ApiReason::Unavailable, "the connection broke");
    Some(if is_lost {
        Verdict::Fail(error)
    } else {
        Verdict::PassThenFail(error)
    })
}

/// What a story with a fault led to.
struct Ended {
    stage: Stage,
    said: String,
    was_hit: bool,
    /// The EtcdClusters that were seen, by UID.
    clusters: BTreeSet<String>,
}

/// Plays a job to its end, with a new host after each request that failed.
async fn lived(mut stage: Stage, kind: &str, job: &str, fate: EtcdFate) -> Ended {
    let operator = operator(&stage, fate);
    let mut was_hit = false;
    let mut clusters = BTreeSet::new();
    for _ in 0..100 {
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
            let found = cluster(&stage);
            clusters.extend(found["metadata"]["uid"].as_str().map(ToOwned::to_owned));
        }
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            break;
        }
        turn(&stage, &operator).await;
    }
    Ended {
        said: stage.said(kind, TENANT, job),
        stage,
        was_hit,
        clusters,
    }
}

/// The backup with a fault.
async fn backup_with_fault_at(nth: usize, is_lost: bool) -> Ended {
    let stage = platform();
    order(&stage);
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        fault(&counter, nth, is_lost, operation).unwrap_or(Verdict::Pass)
    });
    lived(stage, "BackupJob", "ad-hoc", EtcdFate::Completes).await
}

/// The restore with a fault.
async fn restore_with_fault_at(stage: Stage, nth: usize, is_lost: bool, fate: EtcdFate) -> Ended {
    order_restore(&stage);
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        fault(&counter, nth, is_lost, operation).unwrap_or(Verdict::Pass)
    });
    lived(stage, "RestoreJob", "back", fate).await
}

// TestEnsureEtcdBackup_LabelIdempotency
#[tokio::test]
async fn a_crash_before_or_after_any_write_ends_the_same_way_with_one_snapshot() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let ended = backup_with_fault_at(nth, is_lost).await;
            assert_eq!(
                ended.said, "Succeeded BackupCompleted: Backup ad-hoc is complete",
                "fault at write {nth}"
            );
            assert_eq!(snapshots(&ended.stage).len(), 1, "fault at write {nth}");
            assert_eq!(ended.stage.storage.keys().len(), 1, "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 5, "only {nth} writes");
    }
}

// TestReconcileEtcdRestore_CrashRecoveryAdvancesWhenSpecCaptured, TestReconcileEtcdRestore_RecoverSpecErrorResumesHR
#[tokio::test]
async fn a_crash_before_or_after_any_write_ends_the_same_way_with_one_new_cluster() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let ended =
                restore_with_fault_at(backed_up().await, nth, is_lost, EtcdFate::Completes).await;
            assert_eq!(ended.said, RESTORED, "fault at write {nth}");
            assert_eq!(
                ended.clusters.len(),
                2,
                "the old and one new; fault at write {nth}"
            );
            let cluster = cluster(&ended.stage);
            assert!(
                cluster["spec"].get("bootstrap").is_some(),
                "fault at write {nth}"
            );
            assert_eq!(
                cluster["metadata"]["annotations"]["meta.helm.sh/release-name"], "etcd",
                "fault at write {nth}"
            );
            assert!(!is_suspended(&ended.stage), "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 8, "only {nth} writes");
    }
}

/// The old cluster comes from the same snapshot as the new one: it is not to be taken for it.
#[tokio::test]
async fn a_crash_in_a_second_restore_from_the_same_backup_leads_to_a_new_cluster_all_the_same() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let stage = backed_up().await;
            let key = stage.storage.keys()[0].clone();
            change(&stage, |cluster| {
                cluster["spec"]["bootstrap"]["restore"]["source"]["s3"] =
                    json!({ "bucket": "cozy-backups", "key": key });
            });
            let ended = restore_with_fault_at(stage, nth, is_lost, EtcdFate::Completes).await;
            assert_eq!(ended.said, RESTORED, "fault at write {nth}");
            assert_eq!(ended.clusters.len(), 2, "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
    }
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_of_a_failing_restore_leaves_a_cluster_and_a_release() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let fate = EtcdFate::BootstrapFails("broken".to_owned());
            let ended = restore_with_fault_at(backed_up().await, nth, is_lost, fate).await;
            assert!(
                ended
                    .said
                    .starts_with("Failed RestoreFailed: BootstrapFailed"),
                "fault at write {nth}: {}",
                ended.said
            );
            assert!(!cluster(&ended.stage).is_null(), "fault at write {nth}");
            assert!(!is_suspended(&ended.stage), "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
    }
}

/// A restore of which the new cluster is refused once the old one is gone, with a fault as above.
async fn refused_with_fault_at(nth: usize, is_lost: bool) -> Ended {
    let stage = backed_up().await;
    order_restore(&stage);
    let counter = AtomicUsize::new(0);
    let view = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.dry_run {
            return Verdict::Pass;
        }
        if let Some(fault) = fault(&counter, nth, is_lost, operation) {
            return fault;
        }
        let job = view.read(API, "RestoreJob", Some(TENANT), "back");
        let job = job.unwrap_or_default();
        let is_failing = job.pointer("/status/strategy/failing").is_some();
        let is_new = operation.verb == Verb::Create && operation.kind == "EtcdCluster";
        if is_new && !is_operators(operation) && !is_failing {
            return Verdict::Fail(ApiError::new(ApiReason::Invalid, "no room"));
        }
        Verdict::Pass
    });
    lived(stage, "RestoreJob", "back", EtcdFate::Completes).await
}

#[tokio::test]
async fn a_restore_that_fails_after_the_deletion_gives_the_cluster_back_whenever_the_host_crashes()
{
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let ended = refused_with_fault_at(nth, is_lost).await;
            let (mut stage, said) = (ended.stage, ended.said);
            // A create that passes although it is answered with an error is the restore's good end.
            let passed = !is_lost && said == RESTORED;
            assert!(
                said.starts_with("Failed RestoreFailed: EtcdClusterRefused: ") || passed,
                "fault at write {nth}: {said}"
            );
            let after = cluster(&stage);
            let annotation = &after["metadata"]["annotations"]["meta.helm.sh/release-name"];
            assert_eq!(annotation, "etcd", "fault at write {nth}");
            assert_eq!(after["spec"].get("bootstrap").is_some(), passed);
            assert!(!is_suspended(&stage), "fault at write {nth}");
            if !ended.was_hit {
                stage.cluster.clear_interceptor();
                stage.delete("RestoreJob", TENANT, "back").await.unwrap();
                order_restore(&stage);
                let operator = operator(&stage, EtcdFate::Completes);
                assert_eq!(restores(&mut stage, &operator).await, RESTORED);
                break;
            }
            nth += 1;
        }
        assert!(nth >= 8, "only {nth} writes");
    }
}

#[tokio::test]
async fn the_cluster_is_remembered_tried_and_held_before_it_is_deleted() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let view = stage.cluster.clone();
    let deletions = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&deletions);
    let was_tried = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.dry_run {
            was_tried.fetch_add(1, Ordering::Relaxed);
        }
        if operation.verb == Verb::Delete && operation.kind == "EtcdCluster" {
            let read = |api_version: &str, kind: &str, name: &str| {
                view.read(api_version, kind, Some(TENANT), name).unwrap()
            };
            let job = read("backups.cozystack.io/v1alpha1", "RestoreJob", "back");
            let state = job["status"]["strategy"]["state"].as_str().unwrap();
            let state: Value = serde_json::from_str(state).unwrap();
            assert_eq!(state["spec"], before["spec"]);
            assert_eq!(state["uid"], before["metadata"]["uid"]);
            let release = read("helm.toolkit.fluxcd.io/v2", "HelmRelease", "etcd");
            assert_eq!(release["spec"]["suspend"], true);
            assert!(was_tried.load(Ordering::Relaxed) > 0);
            seen.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    });
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    assert_eq!(deletions.load(Ordering::Relaxed), 1);
}
