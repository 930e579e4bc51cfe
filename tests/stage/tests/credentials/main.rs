//! The life of the projected copies beside jobs: rotation, damage, removal, system namespaces, Secrets that are
//! somebody else's, and Velero's description of the same storage.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

mod authority;
mod earlier_keys;
mod foreign;
mod location;
mod removal;
mod rotation;
mod system;
mod unsure;

use std::collections::BTreeMap;

use backup_engine::{Settings, StorageSettings};
use data_encoding::BASE64;
use guest::Guest;
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";
const OTHER: &str = "tenant-b";
const COPY: &str = "cozy-backups-creds";
const SOURCE: (&str, &str) = ("cozy-backup-controller", "cozy-backups-system-credentials");
const API: &str = "backups.cozystack.io/v1alpha1";

/// So long nobody has used a copy that is removed.
const UNUSED: i64 = 10 * 60;

/// What a guest says of itself that works on databases.
const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "usesCredentialsBetweenJobs": BETWEEN
}"#;

/// A platform with two tenants, each with a database, and a guest that backs up at once.
fn platform(settings: StorageSettings) -> Stage {
    platform_of(settings, Guest::default().manifest(&manifest(false)))
}

fn manifest(uses_credentials_between_jobs: bool) -> String {
    MANIFEST.replace("BETWEEN", &uses_credentials_between_jobs.to_string())
}

fn platform_of(storage: StorageSettings, guest: Guest) -> Stage {
    let settings = Settings {
        storage,
        ..Settings::default()
    };
    let stage = Stage::with_settings(settings).unwrap();
    stage.guest(&guest.build(), &["Postgres"]).unwrap();
    source(&stage, "AK1-of-the-platform", "SK1-of-the-platform");
    for tenant in [TENANT, OTHER] {
        stage.namespace(tenant).unwrap();
        stage.postgres(tenant, "orders-db", "a-password").unwrap();
    }
    stage
}

/// The source Secret with these keys.
fn source(stage: &Stage, access_key: &str, secret_key: &str) {
    let values = json!({
        "accessKey": access_key, "secretKey": secret_key,
        "endpoint": "https://s3.cozy.example", "bucketName": "cozy-backups", "region": "eu-1",
    });
    put_secret(stage, SOURCE.0, SOURCE.1, &json!({}), &values);
}

/// A Secret, in the place of one that is there.
fn put_secret(stage: &Stage, namespace: &str, name: &str, labels: &Value, values: &Value) {
    let encoded = values.as_object().unwrap().iter().map(|(key, value)| {
        let value = BASE64.encode(value.as_str().unwrap().as_bytes());
        (key.clone(), json!(value))
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "namespace": namespace, "name": name, "labels": labels },
        "type": "Opaque",
        "data": Value::Object(encoded.collect()),
    });
    stage.cluster.put(secret).unwrap();
}

/// A copy with one key in a namespace, as an earlier host left it.
fn put_copy(stage: &Stage, namespace: &str, access_key: &str) {
    let ours = json!({ "apps.cozystack.io/managed-by": "cozystack-backups" });
    put_secret(
        stage,
        namespace,
        COPY,
        &ours,
        &json!({ "accessKey": access_key }),
    );
}

/// The copy in a namespace.
fn copy(stage: &Stage, namespace: &str) -> Option<Value> {
    stage.cluster.read("v1", "Secret", Some(namespace), COPY)
}

/// The values of the copy in a namespace.
fn values(stage: &Stage, namespace: &str) -> BTreeMap<String, String> {
    let copy = copy(stage, namespace).unwrap_or_else(|| panic!("{namespace} has no copy"));
    let data = copy["data"].as_object().unwrap().iter();
    data.map(|(key, value)| {
        let bytes = BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap();
        (key.clone(), String::from_utf8_lossy(&bytes).into_owned())
    })
    .collect()
}

/// The access key in the copy in a namespace; empty where there is no copy.
fn access_key(stage: &Stage, namespace: &str) -> String {
    copy(stage, namespace).map_or_else(String::new, |_| {
        values(stage, namespace).remove("accessKey").unwrap()
    })
}

/// Backs a tenant's database up.
async fn back_up(stage: &mut Stage, namespace: &str, name: &str) {
    stage.backup_job(namespace, name, "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(namespace, name);
    assert!(said.starts_with("Succeeded"), "{said}");
}

/// A platform whose tenants both have a copy, held by a Backup.
async fn backed_up() -> Stage {
    let mut stage = platform(StorageSettings::default());
    for tenant in [TENANT, OTHER] {
        back_up(&mut stage, tenant, "first").await;
    }
    stage
}

/// The next tick.
async fn tick(stage: &mut Stage) {
    stage.cluster.advance(60);
    stage.runner.look_at_credentials();
    stage.runner.settle().await.unwrap();
}

/// Time passes, and with it the ticks.
async fn pass(stage: &mut Stage, seconds: i64) {
    let end = stage.cluster.now() + seconds;
    while stage.cluster.now() < end {
        tick(stage).await;
    }
}

/// How often credentials could not be projected into a namespace for a reason.
fn failures(stage: &Stage, namespace: &str, reason: &str) -> u64 {
    let failures = stage.runner.host().projections().failures();
    let of = failures
        .iter()
        .find(|(of, why, _)| of == namespace && *why == reason);
    of.map_or(0, |(_, _, count)| *count)
}

/// Somebody takes a Secret away.
async fn delete_secret(stage: &Stage, namespace: &str, name: &str) {
    let deleted = stage.delete_any("v1", "Secret", Some(namespace), name);
    deleted.await.unwrap();
}

/// The tenant's database goes.
async fn delete_database(stage: &Stage) {
    let api_version = "apps.cozystack.io/v1alpha1";
    let deleted = stage.delete_any(api_version, "Postgres", Some(TENANT), "orders-db");
    deleted.await.unwrap();
}
