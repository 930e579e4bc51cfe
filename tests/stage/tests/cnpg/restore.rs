//! Restores in place: what is done in which order, and what there is in the end.

use backup_engine::cluster::memory::{Operation, Verb, Verdict};
use serde_json::{Value, json};
use stage::Fate;

use crate::world::*;

/// Defect 19: whatever was newest was restored, with the mistake that was to be undone.
// TestReconcileCNPGRestore_HealthyClusterSucceeds
#[tokio::test]
async fn the_backup_that_was_named_is_restored_and_not_the_newest() {
    let mut stage = backed_up().await;
    back_up(&mut stage, "later").await;
    let (older, newer) = (base_of(&stage, "ad-hoc"), base_of(&stage, "later"));
    assert!(older < newer);
    let before = cluster(&stage);
    let said = restored(&mut stage, &nothing(), Fate::Completes).await;
    assert_eq!(said, RESTORED);

    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(
        after["spec"]["bootstrap"]["recovery"]["recoveryTarget"],
        json!({ "backupID": older, "targetImmediate": true })
    );
    assert_eq!(
        recovered_from(&stage, CLUSTER),
        format!("s3://cozy-backups/{ARCHIVE}/base/{older}")
    );
    assert_eq!(
        condition(&stage, "WALArchiveReady"),
        "True ArchiveCaughtUp: what the restore needs is in the archive"
    );
    assert_eq!(
        condition(&stage, "TargetPurged"),
        "True ClusterPurged: the old Cluster is gone with its volumes"
    );
    assert_eq!(
        condition(&stage, "RecoveryConverged"),
        "True RecoveryConverged: the Cluster is healthy"
    );
}

#[tokio::test]
async fn what_a_restore_leaves_behind_is_what_the_chart_renders() {
    let mut stage = backed_up().await;
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    let cluster_before = cluster(&stage);
    insta::assert_yaml_snapshot!("restored-cluster", shown(&cluster_before), {
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
    });
    insta::assert_yaml_snapshot!(
        "recovery-store",
        shown(&store(&stage, "postgres-orders-db-recovery"))
    );
    insta::assert_yaml_snapshot!("restored-application", shown(&application(&stage)), {
        ".spec.bootstrap.newServerName" => "(postgres-orders-db and a hash)",
    });
    // Helm goes on, and changes nothing of it.
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 3).await;
    assert!(!is_suspended(&stage));
    assert_eq!(helm(&stage), "True: Helm upgrade succeeded");
    assert_eq!(
        cluster(&stage)["spec"],
        cluster_before["spec"],
        "the chart says the same"
    );
}

#[tokio::test]
async fn each_step_is_taken_on_what_the_cluster_shows() {
    let mut stage = backed_up().await;
    restore(&stage, &nothing());
    let operator = operator(&stage, Fate::Completes);
    let mut story: Vec<String> = vec![];
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        let said = said(&stage);
        let reason = said.split(": ").nth(1).unwrap_or_default();
        let found = cluster(&stage);
        let now = format!(
            "{reason}; Cluster {}, volumes {}, release {}, application {}",
            match (
                found.is_null(),
                found["spec"].pointer("/bootstrap/recovery")
            ) {
                (true, _) => "gone",
                (_, None) => "as it was",
                (_, Some(_)) => "from the archive",
            },
            volumes(&stage).len(),
            if is_suspended(&stage) {
                "suspended"
            } else {
                "goes on"
            },
            if application(&stage)["spec"]["bootstrap"]["enabled"] == true {
                "restored"
            } else {
                "as it was"
            },
        );
        if story.last() != Some(&now) {
            story.push(now);
        }
        if said.starts_with("Succeeded") {
            break;
        }
        turn(&stage, &operator).await;
    }
    insta::assert_yaml_snapshot!("restore-story", story);
}

/// Defect 5: the change of the application resumed Helm while the Cluster was deleted.
#[tokio::test]
async fn the_application_is_changed_only_when_the_cluster_is_healthy() {
    let mut stage = backed_up().await;
    let view = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.verb == Verb::Merge && operation.kind == "Postgres" {
            let read = |version: &str, kind: &str| view.read(version, kind, Some(TENANT), CLUSTER);
            let found = read(OPERATOR, "Cluster").unwrap();
            assert_eq!(found["status"]["phase"], "Cluster in healthy state");
            assert_eq!(read(HELM, "HelmRelease").unwrap()["spec"]["suspend"], true);
        }
        Verdict::Pass
    });
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
}

// TestCNPGClusterFullyGone: none, live, terminating, PVC left.
#[tokio::test]
async fn nothing_is_created_before_the_last_volume_is_gone() {
    let mut stage = backed_up().await;
    let said = restored(&mut stage, &nothing(), Fate::VolumesStay).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: ClusterPurging: waiting until these are gone: postgres-orders-db-1 (gave up waiting)"
    );
    assert!(!is_suspended(&stage));
}

/// A volume that nobody owns, such as that of a Cluster that was deleted without its dependents.
#[tokio::test]
async fn volumes_that_nobody_owns_go_too() {
    let mut stage = backed_up().await;
    let mut orphan = (*volumes(&stage)[0]).clone();
    orphan["metadata"]["name"] = json!("postgres-orders-db-2");
    for field in ["uid", "resourceVersion", "ownerReferences"] {
        orphan["metadata"].as_object_mut().unwrap().remove(field);
    }
    stage.cluster.put(orphan).unwrap();
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    assert_eq!(volumes(&stage).len(), 1);
}

// TestSetCNPGRestoreHRSuspended: what was suspended stays so.
#[tokio::test]
async fn a_release_that_was_suspended_before_stays_so() {
    let mut stage = backed_up().await;
    change(&stage, release(&stage), |release| {
        release["spec"]["suspend"] = true.into();
    });
    restore(&stage, &nothing());
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert_eq!(said, RESTORED);
    assert!(is_suspended(&stage));
}

// TestSetCNPGRestoreHRSuspended: missing HR.
#[tokio::test]
async fn a_cluster_without_a_release_is_restored() {
    let mut stage = backed_up().await;
    let found = release(&stage);
    remove(&stage, &found).await;
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
}

#[tokio::test]
async fn helm_finishes_what_it_has_begun_before_anything_is_deleted() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let conditions = |stage: &stage::Stage, conditions: Value| {
        change(stage, release(stage), |release| {
            release["status"]["conditions"] = conditions;
        });
    };
    conditions(
        &stage,
        json!([{ "type": "Reconciling", "status": "True", "reason": "Progressing" }]),
    );
    restore(&stage, &nothing());
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 3).await;
    assert!(said(&stage).contains("HelmReleaseBusy"), "{}", said(&stage));
    assert_eq!(cluster(&stage), before);
    conditions(&stage, json!([]));
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert_eq!(said, RESTORED);
}

#[tokio::test]
async fn a_cluster_that_helm_renders_in_between_is_deleted_again() {
    let mut stage = backed_up().await;
    restore(&stage, &nothing());
    let operator = operator(&stage, Fate::Completes);
    let mut was_resumed = false;
    for _ in 0..60 {
        stage.runner.settle().await.unwrap();
        if said(&stage).starts_with("Succeeded") {
            break;
        }
        if cluster(&stage).is_null() && !was_resumed {
            // Somebody resumes the release in the very moment in which the Cluster is gone.
            change(&stage, release(&stage), |release| {
                release["spec"]["suspend"] = false.into();
            });
            was_resumed = true;
        }
        turn(&stage, &operator).await;
    }
    assert!(was_resumed);
    assert_eq!(said(&stage), RESTORED);
    assert!(!recovered_from(&stage, CLUSTER).is_empty());
}

// TestReconcileCNPGRestore_RepeatInPlacePurgesStaleRecoveryCluster, TestCNPGPurgeNeeded, TestCNPGClusterFreshlyRecovered,
// TestRecoveryBootstrapClusterState: which Cluster is the job's own follows from what it remembers. Defect 16.
#[tokio::test]
async fn a_second_restore_from_the_same_backup_makes_another_cluster() {
    let mut stage = backed_up().await;
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 2).await;
    let first = cluster(&stage);
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    let second = cluster(&stage);
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(first["spec"]["bootstrap"], second["spec"]["bootstrap"]);
    turns(&mut stage, &operator, 2).await;
    assert_eq!(helm(&stage), "True: Helm upgrade succeeded");
}

// TestCNPGBackupWALArchived: CNPG Backup missing.
#[tokio::test]
async fn a_restore_needs_none_of_the_operators_old_objects() {
    let mut stage = backed_up().await;
    without_orders(&stage).await;
    let found = store(&stage, CLUSTER);
    remove(&stage, &found).await;
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    assert!(!recovered_from(&stage, CLUSTER).is_empty());
}

/// What a tenant reads: the job with what it remembers, conditions and events, the Backup, and what was written.
#[tokio::test]
async fn no_password_stands_where_the_tenant_reads() {
    let mut stage = backed_up().await;
    restore(&stage, &nothing());
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        for object in stage.cluster.objects() {
            let text = object.to_string();
            let holds_it = matches!(object["kind"].as_str(), Some("Secret" | "Postgres"));
            assert!(holds_it || !text.contains("a-password"), "{text}");
            assert!(
                object["kind"] == "Secret" || !text.contains(&stage.secret_key),
                "{text}"
            );
        }
        turn(&stage, &operator).await;
    }
    assert_eq!(said(&stage), RESTORED);
    // And the application keeps it.
    assert_eq!(
        application(&stage)["spec"]["users"]["orders"]["password"],
        "a-password"
    );
}
