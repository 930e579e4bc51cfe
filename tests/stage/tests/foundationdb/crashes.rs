//! A host that crashes, at any write.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::json;
use stage::FoundationDbOperator;

use crate::{COMPLETED, OPERATOR, RESTORED, TENANT, World};

/// Whether a request is the played operator's.
fn is_operators(operation: &Operation) -> bool {
    let kinds = ["PersistentVolumeClaim", "Pod"];
    operation.purpose.is_empty()
        && (operation.api_version == OPERATOR || kinds.contains(&operation.kind.as_str()))
}

/// The next `nth` write of the host fails: before it is carried out when it is lost, behind it otherwise.
fn fails_at(world: &World, nth: usize, is_lost: bool) -> Arc<AtomicUsize> {
    let counter = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&counter);
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            if !operation.writes()
                || is_operators(operation)
                || counted.fetch_add(1, Ordering::Relaxed) != nth
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
    counter
}

/// Host and operator take turns; a host that has heard an error starts anew.
async fn play(world: &mut World, kind: &str, job: &str) -> String {
    for _ in 0..80 {
        while let Some(passed) = world.stage.runner.step().await {
            if passed.failed.is_some() {
                world.stage.restart();
            }
        }
        let said = world.stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        world.turn().await;
    }
    world.stage.said(kind, TENANT, job)
}

/// Runs a flow with a fault at each write in turn.
async fn at_each_write<F: AsyncFnMut(&mut World, usize, bool) -> bool>(mut flow: F, least: usize) {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let mut world = World::with_backup().await;
            if !flow(&mut world, nth, is_lost).await {
                break;
            }
            nth += 1;
        }
        assert!(nth >= least, "only {nth} writes");
    }
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_backup_ends_the_same_way_with_one_stream() {
    at_each_write(
        async |world, nth, is_lost| {
            let counter = fails_at(world, nth, is_lost);
            world.order("next");
            let said = play(world, "BackupJob", "next").await;
            assert_eq!(
                said,
                COMPLETED.replace("ad-hoc", "next"),
                "fault at write {nth}"
            );
            assert_eq!(world.orders().len(), 1, "fault at write {nth}");
            let to = FoundationDbOperator::streams_to(&world.cluster("fdb")).unwrap();
            assert!(
                to.contains(&world.blob_name("next")),
                "fault at write {nth}"
            );
            counter.load(Ordering::Relaxed) > nth
        },
        6,
    )
    .await;
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_restore_ends_the_same_way_with_one_cluster() {
    at_each_write(
        async |world, nth, is_lost| {
            let before = world.cluster("fdb");
            let counter = fails_at(world, nth, is_lost);
            world
                .stage
                .restore_job(TENANT, "back", "ad-hoc", &json!({}))
                .unwrap();
            let said = play(world, "RestoreJob", "back").await;
            assert_eq!(said, RESTORED, "fault at write {nth}");
            let after = world.cluster("fdb");
            assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
            assert_eq!(after["spec"], before["spec"], "fault at write {nth}");
            let restored = FoundationDbOperator::restored(&after).unwrap();
            assert_eq!(
                restored.0,
                world.blob_name("ad-hoc"),
                "fault at write {nth}"
            );
            assert!(!world.is_suspended(), "fault at write {nth}");
            assert_eq!(world.of_kind("FoundationDBRestore").len(), 1);
            counter.load(Ordering::Relaxed) > nth
        },
        10,
    )
    .await;
}

#[tokio::test]
async fn a_crash_at_any_write_of_a_removal_leaves_nothing() {
    at_each_write(
        async |world, nth, is_lost| {
            world
                .stage
                .delete("Backup", TENANT, "ad-hoc")
                .await
                .unwrap();
            let counter = fails_at(world, nth, is_lost);
            for _ in 0..30 {
                while let Some(passed) = world.stage.runner.step().await {
                    if passed.failed.is_some() {
                        world.stage.restart();
                    }
                }
                world.turn().await;
            }
            assert!(world.backup("ad-hoc").is_null(), "fault at write {nth}");
            assert!(world.orders().is_empty(), "fault at write {nth}");
            assert!(
                world.stage.storage.keys().is_empty(),
                "fault at write {nth}"
            );
            counter.load(Ordering::Relaxed) > nth
        },
        3,
    )
    .await;
}
