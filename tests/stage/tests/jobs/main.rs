//! What holds for a job of any strategy: which one it finds, the credentials that come along, how it ends. The strategy
//! is a guest that succeeds at once unless a test says otherwise.
//!
//! A comment `TestName` names the test of the reference whose counterpart, by behaviour, stands below it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

mod credentials;
mod kinds;
mod lives;
mod notices;
mod observed;
mod projection;
mod resolution;
mod restores;

use backup_engine::Settings;
use guest::Guest;
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";
const API: &str = "backups.cozystack.io/v1alpha1";

/// The two kinds of jobs, and the reason of their bad ends.
const KINDS: [(&str, &str); 2] = [
    ("BackupJob", "BackupFailed"),
    ("RestoreJob", "RestoreFailed"),
];

/// What the guest says of itself: it writes ConfigMaps, and takes the option of a target namespace.
const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create"] }],
    "restoreOptions": { "type": "object", "properties": { "targetNamespace": { "type": "string" } } }
}"#;

/// A tenant with a database, and a platform whose class binds Postgres to a guest.
fn platform(guest: Guest) -> Stage {
    platform_with(Settings::default(), guest)
}

fn platform_with(settings: Settings, guest: Guest) -> Stage {
    let stage = Stage::with_settings(settings).unwrap();
    stage.storage_secret().unwrap();
    stage
        .serve(&Stage::component(&guest.manifest(MANIFEST).build()).unwrap())
        .unwrap();
    stage.cluster.put(strategy("Guest", "guest")).unwrap();
    class(
        &stage,
        &json!([binding(&json!({ "kind": "Postgres" }), "Guest", "guest")]),
    );
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

fn strategy(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": {},
    })
}

fn binding(application: &Value, kind: &str, name: &str) -> Value {
    let group = "strategy.backups.cozystack.io";
    json!({
        "application": application,
        "strategyRef": { "apiGroup": group, "kind": kind, "name": name },
    })
}

/// The class `cozy-default`, with these bindings.
fn class(stage: &Stage, bindings: &Value) {
    let class = json!({
        "apiVersion": API,
        "kind": "BackupClass",
        "metadata": { "name": "cozy-default" },
        "spec": { "strategies": bindings },
    });
    stage.cluster.put(class).unwrap();
}

/// A Backup of the guest's, `ad-hoc`, with changes.
fn backup(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut backup = json!({
        "apiVersion": API,
        "kind": "Backup",
        "metadata": { "name": "ad-hoc", "namespace": TENANT },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Guest", "name": "guest" },
            "takenAt": "2026-01-01T00:00:00Z",
        },
        "status": { "phase": "Ready" },
    });
    change(&mut backup);
    stage.cluster.put(backup).unwrap();
}

/// A job of either kind: a backup of the database, or a restore of the Backup `ad-hoc`.
fn order(stage: &Stage, kind: &str, name: &str) {
    match kind {
        "BackupJob" => stage.backup_job(TENANT, name, "orders-db").unwrap(),
        _ => stage
            .restore_job(TENANT, name, "ad-hoc", &json!({}))
            .unwrap(),
    }
}

/// The same, and what it says once the host has looked at it.
async fn ordered(stage: &mut Stage, kind: &str, name: &str) -> String {
    order(stage, kind, name);
    stage.runner.settle().await.unwrap();
    stage.said(kind, TENANT, name)
}

/// Lets time pass until the job ends.
async fn in_the_end(stage: &mut Stage, kind: &str, name: &str) -> String {
    loop {
        let said = stage.said(kind, TENANT, name);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        let Some(at) = stage.runner.next_at() else {
            panic!("nobody looks at the job again; it says {said}");
        };
        let at = at.as_second().max(stage.cluster.now() + 1);
        stage.cluster.set_now(at);
        stage.runner.settle().await.unwrap();
    }
}

/// The credentials in the tenant's namespace.
fn copy(stage: &Stage) -> Option<Value> {
    stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds")
}
