//! What may be set.

use backup_strategy::{Problem, Value, json, pruned, schema::*};
use serde::{Deserialize, Serialize};

/// How virtual machines and their disks are backed up by Velero.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spec {
    /// The settings. Every text in it may be a template.
    pub template: Template,
}

/// What is rendered for each application.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The `spec` of Velero's Backup.
    #[schemars(with = "crate::velero_spec::BackupSpec")]
    pub spec: Value,
    /// The `spec` of Velero's Restore. It is rendered for the application that was backed up, also where another one is
    /// restored.
    #[serde(default)]
    #[schemars(with = "Option<crate::velero_spec::RestoreSpec>")]
    pub restore_spec: Option<Value>,
}

/// What a BackupClass may set besides; it wins over the strategy's own setting. Lists have commas between their items.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Parameters {
    /// After how long Velero removes the backup, such as `720h0m0s`.
    #[schemars(regex(pattern = "^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"))]
    pub ttl: Option<String>,
    /// How long Velero waits for the data of the volumes to be stored.
    #[schemars(regex(pattern = "^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"))]
    pub item_operation_timeout: Option<String>,
    /// How long Velero waits for a snapshot to be made.
    #[schemars(regex(pattern = "^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"))]
    pub csi_snapshot_timeout: Option<String>,
    /// Name of Velero's BackupStorageLocation.
    pub storage_location: Option<String>,
    /// Names of Velero's VolumeSnapshotLocations.
    pub volume_snapshot_locations: Option<String>,
    /// Name of the data mover.
    pub datamover: Option<String>,
    /// Kinds that are backed up.
    pub included_resources: Option<String>,
    /// Kinds that are left out.
    pub excluded_resources: Option<String>,
    /// Cluster-scoped kinds that are backed up.
    pub included_cluster_scoped_resources: Option<String>,
    /// Cluster-scoped kinds that are left out.
    pub excluded_cluster_scoped_resources: Option<String>,
    /// Namespaced kinds that are backed up.
    pub included_namespace_scoped_resources: Option<String>,
    /// Namespaced kinds that are left out.
    pub excluded_namespace_scoped_resources: Option<String>,
    /// Whether cluster-scoped objects are backed up.
    pub include_cluster_resources: Option<Switch>,
    /// Whether snapshots of volumes are taken.
    pub snapshot_volumes: Option<Switch>,
    /// Whether the data of snapshots is moved to the bucket.
    pub snapshot_move_data: Option<Switch>,
    /// Whether volumes are backed up file by file unless a Pod says otherwise.
    pub default_volumes_to_fs_backup: Option<Switch>,
    /// Label of volumes that are snapshotted together.
    pub volume_group_snapshot_label_key: Option<String>,
    /// How many files are uploaded at a time.
    #[serde(rename = "uploaderConfig.parallelFilesUpload")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,3}$"))]
    pub parallel_files_upload: Option<String>,
    /// What becomes of objects that are there when a backup is restored.
    #[serde(rename = "restoreSpec.existingResourcePolicy")]
    pub existing_resource_policy: Option<ExistingResources>,
    /// Kinds that are restored.
    #[serde(rename = "restoreSpec.includedResources")]
    pub restored_resources: Option<String>,
    /// Kinds that are not restored.
    #[serde(rename = "restoreSpec.excludedResources")]
    pub unrestored_resources: Option<String>,
    /// Whether cluster-scoped objects are restored.
    #[serde(rename = "restoreSpec.includeClusterResources")]
    pub restore_cluster_resources: Option<Switch>,
    /// How long Velero waits for the data of the volumes to be restored.
    #[serde(rename = "restoreSpec.itemOperationTimeout")]
    #[schemars(regex(pattern = "^([0-9]+([.][0-9]+)?(ms|s|m|h))+$"))]
    pub restore_timeout: Option<String>,
    /// Whether Services keep their node ports.
    #[serde(rename = "restoreSpec.preserveNodePorts")]
    pub preserve_node_ports: Option<Switch>,
    /// Whether volumes are restored.
    #[serde(rename = "restoreSpec.restorePVs")]
    pub restore_pvs: Option<Switch>,
    /// How many files are downloaded at a time.
    #[serde(rename = "restoreSpec.uploaderConfig.parallelFilesDownload")]
    #[schemars(regex(pattern = "^[1-9][0-9]{0,3}$"))]
    pub parallel_files_download: Option<String>,
    /// Whether holes in files stay holes.
    #[serde(rename = "restoreSpec.uploaderConfig.writeSparseFiles")]
    pub write_sparse_files: Option<Switch>,
}

impl Parameters {
    /// The settings of Velero's Backup that they make.
    pub fn of_backup(&self) -> Value {
        pruned(json!({
            "ttl": self.ttl,
            "itemOperationTimeout": self.item_operation_timeout,
            "csiSnapshotTimeout": self.csi_snapshot_timeout,
            "storageLocation": self.storage_location,
            "volumeSnapshotLocations": list(self.volume_snapshot_locations.as_ref()),
            "datamover": self.datamover,
            "includedResources": list(self.included_resources.as_ref()),
            "excludedResources": list(self.excluded_resources.as_ref()),
            "includedClusterScopedResources": list(self.included_cluster_scoped_resources.as_ref()),
            "excludedClusterScopedResources": list(self.excluded_cluster_scoped_resources.as_ref()),
            "includedNamespaceScopedResources": list(self.included_namespace_scoped_resources.as_ref()),
            "excludedNamespaceScopedResources": list(self.excluded_namespace_scoped_resources.as_ref()),
            "includeClusterResources": is_on(self.include_cluster_resources),
            "snapshotVolumes": is_on(self.snapshot_volumes),
            "snapshotMoveData": is_on(self.snapshot_move_data),
            "defaultVolumesToFsBackup": is_on(self.default_volumes_to_fs_backup),
            "volumeGroupSnapshotLabelKey": self.volume_group_snapshot_label_key,
            "uploaderConfig": { "parallelFilesUpload": number(self.parallel_files_upload.as_ref()) },
        }))
    }

    /// The settings of Velero's Restore that they make.
    pub fn of_restore(&self) -> Value {
        pruned(json!({
            "existingResourcePolicy": self.existing_resource_policy,
            "includedResources": list(self.restored_resources.as_ref()),
            "excludedResources": list(self.unrestored_resources.as_ref()),
            "includeClusterResources": is_on(self.restore_cluster_resources),
            "itemOperationTimeout": self.restore_timeout,
            "preserveNodePorts": is_on(self.preserve_node_ports),
            "restorePVs": is_on(self.restore_pvs),
            "uploaderConfig": {
                "parallelFilesDownload": number(self.parallel_files_download.as_ref()),
                "writeSparseFiles": is_on(self.write_sparse_files),
            },
        }))
    }
}

fn list(text: Option<&String>) -> Option<Vec<&str>> {
    let items = text?.split(',').map(str::trim);
    Some(items.filter(|item| !item.is_empty()).collect())
}

fn number(text: Option<&String>) -> Option<u32> {
    text?.parse().ok()
}

fn is_on(switch: Option<Switch>) -> Option<bool> {
    Some(switch? == Switch::True)
}

/// A boolean, as parameters have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they say what they are")]
pub enum Switch {
    True,
    False,
}

/// What becomes of objects that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExistingResources {
    /// They stay as they are.
    None,
    /// They become what was backed up.
    Update,
}

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Namespace to restore a copy into. When absent: the application is restored in place.
    pub target_namespace: Option<String>,
    /// Whether a copy fails where the application or one of its disks is there already; otherwise these are replaced as
    /// in a restore in place. True when absent.
    pub fail_if_target_exists: Option<bool>,
    /// Whether the volumes that are replaced stay, under names with `-orig-` in them. True when absent. If not, they are
    /// removed once the restore has succeeded.
    #[serde(rename = "keepOriginalPVC")]
    pub keep_original_pvc: Option<bool>,
    /// Whether the virtual machine gets the IP and the MAC address that it was backed up with. When absent: true in
    /// place, and false for a copy, which would take them away from the original.
    pub keep_original_ip_and_mac: Option<bool>,
}

impl Options {
    /// Whether a copy must not find anything.
    pub fn fails_if_target_exists(&self) -> bool {
        self.fail_if_target_exists.unwrap_or(true)
    }

    /// Whether the volumes that are replaced stay.
    pub fn keeps_volumes(&self) -> bool {
        self.keep_original_pvc.unwrap_or(true)
    }

    /// Whether the addresses stay.
    pub fn keeps_addresses(&self, is_copy: bool) -> bool {
        self.keep_original_ip_and_mac.unwrap_or(!is_copy)
    }
}

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let mut problems = Vec::new();
    let template = &spec.template;
    of_velero("/spec/template/spec", &template.spec, &mut problems);
    if let Some(restore) = &template.restore_spec {
        of_velero("/spec/template/restoreSpec", restore, &mut problems);
    }
    for (name, text) in [
        ("ttl", &parameters.ttl),
        ("itemOperationTimeout", &parameters.item_operation_timeout),
        ("csiSnapshotTimeout", &parameters.csi_snapshot_timeout),
        (
            "restoreSpec.itemOperationTimeout",
            &parameters.restore_timeout,
        ),
    ] {
        if text.as_ref().is_some_and(|text| !is_duration(text)) {
            problems.push(Problem::at(&format!("/parameters/{name}"), DURATION));
        }
    }
    problems
}

const DURATION: &str = "is a duration, such as 720h0m0s";

/// What Velero would refuse, or what would reach into other namespaces.
fn of_velero(pointer: &str, spec: &Value, problems: &mut Vec<Problem>) {
    for name in ["ttl", "itemOperationTimeout", "csiSnapshotTimeout"] {
        let text = spec[name].as_str().unwrap_or_default();
        if !text.is_empty() && !text.contains("{{") && !is_duration(text) {
            problems.push(Problem::at(&format!("{pointer}/{name}"), DURATION));
        }
    }
    if is_set(&spec["labelSelector"]) && is_set(&spec["orLabelSelectors"]) {
        let message = "Velero takes no labelSelector beside orLabelSelectors";
        problems.push(Problem::at(&format!("{pointer}/labelSelector"), message));
    }
    let namespaces = spec["includedNamespaces"].as_array();
    for (index, namespace) in namespaces.into_iter().flatten().enumerate() {
        if namespace == "*" {
            let message = "names all namespaces; leave it out, and the application's own is meant";
            problems.push(Problem::at(
                &format!("{pointer}/includedNamespaces/{index}"),
                message,
            ));
        }
    }
    let policy = spec["existingResourcePolicy"].as_str().unwrap_or_default();
    if !matches!(policy, "" | "none" | "update") && !policy.contains("{{") {
        problems.push(Problem::at(
            &format!("{pointer}/existingResourcePolicy"),
            "is none or update",
        ));
    }
}

/// Whether a setting says something.
pub fn is_set(setting: &Value) -> bool {
    match setting {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

/// A duration as Go writes it, without signs and parts of a millisecond.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let Some(digits) = digits.filter(|digits| *digits > 0) else {
            return false;
        };
        let (number, unit) = rest.split_at(digits);
        let Some(after) = ["ms", "s", "m", "h"]
            .iter()
            .find_map(|name| unit.strip_prefix(name))
        else {
            return false;
        };
        if number.starts_with('.') || number.ends_with('.') || number.matches('.').count() > 1 {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(backup: Value, restore: Option<Value>, parameters: &Parameters) -> Vec<String> {
        let template = Template {
            spec: backup,
            restore_spec: restore,
        };
        problems(&Spec { template }, parameters)
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    #[test]
    fn templates_and_what_velero_takes_are_no_problem() {
        let backup = json!({
            "includedNamespaces": ["{{ .Application.metadata.namespace }}"],
            "orLabelSelectors": [{ "matchLabels": { "a": "b" } }],
            "labelSelector": {},
            "ttl": "720h0m0s",
            "itemOperationTimeout": "{{ .Parameters.timeout }}",
        });
        let restore = json!({ "existingResourcePolicy": "update" });
        let parameters = Parameters {
            ttl: Some("1.5h".into()),
            ..Parameters::default()
        };
        assert!(pointers(backup, Some(restore), &parameters).is_empty());
    }

    #[test]
    fn problems_name_the_setting() {
        let selectors = json!({
            "labelSelector": { "matchLabels": { "a": "b" } },
            "orLabelSelectors": [{ "matchLabels": { "a": "b" } }],
            "includedNamespaces": ["a", "*"],
            "ttl": "30d",
        });
        let restore = json!({ "existingResourcePolicy": "replace" });
        let parameters = Parameters {
            ttl: Some("10".into()),
            ..Parameters::default()
        };
        assert_eq!(
            pointers(selectors, Some(restore), &parameters),
            [
                "/spec/template/spec/ttl",
                "/spec/template/spec/labelSelector",
                "/spec/template/spec/includedNamespaces/1",
                "/spec/template/restoreSpec/existingResourcePolicy",
                "/parameters/ttl",
            ]
        );
    }

    #[test]
    fn durations_are_gos() {
        for text in ["1h", "720h0m0s", "1.5h", "10ms"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "h", "1d", "-1h", "1..5h", ".5h", "1h ", "5.h"] {
            assert!(!is_duration(text), "{text}");
        }
    }

    #[test]
    fn parameters_are_settings_of_velero() {
        let parameters = Parameters {
            included_resources: Some("pods, secrets,".into()),
            snapshot_move_data: Some(Switch::False),
            parallel_files_upload: Some("4".into()),
            restored_resources: Some("pods".into()),
            write_sparse_files: Some(Switch::True),
            ..Parameters::default()
        };
        assert_eq!(
            parameters.of_backup(),
            json!({
                "includedResources": ["pods", "secrets"],
                "snapshotMoveData": false,
                "uploaderConfig": { "parallelFilesUpload": 4 },
            })
        );
        assert_eq!(
            parameters.of_restore(),
            json!({ "includedResources": ["pods"], "uploaderConfig": { "writeSparseFiles": true } })
        );
    }

    // TestRestoreOptions_Defaults
    #[test]
    fn what_is_not_asked_for_is_the_careful_choice() {
        let options = Options::default();
        assert!(options.fails_if_target_exists() && options.keeps_volumes());
        assert!(options.keeps_addresses(false) && !options.keeps_addresses(true));
        let options = Options {
            fail_if_target_exists: Some(false),
            keep_original_pvc: Some(false),
            keep_original_ip_and_mac: Some(false),
            ..Options::default()
        };
        assert!(!options.fails_if_target_exists() && !options.keeps_volumes());
        assert!(!options.keeps_addresses(false));
    }
}
