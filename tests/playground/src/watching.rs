//! What is seen of the cluster, and told by it.

use controlplane::resource;
use futures::StreamExt as _;
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;

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

/// Whether an object has a condition of this type that is true.
pub(crate) fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|found| found["type"] == condition && found["status"] == "True")
}
