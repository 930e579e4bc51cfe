//! A copy goes when nothing is left that could use it, and not before.

use backup_engine::cluster::memory::{Operation, Verb, Verdict};

use super::*;

/// A platform with a copy that nobody needs: its job has failed.
async fn forsaken(guest: Guest) -> Stage {
    let mut stage = platform_of(StorageSettings::default(), guest);
    put_copy(&stage, TENANT, "AK0-of-the-platform");
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");
    stage
}

fn idle() -> Guest {
    Guest::default().manifest(&manifest(false))
}

/// Whether the copy is still there after a day, and gone some minutes behind the end of what held it.
async fn held_until(stage: &mut Stage, end: impl AsyncFnOnce(&mut Stage)) {
    pass(stage, 24 * 3600).await;
    assert!(copy(stage, TENANT).is_some(), "it was still needed");
    end(stage).await;
    stage.runner.settle().await.unwrap();
    assert!(copy(stage, TENANT).is_some(), "it may be needed again");
    pass(stage, UNUSED).await;
    assert_eq!(copy(stage, TENANT), None, "nobody needs it any more");
}

#[tokio::test]
async fn a_copy_that_nobody_needs_goes_after_some_minutes() {
    let mut stage = forsaken(idle()).await;
    stage.cluster.advance(UNUSED - 1);
    stage.runner.settle().await.unwrap();
    assert!(copy(&stage, TENANT).is_some());
    stage.cluster.advance(1);
    drop(stage.cluster.take_requests());
    stage.runner.settle().await.unwrap();
    assert_eq!(copy(&stage, TENANT), None);
    // Once it is gone there is nothing to look at.
    drop(stage.cluster.take_requests());
    pass(&mut stage, 600).await;
    assert_eq!(stage.cluster.take_requests(), []);
}

#[tokio::test]
async fn a_host_that_starts_counts_anew() {
    let mut stage = forsaken(idle()).await;
    stage.cluster.advance(UNUSED - 1);
    stage.restart();
    stage.runner.settle().await.unwrap();
    stage.cluster.advance(UNUSED - 1);
    stage.runner.settle().await.unwrap();
    assert!(copy(&stage, TENANT).is_some());
    stage.cluster.advance(1);
    stage.runner.settle().await.unwrap();
    assert_eq!(copy(&stage, TENANT), None);
}

#[tokio::test]
async fn a_copy_stays_for_a_plan() {
    let mut stage = forsaken(idle()).await;
    stage
        .cluster
        .put(json!({
            "apiVersion": API, "kind": "Plan",
            "metadata": { "name": "nightly", "namespace": TENANT },
            "spec": {
                "suspend": true,
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "Postgres", "name": "orders-db" },
                "schedule": { "cron": "0 3 * * *" },
            },
        }))
        .unwrap();
    held_until(&mut stage, async |stage| {
        stage.delete("Plan", TENANT, "nightly").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_copy_stays_for_a_backup() {
    let mut stage = forsaken(idle()).await;
    back_up(&mut stage, TENANT, "first").await;
    held_until(&mut stage, async |stage| {
        stage.delete("Backup", TENANT, "first").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_copy_stays_for_a_job_that_has_not_ended() {
    for kind in ["BackupJob", "RestoreJob"] {
        let mut stage = forsaken(idle()).await;
        // Its class, or its Backup, may still come.
        let class = json!({
            "backupClassName": "to-come",
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
        });
        let spec = match kind {
            "BackupJob" => class,
            _ => json!({ "backupRef": { "name": "to-come" } }),
        };
        stage
            .cluster
            .put(json!({
                "apiVersion": API, "kind": kind,
                "metadata": { "name": "waits", "namespace": TENANT },
                "spec": spec,
                "status": { "phase": "Pending" },
            }))
            .unwrap();
        stage.runner.settle().await.unwrap();
        let lives = |stage: &Stage| {
            let said = stage.said(kind, TENANT, "waits");
            said.starts_with("Pending")
        };
        while lives(&stage) {
            assert!(copy(&stage, TENANT).is_some(), "{kind}");
            tick(&mut stage).await;
        }
        pass(&mut stage, UNUSED + 60).await;
        assert_eq!(copy(&stage, TENANT), None, "{kind}");
    }
}

#[tokio::test]
async fn a_copy_stays_for_an_application_that_uses_it_between_jobs() {
    let mut stage = forsaken(Guest::default().manifest(&manifest(true))).await;
    held_until(&mut stage, async |stage| {
        delete_database(stage).await;
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_changes_hands_in_between_is_not_removed() {
    let mut stage = forsaken(idle()).await;
    let rival = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.verb == Verb::Delete && operation.kind == "Secret" {
            rival.clear_interceptor();
            let mut taken = rival.read("v1", "Secret", Some(TENANT), COPY).unwrap();
            taken["metadata"]["labels"] = json!({});
            rival.put(taken).unwrap();
        }
        Verdict::Pass
    });
    pass(&mut stage, 2 * UNUSED).await;
    assert!(copy(&stage, TENANT).is_some());
}

#[tokio::test]
async fn a_job_that_comes_with_the_removal_has_its_copy() {
    let mut stage = forsaken(idle()).await;
    let rival = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.verb == Verb::Delete && operation.kind == "Secret" {
            rival.clear_interceptor();
            rival
                .put(json!({
                    "apiVersion": API, "kind": "BackupJob",
                    "metadata": { "name": "just-now", "namespace": TENANT },
                    "spec": {
                        "backupClassName": "cozy-default",
                        "applicationRef": { "kind": "Postgres", "name": "orders-db" },
                    },
                }))
                .unwrap();
        }
        Verdict::Pass
    });
    pass(&mut stage, UNUSED).await;
    let said = stage.job(TENANT, "just-now");
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");
}

#[tokio::test]
async fn a_removal_that_is_refused_is_tried_again() {
    let mut stage = forsaken(idle()).await;
    stage
        .cluster
        .set_policy(|operation: &Operation| operation.verb != Verb::Delete);
    pass(&mut stage, UNUSED).await;
    assert!(copy(&stage, TENANT).is_some());
    stage.cluster.clear_policy();
    pass(&mut stage, UNUSED).await;
    assert_eq!(copy(&stage, TENANT), None);
}

#[tokio::test]
async fn a_namespace_that_ends_is_left_alone() {
    let mut stage = platform(StorageSettings::default());
    back_up(&mut stage, TENANT, "first").await;
    // Somebody else's finalizers: the copy and the Backup stay for now, and so does the namespace.
    for (api_version, kind, name) in [("v1", "Secret", COPY), (API, "Backup", "first")] {
        let mut held = stage
            .cluster
            .read(api_version, kind, Some(TENANT), name)
            .unwrap();
        held["metadata"]["finalizers"] = json!(["example.org/wait"]);
        stage.cluster.put(held).unwrap();
    }
    stage
        .delete_cluster_scoped("v1", "Namespace", TENANT)
        .await
        .unwrap();
    stage.runner.settle().await.unwrap();
    drop(stage.cluster.take_requests());
    source(&stage, "AK2-of-the-platform", "SK2-of-the-platform");
    pass(&mut stage, 2 * UNUSED).await;
    let requests = stage.cluster.take_requests();
    let written = requests
        .iter()
        .find(|request| request.kind == "Secret" && request.writes());
    assert_eq!(written, None);
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");
}
