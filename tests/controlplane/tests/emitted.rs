//! Whether a real API server with the operators' real definitions accepts what the strategies emit.
//!
//! The tests on the stage leave the objects in a folder; `cargo xtask test` runs this behind them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use futures::{StreamExt as _, stream};
use http::{Request, header::CONTENT_TYPE};
use kube::{
    Client, Resource as _,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    discovery,
};
use serde_json::{Value, json};

/// A bound for how many requests are under way at a time, not a measure.
const AT_ONCE: usize = 8;

/// Reads the objects that the strategies have emitted.
fn emitted() -> Vec<Value> {
    let folder = std::env::var_os("EMITTED_OBJECTS")
        .unwrap_or_else(|| panic!("EMITTED_OBJECTS names no folder: run `cargo xtask test`"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    let files = std::fs::read_dir(&folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files
        .map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
        .collect()
}

/// As a new object: what only the cluster that it comes from knows is left out.
fn as_new(mut object: Value, namespace: &str) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    if metadata.contains_key("namespace") {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    object
}

/// The path of a kind's collection; none where nobody has put the kind's definition.
async fn collection(client: &Client, object: &Value) -> Option<String> {
    let text = |field: &str| object[field].as_str().unwrap();
    let (group, version) = text("apiVersion")
        .split_once('/')
        .unwrap_or(("", text("apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("kind"));
    let (found, _): (ApiResource, _) = discovery::pinned_kind(client, &kind).await.ok()?;
    let namespace = object["metadata"]["namespace"].as_str();
    Some(DynamicObject::url_path(&found, namespace))
}

/// What the API server says against an object, with strict validation of its fields.
async fn refusal(client: &Client, object: &Value) -> Option<String> {
    let path = collection(client, object).await?;
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header(CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(object).unwrap())
        .unwrap();
    let error = client.request::<Value>(request).await.err()?;
    Some(format!("{error}\n{object:#}"))
}

#[tokio::test]
#[ignore = "needs what the other tests leave behind: `cargo xtask test` runs it after them"]
async fn every_object_that_a_strategy_emits_is_accepted_by_the_operators_real_definitions() {
    let emitted = emitted();
    assert!(!emitted.is_empty(), "no test has left an object");
    let definitions = controlplane::operator_crds().unwrap();
    let plane = controlplane::shared(&definitions).unwrap();
    let client = plane.client().await.unwrap();
    let namespace = plane.namespace("emitted").await.unwrap();
    let refusals: Vec<String> = stream::iter(emitted)
        .map(|object| as_new(object, &namespace))
        .map(|object| {
            let client = client.clone();
            async move { refusal(&client, &object).await }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(refusals.is_empty(), "{}", refusals.join("\n\n"));
}
