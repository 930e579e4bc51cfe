//! CloudNativePG's objects, as far as they are looked at and written.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

/// Name of the Barman Cloud plugin in `spec.plugins` of a Cluster.
pub const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// Container that the plugin puts into every Pod of a Cluster.
const SIDECAR: &str = "plugin-barman-cloud";
/// Phase of a Cluster of which all Pods run as its spec wants them.
const HEALTHY: &str = "Cluster in healthy state";

/// A Postgres cluster.
#[derive(Deserialize)]
pub struct Cluster {
    pub metadata: Metadata,
    #[serde(default)]
    spec: ClusterSpec,
    #[serde(default)]
    status: ClusterStatus,
}

#[derive(Deserialize, Default)]
struct ClusterSpec {
    /// Whole, because foreign entries are written back with ours.
    #[serde(default)]
    plugins: Vec<Value>,
    #[serde(default)]
    backup: Option<NativeBackup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeBackup {
    #[serde(default)]
    barman_object_store: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    plugin_status: Vec<LoadedPlugin>,
}

#[derive(Deserialize)]
struct LoadedPlugin {
    name: String,
}

impl Object for Cluster {
    const API_VERSION: &str = "postgresql.cnpg.io/v1";
    const KIND: &str = "Cluster";
}

impl Cluster {
    /// The folder that it archives into already, which never changes: the chain of WAL would break in two.
    pub fn server_name(&self) -> Option<&str> {
        let ours = self.spec.plugins.iter().find(|plugin| is_ours(plugin))?;
        let set = ours["parameters"]["serverName"]
            .as_str()
            .filter(|name| !name.is_empty());
        Some(set.unwrap_or(&self.metadata.name))
    }

    /// Whether it archives by itself, which cannot be combined with the plugin.
    pub fn archives_natively(&self) -> bool {
        self.spec
            .backup
            .as_ref()
            .is_some_and(|backup| backup.barman_object_store.is_some())
    }

    /// Its plugins with ours among them, or none when ours is there as it should be.
    pub fn plugins_with(&self, server_name: &str) -> Option<Vec<Value>> {
        let ours = json!({
            "name": PLUGIN,
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": self.metadata.name, "serverName": server_name },
        });
        let mut plugins = self.spec.plugins.clone();
        match plugins.iter_mut().find(|plugin| is_ours(plugin)) {
            Some(plugin) if contains(plugin, &ours) && plugin["enabled"] != false => return None,
            Some(plugin) => *plugin = ours,
            None => plugins.push(ours),
        }
        Some(plugins)
    }

    /// Just the plugins, to be applied to the very Cluster that was read and in no other version: the list is
    /// written as a whole.
    pub fn with_plugins(&self, namespace: &str, plugins: &[Value]) -> Value {
        json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": {
                "name": self.metadata.name,
                "namespace": namespace,
                "uid": self.metadata.uid,
                "resourceVersion": self.metadata.resource_version,
            },
            "spec": { "plugins": plugins },
        })
    }

    /// Whether the operator has taken the plugin up.
    pub fn has_loaded_plugin(&self) -> bool {
        self.status
            .plugin_status
            .iter()
            .any(|plugin| plugin.name == PLUGIN)
    }

    pub fn is_healthy(&self) -> bool {
        self.status.phase == HEALTHY
    }

    pub fn phase(&self) -> &str {
        &self.status.phase
    }
}

fn is_ours(plugin: &Value) -> bool {
    plugin["name"] == PLUGIN
}

/// One of a Cluster's Pods.
#[derive(Deserialize)]
pub struct Pod {
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    init_containers: Vec<Container>,
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

impl Object for Pod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl Pod {
    /// Whether it was started with the plugin. An init container that keeps running where Kubernetes can do
    /// that, an ordinary one elsewhere.
    pub fn has_plugin(&self) -> bool {
        self.spec
            .init_containers
            .iter()
            .chain(&self.spec.containers)
            .any(|container| container.name == SIDECAR)
    }
}

/// A place in object storage, as Barman sees it.
#[derive(Deserialize)]
pub struct ObjectStore {
    #[serde(default)]
    metadata: OwnedMetadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: ObjectStoreStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct OwnedMetadata {
    #[serde(default)]
    owner_references: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ObjectStoreStatus {
    #[serde(default)]
    server_recovery_window: BTreeMap<String, RecoveryWindow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecoveryWindow {
    first_recoverability_point: Option<Timestamp>,
}

impl Object for ObjectStore {
    const API_VERSION: &str = "barmancloud.cnpg.io/v1";
    const KIND: &str = "ObjectStore";
}

impl ObjectStore {
    /// Whether it holds all that `wanted` says.
    pub fn fits(&self, wanted: &Value) -> bool {
        let owned = |owner: &Value| {
            self.metadata
                .owner_references
                .iter()
                .any(|shown| contains(shown, owner))
        };
        let owners = wanted["metadata"]["ownerReferences"].as_array();
        contains(&self.spec, &wanted["spec"])
            && owners.is_none_or(|owners| owners.iter().all(owned))
    }

    /// The oldest moment that a server can be brought back to.
    pub fn first_recoverability_point(&self, server_name: &str) -> Option<Timestamp> {
        self.status
            .server_recovery_window
            .get(server_name)?
            .first_recoverability_point
    }
}

/// Whether all of `part` is in `whole`: members of objects, and lists word for word. The API server and other
/// managers add members of their own.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

/// One base backup.
#[derive(Deserialize)]
pub struct Backup {
    pub metadata: Metadata,
    #[serde(default)]
    pub status: BackupStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupStatus {
    phase: String,
    error: Option<String>,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    /// Name of its folder.
    pub backup_id: Option<String>,
    pub begin_wal: Option<String>,
    pub end_wal: Option<String>,
}

/// How far a base backup is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    /// The operator has not taken it up, or waits for another backup of the Cluster or for a Pod.
    Pending,
    Running,
    /// The operator goes on trying once WAL is archived again.
    HeldUp,
    Done,
    /// The operator never tries again.
    Failed(&'a str),
}

impl Object for Backup {
    const API_VERSION: &str = "postgresql.cnpg.io/v1";
    const KIND: &str = "Backup";
}

impl Backup {
    /// A base backup by the plugin.
    pub fn of(cluster: &str, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": { "name": name, "namespace": namespace, "labels": { "cnpg.io/cluster": cluster } },
            "spec": {
                "method": "plugin",
                "cluster": { "name": cluster },
                "pluginConfiguration": { "name": PLUGIN },
            },
        })
    }

    pub fn completion(&self) -> Completion<'_> {
        match self.status.phase.as_str() {
            "completed" => Completion::Done,
            "failed" => Completion::Failed(self.error().unwrap_or("CloudNativePG gives no reason")),
            "walArchivingFailing" => Completion::HeldUp,
            "" | "pending" => Completion::Pending,
            _ => Completion::Running,
        }
    }

    /// What the operator says of the last attempt.
    pub fn error(&self) -> Option<&str> {
        self.status
            .error
            .as_deref()
            .filter(|error| !error.is_empty())
    }

    pub fn is_final(&self) -> bool {
        matches!(self.completion(), Completion::Done | Completion::Failed(_))
    }
}

/// A Postgres application, as far as a restore brings back its users and databases.
#[derive(Deserialize)]
pub struct Postgres {
    #[serde(default)]
    pub spec: PostgresSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct PostgresSpec {
    pub databases: Option<Value>,
    pub users: Option<BTreeMap<String, Option<User>>>,
}

/// Without the password: a Backup is readable by the tenant.
#[derive(Deserialize, Serialize, Default)]
pub struct User {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replication: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(plugins: Value) -> Cluster {
        let metadata = Metadata {
            name: "postgres-orders-db".into(),
            uid: "1".into(),
            ..Metadata::default()
        };
        let plugins = plugins.as_array().cloned().unwrap_or_default();
        Cluster {
            metadata,
            spec: ClusterSpec {
                plugins,
                backup: None,
            },
            status: ClusterStatus::default(),
        }
    }

    fn ours(server_name: &str) -> Value {
        json!({
            "name": PLUGIN,
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": "postgres-orders-db", "serverName": server_name },
        })
    }

    #[test]
    fn a_cluster_keeps_the_folder_that_it_archives_into() {
        assert_eq!(cluster(json!([])).server_name(), None);
        assert_eq!(cluster(json!([ours("old")])).server_name(), Some("old"));
        let unnamed = json!([{ "name": PLUGIN, "parameters": { "serverName": "" } }]);
        assert_eq!(cluster(unnamed).server_name(), Some("postgres-orders-db"));
    }

    #[test]
    fn foreign_plugins_are_kept() {
        let foreign = json!({ "name": "other.example", "parameters": { "a": "b" } });
        let written = cluster(json!([foreign])).plugins_with("s").map(Value::from);
        assert_eq!(written, Some(json!([foreign, ours("s")])));
        let replaced = cluster(json!([{ "name": PLUGIN }, foreign]))
            .plugins_with("s")
            .map(Value::from);
        assert_eq!(replaced, Some(json!([ours("s"), foreign])));
    }

    #[test]
    fn a_plugin_that_is_there_as_it_should_be_is_left_alone() {
        let mut shown = ours("s");
        shown["enabled"] = true.into();
        shown["parameters"]["more"] = "x".into();
        assert_eq!(cluster(json!([shown])).plugins_with("s"), None);
        shown["enabled"] = false.into();
        assert_eq!(
            cluster(json!([shown])).plugins_with("s").map(Value::from),
            Some(json!([ours("s")]))
        );
    }

    #[test]
    fn an_object_store_fits_with_what_others_have_added() {
        let wanted = json!({
            "metadata": { "ownerReferences": [{ "uid": "1" }] },
            "spec": { "configuration": { "destinationPath": "s3://b/p" } },
        });
        let shown = |uid: &str, path: &str| ObjectStore {
            metadata: OwnedMetadata {
                owner_references: vec![json!({ "uid": uid, "controller": true })],
            },
            spec: json!({ "configuration": { "destinationPath": path, "tags": {} }, "retentionPolicy": "30d" }),
            status: ObjectStoreStatus::default(),
        };
        assert!(shown("1", "s3://b/p").fits(&wanted));
        assert!(!shown("1", "s3://b/other").fits(&wanted));
        assert!(
            !shown("2", "s3://b/p").fits(&wanted),
            "it goes with a Cluster that is gone already"
        );
    }

    #[test]
    fn phases_of_the_operator() {
        let completion = |phase: &str, error: Option<&str>| {
            let status = BackupStatus {
                phase: phase.into(),
                error: error.map(Into::into),
                ..BackupStatus::default()
            };
            let backup = Backup {
                metadata: Metadata::default(),
                status,
            };
            match backup.completion() {
                Completion::Failed(why) => format!("Failed: {why}"),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(completion("", None), "Pending");
        assert_eq!(completion("started", None), "Running");
        assert_eq!(completion("finalizing", None), "Running");
        assert_eq!(completion("walArchivingFailing", Some("x")), "HeldUp");
        assert_eq!(completion("failed", Some("boom")), "Failed: boom");
        assert_eq!(
            completion("failed", Some("")),
            "Failed: CloudNativePG gives no reason"
        );
        assert_eq!(completion("completed", None), "Done");
    }
}
