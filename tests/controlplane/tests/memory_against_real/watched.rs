//! Waits for a real cluster by watching it.

use std::time::Duration;

use backup_sandbox::contract::ObjectRef;
use futures::TryStreamExt as _;
use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams},
    core::GroupVersionKind,
};
use serde_json::Value;

/// Far more than controllers ever take, so that a test that fails ends.
const AT_MOST: Duration = Duration::from_secs(120);

/// Eyes on a cluster.
pub(crate) struct Watched {
    client: Client,
}

impl Watched {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Waits until an object, none when it is gone, is as it should be. `wanted` is for the one who reads why it
    /// never was.
    pub(crate) async fn until(
        &self,
        target: &ObjectRef,
        wanted: &Value,
        is: impl Fn(Option<Value>) -> bool,
    ) {
        let (group, version) = target
            .api_version
            .split_once('/')
            .unwrap_or(("", &target.api_version));
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &target.kind));
        let api: Api<DynamicObject> = match &target.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        };
        let mut last = None;
        let waiting = watch(&api, &target.name, |object| {
            // Items of a list do not say what they are.
            let object = object.map(|object| {
                let mut object = serde_json::to_value(object).unwrap();
                object["apiVersion"] = target.api_version.clone().into();
                object["kind"] = target.kind.clone().into();
                object
            });
            last.clone_from(&object);
            is(object)
        });
        if tokio::time::timeout(AT_MOST, waiting).await.is_err() {
            panic!("{target:?} never became {wanted:#}; it is {last:#?}");
        }
    }
}

async fn watch(
    api: &Api<DynamicObject>,
    name: &str,
    mut is: impl FnMut(Option<DynamicObject>) -> bool,
) {
    let only = format!("metadata.name={name}");
    loop {
        let now = api
            .list(&ListParams::default().fields(&only))
            .await
            .unwrap();
        let from = now.metadata.resource_version.unwrap_or_default();
        let first = now.items.into_iter().next();
        if is(first) {
            return;
        }
        let changes = api
            .watch(&WatchParams::default().fields(&only), &from)
            .await
            .unwrap();
        let mut changes = std::pin::pin!(changes);
        // A watch that ends is begun again.
        while let Ok(Some(change)) = changes.try_next().await {
            let object = match change {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => Some(object),
                WatchEvent::Deleted(_) => None,
                _ => continue,
            };
            if is(object) {
                return;
            }
        }
    }
}
