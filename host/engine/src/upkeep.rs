//! What all reconcilers write to the host's own objects: a status, and the finalizer.

use backup_api::names::{FINALIZER, LEGACY_FINALIZER};
use backup_sandbox::contract::ObjectRef;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part},
    host::Host,
    object,
};

/// The host's field manager for its own objects.
pub(crate) const MANAGER: &str = "backups.cozystack.io/host";

/// Writes an object's status, unless the cluster has it. Whoever wrote in between is not overwritten: the write is
/// refused as a conflict, and the next pass reads again.
///
/// Gives back the object as it is now.
pub(crate) async fn write_status<C: Cluster>(
    cluster: &C,
    found: &Value,
    status: &impl Serialize,
) -> Result<Option<Value>, ApiError> {
    let status = serde_json::to_value(status).map_err(|error| {
        ApiError::new(
            ApiReason::Invalid,
            format!("the status cannot be written: {error}"),
        )
    })?;
    if found.get("status") == Some(&status) {
        return Ok(None);
    }
    let target = object::reference(found);
    let mut metadata = json!({
        "name": target.name,
        // The status subresource does not look at a UID; this pins the object all the same.
        "resourceVersion": object::resource_version(found),
    });
    if let Some(namespace) = target.namespace {
        metadata["namespace"] = json!(namespace);
    }
    let object = json!({
        "apiVersion": target.api_version,
        "kind": target.kind,
        "metadata": metadata,
        "status": status,
    });
    cluster
        .apply(&Caller::host(), MANAGER, &object, Part::Status)
        .await
        .map(Some)
}

/// Holds an object by the host's finalizer. Gives back the object as it is now.
pub(crate) async fn hold<C: Cluster>(cluster: &C, found: &Value) -> Result<Value, ApiError> {
    let mut finalizers = object::finalizers_without(found, FINALIZER);
    finalizers.push(FINALIZER.to_owned());
    write_finalizers(cluster, found, &finalizers).await
}

/// Lets go of an object, also where an old version held it. One that is gone needs no letting go.
pub(crate) async fn let_go<C: Cluster>(cluster: &C, found: &Value) -> Result<(), ApiError> {
    let mut others = object::finalizers_without(found, FINALIZER);
    others.retain(|finalizer| finalizer != LEGACY_FINALIZER);
    match write_finalizers(cluster, found, &others).await {
        Err(error) if error.reason != ApiReason::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn write_finalizers<C: Cluster>(
    cluster: &C,
    found: &Value,
    finalizers: &[String],
) -> Result<Value, ApiError> {
    let patch = json!({ "metadata": {
        "resourceVersion": object::resource_version(found),
        "finalizers": finalizers,
    } });
    let target = object::reference(found);
    cluster
        .merge(&Caller::host(), MANAGER, &target, &patch, Part::Main)
        .await
}

impl<C: Cluster> Host<C> {
    /// Deletes an object as it was found. One that is gone, or that another has taken the place of, counts as deleted.
    pub(crate) async fn delete_found(&self, found: &Value) -> Result<(), ApiError> {
        self.delete_this(&object::reference(found), object::uid(found))
            .await
    }

    /// The same of an object of which the name and the UID are known.
    pub(crate) async fn delete_this(&self, target: &ObjectRef, uid: &str) -> Result<(), ApiError> {
        let options = DeleteOptions {
            uid: Some(uid.to_owned()),
            ..DeleteOptions::default()
        };
        let deleted = self.cluster.delete(&Caller::host(), target, &options).await;
        match deleted {
            Err(error) if matches!(error.reason, ApiReason::NotFound | ApiReason::Conflict) => {
                Ok(())
            }
            deleted => deleted,
        }
    }
}
