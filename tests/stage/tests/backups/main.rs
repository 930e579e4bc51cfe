//! The life of a Backup: held, looked at, removed. The strategy for Etcd is the real component; what no good strategy
//! does, a guest does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

mod checks;
mod claims;
mod crashes;
mod ends;
mod hostile;
mod observed;
mod old;
mod outlived;
mod removal;

use std::sync::Arc;

use backup_engine::cluster::{
    Caller, Cluster as _, Part,
    memory::{Operation, Verb},
};
use backup_sandbox::contract::ObjectRef;
use guest::Guest;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{EtcdFate, EtcdOperator, Operator as _, Stage};

const TENANT: &str = "tenant-acme";
const API: &str = "backups.cozystack.io/v1alpha1";
const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A platform with the strategy for Etcd and a tenant with an etcd.
fn platform() -> Stage {
    let stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("etcd.wasm").unwrap()).unwrap();
    stage.platform_etcd().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    stage
}

/// The same, and a Backup of the etcd, `ad-hoc`.
async fn etcd() -> Stage {
    let mut stage = platform();
    back_up(&mut stage, "ad-hoc").await;
    stage
}

async fn back_up(stage: &mut Stage, name: &str) {
    stage.etcd_backup_job(TENANT, name, "etcd").unwrap();
    for _ in 0..8 {
        stage.runner.settle().await.unwrap();
        turn(stage).await;
    }
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, name);
    assert!(said.starts_with("Succeeded"), "{said}");
}

/// The operator takes a step, which takes it a while.
async fn turn(stage: &Stage) {
    stage.cluster.advance(20);
    let now = Timestamp::from_second(stage.cluster.now()).unwrap();
    let operator = EtcdOperator::new(Arc::clone(&stage.storage), EtcdFate::Completes);
    operator.step(&stage.cluster, now).await.unwrap();
}

/// What the guest says of itself: it writes ConfigMaps.
const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create", "apply", "merge", "delete"] }]
}"#;

/// The same of one that answers neither `forget` nor `check`.
const SILENT: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0", "questions": ["backup"],
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }]
}"#;

/// A platform whose class binds Postgres to a guest, and a Backup of it, `mine`, that lies below the tenant's path.
fn guest_with(guest: Guest, manifest: &str) -> Stage {
    let stage = Stage::new().unwrap();
    stage
        .guest(&guest.manifest(manifest).build(), &["Postgres"])
        .unwrap();
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    put(&stage, "mine", |_| {});
    stage
        .storage
        .put("tenant-acme/orders-db/mine/data", 1_000, 1);
    stage.storage.put("tenant-acme/orders-db/mine/wal", 234, 1);
    stage
}

fn guest(guest: Guest) -> Stage {
    guest_with(guest, MANIFEST)
}

/// A guest whose bodies can return `@wait` (for `Gone`, for ever), `@failed` (`Gone`), and to `check` `@lost`,
/// `@unknown`, `@later` and `@seen` (an artifact of 4,321 bytes).
fn answering() -> Guest {
    // The first data lies at this address.
    let word = [1024, 4, 1024, 4];
    let uri = b"s3://cozy-backups/tenant-acme/orders-db/mine";
    let with = |head: &[u32], tail: &[u32]| [head, &word, tail].concat();
    let length = u32::try_from(uri.len()).unwrap();
    Guest::default()
        .data("word", b"Gone")
        .data("uri", uri)
        .words("wait", &with(&[0], &[1, 0, 0, 0, 0]))
        .words("failed", &with(&[2], &[]))
        .words("later", &with(&[0, 0], &[1, 0, 0, 0, 0]))
        .words("lost", &with(&[2, 0], &[]))
        .words("unknown", &with(&[3, 0], &[]))
        .words("seen", &[1, 0, 1, 0, 1032, length, 1, 0, 4_321, 0, 0, 0, 0])
}

/// A Backup of the guest's, as the host would have written it, with changes.
fn put(stage: &Stage, name: &str, change: impl FnOnce(&mut Value)) {
    let mut backup = json!({
        "apiVersion": API,
        "kind": "Backup",
        "metadata": {
            "name": name,
            "namespace": TENANT,
            "finalizers": ["backups.cozystack.io/cleanup"],
        },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Guest", "name": "guest" },
            "takenAt": "2026-01-01T00:00:00Z",
            "backupClassName": "cozy-default",
            "storage": { "endpoint": "https://s3.cozy.example", "bucket": "cozy-backups" },
            "deletionPolicy": "Delete",
        },
        "status": {
            "phase": "Ready",
            "artifact": { "uri": format!("s3://cozy-backups/tenant-acme/orders-db/{name}") },
        },
    });
    change(&mut backup);
    stage.cluster.put(backup).unwrap();
}

fn backup(stage: &Stage, name: &str) -> Value {
    stage.read("Backup", TENANT, name)
}

/// A condition in one line: `Status Reason: message`; empty where there is none.
fn condition(stage: &Stage, name: &str, kind: &str) -> String {
    let backup = backup(stage, name);
    let conditions = backup["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind);
    found.map_or(String::new(), |condition| {
        let text = |field: &str| condition[field].as_str().unwrap();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    })
}

fn ready(stage: &Stage, name: &str) -> String {
    condition(stage, name, "Ready")
}

fn available(stage: &Stage, name: &str) -> String {
    condition(stage, name, "Available")
}

/// Has a Backup looked at now.
async fn ask(stage: &mut Stage, name: &str, value: &str) {
    patch(
        stage,
        name,
        json!({ "metadata": { "annotations": { "backups.cozystack.io/check-requested": value } } }),
    )
    .await;
    stage.runner.settle().await.unwrap();
}

async fn patch(stage: &Stage, name: &str, patch: Value) {
    let target = ObjectRef {
        api_version: API.to_owned(),
        kind: "Backup".to_owned(),
        namespace: Some(TENANT.to_owned()),
        name: name.to_owned(),
    };
    stage
        .cluster
        .merge(&Caller::host(), "kubectl", &target, &patch, Part::Main)
        .await
        .unwrap();
}

async fn delete(stage: &mut Stage, name: &str) {
    stage.delete("Backup", TENANT, name).await.unwrap();
    stage.runner.settle().await.unwrap();
}

/// Lets time pass, from one thing that is due to the next, until a Backup is gone. Gives back the seconds it took.
async fn until_gone(stage: &mut Stage, name: &str) -> i64 {
    let began = stage.cluster.now();
    for _ in 0..10_000 {
        stage.runner.settle().await.unwrap();
        if backup(stage, name) == Value::Null {
            return stage.cluster.now() - began;
        }
        release_snapshots(stage).await;
        stage.runner.settle().await.unwrap();
        let Some(next) = stage.runner.next_at().map(Timestamp::as_second) else {
            continue;
        };
        stage.cluster.set_now(next.max(stage.cluster.now() + 1));
        let now = Timestamp::from_second(stage.cluster.now()).unwrap();
        let operator = EtcdOperator::new(Arc::clone(&stage.storage), EtcdFate::Completes);
        operator.step(&stage.cluster, now).await.unwrap();
    }
    panic!("it does not end; it says {}", ready(stage, name));
}

/// The operator takes its time with the removal of snapshots, until they are released.
fn hold_snapshots(stage: &Stage) {
    for object in stage.cluster.objects() {
        if object["kind"] == "EtcdSnapshot" {
            let mut held = (*object).clone();
            held["apiVersion"] = json!(OPERATOR);
            held["metadata"]["finalizers"] = json!(["etcd-operator/holds"]);
            stage.cluster.put(held).unwrap();
        }
    }
}

async fn release_snapshots(stage: &Stage) {
    for object in stage.cluster.objects() {
        if object["kind"] == "EtcdSnapshot" && object["metadata"].get("finalizers").is_some() {
            let target = ObjectRef {
                api_version: OPERATOR.to_owned(),
                kind: "EtcdSnapshot".to_owned(),
                namespace: Some(TENANT.to_owned()),
                name: object["metadata"]["name"].as_str().unwrap().to_owned(),
            };
            let patch = json!({ "metadata": { "finalizers": null } });
            stage
                .cluster
                .merge(&Caller::host(), "operator", &target, &patch, Part::Main)
                .await
                .unwrap();
        }
    }
}

/// Makes passes as they come due, for so many seconds.
async fn pass_time(stage: &mut Stage, seconds: i64) {
    let end = stage.cluster.now() + seconds;
    stage.runner.settle().await.unwrap();
    while let Some(at) = stage.runner.next_at().filter(|at| at.as_second() <= end) {
        let now = at.as_second().max(stage.cluster.now() + 1);
        stage.cluster.set_now(now);
        stage.runner.settle().await.unwrap();
    }
    stage.cluster.set_now(end);
    stage.runner.settle().await.unwrap();
}

/// Checks that a Backup which is gone costs nothing any more.
async fn nothing_is_kept_of(stage: &mut Stage, name: &str) {
    drop(requests(stage));
    pass_time(stage, 2 * DAY).await;
    let asked = requests(stage);
    assert!(
        !asked
            .iter()
            .any(|asked| asked.ends_with(&format!("Backup {name}"))),
        "{asked:?}"
    );
}

/// What Events say, with a reason: `Type: note`.
fn events(stage: &Stage, reason: &str) -> Vec<String> {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|object| object["kind"] == "Event" && object["reason"] == reason)
        .map(|event| {
            assert_eq!(event["regarding"]["kind"], "Backup");
            format!(
                "{}: {}",
                event["type"].as_str().unwrap(),
                event["note"].as_str().unwrap()
            )
        })
        .collect()
}

fn snapshots(stage: &Stage) -> usize {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|object| object["kind"] == "EtcdSnapshot")
        .count()
}

/// The requests that were made since the last time that somebody asked, but for those about classes and those about
/// who uses the copy of the credentials: production knows all of that by its watches.
fn requests(stage: &Stage) -> Vec<String> {
    let asked = stage.cluster.take_requests().into_iter();
    asked
        .filter(|operation| {
            let is_about_copy = operation.purpose.starts_with("Secret/")
                || operation.verb == Verb::List && operation.kind.ends_with("Job");
            !is_about_copy
                && operation.kind != "BackupClass"
                && operation.api_version != "strategy.backups.cozystack.io/v1alpha1"
        })
        .map(|operation| {
            format!(
                "{:?} {} {}",
                operation.verb,
                operation.kind,
                operation.name.unwrap_or_default()
            )
        })
        .collect()
}

/// Whether a request is the host's or a strategy's, and changes something.
fn writes(operation: &Operation) -> bool {
    operation.writes()
        && (operation.purpose.contains("Backup/")
            || operation.api_version == API
            || operation.api_version == "events.k8s.io/v1"
            || (operation.api_version == "v1" && operation.kind == "Secret"))
        && operation.verb != Verb::Log
}
