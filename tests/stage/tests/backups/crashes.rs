//! A host that is killed at any write comes to the same end.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup_engine::cluster::{ApiError, ApiReason, Part, memory::Verdict as Fault};

use super::*;

/// The nth write fails, before or after it is carried out, and the host is started anew.
fn fault_at(stage: &Stage, nth: usize, is_lost: bool) {
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if !writes(operation) || counter.fetch_add(1, Ordering::Relaxed) != nth {
            return Fault::Pass;
        }
        let error = ApiError::new(ApiReason::Unavailable, "the connection broke");
        if is_lost {
            Fault::Fail(error)
        } else {
            Fault::PassThenFail(error)
        }
    });
}

/// Passes until nothing is due; a new host after each failure. Whether there was one.
async fn settle(stage: &mut Stage) -> bool {
    let mut was_hit = false;
    while let Some(passed) = stage.runner.step().await {
        if passed.failed.is_some() {
            was_hit = true;
            stage.restart();
        }
    }
    was_hit
}

async fn gone(stage: &mut Stage, name: &str) -> bool {
    let mut was_hit = false;
    for _ in 0..500 {
        was_hit |= settle(stage).await;
        if backup(stage, name) == Value::Null {
            return was_hit;
        }
        if let Some(at) = stage.runner.next_at() {
            stage
                .cluster
                .set_now(at.as_second().max(stage.cluster.now() + 1));
        }
        turn(stage).await;
    }
    panic!("it does not end; it says {}", ready(stage, name));
}

#[tokio::test]
async fn a_removal_removes_all_of_it_and_nothing_else() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = etcd().await;
            stage.storage.put("tenant-acme/etcd/other.db", 1, 1);
            stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
            fault_at(&stage, nth, is_lost);
            let was_hit = gone(&mut stage, "ad-hoc").await;
            assert_eq!(stage.storage.keys(), ["tenant-acme/etcd/other.db"], "{nth}");
            assert_eq!(snapshots(&stage), 0, "{nth}");
            assert_eq!(events(&stage, "LeftBehind"), Vec::<String>::new(), "{nth}");
            if !was_hit {
                assert!(nth >= 3, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_removal_that_leaves_something_behind_says_so_once() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = guest(answering().on("forget", "(return @failed)"));
            stage.delete("Backup", TENANT, "mine").await.unwrap();
            fault_at(&stage, nth, is_lost);
            let was_hit = gone(&mut stage, "mine").await;
            assert_eq!(events(&stage, "LeftBehind").len(), 1, "{nth}");
            assert_eq!(stage.storage.keys().len(), 2, "{nth}");
            if !was_hit {
                assert!(nth >= 3, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_look_says_the_same() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = guest(answering().on("check", "(return @seen)"));
            put(&stage, "mine", |backup| {
                backup["metadata"]["finalizers"] = json!([]);
                backup["metadata"]["annotations"] =
                    json!({ "backups.cozystack.io/check-requested": "now" });
            });
            fault_at(&stage, nth, is_lost);
            let was_hit = settle(&mut stage).await;
            let status = backup(&stage, "mine")["status"].clone();
            assert!(available(&stage, "mine").starts_with("True"), "{nth}");
            assert_eq!(status["lastCheckRequest"], "now", "{nth}");
            assert_eq!(status["artifact"]["sizeBytes"], 4_321, "{nth}");
            if !was_hit {
                assert!(nth >= 2, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_backup_is_made_once_and_held() {
    for is_lost in [true, false] {
        for nth in 0.. {
            let mut stage = guest(Guest::default());
            stage.backup_job(TENANT, "made", "orders-db").unwrap();
            fault_at(&stage, nth, is_lost);
            let was_hit = settle(&mut stage).await;
            assert!(stage.job(TENANT, "made").starts_with("Succeeded"), "{nth}");
            let made = backup(&stage, "made");
            assert_eq!(made["status"]["phase"], "Ready", "{nth}");
            assert_eq!(made["metadata"]["finalizers"].as_array().unwrap().len(), 1);
            if !was_hit {
                assert!(nth >= 3, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_backup_that_is_deleted_before_its_jobs_end_is_written_is_not_made_again() {
    let mut stage = platform();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let cluster = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        let is_status = operation.kind == "BackupJob" && operation.part == Part::Status;
        let api = backup_api::names::API_VERSION;
        let backup = cluster.read(api, "Backup", Some(TENANT), "ad-hoc");
        if is_status && backup.is_some_and(|backup| backup["status"]["phase"] == "Ready") {
            return Fault::Fail(ApiError::new(ApiReason::Unavailable, "the host crashes"));
        }
        Fault::Pass
    });
    loop {
        match stage.runner.step().await {
            Some(passed) if passed.failed.is_some() => break,
            Some(_) => {}
            None => turn(&stage).await,
        }
    }
    assert_eq!(finalizers(&stage.read("BackupJob", TENANT, "ad-hoc")), 0);

    let mut retained = backup(&stage, "ad-hoc");
    retained["spec"]["deletionPolicy"] = json!("Retain");
    stage.cluster.put(retained).unwrap();
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.cluster.clear_interceptor();
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Succeeded BackupCompleted: Backup ad-hoc was complete, and has been deleted since"
    );
    assert_eq!(backup(&stage, "ad-hoc"), Value::Null);
    assert_eq!(stage.storage.keys().len(), 1, "the data was to stay");
}

#[tokio::test]
async fn a_job_whose_finalizer_somebody_takes_away_is_held_again() {
    let mut stage = platform();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    let mut job = stage.read("BackupJob", TENANT, "ad-hoc");
    assert_eq!(finalizers(&job), 1);
    job["metadata"]["finalizers"] = json!(null);
    stage.cluster.put(job).unwrap();
    turn(&stage).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(finalizers(&stage.read("BackupJob", TENANT, "ad-hoc")), 1);
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"]
        .as_array()
        .map_or(0, Vec::len)
}
