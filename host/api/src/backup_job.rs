//! BackupJob: one backup of one application.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::JobStatus,
    reference::{ApplicationReference, LocalReference},
};

/// What to back up, and by which class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "BackupJob",
    plural = "backupjobs",
    namespaced,
    status = "BackupJobStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "cozystack-backups",
    shortname = "bj",
    doc = "One backup of one application. It ends as Succeeded, with a Backup of the same name, or as Failed.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    selectable = ".status.phase",
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.startedAt) || self.spec == oldSelf.spec").message("a BackupJob cannot be changed once it has started; create another"),
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.applicationRef.name"}"#,
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.backupClassName"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Backup","type":"string","priority":1,"jsonPath":".status.backupRef.name"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BackupJobSpec {
    /// The application to back up, in the job's namespace.
    pub application_ref: ApplicationReference,
    /// The BackupClass that says how.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("backupClassName is immutable"))]
    pub backup_class_name: String,
    /// The Plan that made the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<LocalReference>,
}

/// How far a backup is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupJobStatus {
    /// The Backup that the job led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_ref: Option<LocalReference>,
    /// What every job has.
    #[serde(flatten)]
    pub job: JobStatus,
}
