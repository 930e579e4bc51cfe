//! The way of a RestoreJob of an Etcd application in place, with the Etcd strategy as the real component.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use backup_engine::cluster::{
    ApiError, ApiReason, Caller, Cluster as _, DeleteOptions,
    memory::{Operation, Verb, Verdict},
};
use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{EtcdFate, EtcdOperator, Operator as _, Stage};

const TENANT: &str = "tenant-acme";
const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";
const RESTORED: &str = "Succeeded RestoreCompleted: Backup ad-hoc is restored";

fn operator(stage: &Stage, fate: EtcdFate) -> EtcdOperator {
    EtcdOperator::new(Arc::clone(&stage.storage), fate)
}

async fn turn(stage: &Stage, operator: &EtcdOperator) {
    stage.cluster.advance(20);
    let now = Timestamp::from_second(stage.cluster.now()).unwrap();
    operator.step(&stage.cluster, now).await.unwrap();
}

/// A tenant with an etcd and a Backup of it, `ad-hoc`.
async fn stage() -> Stage {
    let mut stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("etcd.wasm").unwrap()).unwrap();
    stage.platform_etcd().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    for _ in 0..6 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
    }
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.starts_with("Succeeded"), "{said}");
    stage
}

fn restore(stage: &Stage) {
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
}

fn said(stage: &Stage) -> String {
    stage.said("RestoreJob", TENANT, "back")
}

/// Host and operator take turns until the job ends.
async fn play(stage: &mut Stage, operator: &EtcdOperator) -> String {
    for _ in 0..400 {
        stage.runner.settle().await.unwrap();
        let said = said(stage);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        turn(stage, operator).await;
    }
    panic!("the job did not end; it says {}", said(stage));
}

fn cluster(stage: &Stage) -> Value {
    let found = stage
        .cluster
        .read(OPERATOR, "EtcdCluster", Some(TENANT), "etcd");
    found.unwrap_or_default()
}

fn release(stage: &Stage) -> Value {
    let read = stage.cluster.read(
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        Some(TENANT),
        "etcd",
    );
    read.unwrap()
}

fn is_suspended(stage: &Stage) -> bool {
    release(stage)["spec"]["suspend"] == true
}

fn of_kind(stage: &Stage, kind: &str) -> Vec<Arc<Value>> {
    let objects = stage.cluster.objects().into_iter();
    objects.filter(|object| object["kind"] == kind).collect()
}

fn condition(stage: &Stage, kind: &str) -> Value {
    let job = stage.read("RestoreJob", TENANT, "back");
    let conditions = job["status"]["conditions"].as_array().unwrap().clone();
    conditions
        .into_iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or_default()
}

/// What the Backup's EtcdSnapshot stored.
fn stored(stage: &Stage) -> String {
    stage.storage.keys()[0].clone()
}

#[tokio::test]
async fn a_cluster_is_deleted_with_its_data_and_comes_up_from_the_snapshot() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);

    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    let mut expected = before["spec"].clone();
    expected["bootstrap"]["restore"]["source"]["s3"] = json!({
        "bucket": "cozy-backups",
        "endpoint": "https://s3.cozy.example",
        "key": stored(&stage),
        "region": "eu-1",
        "forcePathStyle": true,
        "credentialsSecretRef": { "name": "cozy-backups-creds" },
    });
    assert_eq!(after["spec"], expected);
    assert_eq!(
        after["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "Helm"
    );
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    // Every member and every volume is of the new cluster.
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);
    assert_eq!(of_kind(&stage, "PersistentVolumeClaim").len(), 3);
    assert!(!is_suspended(&stage));
    assert_eq!(
        condition(&stage, "EtcdClusterSpecCaptured")["status"],
        "True"
    );
    assert_eq!(condition(&stage, "TargetPurged")["status"], "True");
    assert_eq!(condition(&stage, "TargetPurged")["reason"], "ClusterPurged");
}

#[tokio::test]
async fn each_step_is_taken_on_what_the_cluster_shows() {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let mut story: Vec<String> = vec![];
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        let said = said(&stage);
        let reason = said.split(": ").nth(1).unwrap_or_default().to_owned();
        let now = format!(
            "{reason}; members {}, volumes {}, release {}",
            of_kind(&stage, "EtcdMember").len(),
            of_kind(&stage, "PersistentVolumeClaim").len(),
            if is_suspended(&stage) {
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
        turn(&stage, &operator).await;
    }
    insta::assert_yaml_snapshot!("etcd-restore-story", story);
}

#[tokio::test]
async fn volumes_that_are_not_gone_keep_the_new_cluster_from_coming() {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(&stage, EtcdFate::MembersStay);
    let said = play(&mut stage, &operator).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: EtcdClusterPurging: waiting until these are gone: "
        ),
        "{said}"
    );
    // Who holds them up, and what.
    assert!(said.contains("gone: etcd-"), "{said}");
    assert!(said.contains(", data-etcd-"), "{said}");
    assert!(
        cluster(&stage).is_null() || cluster(&stage)["spec"].get("bootstrap").is_none(),
        "nothing comes up over members that are still there"
    );
    assert!(!is_suspended(&stage));
}

#[tokio::test]
async fn a_refused_dry_run_leaves_the_old_cluster_untouched() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    stage.cluster.set_interceptor(|operation: &Operation| {
        if operation.dry_run && operation.kind == "EtcdCluster" {
            let error = ApiError::new(
                ApiReason::Invalid,
                "spec.bootstrap.restore is unsupported with spec.storage.medium=Memory",
            );
            return Verdict::Fail(error);
        }
        Verdict::Pass
    });
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: EtcdClusterRefused: the cluster was left alone, since it could not be created again \
         from the snapshot: spec.bootstrap.restore is unsupported with spec.storage.medium=Memory"
    );
    assert_eq!(cluster(&stage), before);
    assert_eq!(of_kind(&stage, "PersistentVolumeClaim").len(), 3);
    assert!(!is_suspended(&stage));
}

#[tokio::test]
async fn what_is_not_in_order_is_said_before_anything_is_touched() {
    type Spoil = fn(&mut Stage);
    let cases: [(&str, Spoil); 7] = [
        ("SnapshotGone: ", |stage| {
            let engine: &dyn backup_engine::Storage = stage.storage.as_ref();
            let location = backup_engine::Location {
                endpoint: String::new(),
                bucket: String::new(),
                region: String::new(),
                force_path_style: true,
                authority: None,
                access_key: String::new(),
                secret_key: String::new(),
            };
            ready(engine.purge(&location, "tenant-acme")).unwrap();
        }),
        ("EtcdClusterNotFound: ", |stage| {
            let target = ObjectRef {
                api_version: OPERATOR.to_owned(),
                kind: "EtcdCluster".to_owned(),
                namespace: Some(TENANT.to_owned()),
                name: "etcd".to_owned(),
            };
            let options = DeleteOptions::default();
            ready(stage.cluster.delete(&Caller::host(), &target, &options)).unwrap();
        }),
        ("EtcdClusterSpecEmpty: ", |stage| {
            change(stage, |cluster| cluster["spec"] = json!({}))
        }),
        ("EtcdClusterPaused: ", |stage| {
            change(stage, |cluster| cluster["spec"]["replicas"] = 0.into())
        }),
        ("EtcdClusterTooLarge: ", |stage| {
            change(stage, |cluster| {
                cluster["spec"]["padding"] = "x".repeat(70_000).into()
            })
        }),
        ("UnrecognisedSnapshot: ", |stage| {
            let mut backup = stage.read("Backup", TENANT, "ad-hoc");
            backup["status"]["underlyingResources"]["kind"] = "Other".into();
            stage.cluster.put(backup).unwrap();
        }),
        ("MetadataMissing: ", |stage| {
            let mut backup = stage.read("Backup", TENANT, "ad-hoc");
            backup["status"]
                .as_object_mut()
                .unwrap()
                .remove("underlyingResources");
            backup["spec"]["driverMetadata"] = json!({});
            stage.cluster.put(backup).unwrap();
        }),
    ];
    for (reason, spoil) in cases {
        let mut stage = stage().await;
        spoil(&mut stage);
        let before = (cluster(&stage), release(&stage));
        restore(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        let said = play(&mut stage, &operator).await;
        assert!(
            said.starts_with(&format!("Failed RestoreFailed: {reason}")),
            "{said}"
        );
        assert_eq!((cluster(&stage), release(&stage)), before, "{reason}");
    }
}

/// The memory storage answers at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

fn change(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut found = cluster(stage);
    change(&mut found);
    stage.cluster.put(found).unwrap();
}

#[tokio::test]
async fn a_restore_into_another_application_is_refused() {
    for (target, reason) in [
        (
            json!({ "kind": "Etcd", "name": "copy" }),
            "ToCopyUnsupported",
        ),
        (
            json!({ "apiGroup": "apps.example.org", "kind": "Etcd", "name": "etcd" }),
            "apps.example.org",
        ),
        (json!({ "kind": "Postgres", "name": "etcd" }), "Postgres"),
    ] {
        let mut stage = stage().await;
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
        let operator = operator(&stage, EtcdFate::Completes);
        let said = play(&mut stage, &operator).await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(said.contains(reason), "{said}");
        assert_eq!(cluster(&stage), before);
    }
}

#[tokio::test]
async fn an_option_of_a_wrong_type_is_named() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let options = json!({ "restoreTimeoutSeconds": "soon" });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = play(&mut stage, &operator).await;
    assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
    assert!(said.contains("restoreTimeoutSeconds"), "{said}");
    assert_eq!(cluster(&stage), before);
}

#[tokio::test]
async fn a_backup_of_the_first_controller_is_restored_by_its_metadata() {
    let mut stage = stage().await;
    let key = stored(&stage);
    let mut backup = stage.read("Backup", TENANT, "ad-hoc");
    let metadata = backup["spec"]["driverMetadata"].as_object_mut().unwrap();
    metadata.remove("etcd.aenix.io/metadata-version");
    metadata.remove("etcd.aenix.io/region");
    metadata.insert("etcd.aenix.io/force-path-style".to_owned(), json!("true"));
    let status = backup["status"].as_object_mut().unwrap();
    status.remove("artifact");
    status.insert(
        "underlyingResources".to_owned(),
        json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "EtcdBackupSnapshot",
            "destination": { "s3": "not a place" },
        }),
    );
    stage.cluster.put(backup).unwrap();
    // The operator's own object is not needed.
    let snapshot = of_kind(&stage, "EtcdSnapshot")[0]["metadata"]["name"].clone();
    stage
        .delete_any(
            OPERATOR,
            "EtcdSnapshot",
            Some(TENANT),
            snapshot.as_str().unwrap(),
        )
        .await
        .unwrap();
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    let cluster = cluster(&stage);
    let s3 = &cluster["spec"]["bootstrap"]["restore"]["source"]["s3"];
    assert_eq!(s3["key"], key);
    assert_eq!(s3["forcePathStyle"], true);
    assert!(s3.get("region").is_none());
    let events = of_kind(&stage, "Event");
    let malformed = |event: &&Arc<Value>| event["reason"] == "MalformedSnapshot";
    assert_eq!(events.iter().filter(malformed).count(), 1);
}

#[tokio::test]
async fn the_file_is_the_one_that_the_artifact_names() {
    let mut stage = stage().await;
    let key = "tenant-acme/etcd/old-rev2.db";
    stage.storage.put(key, 1, 1);
    let mut backup = stage.read("Backup", TENANT, "ad-hoc");
    backup["status"]["artifact"]["uri"] = format!("s3://cozy-backups/{key}").into();
    stage.cluster.put(backup).unwrap();
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    let cluster = cluster(&stage);
    assert_eq!(
        cluster["spec"]["bootstrap"]["restore"]["source"]["s3"]["key"],
        key
    );
}

#[tokio::test]
async fn a_cluster_can_be_restored_twice_from_the_same_backup() {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    let first = cluster(&stage);
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    restore(&stage);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    let second = cluster(&stage);
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(first["spec"], second["spec"]);
}

#[tokio::test]
async fn a_bootstrap_that_fails_ends_the_job_at_once_and_the_release_goes_on() {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(
        &stage,
        EtcdFate::BootstrapFails("the snapshot is of etcd 3.5".to_owned()),
    );
    let start = stage.cluster.now();
    let said = play(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: BootstrapFailed: "),
        "{said}"
    );
    assert!(said.contains("the snapshot is of etcd 3.5"), "{said}");
    assert!(stage.cluster.now() - start < 300);
    assert!(!is_suspended(&stage));
    assert!(
        cluster(&stage)["spec"].get("bootstrap").is_some(),
        "left to look at"
    );
}

#[tokio::test]
async fn a_cluster_that_does_not_come_up_ends_the_job_after_its_deadline() {
    for (options, seconds) in [
        (json!({}), 1800),
        (json!({ "restoreTimeoutSeconds": 120 }), 120),
        (json!({ "restoreTimeoutSeconds": -1 }), 1800),
    ] {
        let mut stage = stage().await;
        stage
            .restore_job(TENANT, "back", "ad-hoc", &options)
            .unwrap();
        let operator = operator(&stage, EtcdFate::BootstrapStalls);
        let start = stage.cluster.now();
        let said = play(&mut stage, &operator).await;
        assert!(
            said.starts_with("Failed RestoreFailed: EtcdClusterBootstrapping: "),
            "{said}"
        );
        let took = stage.cluster.now() - start;
        assert!(
            (seconds..seconds + 300).contains(&took),
            "{took} seconds for {options}"
        );
        assert!(!is_suspended(&stage));
    }
}

#[tokio::test]
async fn the_operator_is_as_patient_as_the_tenant_asks_for() {
    let mut stage = stage().await;
    let options = json!({ "restoreTimeoutSeconds": 7200 });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    assert_eq!(cluster(&stage)["spec"]["progressDeadlineSeconds"], 7200);
}

#[tokio::test]
async fn one_member_of_three_is_no_restored_cluster() {
    let mut stage = stage().await;
    let options = json!({ "restoreTimeoutSeconds": 600 });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::NobodyJoins);
    let said = play(&mut stage, &operator).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: EtcdMembersJoining: 1 of 3 members have joined (gave up"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn helm_cannot_slip_an_empty_cluster_in() {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let mut was_resumed = false;
    for _ in 0..60 {
        stage.runner.settle().await.unwrap();
        if said(&stage).starts_with("Succeeded") {
            break;
        }
        if cluster(&stage).is_null() && !was_resumed {
            // Somebody resumes the release in the very moment in which the cluster is gone.
            let mut found = release(&stage);
            found["spec"]["suspend"] = false.into();
            stage.cluster.put(found).unwrap();
            was_resumed = true;
        }
        turn(&stage, &operator).await;
    }
    assert!(was_resumed);
    assert_eq!(said(&stage), RESTORED);
    assert!(cluster(&stage)["spec"].get("bootstrap").is_some());
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);
}

#[tokio::test]
async fn a_release_that_was_suspended_before_stays_so() {
    let mut stage = stage().await;
    let mut found = release(&stage);
    found["spec"]["suspend"] = true.into();
    stage.cluster.put(found).unwrap();
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    assert!(is_suspended(&stage));
}

#[tokio::test]
async fn helm_finishes_what_it_has_begun_before_anything_is_deleted() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let conditions = |stage: &Stage, conditions: Value| {
        let mut found = release(stage);
        found["status"]["conditions"] = conditions;
        stage.cluster.put(found).unwrap();
    };
    conditions(
        &stage,
        json!([{ "type": "Reconciling", "status": "True", "reason": "Progressing" }]),
    );
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    for _ in 0..4 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
    }
    assert!(said(&stage).contains("HelmReleaseBusy"), "{}", said(&stage));
    assert_eq!(cluster(&stage), before);
    conditions(&stage, json!([]));
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
}

/// Plays until the old cluster is gone, deletes the job, and plays on until it is gone, too.
async fn called_off(stage: &mut Stage, operator: &EtcdOperator) {
    restore(stage);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster(stage).is_null() {
            break;
        }
        turn(stage, operator).await;
    }
    assert!(is_suspended(stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        turn(stage, operator).await;
    }
    assert_eq!(stage.read("RestoreJob", TENANT, "back"), Value::Null);
}

// Defect 11 of the reference: the release stayed suspended. TestCleanupOnDelete_Etcd_DoesNotTouchVeleroNamespace: only
// what the job's own strategy did is undone.
#[tokio::test]
async fn a_job_that_is_deleted_midway_gives_the_cluster_and_the_release_back() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    called_off(&mut stage, &operator).await;
    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    assert!(!is_suspended(&stage));
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);

    // And it can be restored into.
    restore(&stage);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
}

/// The undoing goes by what the job noted when it began: neither Backup nor strategy object need to be there.
// TestCleanupOnDelete_BackupUnreadable_DoesNotEmitVeleroCleanupEvent
#[tokio::test]
async fn a_backup_and_a_strategy_that_are_deleted_midway_do_not_cost_the_cluster() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    restore(&stage);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster(&stage).is_null() {
            break;
        }
        turn(&stage, &operator).await;
    }
    // Its removal would wait for the restore: somebody takes the finalizer off by hand.
    let mut held = stage.read("Backup", TENANT, "ad-hoc");
    held["metadata"]["finalizers"] = json!([]);
    stage.cluster.put(held).unwrap();
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    let strategies = "strategy.backups.cozystack.io/v1alpha1";
    stage
        .delete_cluster_scoped(strategies, "Etcd", "cozy-default-etcd")
        .await
        .unwrap();
    let said = play(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: Backup ad-hoc does not exist"),
        "{said}"
    );
    assert_eq!(cluster(&stage)["spec"], before["spec"]);
    assert!(!is_suspended(&stage));
}

#[tokio::test]
async fn a_job_that_is_deleted_before_anything_was_touched_leaves_the_cluster_alone() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let mut found = release(&stage);
    found["status"]["conditions"] = json!([{ "type": "Reconciling", "status": "True" }]);
    stage.cluster.put(found).unwrap();
    restore(&stage);
    stage.runner.settle().await.unwrap();
    assert!(is_suspended(&stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("RestoreJob", TENANT, "back"), Value::Null);
    assert_eq!(cluster(&stage), before);
    assert!(!is_suspended(&stage));
}

/// Whether a request is the played operator's or Helm's.
fn is_operators(operation: &Operation) -> bool {
    operation.purpose.is_empty()
        && (operation.api_version == OPERATOR || operation.kind == "PersistentVolumeClaim")
}

/// What a story with a fault led to.
struct Ended {
    stage: Stage,
    said: String,
    was_hit: bool,
    /// The EtcdClusters that were seen, by UID.
    clusters: BTreeSet<String>,
}

/// Runs the restore with a fault at the nth request that writes, and a restart of the host after it.
async fn with_fault_at(mut stage: Stage, nth: usize, is_lost: bool, fate: EtcdFate) -> Ended {
    restore(&stage);
    let operator = operator(&stage, fate);
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
    let mut clusters = BTreeSet::new();
    for _ in 0..100 {
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
            let ended = with_fault_at(stage().await, nth, is_lost, EtcdFate::Completes).await;
            assert_eq!(ended.said, RESTORED, "fault at write {nth}");
            assert_eq!(
                ended.clusters.len(),
                2,
                "the old and one new; fault at write {nth}"
            );
            let cluster = cluster(&ended.stage);
            assert!(
                cluster["spec"].get("bootstrap").is_some(),
                "fault at write {nth}"
            );
            assert_eq!(
                cluster["metadata"]["annotations"]["meta.helm.sh/release-name"], "etcd",
                "fault at write {nth}"
            );
            assert!(!is_suspended(&ended.stage), "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 8, "only {nth} writes");
    }
}

/// The old cluster comes from the same snapshot as the new one: it is not to be taken for it.
#[tokio::test]
async fn a_crash_in_a_second_restore_from_the_same_backup_leads_to_a_new_cluster_all_the_same() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let mut stage = stage().await;
            restore(&stage);
            let operator = operator(&stage, EtcdFate::Completes);
            assert_eq!(play(&mut stage, &operator).await, RESTORED);
            stage.delete("RestoreJob", TENANT, "back").await.unwrap();
            let ended = with_fault_at(stage, nth, is_lost, EtcdFate::Completes).await;
            assert_eq!(ended.said, RESTORED, "fault at write {nth}");
            assert_eq!(ended.clusters.len(), 2, "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
    }
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_of_a_failing_restore_leaves_a_cluster_and_a_release() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let fate = EtcdFate::BootstrapFails("broken".to_owned());
            let ended = with_fault_at(stage().await, nth, is_lost, fate).await;
            assert!(
                ended
                    .said
                    .starts_with("Failed RestoreFailed: BootstrapFailed"),
                "fault at write {nth}: {}",
                ended.said
            );
            assert!(!cluster(&ended.stage).is_null(), "fault at write {nth}");
            assert!(!is_suspended(&ended.stage), "fault at write {nth}");
            if !ended.was_hit {
                break;
            }
            nth += 1;
        }
    }
}

/// A restore of which the new cluster is refused once the old one is gone, with a fault as above.
async fn refused_with_fault_at(nth: usize, is_lost: bool) -> (Stage, String, bool) {
    let mut stage = stage().await;
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let counter = AtomicUsize::new(0);
    let view = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.dry_run || !operation.writes() || is_operators(operation) {
            return Verdict::Pass;
        }
        let unavailable = || ApiError::new(ApiReason::Unavailable, "the connection broke");
        if counter.fetch_add(1, Ordering::Relaxed) == nth {
            return if is_lost {
                Verdict::Fail(unavailable())
            } else {
                Verdict::PassThenFail(unavailable())
            };
        }
        let job = view.read(
            "backups.cozystack.io/v1alpha1",
            "RestoreJob",
            Some(TENANT),
            "back",
        );
        let is_failing = job
            .unwrap_or_default()
            .pointer("/status/strategy/failing")
            .is_some();
        if operation.verb == Verb::Create && operation.kind == "EtcdCluster" && !is_failing {
            return Verdict::Fail(ApiError::new(ApiReason::Invalid, "no room"));
        }
        Verdict::Pass
    });
    let mut was_hit = false;
    for _ in 0..100 {
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
        }
        let said = said(&stage);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            break;
        }
        turn(&stage, &operator).await;
    }
    let said = said(&stage);
    (stage, said, was_hit)
}

#[tokio::test]
async fn a_restore_that_fails_after_the_deletion_gives_the_cluster_back_whenever_the_host_crashes()
{
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let (mut stage, said, was_hit) = refused_with_fault_at(nth, is_lost).await;
            let expected = "Failed RestoreFailed: EtcdClusterRefused: ";
            // A create that passes although it is answered with an error is the restore's good end.
            let passed = !is_lost && said == RESTORED;
            assert!(
                said.starts_with(expected) || passed,
                "fault at write {nth}: {said}"
            );
            let after = cluster(&stage);
            let annotation = &after["metadata"]["annotations"]["meta.helm.sh/release-name"];
            assert_eq!(annotation, "etcd", "fault at write {nth}");
            assert_eq!(after["spec"].get("bootstrap").is_some(), passed);
            assert!(!is_suspended(&stage), "fault at write {nth}");
            if !was_hit {
                stage.cluster.clear_interceptor();
                stage.delete("RestoreJob", TENANT, "back").await.unwrap();
                restore(&stage);
                let operator = operator(&stage, EtcdFate::Completes);
                assert_eq!(play(&mut stage, &operator).await, RESTORED);
                break;
            }
            nth += 1;
        }
        assert!(nth >= 8, "only {nth} writes");
    }
}

#[tokio::test]
async fn the_cluster_is_remembered_tried_and_held_before_it_is_deleted() {
    let mut stage = stage().await;
    let before = cluster(&stage);
    let view = stage.cluster.clone();
    let deletions = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&deletions);
    let was_tried = AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.dry_run {
            was_tried.fetch_add(1, Ordering::Relaxed);
        }
        if operation.verb == Verb::Delete && operation.kind == "EtcdCluster" {
            let read = |api_version: &str, kind: &str, name: &str| {
                view.read(api_version, kind, Some(TENANT), name).unwrap()
            };
            let job = read("backups.cozystack.io/v1alpha1", "RestoreJob", "back");
            let state = job["status"]["strategy"]["state"].as_str().unwrap();
            let state: Value = serde_json::from_str(state).unwrap();
            assert_eq!(state["spec"], before["spec"]);
            assert_eq!(state["uid"], before["metadata"]["uid"]);
            let release = read("helm.toolkit.fluxcd.io/v2", "HelmRelease", "etcd");
            assert_eq!(release["spec"]["suspend"], true);
            assert!(was_tried.load(Ordering::Relaxed) > 0);
            seen.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    });
    restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(play(&mut stage, &operator).await, RESTORED);
    assert_eq!(deletions.load(Ordering::Relaxed), 1);
}
