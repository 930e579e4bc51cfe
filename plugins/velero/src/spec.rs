//! What may be set.

use backup_strategy::{Knob, Problem, Rule, Value, knob, schema::*};
use serde::Deserialize;

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

/// What a BackupClass may set, too: the settings of Velero's Backup, and those of its Restore behind `restoreSpec.`, each
/// under its own name.
pub const KNOBS: &[Knob] = &[
    of_backup("ttl").ruled(DURATION),
    of_backup("itemOperationTimeout").ruled(DURATION),
    of_backup("csiSnapshotTimeout").ruled(DURATION),
    of_backup("storageLocation"),
    of_backup("volumeSnapshotLocations"),
    of_backup("datamover"),
    of_backup("includedResources"),
    of_backup("excludedResources"),
    of_backup("includedClusterScopedResources"),
    of_backup("excludedClusterScopedResources"),
    of_backup("includedNamespaceScopedResources"),
    of_backup("excludedNamespaceScopedResources"),
    of_backup("includeClusterResources"),
    of_backup("snapshotVolumes"),
    of_backup("snapshotMoveData"),
    of_backup("defaultVolumesToFsBackup"),
    of_backup("volumeGroupSnapshotLabelKey"),
    of_backup("uploaderConfig.parallelFilesUpload").ruled(COUNT),
    knob("restoreSpec.existingResourcePolicy").ruled(POLICY),
    knob("restoreSpec.includedResources"),
    knob("restoreSpec.excludedResources"),
    knob("restoreSpec.includeClusterResources"),
    knob("restoreSpec.itemOperationTimeout").ruled(DURATION),
    knob("restoreSpec.preserveNodePorts"),
    knob("restoreSpec.restorePVs"),
    knob("restoreSpec.uploaderConfig.parallelFilesDownload").ruled(COUNT),
    knob("restoreSpec.uploaderConfig.writeSparseFiles"),
];

const fn of_backup(name: &'static str) -> Knob {
    knob(name).below("/template/spec")
}

const DURATION: Rule = Rule::new(is_duration, "is a duration, such as 720h0m0s")
    .pattern("^([0-9]+([.][0-9]+)?(ms|s|m|h))+$");
const POLICY: Rule = Rule::new(
    |text| matches!(text, "none" | "update"),
    "is none or update",
)
.pattern("^(none|update)$");
const COUNT: Rule =
    Rule::new(|text| text.parse::<u32>().is_ok(), "is a number").pattern("^[0-9]+$");

/// What is wrong between the settings.
pub fn problems(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let template = &spec.template;
    of_velero("/spec/template/spec", &template.spec, &mut problems);
    if let Some(restore) = &template.restore_spec {
        of_velero("/spec/template/restoreSpec", restore, &mut problems);
    }
    problems
}

/// What Velero would refuse, or what would reach into other namespaces.
fn of_velero(pointer: &str, spec: &Value, problems: &mut Vec<Problem>) {
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
    use backup_strategy::json;

    use super::*;

    fn pointers(backup: Value, restore: Option<Value>) -> Vec<String> {
        let template = Template {
            spec: backup,
            restore_spec: restore,
        };
        problems(&Spec { template })
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
        });
        let restore = json!({ "existingResourcePolicy": "update" });
        assert!(pointers(backup, Some(restore)).is_empty());
    }

    #[test]
    fn problems_name_the_setting() {
        let selectors = json!({
            "labelSelector": { "matchLabels": { "a": "b" } },
            "orLabelSelectors": [{ "matchLabels": { "a": "b" } }],
            "includedNamespaces": ["a", "*"],
        });
        let restore = json!({ "includedNamespaces": ["*"] });
        assert_eq!(
            pointers(selectors, Some(restore)),
            [
                "/spec/template/spec/labelSelector",
                "/spec/template/spec/includedNamespaces/1",
                "/spec/template/restoreSpec/includedNamespaces/0",
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
