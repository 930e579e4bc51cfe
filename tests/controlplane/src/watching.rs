//! Waiting for an object by a watch.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;

/// Longer than anything takes here that is waited for. A bound for what hangs, not a measure.
const BOUND: Duration = Duration::from_secs(120);

/// How a kind is addressed: `group/version` or `v1`, and the kind, of which the plural is what one would guess.
#[must_use]
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Waits until an object is so, and gives it back.
///
/// # Errors
/// When it is not so for longer than anything here takes, with the object as it was last.
pub async fn until(
    api: Api<DynamicObject>,
    name: &str,
    so: impl Fn(&Value) -> bool,
) -> Result<Value> {
    wait(api, name, |state| state.is_some_and(&so)).await
}

/// Waits until an object is gone.
///
/// # Errors
/// When it is there for longer than anything here takes, with the object as it was last.
pub async fn until_gone(api: Api<DynamicObject>, name: &str) -> Result<()> {
    wait(api, name, |state| state.is_none()).await.map(drop)
}

/// Waits for a state of an object; gives back the last one in which it was there.
async fn wait(
    api: Api<DynamicObject>,
    name: &str,
    so: impl Fn(Option<&Value>) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = async {
        // Without pauses a watch that fails would keep its thread to itself.
        let mut states = std::pin::pin!(watcher::watch_object(api, name).default_backoff());
        while let Some(state) = states.next().await {
            // One that fails is begun anew.
            let Ok(state) = state else { continue };
            let state = state.map(serde_json::to_value).transpose()?;
            let is_so = so(state.as_ref());
            if let Some(state) = state {
                last = state;
            }
            if is_so {
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
