//! Words for trials.

use std::path::Path;

use backup_engine::{Finding, Invariant, conformance, proposed_grant};
use backup_sandbox::Strategy;
use serde_json::{Value, json};
use stage::Stage;

use crate::guest::Guest;

/// What a guest says of itself: it writes ConfigMaps.
pub fn manifest() -> Value {
    json!({
        "name": "guest", "version": "1.2.3", "contract": "1.0.0",
        "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
        "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
        "reads": [{ "apiVersion": "v1", "kind": "ConfigMap" }],
        "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create", "merge", "delete"],
                     "storagePaths": ["/data/path"] }],
    })
}

/// A guest of that manifest that does this when it is asked for a backup.
pub fn on_backup(body: &str) -> Guest {
    Guest::default()
        .manifest(&manifest().to_string())
        .on("backup", body)
}

pub fn loaded(guest: Guest) -> Strategy {
    Stage::component(&guest.build()).unwrap()
}

/// A component that is built, from a folder below `target`.
pub fn built(folder: &str, file: &str) -> Strategy {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    Stage::from_folder(&target.join(folder), file).unwrap()
}

/// Tries a strategy on a world of names that also holds these objects.
pub async fn tried_with(strategy: &Strategy, objects: &[Value]) -> Vec<Finding> {
    let grant = proposed_grant(strategy.manifest(), "tried.wasm", "cozy-backup-controller");
    conformance(strategy, &grant, objects).await.unwrap()
}

pub async fn tried(strategy: &Strategy) -> Vec<Finding> {
    tried_with(strategy, &[]).await
}

/// Checks that the only finding is this one.
pub fn only(findings: &[Finding], invariant: Invariant, is_certain: bool, words: &str) {
    let [finding] = findings else {
        panic!("not one finding: {findings:#?}");
    };
    assert_eq!(finding.invariant, invariant, "{finding}");
    assert_eq!(finding.is_certain, is_certain, "{finding}");
    assert!(finding.to_string().contains(words), "{finding}");
}

/// The object that a guest writes.
pub fn config_map(namespace: &str, name: &str, path: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
        "data": { "path": path },
    })
}

pub fn create(object: &Value) -> String {
    format!("(call $plan.create '{object}' (i32.const 1))")
}
