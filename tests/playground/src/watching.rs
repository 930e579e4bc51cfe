//! Waiting for an object by a watch.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;

/// Longer than anything takes here that is waited for. A bound for what hangs, not a measure.
const BOUND: Duration = Duration::from_secs(120);

/// How a kind is addressed.
pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// The objects of a kind, in a namespace or in all of them.
pub(crate) fn api(
    client: &Client,
    (api_version, kind): (&str, &str),
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = resource(api_version, kind);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Told of every change of a kind, in all namespaces.
pub(crate) fn changes(
    client: &Client,
    kind: (&str, &str),
) -> impl futures::Stream<Item = ()> + Send + use<> {
    // Without pauses a watch that fails would keep its thread to itself.
    watcher(api(client, kind, None), watcher::Config::default())
        .default_backoff()
        .map(|_| ())
}

/// Waits until an object is so, and gives it back.
///
/// # Errors
/// When it is not so for longer than anything here takes, with the object as it was last.
pub(crate) async fn until(
    api: Api<DynamicObject>,
    name: &str,
    so: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = async {
        let mut states = std::pin::pin!(watcher::watch_object(api, name).default_backoff());
        while let Some(state) = states.next().await {
            let Ok(Some(object)) = state else { continue };
            last = serde_json::to_value(object)?;
            if so(&last) {
                break;
            }
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(BOUND, found).await;
    waited.with_context(|| {
        let seconds = BOUND.as_secs();
        format!("waited {seconds} s in vain for {name}; it is {last:#}")
    })??;
    Ok(last)
}

/// Whether an object has a condition of this type that is true.
pub(crate) fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|found| found["type"] == condition && found["status"] == "True")
}
