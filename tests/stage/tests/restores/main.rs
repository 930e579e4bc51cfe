//! Restores into another namespace: what has to be proved, what then may be touched, and who waits for whom.
//!
//! The strategy is a guest that writes a ConfigMap into `tenant-other` and is done, unless a test says otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

mod locks;
mod proof;
mod reach;

use guest::Guest;
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";
const OTHER: &str = "tenant-other";
const API: &str = "backups.cozystack.io/v1alpha1";

/// What the guest says of itself: it writes ConfigMaps, and takes the option of a target namespace.
const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "reads": [{ "apiVersion": "v1", "kind": "ConfigMap", "small": true }],
    "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create", "delete"] }],
    "restoreOptions": { "type": "object", "properties": { "targetNamespace": { "type": "string" } } }
}"#;

/// A call that creates a ConfigMap.
fn create(namespace: &str, name: &str) -> String {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace } });
    format!("(call $plan.create '{map}' (i32.const 1))")
}

/// Waits until the ConfigMap `done` is there.
fn until_done(namespace: &str) -> String {
    format!(
        "(call $cluster.get 'v1' 'ConfigMap' (i32.const 1) '{namespace}' 'done' (i32.const 512))
         (if (i32.eqz (i32.load8_u (i32.const 512))) (then (return @wait)))"
    )
}

/// A guest that does this when it restores; its bodies can return `@wait`.
fn restoring(body: &str) -> Guest {
    Guest::default()
        .data("word", b"Busy")
        // Of the case `waiting`: reason and message, that work has begun, and no times.
        .words("wait", &[0, 1024, 4, 1024, 4, 1, 0, 0, 0, 0])
        .on("restore", body)
        .manifest(MANIFEST)
}

/// A guest that writes into the other namespace.
fn writing() -> Guest {
    restoring(&create(OTHER, "restored"))
}

/// A platform with two tenants and a Backup of the first one's. The policy has been there for a minute.
fn platform(guest: Guest) -> Stage {
    let stage = without_policy(guest);
    stage.restore_policy().unwrap();
    stage.cluster.advance(60);
    stage
}

fn without_policy(guest: Guest) -> Stage {
    let stage = Stage::new().unwrap();
    stage.guest(&guest.build(), &["Postgres"]).unwrap();
    for tenant in [TENANT, OTHER] {
        stage.namespace(tenant).unwrap();
    }
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    backup(&stage, TENANT, "ad-hoc", |_| {});
    stage
}

/// A Backup of the guest's, with changes.
fn backup(stage: &Stage, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let mut backup = json!({
        "apiVersion": API,
        "kind": "Backup",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Guest", "name": "guest" },
            "backupClassName": "cozy-default",
            "takenAt": "2026-01-01T00:00:00Z",
        },
        "status": { "phase": "Ready" },
    });
    change(&mut backup);
    stage.cluster.put(backup).unwrap();
}

/// A restore of `ad-hoc` into a namespace, and what it says once the host has looked at it.
async fn restored_into(stage: &mut Stage, namespace: &str) -> String {
    ordered(stage, "across", &json!({ "targetNamespace": namespace })).await
}

/// A restore of `ad-hoc` with options, and what it says once the host has looked at it.
async fn ordered(stage: &mut Stage, name: &str, options: &Value) -> String {
    stage.restore_job(TENANT, name, "ad-hoc", options).unwrap();
    stage.runner.settle().await.unwrap();
    stage.said("RestoreJob", TENANT, name)
}

/// Whether something was done for the job `across`, or in the other namespace.
fn is_untouched(stage: &Stage) -> bool {
    let job = stage.read("RestoreJob", TENANT, "across");
    let secret = |namespace| {
        stage
            .cluster
            .read("v1", "Secret", Some(namespace), "cozy-backups-creds")
    };
    job["status"]["startedAt"].is_null()
        && job["metadata"]["finalizers"].is_null()
        && map(stage, "restored").is_none()
        && secret(TENANT).is_none()
        && secret(OTHER).is_none()
}

/// A ConfigMap of the other namespace.
fn map(stage: &Stage, name: &str) -> Option<Value> {
    stage.cluster.read("v1", "ConfigMap", Some(OTHER), name)
}

/// Puts a ConfigMap, which the host sees.
async fn put_map(stage: &mut Stage, namespace: &str, name: &str) {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace } });
    stage.cluster.put(map).unwrap();
    stage.runner.settle().await.unwrap();
}
