//! The way of a BackupJob.

use super::*;

/// An object without what differs from run to run or only machines read.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(member);
    }
    object
}

// TestEnsureEtcdBackup_NoOwnerReference, TestCreateEtcdBackupArtifact_PassesSnapshotThrough
#[tokio::test]
async fn a_job_leads_to_a_snapshot_and_a_backup() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert_eq!(said, "Succeeded BackupCompleted: Backup ad-hoc is complete");

    let snapshot = snapshots(&stage)[0].clone();
    let name = snapshot["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        stage.storage.keys(),
        [format!("tenant-acme/etcd/{name}.db")]
    );
    assert!(snapshot["metadata"].get("ownerReferences").is_none());
    insta::assert_yaml_snapshot!("etcd-snapshot", shown(&snapshot), {
        ".metadata.name" => "(name)",
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".status.artifact.uri" => "(uri)",
    });
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["status"]["artifact"]["uri"],
        format!("s3://cozy-backups/tenant-acme/etcd/{name}.db")
    );
    assert_eq!(
        backup["spec"]["driverMetadata"]["etcd.aenix.io/backup-name"],
        name
    );
    insta::assert_yaml_snapshot!("etcd-backup", shown(&backup), {
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".spec.plugin.digest" => "(digest)",
        ".spec.driverMetadata[\"etcd.aenix.io/backup-name\"]" => "(name)",
        ".status.artifact.uri" => "(uri)",
    });
}

// TestCreateEtcdBackupArtifact_NoSnapshotLeavesArtifactNil
#[tokio::test]
async fn where_the_operator_does_not_say_where_it_stored_nothing_is_made_up() {
    let mut stage = platform();
    order(&stage);
    stage.runner.settle().await.unwrap();
    let mut snapshot = (*snapshots(&stage)[0]).clone();
    snapshot["status"] = json!({ "phase": "Complete" });
    stage.cluster.put(snapshot).unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert!(backup["status"].get("artifact").is_none(), "{backup}");
    // Its metadata says where it lies all the same.
    assert!(backup["spec"]["driverMetadata"]["etcd.aenix.io/key"].is_string());
}

// TestValidateEtcdApplicationRef, TestReconcileEtcd_RejectsWrongKind. The group of an application that names none is
// Cozystack's.
#[tokio::test]
async fn only_etcds_of_cozystack_are_backed_up() {
    for (group, kind) in [
        ("apps.example.org", "Etcd"),
        ("apps.cozystack.io", "Postgres"),
    ] {
        let mut stage = platform();
        let application = json!({ "apiGroup": group, "kind": kind, "name": "etcd" });
        let class = stage.cluster.read(API, "BackupClass", None, "cozy-default");
        let mut class = class.unwrap();
        class["spec"]["strategies"][0]["application"] = json!({ "apiGroup": group, "kind": kind });
        stage.cluster.put(class).unwrap();
        stage
            .cluster
            .put(json!({
                "apiVersion": API,
                "kind": "BackupJob",
                "metadata": { "name": "ad-hoc", "namespace": TENANT },
                "spec": { "backupClassName": "cozy-default", "applicationRef": application },
            }))
            .unwrap();
        let operator = operator(&stage, EtcdFate::Completes);
        let said = backs_up(&mut stage, &operator).await;
        assert!(said.starts_with("Failed") && said.contains(group), "{said}");
        assert!(snapshots(&stage).is_empty());
    }
}

// TestReconcileEtcd_StrategyMissingIsTransient
#[tokio::test]
async fn a_strategy_that_is_missing_is_waited_for() {
    let mut stage = platform();
    let strategies = "strategy.backups.cozystack.io/v1alpha1";
    stage
        .delete_cluster_scoped(strategies, "Etcd", "cozy-default-etcd")
        .await
        .unwrap();
    order(&stage);
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.starts_with("Pending StrategyNotReady"), "{said}");
    stage.defaults(&["etcd"]).unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// TestLatestEtcdBackupConditionMessage_PrefersFailedCondition: its cases are with the strategy.
#[tokio::test]
async fn a_failure_of_the_operator_is_told_to_the_tenant_and_the_snapshot_is_removed() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(
        &stage,
        EtcdFate::SnapshotFails("backoff limit reached".to_owned()),
    );
    let said = backs_up(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed BackupFailed: EtcdBackupFailed: the etcd operator has failed: backoff limit reached (JobFailed)"
    );
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    assert!(snapshots(&stage).is_empty());
}

/// Defect 17: the operator reaches the cluster by a name that the certificates of older charts do not have, and says only
/// that its Job has failed.
#[tokio::test]
async fn a_certificate_without_the_operators_name_is_told_with_what_to_do() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(
        &stage,
        EtcdFate::SnapshotFails("backoff limit reached".to_owned()),
    );
    stage.runner.settle().await.unwrap();
    let name = snapshots(&stage)[0]["metadata"]["name"].clone();
    let job = format!("{}-snapshot", name.as_str().unwrap());
    stage
        .cluster
        .put(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{job}-x"),
                "namespace": TENANT,
                "labels": { "batch.kubernetes.io/job-name": job },
            },
            "spec": { "containers": [{ "name": "snapshot-agent", "image": "etcd-operator" }] },
        }))
        .unwrap();
    let log = "x509: certificate is valid for etcd, localhost, not etcd-client.tenant-acme.svc";
    stage
        .cluster
        .set_log(TENANT, &format!("{job}-x"), "snapshot-agent", false, log);
    let said = backs_up(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed BackupFailed: EtcdBackupFailed: the etcd operator has failed: backoff limit reached (JobFailed); the \
         certificate of the EtcdCluster does not name etcd-client.tenant-acme.svc, by which the operator reaches it: add \
         that to its names"
    );
}

#[tokio::test]
async fn the_operator_has_the_last_word_before_the_job_gives_up() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(&stage, EtcdFate::SnapshotStalls);
    let start = stage.cluster.now();
    let said = backs_up(&mut stage, &operator).await;
    let minutes = (stage.cluster.now() - start) / 60;
    assert!((35..37).contains(&minutes), "{minutes} minutes");
    assert_eq!(
        said,
        "Failed BackupFailed: EtcdBackupRunning: the etcd operator is taking the snapshot (phase: Pending) (gave up waiting)"
    );
    assert!(
        snapshots(&stage).is_empty(),
        "an unfinished snapshot is removed"
    );
}

#[tokio::test]
async fn a_missing_secret_is_named_long_before_the_job_gives_up() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(
        &stage,
        EtcdFate::SnapshotStuck("secret \"own\" not found".to_owned()),
    );
    let start = stage.cluster.now();
    let said = backs_up(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed BackupFailed: EtcdSnapshotStuck: "),
        "{said}"
    );
    assert!(
        said.contains("CreateContainerConfigError: secret \"own\" not found"),
        "{said}"
    );
    assert!((stage.cluster.now() - start) / 60 < 13);
}

// TestEtcdClusterReady, TestRequeueBackupJobWithReason_SetsRunningPhase: a job that waits for a precondition is Pending.
#[tokio::test]
async fn a_cluster_that_is_not_available_is_waited_for() {
    let mut stage = platform();
    change(&stage, |cluster| {
        cluster["status"]["conditions"][0]["status"] = "False".into();
        cluster["status"]["conditions"][0]["reason"] = "QuorumLost".into();
        cluster["status"]["conditions"][0]["message"] = "two members do not answer".into();
    });
    order(&stage);
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Pending Waiting: EtcdClusterNotAvailable: EtcdCluster tenant-acme/etcd cannot be backed up now: \
         Available=False, QuorumLost: two members do not answer"
    );
    assert!(snapshots(&stage).is_empty());
    change(&stage, |cluster| {
        cluster["status"]["conditions"][0]["status"] = "True".into()
    });
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// TestReconcileEtcd_BackupJobDeadlineWhileWaitingForCluster
#[tokio::test]
async fn a_cluster_that_never_becomes_available_ends_the_job_after_20_minutes() {
    let mut stage = platform();
    change(&stage, |cluster| {
        cluster["status"]["conditions"] = json!([]);
    });
    // Its own step would make it available.
    order(&stage);
    stage.runner.settle().await.unwrap();
    stage.cluster.advance(20 * 60 - 1);
    stage.runner.settle().await.unwrap();
    assert!(stage.job(TENANT, "ad-hoc").starts_with("Pending"));
    stage.cluster.advance(2);
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: EtcdClusterNotAvailable: "),
        "{said}"
    );
    assert!(
        said.contains("the operator has not said yet whether it is Available"),
        "{said}"
    );
}

// TestReconcileEtcd_BackupJobDeadlineWhileWaitingForCluster
#[tokio::test]
async fn a_cluster_that_never_appears_ends_the_job_after_20_minutes() {
    let mut stage = platform();
    let mut held = release(&stage);
    held["spec"]["suspend"] = true.into();
    stage.cluster.put(held).unwrap();
    stage
        .delete_any(OPERATOR, "EtcdCluster", Some(TENANT), "etcd")
        .await
        .unwrap();
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let start = stage.cluster.now();
    let said = backs_up(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed BackupFailed: EtcdClusterNotAvailable: "),
        "{said}"
    );
    assert!(said.contains("it does not exist yet"), "{said}");
    let minutes = (stage.cluster.now() - start) / 60;
    assert!((20..22).contains(&minutes), "{minutes} minutes");
}

#[tokio::test]
async fn an_application_by_another_name_is_not_told_of_its_neighbours_backup() {
    let mut stage = platform();
    stage.etcd(TENANT, "second").unwrap();
    stage.etcd_backup_job(TENANT, "ad-hoc", "second").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed BackupFailed: UnsupportedApplication: "),
        "{said}"
    );
    assert!(snapshots(&stage).is_empty());
}

// Defect 11 of the reference: what the job had ordered ran on.
#[tokio::test]
async fn a_job_that_is_deleted_takes_its_snapshot_and_what_was_stored_with_it() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    for _ in 0..3 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
    }
    // Stored and complete, and the job has not seen it.
    assert_eq!(stage.storage.keys().len(), 1);
    stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("BackupJob", TENANT, "ad-hoc"), Value::Null);
    assert!(snapshots(&stage).is_empty());
    assert!(stage.storage.keys().is_empty());
}

// Defect 8 of the reference.
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_takes_a_new_snapshot() {
    let mut stage = platform();
    let operator = operator(&stage, EtcdFate::Completes);
    let mut taken = vec![];
    for _ in 0..2 {
        order(&stage);
        let said = backs_up(&mut stage, &operator).await;
        assert!(said.starts_with("Succeeded"), "{said}");
        taken.extend(stage.storage.keys());
        stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
        stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
        stage.runner.settle().await.unwrap();
    }
    assert_eq!(taken.len(), 2);
    assert_ne!(taken[0], taken[1]);
    assert!(snapshots(&stage).is_empty());
}

#[tokio::test]
async fn a_job_with_a_long_name_has_its_snapshot() {
    let mut stage = platform();
    let name = "a".repeat(200);
    stage.etcd_backup_job(TENANT, &name, "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", &name).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let snapshot = snapshots(&stage)[0].clone();
    // The operator makes a label of it, with nine characters more.
    assert!(snapshot["metadata"]["name"].as_str().unwrap().len() <= 54);
}

#[tokio::test]
async fn a_backup_waits_while_the_cluster_is_restored() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    stage.runner.settle().await.unwrap();
    stage.etcd_backup_job(TENANT, "second", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "second");
    assert!(said.starts_with("Pending ApplicationBusy"), "{said}");
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    let said = play(&mut stage, &operator, "BackupJob", "second").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_backup_records_the_storage_that_its_job_began_with() {
    let mut stage = platform();
    order(&stage);
    stage.runner.settle().await.unwrap();
    let mut secret = stage
        .cluster
        .read(
            "v1",
            "Secret",
            Some("cozy-backup-controller"),
            "cozy-backups-system-credentials",
        )
        .unwrap();
    secret["stringData"] = json!({ "bucketName": "another" });
    stage.cluster.put(secret).unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(backup["spec"]["storage"]["bucket"], "cozy-backups");
    let uri = backup["status"]["artifact"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("s3://cozy-backups/"), "{uri}");
}
