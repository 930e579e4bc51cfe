//! The way of a BackupJob of an Etcd application, with the Etcd strategy as the real component.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{EtcdFate, EtcdOperator, Operator as _, Stage};

const TENANT: &str = "tenant-acme";
const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";

/// A platform with the Etcd plugin, and a tenant with an etcd.
fn stage() -> Stage {
    let stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("etcd.wasm").unwrap()).unwrap();
    stage.platform_etcd().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    stage
}

fn operator(stage: &Stage, fate: EtcdFate) -> EtcdOperator {
    EtcdOperator::new(Arc::clone(&stage.storage), fate)
}

async fn turn(stage: &Stage, operator: &EtcdOperator) {
    stage.cluster.advance(20);
    let now = Timestamp::from_second(stage.cluster.now()).unwrap();
    operator.step(&stage.cluster, now).await.unwrap();
}

/// Host and operator take turns until the job ends.
async fn play(stage: &mut Stage, operator: &EtcdOperator, job: &str) -> String {
    for _ in 0..200 {
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        turn(stage, operator).await;
    }
    panic!("the job did not end; it says {}", stage.job(TENANT, job));
}

fn snapshots(stage: &Stage) -> Vec<Arc<Value>> {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|object| object["kind"] == "EtcdSnapshot")
        .collect()
}

/// Changes the EtcdCluster.
fn change(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut cluster = stage
        .cluster
        .read(OPERATOR, "EtcdCluster", Some(TENANT), "etcd")
        .unwrap();
    change(&mut cluster);
    stage.cluster.put(cluster).unwrap();
}

/// Sets the default strategy's `s3`.
fn s3(stage: &Stage, s3: &Value) {
    stage
        .cluster
        .put(json!({
            "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
            "kind": "Etcd",
            "metadata": { "name": "cozy-default-etcd" },
            "spec": { "template": { "destination": { "s3": s3 } } },
        }))
        .unwrap();
}

/// An object without what differs from run to run or only machines read.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(member);
    }
    object
}

#[tokio::test]
async fn a_job_leads_to_a_snapshot_and_a_backup() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
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

#[tokio::test]
async fn settings_of_ones_own_are_kept_and_what_is_not_set_stays_unset() {
    let mut stage = stage();
    s3(
        &stage,
        &json!({
            "bucket": "own-bucket",
            "endpoint": "https://s3.example.org",
            "key": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}//",
            "credentialsSecretRef": { "name": "{{ .Application.metadata.name }}-keys" },
        }),
    );
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let expected = json!({
        "bucket": "own-bucket",
        "endpoint": "https://s3.example.org",
        "key": "tenant-acme/etcd/",
        "credentialsSecretRef": { "name": "etcd-keys" },
    });
    assert_eq!(
        snapshots(&stage)[0]["spec"]["destination"]["s3"],
        expected,
        "several slashes at the end would make one key for the operator and another for a restore"
    );
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["status"]["underlyingResources"]["destination"]["s3"],
        expected
    );
    let metadata = backup["spec"]["driverMetadata"].as_object().unwrap();
    assert!(!metadata.contains_key("etcd.aenix.io/force-path-style"));
    assert!(!metadata.contains_key("etcd.aenix.io/region"));
}

#[tokio::test]
async fn parameters_of_the_class_win_over_the_strategy() {
    let mut stage = stage();
    s3(
        &stage,
        &json!({ "region": "{{ .Parameters.region }}", "forcePathStyle": true }),
    );
    let mut class = stage
        .cluster
        .read(
            "backups.cozystack.io/v1alpha1",
            "BackupClass",
            None,
            "cozy-default",
        )
        .unwrap();
    class["spec"]["strategies"][1]["parameters"] = json!({
        "region": "for-the-template",
        "destination.s3.forcePathStyle": "false",
        "destination.s3.key": "tenant-acme/etcd/weekly",
    });
    stage.cluster.put(class).unwrap();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let s3 = &snapshots(&stage)[0]["spec"]["destination"]["s3"];
    assert_eq!(s3["forcePathStyle"], false);
    assert_eq!(s3["region"], "for-the-template");
    assert_eq!(s3["key"], "tenant-acme/etcd/weekly/");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["status"]["underlyingResources"]["parameters"]["region"],
        "for-the-template"
    );
}

#[tokio::test]
async fn a_folder_of_other_tenants_is_refused() {
    for key in ["tenant-rival/etcd/", "", "/"] {
        let mut stage = stage();
        s3(&stage, &json!({ "key": key }));
        stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
        let operator = operator(&stage, EtcdFate::Completes);
        let said = play(&mut stage, &operator, "ad-hoc").await;
        if key.is_empty() {
            // Nothing set is the application's own folder, never the bucket itself.
            assert!(said.starts_with("Succeeded"), "{said}");
            assert!(stage.storage.keys()[0].starts_with("tenant-acme/etcd/"));
        } else {
            assert!(said.contains("PlanRejected"), "{key}: {said}");
            assert!(snapshots(&stage).is_empty());
        }
    }
}

#[tokio::test]
async fn credentials_of_ones_own_need_a_bucket_of_ones_own() {
    let mut stage = stage();
    s3(
        &stage,
        &json!({ "credentialsSecretRef": { "name": "own" }, "endpoint": "https://s3.example.org" }),
    );
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: InvalidSpec: template.destination.s3.bucket is empty, and credentials of one's own need it"
    );
}

#[tokio::test]
async fn a_failure_of_the_operator_is_told_to_the_tenant_and_the_snapshot_is_removed() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(
        &stage,
        EtcdFate::SnapshotFails("backoff limit reached".to_owned()),
    );
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: EtcdBackupFailed: the etcd operator has failed: backoff limit reached (JobFailed)"
    );
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    assert!(snapshots(&stage).is_empty());
}

#[tokio::test]
async fn the_operator_has_the_last_word_before_the_job_gives_up() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::SnapshotStalls);
    let start = stage.cluster.now();
    let said = play(&mut stage, &operator, "ad-hoc").await;
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
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(
        &stage,
        EtcdFate::SnapshotStuck("secret \"own\" not found".to_owned()),
    );
    let start = stage.cluster.now();
    let said = play(&mut stage, &operator, "ad-hoc").await;
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

#[tokio::test]
async fn a_cluster_that_is_not_available_is_waited_for() {
    let mut stage = stage();
    change(&stage, |cluster| {
        cluster["status"]["conditions"][0]["status"] = "False".into();
        cluster["status"]["conditions"][0]["reason"] = "QuorumLost".into();
        cluster["status"]["conditions"][0]["message"] = "two members do not answer".into();
    });
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
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
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_cluster_that_never_becomes_available_ends_the_job_after_20_minutes() {
    let mut stage = stage();
    change(&stage, |cluster| {
        cluster["status"]["conditions"] = json!([]);
    });
    // Its own step would make it available.
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
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

#[tokio::test]
async fn an_application_by_another_name_is_not_told_of_its_neighbours_backup() {
    let mut stage = stage();
    stage.etcd(TENANT, "second").unwrap();
    stage.etcd_backup_job(TENANT, "ad-hoc", "second").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: UnsupportedApplication: "),
        "{said}"
    );
    assert!(snapshots(&stage).is_empty());
}

#[tokio::test]
async fn settings_that_change_while_a_job_runs_are_for_the_next_one() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    s3(&stage, &json!({ "key": "tenant-acme/etcd/elsewhere" }));
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["spec"]["driverMetadata"]["etcd.aenix.io/key"],
        "tenant-acme/etcd/"
    );
}

// Defect 11 of the reference: what the job had ordered ran on.
#[tokio::test]
async fn a_job_that_is_deleted_takes_its_snapshot_and_what_was_stored_with_it() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
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
    let mut stage = stage();
    let operator = operator(&stage, EtcdFate::Completes);
    let mut taken = vec![];
    for _ in 0..2 {
        stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
        let said = play(&mut stage, &operator, "ad-hoc").await;
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

/// Whether a request is the played operator's or Helm's.
fn is_operators(operation: &Operation) -> bool {
    operation.purpose.is_empty()
        && (operation.api_version == OPERATOR || operation.kind == "PersistentVolumeClaim")
}

/// Runs the job with a fault at the nth request that writes, and a restart of the host after it.
async fn with_fault_at(nth: usize, is_lost: bool) -> (Stage, String, bool) {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let counter = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
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
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
        }
        if stage.job(TENANT, "ad-hoc").starts_with("Succeeded") {
            break;
        }
        turn(&stage, &operator).await;
    }
    let said = stage.job(TENANT, "ad-hoc");
    (stage, said, was_hit)
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_ends_the_same_way_with_one_snapshot() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let (stage, said, was_hit) = with_fault_at(nth, is_lost).await;
            assert_eq!(
                said, "Succeeded BackupCompleted: Backup ad-hoc is complete",
                "fault at write {nth}"
            );
            assert_eq!(snapshots(&stage).len(), 1, "fault at write {nth}");
            assert_eq!(stage.storage.keys().len(), 1, "fault at write {nth}");
            if !was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 5, "only {nth} writes");
    }
}

#[tokio::test]
async fn a_backup_records_the_storage_that_its_job_began_with() {
    let mut stage = stage();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
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
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(backup["spec"]["storage"]["bucket"], "cozy-backups");
    let uri = backup["status"]["artifact"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("s3://cozy-backups/"), "{uri}");
}
