//! Pods and volumes of a Cluster.

use backup_engine::{
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions},
    reference,
};
use serde_json::{Value, json};

use super::{API_VERSION, CLUSTER_LABEL, MANAGER, PLUGIN, get, our_plugin};
use crate::play::{VOLUME_FINALIZER, all, owner, set_status, text};

/// Says on a Pod that Barman has refused the archive, because something was in it.
const REFUSED: &str = "stage/archive-refused";
/// Says on a Pod which base backup its data is from, for tests to look at.
const RECOVERED: &str = "stage/recovered-from";

/// The Pods of a Cluster that is gone go, too.
pub(super) async fn stop<C: Cluster>(cluster: &C, pod: &Value) -> Result<Option<String>, ApiError> {
    let name = text(pod, CLUSTER_LABEL);
    let found = get(cluster, pod, API_VERSION, "Cluster", name).await?;
    if name.is_empty() || found.is_some() {
        return Ok(None);
    }
    remove(cluster, pod).await?;
    let name = text(pod, "/metadata/name");
    Ok(Some(format!("Pod {name} is gone with its Cluster")))
}

/// A Cluster is taken up: it gets its volume, and where it comes from an archive a Pod that fetches it.
pub(super) async fn begin<C: Cluster>(
    cluster: &C,
    database: &Value,
    recovers: bool,
) -> Result<Option<String>, ApiError> {
    let name = text(database, "/metadata/name");
    create(cluster, &volume(database)).await?;
    if recovers {
        let labels = json!({ "cnpg.io/cluster": name, "cnpg.io/jobRole": "full-recovery" });
        let container = json!({ "name": "full-recovery", "image": "postgres" });
        let pod = pod(
            database,
            &format!("{name}-1-full-recovery"),
            &labels,
            &container,
        );
        create(cluster, &pod).await?;
    }
    let status = json!({ "phase": "Setting up primary" });
    set_status(cluster, MANAGER, database, &status).await?;
    Ok(Some(format!("Cluster {name} is set up")))
}

/// A Cluster has come up.
pub(super) async fn complete<C: Cluster>(
    cluster: &C,
    database: &Value,
    base: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let name = text(database, "/metadata/name");
    for found in pods_of(cluster, database).await? {
        remove(cluster, &found).await?;
    }
    let labels = json!({ "cnpg.io/cluster": name, "cnpg.io/podRole": "instance" });
    let container = json!({ "name": "postgres", "image": "postgres" });
    let mut instance = pod(database, &format!("{name}-1"), &labels, &container);
    if let Some(base) = base {
        instance["metadata"]["annotations"] = json!({ RECOVERED: base });
    }
    create(cluster, &instance).await?;
    let status = json!({ "phase": "Cluster in healthy state" });
    set_status(cluster, MANAGER, database, &status).await?;
    let from = base.map_or(String::new(), |base| format!(" from {base}"));
    Ok(Some(format!("Cluster {name} has come up{from}")))
}

/// The operator takes the plugin of a Cluster up.
pub(super) async fn load_plugin<C: Cluster>(
    cluster: &C,
    database: &Value,
) -> Result<Option<String>, ApiError> {
    let status = json!({
        "phase": "Applying configuration",
        "pluginStatus": [{ "name": PLUGIN, "version": "0.13.0" }],
    });
    set_status(cluster, MANAGER, database, &status).await?;
    let name = text(database, "/metadata/name");
    Ok(Some(format!(
        "Cluster {name} loads the Barman Cloud plugin"
    )))
}

/// Restarts a Cluster's Pods with the plugin, then tells that it is healthy.
pub(super) async fn restart<C: Cluster>(
    cluster: &C,
    database: &Value,
    is_empty: bool,
) -> Result<Option<String>, ApiError> {
    let name = text(database, "/metadata/name");
    for pod in pods_of(cluster, database).await? {
        remove(cluster, &pod).await?;
        create(cluster, &with_plugin(&pod, is_empty)).await?;
    }
    let status = json!({ "phase": "Cluster in healthy state" });
    set_status(cluster, MANAGER, database, &status).await?;
    Ok(Some(format!(
        "Cluster {name} has restarted its Pods with the plugin and is healthy"
    )))
}

/// Whether Barman has refused the archive of a Cluster.
pub(super) async fn is_refused<C: Cluster>(
    cluster: &C,
    database: &Value,
) -> Result<bool, ApiError> {
    let pods = pods_of(cluster, database).await?;
    let is_refused = |pod: &Value| pod["metadata"]["annotations"][REFUSED] == "true";
    Ok(our_plugin(database).is_some() && pods.iter().any(is_refused))
}

/// A Pod's containers cannot be changed: another Pod takes its place.
fn with_plugin(pod: &Value, is_empty: bool) -> Value {
    let mut annotations = pod["metadata"]["annotations"].clone();
    if annotations.is_null() {
        annotations = json!({});
    }
    if !is_empty {
        annotations[REFUSED] = "true".into();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": text(pod, "/metadata/name"),
            "namespace": text(pod, "/metadata/namespace"),
            "labels": pod.pointer("/metadata/labels"),
            "annotations": annotations,
        },
        "spec": {
            "containers": pod.pointer("/spec/containers"),
            "initContainers": [{ "name": "plugin-barman-cloud", "image": "plugin", "restartPolicy": "Always" }],
        },
    })
}

fn pod(database: &Value, name: &str, labels: &Value, container: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": text(database, "/metadata/namespace"),
            "labels": labels,
            "ownerReferences": [owner(database)],
        },
        "spec": { "containers": [container] },
    })
}

fn volume(database: &Value) -> Value {
    let name = text(database, "/metadata/name");
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("{name}-1"),
            "namespace": text(database, "/metadata/namespace"),
            "labels": { "cnpg.io/cluster": name },
            "finalizers": [VOLUME_FINALIZER],
            "ownerReferences": [owner(database)],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "10Gi" } },
        },
    })
}

async fn pods_of<C: Cluster>(cluster: &C, database: &Value) -> Result<Vec<Value>, ApiError> {
    let mut pods = all(cluster, "v1", "Pod").await?;
    pods.retain(|pod| {
        text(pod, "/metadata/namespace") == text(database, "/metadata/namespace")
            && text(pod, CLUSTER_LABEL) == text(database, "/metadata/name")
    });
    Ok(pods)
}

async fn remove<C: Cluster>(cluster: &C, object: &Value) -> Result<(), ApiError> {
    let at_once = DeleteOptions::default();
    let target = reference(object);
    cluster.delete(&Caller::host(), &target, &at_once).await
}

/// Creates an object; one of an earlier step that was cut off counts as created.
async fn create<C: Cluster>(cluster: &C, object: &Value) -> Result<(), ApiError> {
    match cluster
        .create(&Caller::host(), MANAGER, object, false)
        .await
    {
        Err(error) if error.reason == ApiReason::AlreadyExists => Ok(()),
        created => created.map(|_| ()),
    }
}
