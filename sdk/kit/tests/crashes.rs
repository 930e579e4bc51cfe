//! A strategy that counts on an answer that nobody may have carried out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

use std::fs;

use backup_strategy_kit::Kit;
use guest::Guest;
use serde_json::json;
use stage::Stage;

const CASE: &str = "
strategy: {}
given:
  - apiVersion: apps.cozystack.io/v1alpha1
    kind: Postgres
    metadata: { name: orders, namespace: tenant-acme }
story:
  - backup: {}
    expect: { phase: Running, objects: { kind: ConfigMap } }
";

/// It remembers that it has made its object, and traps where it is not there.
fn believing() -> Guest {
    let manifest = json!({
        "name": "guest", "version": "1.2.3", "contract": "1.0.0",
        "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
        "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
        "reads": [{ "apiVersion": "v1", "kind": "ConfigMap" }],
        "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create"] }],
    });
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": "tenant-acme" },
    });
    let body = format!(
        "(call $context.state @state)
         (if (i32.load8_u @state) (then
           (call $cluster.get 'v1' 'ConfigMap' (i32.const 1) 'tenant-acme' 'x' @found)
           (if (i32.eqz (i32.load8_u @found)) (then unreachable))))
         (call $plan.remember (i32.const 1) '{{}}')
         (call $plan.create '{object}' (i32.const 0))
         (return @waiting)"
    );
    Guest::default()
        .manifest(&manifest.to_string())
        // The first case of the answer: waiting, with a reason and a message that begin at 1024, started.
        .data("reason", b"Copying")
        .words("waiting", &[0, 0, 1024, 7, 1024, 7, 1, 0, 0, 0, 0, 0])
        .words("found", &[0, 0, 0])
        .words("state", &[0, 0, 0])
        .on("backup", &body)
}

#[test]
fn a_crash_between_what_is_remembered_and_what_is_done_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("case.yaml"), CASE).unwrap();
    let strategy = Stage::component(&believing().build()).unwrap();
    let report = Kit::of(&strategy).run(folder.path()).unwrap();
    let [failure] = &report.failures[..] else {
        panic!("{report}");
    };
    let told = failure.to_string();
    assert!(
        told.contains("step 1: where the host crashes behind write "),
        "{told}"
    );
    assert!(told.contains("objects: there is no ConfigMap"), "{told}");
}
