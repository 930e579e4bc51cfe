//! Restores, in place and into another application.

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::{Value, json};
use stage::{FoundationDbFate, FoundationDbOperator, Operator as _};

use crate::{OPERATOR, RESTORED, TENANT, World, labels_of_the_first_controller};

/// What a cluster was restored from.
fn restored(world: &World, application: &str) -> Option<(String, Option<i64>)> {
    FoundationDbOperator::restored(&world.cluster(application))
}

/// The state that a Backup is of.
fn version(world: &World) -> i64 {
    let version = world.metadata("ad-hoc", "restorable-version");
    version.as_str().unwrap().parse().unwrap()
}

fn condition(world: &World, kind: &str) -> Value {
    let job = world.stage.read("RestoreJob", TENANT, "back");
    let conditions = job["status"]["conditions"].as_array().unwrap().clone();
    conditions
        .into_iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or_default()
}

/// Defects 4 and 5: FoundationDB restores only into an empty cluster, and only where there are agents.
#[tokio::test]
async fn a_cluster_is_replaced_by_an_empty_one_and_filled_by_agents() {
    let mut world = World::with_backup().await;
    let before = world.cluster("fdb");
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    let after = world.cluster("fdb");
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(
        after["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "Helm"
    );
    assert_eq!(
        after["metadata"]["annotations"]["meta.helm.sh/release-name"],
        "foundationdb-fdb"
    );
    assert_eq!(
        restored(&world, "fdb"),
        Some((world.blob_name("ad-hoc"), Some(version(&world))))
    );
    assert!(!world.is_suspended());
    for kind in ["FoundationDBClusterSpecCaptured", "TargetPurged"] {
        assert_eq!(condition(&world, kind)["status"], "True", "{kind}");
    }
    world.turns_pass(2).await;
    assert!(
        world.orders().is_empty(),
        "agents are sent home, and the old stream is over"
    );
}

// TestEnsureFoundationDBRestore_IdempotentByLabel, TestResolveFoundationDBRestoreBlob_SnapshotWinsOverMetadata
#[tokio::test]
async fn the_restore_that_is_ordered_names_what_the_backup_kept() {
    let mut world = World::with_backup().await;
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    let orders = world.of_kind("FoundationDBRestore");
    let [order] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    let name = world.blob_name("ad-hoc");
    assert_eq!(
        order["spec"],
        json!({
            "destinationClusterName": "foundationdb-fdb",
            "blobStoreConfiguration": {
                "accountName": "@s3.cozy.example",
                "bucket": "cozy-backups",
                "backupName": name,
                "urlParameters": ["secure_connection=1", "region=eu-1"],
            },
            "backupVersion": version(&world),
        })
    );
    assert_eq!(
        order["metadata"]["labels"]["backups.cozystack.io/owned-by.BackupJobName"],
        "back"
    );
    // It goes with its job.
    world
        .stage
        .delete("RestoreJob", TENANT, "back")
        .await
        .unwrap();
    world.turns_pass(2).await;
    assert!(world.of_kind("FoundationDBRestore").is_empty());
}

/// Defect 14: the stream goes on when the job is over, and its last state is not that of the Backup.
#[tokio::test]
async fn the_state_of_the_backup_comes_back_however_long_its_stream_went_on() {
    let mut world = World::with_backup().await;
    let taken = version(&world);
    for _ in 0..5 {
        world.stage.cluster.advance(20);
        let now = world.now();
        world
            .operator
            .stream(&world.stage.cluster, now)
            .await
            .unwrap();
    }
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    assert_eq!(restored(&world, "fdb").unwrap().1, Some(taken));
}

#[tokio::test]
async fn another_state_of_the_stream_can_be_asked_for() {
    for (options, later) in [
        (json!({ "latest": true }), None),
        (
            json!({ "backupVersion": 1_795_608_200_000_000_i64 }),
            Some(1_795_608_200_000_000),
        ),
    ] {
        let mut world = World::with_backup().await;
        for _ in 0..10 {
            world.stage.cluster.advance(20);
            let now = world.now();
            world
                .operator
                .stream(&world.stage.cluster, now)
                .await
                .unwrap();
        }
        assert_eq!(world.restore(&options).await, RESTORED);
        assert_eq!(restored(&world, "fdb").unwrap().1, later);
    }
}

#[tokio::test]
async fn a_state_that_the_stream_does_not_hold_is_refused_before_anything_is_touched() {
    for version in [1_i64, 9_000_000_000_000_000] {
        let mut world = World::with_backup().await;
        let before = world.cluster("fdb");
        let said = world.restore(&json!({ "backupVersion": version })).await;
        assert!(
            said.starts_with("Failed RestoreFailed: NotRestorable: data/tenant-acme/fdb/"),
            "{said}"
        );
        assert_eq!(world.cluster("fdb"), before);
    }
}

// TestResolveFoundationDBRestoreTarget
#[tokio::test]
async fn a_backup_is_restored_into_another_application() {
    let mut world = World::with_backup().await;
    world.stage.foundationdb(TENANT, "copy").unwrap();
    world.turns_pass(2).await;
    let source = world.cluster("fdb");
    world
        .stage
        .restore_job_to(
            TENANT,
            "back",
            "ad-hoc",
            ("FoundationDB", "copy"),
            &json!({}),
        )
        .unwrap();
    assert_eq!(world.play("RestoreJob", "back").await, RESTORED);
    assert_eq!(
        restored(&world, "copy"),
        Some((world.blob_name("ad-hoc"), Some(version(&world))))
    );
    assert_eq!(
        world.cluster("fdb")["metadata"]["uid"],
        source["metadata"]["uid"]
    );
    assert!(
        FoundationDbOperator::streams_to(&world.cluster("fdb")).is_some(),
        "the stream of the source goes on"
    );
}

/// Defect 12: what a database keeps of its last restore the operator takes for the next one's.
#[tokio::test]
async fn a_second_restore_restores_once_more() {
    let mut world = World::with_backup().await;
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    let first = world.cluster("fdb");
    world
        .stage
        .restore_job(TENANT, "again", "ad-hoc", &json!({ "latest": true }))
        .unwrap();
    assert_eq!(world.play("RestoreJob", "again").await, RESTORED);
    assert_ne!(
        world.cluster("fdb")["metadata"]["uid"],
        first["metadata"]["uid"]
    );
    assert_eq!(restored(&world, "fdb").unwrap().1, None);
    // The first one's object would have started over in the new cluster.
    assert_eq!(world.of_kind("FoundationDBRestore").len(), 1);
}

/// Defect 20: a RestoreJob created anew under its name took the old one's end for its own.
#[tokio::test]
async fn a_restore_created_anew_under_an_old_name_restores_anew() {
    let mut world = World::with_backup().await;
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    let first = world.cluster("fdb");
    world
        .stage
        .delete("RestoreJob", TENANT, "back")
        .await
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    assert_ne!(
        world.cluster("fdb")["metadata"]["uid"],
        first["metadata"]["uid"]
    );
}

#[tokio::test]
async fn a_restore_that_no_job_has_made_would_start_over_and_is_told() {
    let mut world = World::with_backup().await;
    let put = |world: &World, labels: &Value| {
        let order = json!({
            "apiVersion": OPERATOR,
            "kind": "FoundationDBRestore",
            "metadata": { "name": "old", "namespace": TENANT, "labels": labels },
            "spec": { "destinationClusterName": "foundationdb-fdb" },
        });
        world.stage.cluster.put(order).unwrap();
    };
    put(&world, &json!({}));
    let before = world.cluster("fdb")["metadata"]["uid"].clone();
    let said = world.restore(&json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: ConflictingRestore: FoundationDBRestore old "),
        "{said}"
    );
    assert_eq!(world.cluster("fdb")["metadata"]["uid"], before);

    let mut world = World::with_backup().await;
    put(&world, &labels_of_the_first_controller("old"));
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    assert_eq!(
        restored(&world, "fdb").unwrap().0,
        world.blob_name("ad-hoc")
    );
}

/// Defect 13.
#[tokio::test]
async fn a_restore_that_is_aborted_ends_at_once() {
    let mut world = World::with_backup().await;
    world.turns(FoundationDbFate::RestoreAborts);
    let start = world.stage.cluster.now();
    let said = world.restore(&json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RestoreAborted: "),
        "{said}"
    );
    assert!((world.stage.cluster.now() - start) / 60 < 10);
    assert!(!world.is_suspended());
}

// TestFoundationDBBackupDeadlineExceeded, TestParseFoundationDBRestoreOptions
#[tokio::test]
async fn a_restore_has_the_time_that_was_asked_for() {
    for (options, minutes) in [
        (json!({}), 30),
        (json!({ "restoreTimeoutSeconds": 600 }), 10),
        (json!({ "restoreTimeoutSeconds": -1 }), 30),
        (json!(null), 30),
    ] {
        let mut world = World::with_backup().await;
        world.turns(FoundationDbFate::RestoreStalls);
        let start = world.stage.cluster.now();
        let said = world.restore(&options).await;
        assert!(
            said.starts_with("Failed RestoreFailed: FoundationDBRestoreRunning: "),
            "{said}"
        );
        let took = (world.stage.cluster.now() - start) / 60;
        assert!(
            (minutes..minutes + 10).contains(&took),
            "{took} minutes for {options}"
        );
        assert!(!world.is_suspended());
    }
}

// TestReconcileFoundationDBRestore_MalformedOptionsIsTerminal
#[tokio::test]
async fn an_option_of_a_wrong_type_is_named() {
    let mut world = World::with_backup().await;
    let before = world.cluster("fdb");
    let said = world
        .restore(&json!({ "restoreTimeoutSeconds": "soon" }))
        .await;
    assert!(
        said.starts_with("Failed ") && said.contains("restoreTimeoutSeconds"),
        "{said}"
    );
    assert_eq!(world.cluster("fdb"), before);
    assert!(world.of_kind("FoundationDBRestore").is_empty());
}

// TestReconcileFoundationDBRestore_TargetClusterNotFoundIsTransient
#[tokio::test]
async fn a_target_that_does_not_exist_yet_is_waited_for() {
    let mut world = World::with_backup().await;
    world
        .stage
        .restore_job_to(
            TENANT,
            "back",
            "ad-hoc",
            ("FoundationDB", "copy"),
            &json!({}),
        )
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    let said = world.stage.said("RestoreJob", TENANT, "back");
    assert!(!said.starts_with("Failed"), "{said}");
    world.stage.foundationdb(TENANT, "copy").unwrap();
    assert_eq!(world.play("RestoreJob", "back").await, RESTORED);
}

// TestReconcileFoundationDBRestore_KindCheckedBeforeBlobLookup
#[tokio::test]
async fn a_target_of_another_kind_is_refused() {
    let mut world = World::with_backup().await;
    let mut backup = world.backup("ad-hoc");
    backup["spec"]["driverMetadata"] = json!({});
    backup["status"]
        .as_object_mut()
        .unwrap()
        .remove("underlyingResources");
    world.stage.cluster.put(backup).unwrap();
    world
        .stage
        .restore_job_to(TENANT, "back", "ad-hoc", ("Postgres", "fdb"), &json!({}))
        .unwrap();
    let said = world.play("RestoreJob", "back").await;
    assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
    assert!(said.contains("Postgres"), "{said}");
    assert!(!said.contains("MetadataMissing"), "{said}");
}

#[tokio::test]
async fn what_is_not_in_order_is_said_before_anything_is_touched() {
    type Spoil = fn(&World);
    let cases: [(&str, Spoil); 6] = [
        ("NotRestorable: ", |world| {
            for key in world.stage.storage.keys() {
                if key.contains("/snapshots/") {
                    world.stage.storage.remove(&key);
                }
            }
        }),
        ("NotRestorable: ", |world| {
            for key in world.stage.storage.keys() {
                if key.contains("/logs/") {
                    world.stage.storage.remove(&key);
                }
            }
        }),
        ("NothingToCapture: ", |world| {
            world.change(|cluster| cluster["spec"] = json!({}))
        }),
        ("TooLargeToCapture: ", |world| {
            world.change(|cluster| cluster["spec"]["padding"] = "x".repeat(70_000).into());
        }),
        // TestDecodeFoundationDBBackupSnapshot_RejectsMismatchedKind
        ("UnrecognisedSnapshot: ", |world| {
            let mut backup = world.backup("ad-hoc");
            backup["status"]["underlyingResources"]["kind"] = "Other".into();
            world.stage.cluster.put(backup).unwrap();
        }),
        // TestDecodeFoundationDBBackupSnapshot_RejectsMismatchedAPIVersion,
        // TestReconcileFoundationDBRestore_SnapshotAPIVersionMismatchIsTerminal
        ("UnrecognisedSnapshot: ", |world| {
            let mut backup = world.backup("ad-hoc");
            backup["status"]["underlyingResources"]["apiVersion"] = "example.org/v1".into();
            world.stage.cluster.put(backup).unwrap();
        }),
    ];
    for (reason, spoil) in cases {
        let mut world = World::with_backup().await;
        spoil(&world);
        let before = world.cluster("fdb");
        let said = world.restore(&json!({})).await;
        assert!(
            said.starts_with(&format!("Failed RestoreFailed: {reason}")),
            "{said}"
        );
        assert_eq!(world.cluster("fdb"), before, "{reason}");
        assert!(!world.is_suspended());
        assert!(world.of_kind("FoundationDBRestore").is_empty());
    }
}

// TestResolveFoundationDBRestoreBlob_MetadataFallback, TestDecodeFoundationDBBackupSnapshot_NilRawReturnsNilNil
/// Defect 23: the parameters of the URL are in the metadata, too.
#[tokio::test]
async fn a_backup_without_its_document_is_restored_by_its_metadata() {
    let mut world = World::with_backup().await;
    let mut backup = world.backup("ad-hoc");
    backup["status"]["underlyingResources"] = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "FoundationDBBackupSnapshot",
        "storage": "not a place",
    });
    world.stage.cluster.put(backup).unwrap();
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    let orders = world.of_kind("FoundationDBRestore");
    assert_eq!(
        orders[0]["spec"]["blobStoreConfiguration"]["urlParameters"],
        json!(["secure_connection=1", "region=eu-1"])
    );
    let events = world.of_kind("Event");
    let malformed = |event: &&Value| event["reason"] == "MalformedSnapshot";
    assert_eq!(events.iter().filter(malformed).count(), 1);
}

// TestResolveFoundationDBRestoreBlob_EmptyReturnsFalse
#[tokio::test]
async fn a_backup_that_says_nothing_of_its_place_is_not_restored() {
    let mut world = World::with_backup().await;
    let mut backup = world.backup("ad-hoc");
    backup["spec"]["driverMetadata"] = json!({});
    backup["status"]
        .as_object_mut()
        .unwrap()
        .remove("underlyingResources");
    world.stage.cluster.put(backup).unwrap();
    let said = world.restore(&json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: MetadataMissing: "),
        "{said}"
    );
}

#[tokio::test]
async fn volumes_that_are_not_gone_keep_the_new_cluster_from_coming() {
    let mut world = World::of_fate(FoundationDbFate::VolumesStay);
    world.turns_pass(1).await;
    world.turns(FoundationDbFate::Completes);
    assert!(world.back_up("ad-hoc").await.starts_with("Succeeded"));
    let said = world.restore(&json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: FoundationDBClusterPurging: waiting until these are gone: foundationdb-fdb"),
        "{said}"
    );
    assert!(!world.is_suspended());
}

/// Defect 26: a cluster that exists is not yet one that can be restored into.
#[tokio::test]
async fn a_new_cluster_that_does_not_come_up_ends_the_restore() {
    let mut world = World::with_backup().await;
    world.turns(FoundationDbFate::ClusterStalls);
    let said = world.restore(&json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: FoundationDBClusterStarting: "),
        "{said}"
    );
    assert!(world.of_kind("FoundationDBRestore").is_empty());
    assert!(!world.is_suspended());
}

/// The coordinators that a seed names are gone with the old cluster.
#[tokio::test]
async fn a_new_cluster_looks_for_no_old_coordinators() {
    let mut world = World::new();
    world.change(|cluster| cluster["spec"]["seedConnectionString"] = "fdb:0f@10.0.0.1:4501".into());
    assert!(world.back_up("ad-hoc").await.starts_with("Succeeded"));
    assert_eq!(world.restore(&json!({})).await, RESTORED);
    assert!(
        world.cluster("fdb")["spec"]
            .get("seedConnectionString")
            .is_none()
    );
}

#[tokio::test]
async fn each_step_is_taken_on_what_the_cluster_shows() {
    let mut world = World::with_backup().await;
    world
        .stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    let mut story: Vec<String> = vec![];
    for _ in 0..40 {
        world.stage.runner.settle().await.unwrap();
        let said = world.stage.said("RestoreJob", TENANT, "back");
        let reason = said.split(": ").nth(1).unwrap_or_default().to_owned();
        let now = format!(
            "{reason}; clusters {}, volumes {}, backups {}, restores {}, release {}",
            world.of_kind("FoundationDBCluster").len(),
            world.of_kind("PersistentVolumeClaim").len(),
            world.orders().len(),
            world.of_kind("FoundationDBRestore").len(),
            if world.is_suspended() {
                "suspended"
            } else {
                "goes on"
            },
        );
        if story.last() != Some(&now) {
            story.push(now);
        }
        if said.starts_with("Succeeded") {
            break;
        }
        world.stage.cluster.advance(20);
        let now = world.now();
        world
            .operator
            .step(&world.stage.cluster, now)
            .await
            .unwrap();
    }
    insta::assert_yaml_snapshot!("foundationdb-restore-story", story);
}

/// Whatever reason the API server gives: a trial that is refused is no trial that was made.
#[tokio::test]
async fn a_trial_that_is_refused_leaves_the_cluster_untouched() {
    for kind in [
        "FoundationDBCluster",
        "FoundationDBBackup",
        "FoundationDBRestore",
    ] {
        for reason in [ApiReason::Invalid, ApiReason::Forbidden] {
            let mut world = World::with_backup().await;
            let before = world.cluster("fdb")["metadata"]["uid"].clone();
            world
                .stage
                .cluster
                .set_interceptor(move |operation: &Operation| {
                    if operation.dry_run && operation.kind == kind {
                        return Verdict::Fail(ApiError::new(reason, "not here"));
                    }
                    Verdict::Pass
                });
            let said = world.restore(&json!({})).await;
            assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
            assert!(said.contains("not here"), "{said}");
            assert_eq!(
                world.cluster("fdb")["metadata"]["uid"],
                before,
                "{kind} {reason:?}"
            );
            assert!(!world.is_suspended());
        }
    }
}
