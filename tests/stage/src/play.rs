//! What all played operators do.

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use backup_sandbox::contract::Selector;
use serde_json::{Value, json};

/// The objects of a kind in all namespaces.
pub(crate) async fn all<C: Cluster>(
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

/// A text in an object; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
