//! RestoreJob: one restore of one Backup.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    backup::open_object,
    job::JobStatus,
    reference::{ApplicationReference, LocalReference},
};

/// What to restore, and where to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "RestoreJob",
    plural = "restorejobs",
    namespaced,
    status = "RestoreJobStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "cozystack-backups",
    shortname = "rj",
    doc = "One restore of one Backup, in place or into another application. It ends as Succeeded or as Failed.",
    selectable = ".spec.backupRef.name",
    selectable = ".status.phase",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.startedAt) || self.spec == oldSelf.spec").message("a RestoreJob cannot be changed once it has started; create another"),
    printcolumn = r#"{"name":"Backup","type":"string","jsonPath":".spec.backupRef.name"}"#,
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetApplicationRef.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RestoreJobSpec {
    /// The Backup to restore, in the job's namespace.
    pub backup_ref: LocalReference,
    /// The application to restore into; the one that was backed up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_application_ref: Option<ApplicationReference>,
    /// The Backup's class; checked when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_class_name: Option<String>,
    /// Options of the strategy. Where `targetNamespace` is one of them, whoever creates or changes the job needs the right
    /// to create RestoreJobs in that namespace too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub options: Option<Value>,
}

/// How far a restore is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreJobStatus {
    /// What every job has.
    #[serde(flatten)]
    pub job: JobStatus,
}
