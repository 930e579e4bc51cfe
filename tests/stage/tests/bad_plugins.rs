//! Plugins that misbehave: the job says what they did, and nothing else suffers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

use guest::{Guest, forever};
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";

/// What the hostile plugin says of itself: it writes ConfigMaps.
const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create", "apply", "merge", "delete"],
                 "storagePaths": ["/data/path"] }]
}"#;

/// A platform whose class binds Postgres to this guest.
fn stage(guest: Guest) -> Stage {
    let stage = Stage::new().unwrap();
    stage
        .guest(&guest.manifest(MANIFEST).build(), &["Postgres"])
        .unwrap();
    stage.namespace(TENANT).unwrap();
    stage.namespace("tenant-other").unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage
}

/// What the job says at first, and in the end; and that nothing was written.
async fn said(mut stage: Stage) -> (String, String) {
    stage.runner.settle().await.unwrap();
    let first = stage.job(TENANT, "ad-hoc");
    while let Some(at) = stage.runner.next_at() {
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
    let last = stage.job(TENANT, "ad-hoc");
    assert!(
        stage
            .cluster
            .objects()
            .iter()
            .all(|object| object["kind"] != "ConfigMap"),
        "a ConfigMap was written"
    );
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    (first, last)
}

/// Checks that the plugin's doing is named at first, and ends the job in the end.
async fn refused(guest: Guest, reason: &str, fragment: &str) {
    let (first, last) = said(stage(guest)).await;
    assert!(first.starts_with(&format!("Pending {reason}: ")), "{first}");
    assert!(first.contains(fragment), "{first}");
    assert!(
        last.starts_with(&format!("Failed BackupFailed: {reason}: ")),
        "{last}"
    );
}

fn creating(object: &Value) -> Guest {
    Guest::default().on(
        "backup",
        &format!("(call $plan.create '{object}' (i32.const 1))"),
    )
}

fn config_map(namespace: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": namespace }, "data": data })
}

#[tokio::test]
async fn a_well_behaved_guest_succeeds() {
    let mut stage = stage(creating(&config_map(
        TENANT,
        &json!({ "path": "s3://cozy-backups/tenant-acme/orders-db/x" }),
    )));
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Succeeded BackupCompleted: Backup ad-hoc is complete"
    );
    let map = stage
        .cluster
        .read("v1", "ConfigMap", Some(TENANT), "x")
        .unwrap();
    assert_eq!(
        map["metadata"]["labels"]["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
}

#[tokio::test]
async fn a_trap_is_named() {
    let guest = Guest::default().on(
        "backup",
        "(call $log.write (i32.const 3) 'the disk is a lie') unreachable",
    );
    refused(guest, "PluginError", "the disk is a lie").await;
}

#[tokio::test]
async fn a_loop_is_stopped() {
    refused(
        Guest::default().on("backup", &forever("")),
        "PluginError",
        "`backup`",
    )
    .await;
}

#[tokio::test]
async fn allocation_without_end_is_stopped() {
    let guest = Guest::default().on("backup", &forever("(drop (memory.grow (i32.const 16)))"));
    refused(guest, "PluginError", "bytes of memory").await;
}

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_refused() {
    // Failed, with a reason of a length that its memory does not even hold.
    let guest = Guest::default()
        .on("backup", "(return @huge)")
        .words("huge", &[2, 0, 1024, 100 << 20, 1024, 1]);
    let (first, _) = said(stage(guest)).await;
    assert!(first.starts_with("Pending PluginError: "), "{first}");
}

#[tokio::test]
async fn a_foreign_import_is_refused_when_it_is_loaded() {
    let wat = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))"#;
    let error = format!(
        "{:#}",
        Stage::component(&wat::parse_str(wat).unwrap())
            .err()
            .unwrap()
    );
    assert!(error.contains("wasi:clocks/wall-clock@0.2.0"), "{error}");
}

#[tokio::test]
async fn an_object_in_another_namespace_is_refused() {
    refused(
        creating(&config_map("tenant-other", &json!({}))),
        "PlanRejected",
        "ConfigMap tenant-other/x",
    )
    .await;
}

#[tokio::test]
async fn a_secret_is_neither_read_nor_written() {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x", "namespace": TENANT } });
    refused(
        creating(&secret),
        "PlanRejected",
        "no strategy writes Secrets",
    )
    .await;
}

#[tokio::test]
async fn a_kind_that_the_manifest_does_not_name_is_refused() {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x", "namespace": TENANT } });
    refused(
        creating(&pod),
        "PlanRejected",
        "which its manifest does not say it does",
    )
    .await;
}

#[tokio::test]
async fn an_object_of_the_host_is_refused() {
    let backup = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Backup", "metadata": { "name": "x", "namespace": TENANT },
    });
    refused(
        creating(&backup),
        "PlanRejected",
        "a kind of the host's own",
    )
    .await;
}

#[tokio::test]
async fn a_place_in_the_storage_of_another_is_refused() {
    for path in [
        "s3://cozy-backups/tenant-other/orders-db/",
        "tenant-acme/orders-db-2",
        "tenant-acme/orders-db/../x",
    ] {
        let object = config_map(TENANT, &json!({ "path": path }));
        refused(
            creating(&object),
            "PlanRejected",
            "outside of tenant-acme/orders-db",
        )
        .await;
    }
    let object = config_map(
        TENANT,
        &json!({ "elsewhere": "s3://cozy-backups/tenant-other/x" }),
    );
    refused(creating(&object), "PlanRejected", "/data/elsewhere").await;
}

#[tokio::test]
async fn the_labels_of_the_host_are_refused() {
    let mut object = config_map(TENANT, &json!({}));
    object["metadata"]["labels"] = json!({ "backups.cozystack.io/owned-by.UID": "forged" });
    refused(creating(&object), "PlanRejected", "the host's").await;
}

#[tokio::test]
async fn the_platforms_credentials_are_found_wherever_they_are_put() {
    let secret = format!("secret-{}", std::process::id());
    let object = config_map(TENANT, &json!({ "note": format!("key: {secret}") }));
    refused(
        creating(&object),
        "PlanRejected",
        "the platform's own credentials",
    )
    .await;
    let state = Guest::default().on(
        "backup",
        &format!("(call $plan.remember (i32.const 1) '\"{secret}\"')"),
    );
    refused(state, "PlanRejected", "the state would show a secret").await;
    let event = Guest::default().on(
        "backup",
        &format!("(call $plan.event (i32.const 0) 'Told' '{secret}')"),
    );
    refused(event, "PlanRejected", "the event would show a secret").await;
}

#[tokio::test]
async fn a_release_is_not_suspended_by_whom_the_manifest_does_not_name() {
    let guest = Guest::default().on(
        "backup",
        &format!("(call $plan.suspend '{TENANT}' 'postgres-orders-db')"),
    );
    refused(
        guest,
        "PlanRejected",
        "does not say that it suspends releases",
    )
    .await;
}
