//! Etcd: the strategy as the real component, through the engine; the etcd operator and Helm are played.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod abort;
mod backup;
mod check;
mod crashes;
mod elsewhere;
mod forget;
mod helm;
mod kept;
mod parameters;
mod patience;
mod places;
mod refusals;
mod restore;
mod settings;

use std::sync::Arc;

use backup_engine::{AuthoritySettings, Settings, StorageSettings, cluster::memory::Operation};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{EtcdFate, EtcdOperator, Kept, Operator as _, Stage};

const TENANT: &str = "tenant-acme";
const API: &str = "backups.cozystack.io/v1alpha1";
const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";
const RESTORED: &str = "Succeeded RestoreCompleted: Backup ad-hoc is restored";

/// A platform with the strategy for Etcd, and a tenant with an etcd.
fn platform() -> Stage {
    let stage = Stage::of("etcd", TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    stage
}

/// The same on a platform whose storage has a certificate of a private authority.
fn privately_certified() -> Stage {
    let authority = AuthoritySettings {
        namespace: "cozy-storage".to_owned(),
        name: "storage-ca".to_owned(),
        key: "ca.crt".to_owned(),
    };
    let stage = Stage::with_settings(Settings {
        storage: StorageSettings {
            authority: Some(authority),
            ..StorageSettings::default()
        },
        ..Settings::default()
    });
    let stage = stage.unwrap();
    stage.serve(&Stage::bundled("etcd.wasm").unwrap()).unwrap();
    stage.defaults(&["etcd"]).unwrap();
    stage
        .cluster
        .put(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "storage-ca", "namespace": "cozy-storage" },
            "stringData": {
                "ca.crt": "-----BEGIN CERTIFICATE-----\nYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n",
            },
        }))
        .unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    stage
}

/// A platform and a Backup of the etcd, `ad-hoc`: as an earlier job left it, and nothing of the operator's is
/// left of that.
async fn backed_up() -> Stage {
    backed_up_as(|_| {}).await
}

/// The same where something else stands in the Backup.
async fn backed_up_as(change: impl FnOnce(&mut Value)) -> Stage {
    let stage = platform();
    let mut kept = Kept::of("etcd", "v1").unwrap();
    change(&mut kept.backup);
    stage.put_kept(&kept, TENANT).await.unwrap();
    stage
}

fn operator(stage: &Stage, fate: EtcdFate) -> EtcdOperator {
    EtcdOperator::new(Arc::clone(&stage.storage), fate)
}

/// The operator takes a step, which takes it a while.
async fn turn(stage: &Stage, operator: &EtcdOperator) {
    stage.cluster.advance(20);
    let now = Timestamp::from_second(stage.cluster.now()).unwrap();
    operator.step(&stage.cluster, now).await.unwrap();
}

/// Host and operator take turns until a job ends. Gives back what it says.
async fn play(stage: &mut Stage, operator: &EtcdOperator, kind: &str, job: &str) -> String {
    for _ in 0..400 {
        stage.runner.settle().await.unwrap();
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        turn(stage, operator).await;
    }
    panic!(
        "the job did not end; it says {}",
        stage.said(kind, TENANT, job)
    );
}

/// Orders a backup, `ad-hoc`.
fn order(stage: &Stage) {
    stage.etcd_backup_job(TENANT, "ad-hoc", "etcd").unwrap();
}

/// Plays until the backup ends.
async fn backs_up(stage: &mut Stage, operator: &EtcdOperator) -> String {
    play(stage, operator, "BackupJob", "ad-hoc").await
}

/// Orders a restore of the Backup in place, `back`.
fn order_restore(stage: &Stage) {
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
}

fn restore_says(stage: &Stage) -> String {
    stage.said("RestoreJob", TENANT, "back")
}

/// Plays until the restore ends.
async fn restores(stage: &mut Stage, operator: &EtcdOperator) -> String {
    play(stage, operator, "RestoreJob", "back").await
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

/// Changes the EtcdCluster.
fn change(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut found = cluster(stage);
    change(&mut found);
    stage.cluster.put(found).unwrap();
}

fn snapshots(stage: &Stage) -> Vec<Arc<Value>> {
    of_kind(stage, "EtcdSnapshot")
}

/// Sets the default strategy's `s3`.
fn set_s3(stage: &Stage, s3: &Value) {
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

/// Sets parameters of the class.
fn set_parameters(stage: &Stage, parameters: &Value) {
    let class = stage.cluster.read(API, "BackupClass", None, "cozy-default");
    let mut class = class.unwrap();
    class["spec"]["strategies"][0]["parameters"] = parameters.clone();
    stage.cluster.put(class).unwrap();
}

/// Plays, as the host finds something due, until the Backup `ad-hoc` is gone.
async fn until_gone(stage: &mut Stage) {
    let operator = operator(stage, EtcdFate::Completes);
    for _ in 0..1_000 {
        stage.runner.settle().await.unwrap();
        if stage.read("Backup", TENANT, "ad-hoc") == Value::Null {
            return;
        }
        if let Some(next) = stage.runner.next_at() {
            stage
                .cluster
                .set_now(next.as_second().max(stage.cluster.now() + 1));
        }
        turn(stage, &operator).await;
    }
    panic!("it stays: {}", stage.read("Backup", TENANT, "ad-hoc"));
}

/// Has the Backup looked at, and gives back what is said of it: `Status Reason: message`.
async fn looked_at(stage: &mut Stage) -> String {
    let mut backup = stage.read("Backup", TENANT, "ad-hoc");
    let now = stage.cluster.now().to_string();
    backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = json!(now);
    stage.cluster.put(backup).unwrap();
    stage.runner.settle().await.unwrap();
    stage.runner.settle().await.unwrap();
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    let conditions = backup["status"]["conditions"].as_array().unwrap();
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == "Available");
    let found = found.unwrap_or_else(|| panic!("nobody looked: {backup}"));
    let text = |field: &str| found[field].as_str().unwrap();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

/// Notes of the Events with a reason.
fn notes(stage: &Stage, reason: &str) -> Vec<String> {
    let events = of_kind(stage, "Event").into_iter();
    let events = events.filter(|event| event["reason"] == reason);
    events
        .map(|event| event["note"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Whether a request is the played operator's or Helm's.
fn is_operators(operation: &Operation) -> bool {
    operation.purpose.is_empty()
        && (operation.api_version == OPERATOR || operation.kind == "PersistentVolumeClaim")
}
