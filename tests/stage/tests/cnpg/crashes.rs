//! A host that crashes before or after any of its writes.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};
use stage::{Fate, Stage};

use crate::world::*;

/// What a story with a fault led to.
struct Ended {
    stage: Stage,
    said: String,
    was_hit: bool,
    /// The Clusters that were seen, by UID.
    clusters: BTreeSet<String>,
}

/// Runs a restore with a fault at the nth request of the host that writes, and a restart of the host after it.
async fn with_fault_at(mut stage: Stage, nth: usize, is_lost: bool, fate: Fate) -> Ended {
    restore(&stage, &nothing());
    let operator = operator(&stage, fate);
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        let is_hosts = !operation.purpose.is_empty()
            || operation.api_version.starts_with("backups.cozystack.io/");
        if !operation.writes() || !is_hosts || counter.fetch_add(1, Ordering::Relaxed) != nth {
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
    let mut clusters = BTreeSet::new();
    for _ in 0..150 {
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
            let found = cluster(&stage);
            clusters.extend(found["metadata"]["uid"].as_str().map(ToOwned::to_owned));
        }
        let said = said(&stage);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            break;
        }
        turn(&stage, &operator).await;
    }
    Ended {
        said: said(&stage),
        stage,
        was_hit,
        clusters,
    }
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_ends_the_same_way_with_one_new_cluster() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let mut ended = with_fault_at(backed_up().await, nth, is_lost, Fate::Completes).await;
            assert_eq!(ended.said, RESTORED, "fault at write {nth}");
            assert_eq!(ended.clusters.len(), 2, "fault at write {nth}");
            let stage = &mut ended.stage;
            stage.cluster.clear_interceptor();
            let operator = operator(stage, Fate::Completes);
            turns(stage, &operator, 3).await;
            assert!(
                !recovered_from(stage, CLUSTER).is_empty(),
                "fault at write {nth}"
            );
            assert!(!is_suspended(stage), "fault at write {nth}");
            assert_eq!(
                helm(stage),
                "True: Helm upgrade succeeded",
                "fault at write {nth}"
            );
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 10, "only {nth} writes");
    }
}

#[tokio::test]
async fn a_crash_in_a_failing_restore_leaves_a_cluster_and_a_release() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let stage = backed_up().await;
            let ended = with_fault_at(stage, nth, is_lost, Fate::RecoveryStalls).await;
            assert!(
                ended.said.contains("RecoveryDeadlineExceeded"),
                "fault at write {nth}: {}",
                ended.said
            );
            assert!(!cluster(&ended.stage).is_null(), "fault at write {nth}");
            assert!(!is_suspended(&ended.stage), "fault at write {nth}");
            let enabled = &application(&ended.stage)["spec"]["bootstrap"]["enabled"];
            assert_eq!(*enabled, true, "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
    }
}

#[tokio::test]
async fn the_cluster_is_remembered_tried_and_held_before_it_is_deleted() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let view = stage.cluster.clone();
    let was_tried = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        let is_cluster = operation.kind == "Cluster" && !operation.purpose.is_empty();
        if is_cluster && operation.dry_run {
            was_tried.fetch_add(1, Ordering::Relaxed);
        }
        if is_cluster && operation.verb == Verb::Delete {
            let group = "backups.cozystack.io/v1alpha1";
            let job = view
                .read(group, "RestoreJob", Some(TENANT), "back")
                .unwrap();
            let state = job["status"]["strategy"]["state"].as_str().unwrap();
            let state: serde_json::Value = serde_json::from_str(state).unwrap();
            assert_eq!(state["restore"]["uid"], before["metadata"]["uid"]);
            assert_eq!(state["restore"]["cluster"]["spec"]["instances"], 1);
            let release = view.read(HELM, "HelmRelease", Some(TENANT), CLUSTER);
            assert_eq!(release.unwrap()["spec"]["suspend"], true);
            assert!(was_tried.load(Ordering::Relaxed) > 0);
        }
        Verdict::Pass
    });
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
}
