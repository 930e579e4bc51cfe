//! What all played operators do.

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use backup_sandbox::contract::Selector;
use serde_json::{Value, json};

/// The objects of a kind in all namespaces.
///
/// # Errors
/// When the request fails.
pub async fn all<C: Cluster>(
    cluster: &C,
    api_version: &str,
    kind: &str,
) -> Result<Vec<Value>, ApiError> {
    let matching = Selector {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        labels: vec![],
    };
    cluster.list(&Caller::host(), &matching).await
}

/// Sets an object's status, as an operator.
pub(crate) async fn set_status<C: Cluster>(
    cluster: &C,
    manager: &str,
    object: &Value,
    status: &Value,
) -> Result<(), ApiError> {
    let patch = json!({ "status": status });
    cluster
        .merge(
            &Caller::host(),
            manager,
            &reference(object),
            &patch,
            Part::Status,
        )
        .await
        .map(|_| ())
}

/// Where a HelmRelease says which kind of application it is the release of.
pub(crate) const APPLICATION_KIND: &str = "/metadata/labels/apps.cozystack.io~1application.kind";

/// Holds a volume as long as a Pod uses it.
pub(crate) const VOLUME_FINALIZER: &str = "kubernetes.io/pvc-protection";

/// Removes a finalizer from what is being deleted and held by nothing else.
pub(crate) async fn let_go<C: Cluster>(
    cluster: &C,
    manager: &str,
    object: &Value,
    finalizer: &str,
) -> Result<Option<String>, ApiError> {
    let finalizers = object.pointer("/metadata/finalizers");
    let is_held = finalizers.is_some_and(|held| *held == json!([finalizer]));
    if object.pointer("/metadata/deletionTimestamp").is_none() || !is_held {
        return Ok(None);
    }
    let patch = json!({ "metadata": { "finalizers": null } });
    let target = reference(object);
    cluster
        .merge(&Caller::host(), manager, &target, &patch, Part::Main)
        .await?;
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    Ok(Some(format!("{kind} {name} is gone")))
}

/// The owner reference of what an operator makes of an object.
pub(crate) fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": text(object, "/apiVersion"),
        "kind": text(object, "/kind"),
        "name": text(object, "/metadata/name"),
        "uid": text(object, "/metadata/uid"),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A text in an object, by its JSON pointer; empty when there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
