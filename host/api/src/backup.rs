//! Backup: what a finished job left behind, and what can be restored.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    condition::Condition,
    job::{PluginIdentity, StrategyProgress},
    reference::{ApplicationReference, LocalReference, StrategyReference},
};

/// That a field of the spec is as it was, or absent as it was.
macro_rules! unchanged {
    ($field:literal) => {
        concat!(
            "has(self.spec.",
            $field,
            ") == has(oldSelf.spec.",
            $field,
            ") && (!has(self.spec.",
            $field,
            ") || self.spec.",
            $field,
            " == oldSelf.spec.",
            $field,
            ")"
        )
    };
}

/// A Backup says what was done, so nothing of it changes but what is to become of its data.
const IMMUTABLE: &str = concat!(
    unchanged!("applicationRef"),
    " && ",
    unchanged!("strategyRef"),
    " && ",
    unchanged!("takenAt"),
    " && ",
    unchanged!("planRef"),
    " && ",
    unchanged!("backupClassName"),
    " && ",
    unchanged!("parameters"),
    " && ",
    unchanged!("driverMetadata"),
    " && ",
    unchanged!("plugin"),
    " && ",
    unchanged!("storage"),
);

/// What was backed up, how and where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "Backup",
    plural = "backups",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    category = "cozystack-backups",
    doc = "A finished backup of an application. Created by the host; a RestoreJob names it.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    selectable = ".status.phase",
    validation = Rule::new(IMMUTABLE).message("a Backup cannot be changed, but for deletionPolicy"),
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.applicationRef.kind"}"#,
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.applicationRef.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Available","type":"string","jsonPath":".status.conditions[?(@.type==\"Available\")].status"}"#,
    printcolumn = r#"{"name":"Taken","type":"date","jsonPath":".spec.takenAt"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Size","type":"integer","priority":1,"jsonPath":".status.artifact.sizeBytes"}"#,
    printcolumn = r#"{"name":"Checked","type":"date","priority":1,"jsonPath":".status.lastCheckTime"}"#,
    printcolumn = r#"{"name":"Artifact","type":"string","priority":1,"jsonPath":".status.artifact.uri"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// The application that the backup was taken from.
    pub application_ref: ApplicationReference,
    /// The strategy object that it was taken with.
    pub strategy_ref: StrategyReference,
    /// When the state that the backup holds was taken.
    pub taken_at: Time,
    /// The Plan that the backup belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<LocalReference>,
    /// The BackupClass that it was taken with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_class_name: Option<String>,
    /// The BackupClass's parameters at that time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// What the strategy needs to find its backup again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_metadata: BTreeMap<String, String>,
    /// Which plugin took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginIdentity>,
    /// The storage that it was written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageLocation>,
    /// Whether the data goes with this object; `Delete` when absent. The only field that can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageLocation {
    /// URL of the storage service.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
}

/// What becomes of the data when a Backup is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The data is removed.
    Delete,
    /// The data stays.
    Retain,
}

/// How far a Backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BackupPhase {
    /// Not complete yet.
    Pending,
    /// Complete.
    Ready,
    /// Not usable.
    Failed,
}

/// What is known of the backup's data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Pending, Ready or Failed. A backup whose data is lost stays Ready: `Available` tells.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "known_phase"
    )]
    pub phase: Option<BackupPhase>,
    /// The data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<BackupArtifact>,
    /// What the strategy noted of the application, an object with `apiVersion` and `kind` of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub underlying_resources: Option<Value>,
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When it was last looked, or tried to look, whether the data is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_time: Option<Time>,
    /// How often in a row it could not be looked; absent when it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failed_checks: Option<u32>,
    /// The value of the annotation `backups.cozystack.io/check-requested` that was last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_request: Option<String>,
    /// What the host keeps between two evaluations of the strategy, while the backup is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyProgress>,
    /// `Ready` and `Available`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The data of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupArtifact {
    /// Where it is, in the strategy's own terms.
    pub uri: String,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// For example `sha256:<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// The old controllers' definition let any text through, also an empty one; such a phase is none.
fn known_phase<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BackupPhase>, D::Error> {
    let text = Option::<Value>::deserialize(from)?;
    Ok(text.and_then(|text| serde_json::from_value(text).ok()))
}

/// An object of any shape, in the words of a structural schema.
pub(crate) fn open_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;
    use serde_json::json;

    use super::*;

    // Defect 12 of the reference: everything in a Backup could be changed.
    #[test]
    fn every_field_but_the_deletion_policy_is_immutable() {
        let definition = serde_json::to_value(Backup::crd()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let rule = schema["x-kubernetes-validations"][0]["rule"]
            .as_str()
            .unwrap();
        let fields = schema["properties"]["spec"]["properties"]
            .as_object()
            .unwrap();
        for field in fields.keys() {
            assert_eq!(
                rule.contains(&format!("self.spec.{field} ==")),
                field != "deletionPolicy",
                "{field}"
            );
        }
    }

    #[test]
    fn a_phase_that_no_controller_wrote_is_none() {
        for phase in ["", "Deleting"] {
            let status: BackupStatus = serde_json::from_value(json!({ "phase": phase })).unwrap();
            assert_eq!(status.phase, None);
        }
        let status: BackupStatus = serde_json::from_value(json!({ "phase": "Ready" })).unwrap();
        assert_eq!(status.phase, Some(BackupPhase::Ready));
    }
}
