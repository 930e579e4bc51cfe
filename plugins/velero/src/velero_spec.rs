//! The parts of Velero's own API that an administrator writes: `BackupSpec` and `RestoreSpec` of `velero.io/v1`.
//!
//! All of this is for the schema alone, so that the API server knows the fields: the component hands on what it is given. What speaks for itself has no description, to keep the component
//! small.

use std::collections::BTreeMap;

use backup_strategy::{Value, schema::*};

/// What Velero's Backup says, as Velero has it. `includedNamespaces` is the application's own namespace, and may be left
/// out.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// How long Velero waits for a snapshot to be made, such as `10m0s`.
    pub csi_snapshot_timeout: Option<String>,
    /// Name of the data mover. When absent: Velero's own.
    pub datamover: Option<String>,
    /// Whether volumes are backed up file by file unless a Pod says otherwise.
    pub default_volumes_to_fs_backup: Option<bool>,
    /// The old name of `defaultVolumesToFsBackup`.
    pub default_volumes_to_restic: Option<bool>,
    /// Cluster-scoped kinds that are left out.
    pub excluded_cluster_scoped_resources: Option<Vec<String>>,
    /// Namespaced kinds that are left out.
    pub excluded_namespace_scoped_resources: Option<Vec<String>>,
    /// Namespaces that are left out.
    pub excluded_namespaces: Option<Vec<String>>,
    /// Kinds that are left out.
    pub excluded_resources: Option<Vec<String>>,
    /// What is run in Pods before and after they are backed up.
    pub hooks: Option<BackupHooks>,
    /// Whether cluster-scoped objects are backed up. When absent: those that belong to the others.
    pub include_cluster_resources: Option<bool>,
    /// Cluster-scoped kinds that are backed up.
    pub included_cluster_scoped_resources: Option<Vec<String>>,
    /// Namespaced kinds that are backed up.
    pub included_namespace_scoped_resources: Option<Vec<String>>,
    /// The application's namespace, and no other.
    pub included_namespaces: Option<Vec<String>>,
    /// Kinds that are backed up.
    pub included_resources: Option<Vec<String>>,
    /// How long Velero waits for the data of the volumes to be stored, such as `24h0m0s`.
    pub item_operation_timeout: Option<String>,
    /// Labels of the objects that are backed up.
    pub label_selector: Option<LabelSelector>,
    /// Metadata of what is made for the backup.
    pub metadata: Option<Labels>,
    /// Labels of the objects that are backed up: of any of these. The disks of a virtual machine are added. When this and
    /// `labelSelector` are absent: the application's own objects.
    pub or_label_selectors: Option<Vec<LabelSelector>>,
    /// The order in which objects of a kind are backed up.
    pub ordered_resources: Option<BTreeMap<String, String>>,
    /// A ConfigMap in Velero's namespace with rules for volumes.
    pub resource_policy: Option<LocalReference>,
    /// Whether the data of snapshots is moved to the bucket.
    pub snapshot_move_data: Option<bool>,
    /// Whether snapshots of volumes are taken.
    pub snapshot_volumes: Option<bool>,
    /// Name of Velero's BackupStorageLocation. When absent: `cozy-default`, the platform's.
    pub storage_location: Option<String>,
    /// After how long Velero removes the backup, such as `720h0m0s`.
    pub ttl: Option<String>,
    /// How data is uploaded.
    pub uploader_config: Option<Upload>,
    /// Label of volumes that are snapshotted together.
    pub volume_group_snapshot_label_key: Option<String>,
    /// Names of Velero's VolumeSnapshotLocations.
    pub volume_snapshot_locations: Option<Vec<String>>,
}

/// How data is uploaded.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// How many files are uploaded at a time.
    pub parallel_files_upload: Option<i64>,
}

/// Metadata of what is made for the backup.
#[derive(JsonSchema)]
pub struct Labels {
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Names an object in Velero's namespace.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LocalReference {
    /// API group; empty for the core group.
    pub api_group: Option<String>,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

// A label selector, as Kubernetes has it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    // Labels and their values.
    pub match_labels: Option<BTreeMap<String, String>>,
    // Conditions on labels.
    pub match_expressions: Option<Vec<Requirement>>,
}

// A condition on a label.
#[derive(JsonSchema)]
pub struct Requirement {
    // The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    // Values, for `In` and `NotIn`.
    pub values: Option<Vec<String>>,
}

/// What is run in Pods before and after they are backed up.
#[derive(JsonSchema)]
pub struct BackupHooks {
    // Each for some objects.
    pub resources: Option<Vec<BackupHook>>,
}

// What is run for some objects.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupHook {
    // Its name.
    pub name: String,
    // Namespaces that it is not for.
    pub excluded_namespaces: Option<Vec<String>>,
    // Kinds that it is not for.
    pub excluded_resources: Option<Vec<String>>,
    // Namespaces that it is for.
    pub included_namespaces: Option<Vec<String>>,
    // Kinds that it is for.
    pub included_resources: Option<Vec<String>>,
    // Labels of the objects that it is for.
    pub label_selector: Option<LabelSelector>,
    // Run before.
    pub pre: Option<Vec<BackupHookStep>>,
    // Run after.
    pub post: Option<Vec<BackupHookStep>>,
}

// One step of a hook.
#[derive(JsonSchema)]
pub struct BackupHookStep {
    /// A command in a container.
    pub exec: BackupExec,
}

/// A command in a container.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupExec {
    /// The command and its arguments.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// The container. When absent: the first of the Pod.
    pub container: Option<String>,
    /// What becomes of the backup when it fails.
    pub on_error: Option<OnError>,
    /// How long it may run.
    pub timeout: Option<String>,
}

/// What becomes of the work when a hook fails.
#[derive(JsonSchema)]
pub enum OnError {
    /// It goes on.
    Continue,
    /// It fails.
    Fail,
}

/// What Velero's Restore says, as Velero has it. The Backup, the mapping of namespaces and the modifiers of objects are
/// the strategy's to say.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSpec {
    /// Passed over: it is the RestoreJob's.
    pub backup_name: Option<String>,
    /// Passed over: it is the RestoreJob's.
    pub schedule_name: Option<String>,
    /// Namespaces that are left out.
    pub excluded_namespaces: Option<Vec<String>>,
    /// Kinds that are not restored.
    pub excluded_resources: Option<Vec<String>>,
    /// What becomes of objects that are there when a backup is restored: `none` or `update`. When absent: `update`.
    pub existing_resource_policy: Option<String>,
    /// What is run in Pods that were restored.
    pub hooks: Option<RestoreHooks>,
    /// Whether cluster-scoped objects are restored. When absent: those that belong to the others.
    pub include_cluster_resources: Option<bool>,
    /// The namespace of the application that was backed up, and no other.
    pub included_namespaces: Option<Vec<String>>,
    /// Kinds that are restored.
    pub included_resources: Option<Vec<String>>,
    /// How long Velero waits for the data of the volumes to be restored, such as `24h0m0s`.
    pub item_operation_timeout: Option<String>,
    /// Labels of the objects that are restored.
    pub label_selector: Option<LabelSelector>,
    /// Passed over: the RestoreJob's `targetNamespace` says it.
    pub namespace_mapping: Option<BTreeMap<String, String>>,
    /// Labels of the objects that are restored: of any of these. The disks of a virtual machine are added.
    pub or_label_selectors: Option<Vec<LabelSelector>>,
    /// Whether Services keep their node ports.
    pub preserve_node_ports: Option<bool>,
    /// Passed over: the strategy has one of its own.
    pub resource_modifier: Option<LocalReference>,
    /// Whether volumes are restored.
    #[serde(rename = "restorePVs")]
    pub restore_pvs: Option<bool>,
    /// Kinds of which the status is restored, too.
    pub restore_status: Option<RestoreStatus>,
    /// How data is downloaded.
    pub uploader_config: Option<Download>,
}

/// Kinds of which the status is restored, too.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    // Of these it is not.
    pub excluded_resources: Option<Vec<String>>,
    // Of these it is.
    pub included_resources: Option<Vec<String>>,
}

/// How data is downloaded.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// How many files are downloaded at a time.
    pub parallel_files_download: Option<i64>,
    /// Whether holes in files stay holes.
    pub write_sparse_files: Option<bool>,
}

/// What is run in Pods that were restored.
#[derive(JsonSchema)]
pub struct RestoreHooks {
    // Each for some objects.
    pub resources: Option<Vec<RestoreHook>>,
}

// What is run for some objects.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreHook {
    // Its name.
    pub name: String,
    // Namespaces that it is not for.
    pub excluded_namespaces: Option<Vec<String>>,
    // Kinds that it is not for.
    pub excluded_resources: Option<Vec<String>>,
    // Namespaces that it is for.
    pub included_namespaces: Option<Vec<String>>,
    // Kinds that it is for.
    pub included_resources: Option<Vec<String>>,
    // Labels of the objects that it is for.
    pub label_selector: Option<LabelSelector>,
    // Run after.
    pub post_hooks: Option<Vec<RestoreHookStep>>,
}

// One step of a hook.
#[derive(JsonSchema)]
pub struct RestoreHookStep {
    /// A command in a container.
    pub exec: Option<RestoreExec>,
    /// Containers that run first in the Pod.
    pub init: Option<RestoreInit>,
}

/// A command in a container.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreExec {
    /// The command and its arguments.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// The container. When absent: the first of the Pod.
    pub container: Option<String>,
    /// How long it may run.
    pub exec_timeout: Option<String>,
    /// What becomes of the restore when it fails.
    pub on_error: Option<OnError>,
    /// Whether it waits until the container is ready.
    pub wait_for_ready: Option<bool>,
    /// How long it waits for the container.
    pub wait_timeout: Option<String>,
}

/// Containers that run first in the Pod.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreInit {
    /// The containers, as Kubernetes has them.
    pub init_containers: Option<Vec<Value>>,
    /// How long they may run.
    pub timeout: Option<String>,
}
