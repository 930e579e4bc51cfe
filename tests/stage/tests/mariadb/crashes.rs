//! A host that crashes before or after any of its writes.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::json;
use stage::MariaDbFate;

use crate::{
    TENANT,
    scene::{Scene, key_of},
};

/// Whether a request is the played operator's.
fn is_operators(operation: &Operation) -> bool {
    operation.purpose.is_empty() && operation.api_version != crate::API
}

/// Plays until `ended`, with a fault at the nth request that writes, and a restart of the host after it. Whether there
/// were as many.
async fn with_fault_at(
    scene: &mut Scene,
    nth: usize,
    is_lost: bool,
    ended: impl Fn(&Scene) -> bool,
) -> bool {
    let counter = AtomicUsize::new(0);
    scene
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            if !operation.writes()
                || is_operators(operation)
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
        while let Some(passed) = scene.stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                scene.stage.restart();
            }
        }
        if ended(scene) {
            break;
        }
        scene.step().await;
    }
    scene.stage.cluster.clear_interceptor();
    was_hit
}

#[tokio::test]
async fn a_backup_is_of_one_dump_whenever_the_host_crashes() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut scene = Scene::with_backup("before").await;
            scene.order_backup("nightly");
            let has_ended =
                |scene: &Scene| scene.stage.job(TENANT, "nightly").starts_with("Succeeded");
            let was_hit = with_fault_at(&mut scene, nth, is_lost, has_ended).await;
            let at = format!("fault at write {nth}");
            assert_eq!(
                scene.stage.job(TENANT, "nightly"),
                "Succeeded BackupCompleted: Backup nightly is complete",
                "{at}"
            );
            assert_eq!(scene.dumps().len(), 2, "{at}");
            let backup = scene.stage.read("Backup", TENANT, "nightly");
            assert_eq!(scene.keys()[1], key_of(&backup), "{at}");
            assert_eq!(scene.keys().len(), 2, "{at}");
            if !was_hit {
                assert!(nth >= 5, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_failed_backup_leaves_nothing_whenever_the_host_crashes() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut scene = Scene::with_backup("before").await;
            scene.fate(MariaDbFate::DumpFails);
            scene.order_backup("nightly");
            let has_ended =
                |scene: &Scene| scene.stage.job(TENANT, "nightly").starts_with("Failed");
            let was_hit = with_fault_at(&mut scene, nth, is_lost, has_ended).await;
            let at = format!("fault at write {nth}");
            let said = scene.stage.job(TENANT, "nightly");
            assert!(
                said.starts_with("Failed BackupFailed: MariaDBBackupFailed: "),
                "{at}: {said}"
            );
            assert_eq!(scene.dumps().len(), 1, "{at}");
            assert_eq!(scene.keys().len(), 1, "{at}");
            if !was_hit {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_restore_is_done_once_whenever_the_host_crashes() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut scene = Scene::with_backup("nightly").await;
            scene
                .stage
                .restore_job(TENANT, "back", "nightly", &json!({}))
                .unwrap();
            let said = |scene: &Scene| scene.stage.said("RestoreJob", TENANT, "back");
            let has_ended = |scene: &Scene| said(scene).starts_with("Succeeded");
            let was_hit = with_fault_at(&mut scene, nth, is_lost, has_ended).await;
            let at = format!("fault at write {nth}");
            assert!(has_ended(&scene), "{at}: {}", said(&scene));
            assert_eq!(scene.operator.restored().len(), 1, "{at}");
            if !was_hit {
                assert!(nth >= 4, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_removal_takes_its_own_dump_only_whenever_the_host_crashes() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut scene = Scene::with_backup("before").await;
            scene.backup("nightly").await;
            // As the first controller wrote it: nothing says which dump it is but the time.
            scene.change_backup("nightly", |backup| {
                crate::kept::as_the_first_controller(backup);
            });
            scene
                .stage
                .delete("Backup", TENANT, "nightly")
                .await
                .unwrap();
            let is_gone = |scene: &Scene| scene.stage.read("Backup", TENANT, "nightly").is_null();
            let was_hit = with_fault_at(&mut scene, nth, is_lost, is_gone).await;
            let at = format!("fault at write {nth}");
            assert!(is_gone(&scene), "{at}");
            let before = scene.stage.read("Backup", TENANT, "before");
            assert_eq!(scene.keys(), [key_of(&before)], "{at}");
            assert_eq!(scene.dumps().len(), 1, "{at}");
            if !was_hit {
                assert!(nth >= 2, "only {nth} writes");
                break;
            }
        }
    }
}
