//! What is not in order is said before anything is touched.

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::{Value, json};
use stage::{Fate, Stage};

use crate::world::*;

/// A restore is refused with this reason, and nothing was touched.
async fn refused(stage: &mut Stage, options: &Value, reason: &str) {
    let before = (cluster(stage), release(stage), volumes(stage));
    let said = restored(stage, options, Fate::Completes).await;
    assert!(
        said.starts_with(&format!("Failed RestoreFailed: {reason}")),
        "{reason}: {said}"
    );
    let after = (cluster(stage), release(stage), volumes(stage));
    assert_eq!(after, before, "{reason}");
}

fn change_backup(stage: &Stage, by: impl FnOnce(&mut Value)) {
    change(stage, backup(stage, "ad-hoc"), by);
}

/// Defect 18: nothing was looked at before the data was deleted.
// TestUnmarshalCNPGBackupSnapshot_RejectsMissingOrWrongKind: nil, wrong kind, malformed.
#[tokio::test]
async fn what_is_not_in_order_is_said_before_anything_is_touched() {
    type Spoil = fn(&Stage);
    let cases: [(&str, Spoil); 10] = [
        ("BaseBackupGone: ", |stage| {
            for key in stage.storage.keys() {
                if key.ends_with("backup.info") {
                    stage.storage.remove(&key);
                }
            }
        }),
        ("SnapshotMissing: ", |stage| {
            change_backup(stage, |backup| {
                let status = backup["status"].as_object_mut().unwrap();
                status.remove("underlyingResources");
            });
        }),
        ("UnrecognisedSnapshot: ", |stage| {
            change_backup(stage, |backup| {
                backup["status"]["underlyingResources"]["kind"] = json!("Other");
            });
        }),
        ("UnrecognisedSnapshot: ", |stage| {
            change_backup(stage, |backup| {
                backup["status"]["underlyingResources"] = json!({});
            });
        }),
        ("MetadataMissing: ", |stage| {
            change_backup(stage, |backup| backup["spec"]["driverMetadata"] = json!({}));
        }),
        ("MetadataMissing: ", |stage| {
            change_backup(stage, |backup| {
                let metadata = backup["spec"]["driverMetadata"].as_object_mut().unwrap();
                metadata.remove("cnpg.io/backup-name");
                metadata.remove("cnpg.io/backup-id");
            });
        }),
        ("InvalidMetadata: ", |stage| {
            change_backup(stage, |backup| {
                backup["spec"]["driverMetadata"]["cnpg.io/backup-id"] = json!("../other");
            });
        }),
        ("ClusterKeptDown: ", |stage| {
            change(stage, cluster(stage), |cluster| {
                cluster["metadata"]["annotations"]["cnpg.io/hibernation"] = json!("on");
            });
        }),
        ("ClusterArchivesNatively: ", |stage| {
            change(stage, cluster(stage), |cluster| {
                cluster["spec"]["backup"] = json!({ "barmanObjectStore": {} });
                cluster["spec"]["plugins"] = json!([]);
            });
        }),
        ("TooLargeToCapture: ", |stage| {
            change(stage, cluster(stage), |cluster| {
                cluster["spec"]["padding"] = json!("x".repeat(70_000));
            });
        }),
    ];
    for (reason, spoil) in cases {
        let mut stage = backed_up().await;
        spoil(&stage);
        refused(&mut stage, &nothing(), reason).await;
    }
}

/// Defect 17: options that could not be read led to a restore of whatever was newest.
// TestParseCNPGRestoreOptions: malformed.
#[tokio::test]
async fn options_that_cannot_be_meant_are_refused_by_name() {
    for (options, words) in [
        (
            json!({ "recoveryTime": "yesterday" }),
            ["InvalidOptions", "recoveryTime"],
        ),
        (
            json!({ "recoveryTime": "2026-11-25 12:00:00" }),
            ["InvalidOptions", "recoveryTime"],
        ),
        (
            json!({ "recoveryTime": "2026-11-25T12:00:00Z\nx: y" }),
            ["InvalidOptions", "RFC 3339"],
        ),
        (
            json!({ "recoveryTime": 5 }),
            ["spec.options", "recoveryTime"],
        ),
        (
            json!({ "restoreTimeoutSeconds": "soon" }),
            ["spec.options", "restoreTimeoutSeconds"],
        ),
        (
            json!({ "walArchiveTimeoutSeconds": [] }),
            ["spec.options", "walArchiveTimeoutSeconds"],
        ),
        (
            json!({ "recoveryTime": "2026-11-25T11:00:00Z" }),
            ["RecoveryTimeTooEarly", "name an earlier Backup"],
        ),
        (
            json!({ "recoveryTime": "2027-01-01T00:00:00Z" }),
            ["RecoveryTimeInFuture", "has not come yet"],
        ),
    ] {
        let mut stage = backed_up().await;
        let before = (cluster(&stage), release(&stage), volumes(&stage));
        let said = restored(&mut stage, &options, Fate::Completes).await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        let after = (cluster(&stage), release(&stage), volumes(&stage));
        assert_eq!(after, before, "{options}");
    }
}

// TestValidateCNPGApplicationRef
#[tokio::test]
async fn only_another_postgres_takes_the_data() {
    for (target, words) in [
        (
            json!({ "kind": "Postgres", "name": "absent" }),
            "deploy it first",
        ),
        (json!({ "kind": "Etcd", "name": "orders-db" }), "Etcd"),
        (
            json!({ "apiGroup": "apps.example.org", "kind": "Postgres", "name": "orders-db" }),
            "apps.example.org",
        ),
    ] {
        let mut stage = backed_up().await;
        let before = cluster(&stage);
        stage
            .cluster
            .put(json!({
                "apiVersion": "backups.cozystack.io/v1alpha1",
                "kind": "RestoreJob",
                "metadata": { "name": "back", "namespace": TENANT },
                "spec": { "backupRef": { "name": "ad-hoc" }, "targetApplicationRef": target },
            }))
            .unwrap();
        let operator = operator(&stage, Fate::Completes);
        let said = play(&mut stage, &operator, "RestoreJob", "back").await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(cluster(&stage), before);
    }
}

#[tokio::test]
async fn a_cluster_that_could_not_be_created_again_is_left_alone() {
    let mut stage = backed_up().await;
    let before = (cluster(&stage), volumes(&stage));
    stage.cluster.set_interceptor(|operation: &Operation| {
        if operation.dry_run && operation.kind == "Cluster" {
            let words = "admission webhook \"vcluster.cnpg.io\" denied the request: spec.imageName: unknown";
            return Verdict::Fail(ApiError::new(ApiReason::Invalid, words));
        }
        Verdict::Pass
    });
    let said = restored(&mut stage, &nothing(), Fate::Completes).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: Refused: the Cluster was left alone, since it could not be created again from the \
             archive: admission webhook"
        ),
        "{said}"
    );
    assert_eq!((cluster(&stage), volumes(&stage)), before);
    assert!(!is_suspended(&stage));
}

/// There is nothing to capture, and Helm does not render anything either.
#[tokio::test]
async fn a_cluster_that_is_not_there_is_waited_for_half_an_hour() {
    let mut stage = backed_up().await;
    let found = cluster(&stage);
    change(&stage, release(&stage), |release| {
        release["spec"]["suspend"] = json!(true)
    });
    remove(&stage, &found).await;
    let said = restored(&mut stage, &nothing(), Fate::Completes).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: ClusterNotFound: there is no Cluster tenant-acme/postgres-orders-db to restore into; see \
         why HelmRelease postgres-orders-db does not render it (gave up waiting)"
    );
    assert!(is_suspended(&stage));
}
