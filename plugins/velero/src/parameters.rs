//! What a BackupClass may set besides: the settings of Velero's Backup, and those of its Restore behind `restoreSpec.`,
//! each under its own name. They win over the strategy's. `velero_spec` describes them.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;
use serde::Deserialize;

use crate::spec::{DURATION, is_duration};

/// The parameters, among them those that only templates use.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Parameters(BTreeMap<String, String>);

/// What stands in the text of a parameter.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Duration,
    /// With commas between the items.
    List,
    Flag,
    Number,
}

const SETTINGS: &[(&str, Form)] = &[
    ("ttl", Form::Duration),
    ("itemOperationTimeout", Form::Duration),
    ("csiSnapshotTimeout", Form::Duration),
    ("storageLocation", Form::Text),
    ("volumeSnapshotLocations", Form::List),
    ("datamover", Form::Text),
    ("includedResources", Form::List),
    ("excludedResources", Form::List),
    ("includedClusterScopedResources", Form::List),
    ("excludedClusterScopedResources", Form::List),
    ("includedNamespaceScopedResources", Form::List),
    ("excludedNamespaceScopedResources", Form::List),
    ("includeClusterResources", Form::Flag),
    ("snapshotVolumes", Form::Flag),
    ("snapshotMoveData", Form::Flag),
    ("defaultVolumesToFsBackup", Form::Flag),
    ("volumeGroupSnapshotLabelKey", Form::Text),
    ("uploaderConfig.parallelFilesUpload", Form::Number),
    ("restoreSpec.existingResourcePolicy", Form::Text),
    ("restoreSpec.includedResources", Form::List),
    ("restoreSpec.excludedResources", Form::List),
    ("restoreSpec.includeClusterResources", Form::Flag),
    ("restoreSpec.itemOperationTimeout", Form::Duration),
    ("restoreSpec.preserveNodePorts", Form::Flag),
    ("restoreSpec.restorePVs", Form::Flag),
    (
        "restoreSpec.uploaderConfig.parallelFilesDownload",
        Form::Number,
    ),
    ("restoreSpec.uploaderConfig.writeSparseFiles", Form::Flag),
];

impl Parameters {
    /// The settings that begin with `prefix`, as Velero has them.
    pub fn of(&self, prefix: &str) -> Value {
        let mut settings = json!({});
        for (name, form) in SETTINGS {
            let (Some(text), Some(path)) = (self.0.get(*name), name.strip_prefix(prefix)) else {
                continue;
            };
            if prefix.is_empty() && path.starts_with("restoreSpec.") {
                continue;
            }
            match path.split_once('.') {
                Some((part, member)) => settings[part][member] = form.value(text),
                None => settings[path] = form.value(text),
            }
        }
        settings
    }

    pub fn problems(&self) -> Vec<Problem> {
        let durations = SETTINGS
            .iter()
            .filter(|(_, form)| matches!(form, Form::Duration));
        durations
            .filter(|(name, _)| self.0.get(*name).is_some_and(|text| !is_duration(text)))
            .map(|(name, _)| Problem::at(&format!("/parameters/{name}"), DURATION))
            .collect()
    }
}

impl Form {
    /// The host has held the text against the schema.
    fn value(self, text: &str) -> Value {
        match self {
            Self::Text | Self::Duration => text.into(),
            Self::List => {
                let items = text.split(',').map(str::trim);
                items.filter(|item| !item.is_empty()).collect()
            }
            Self::Flag => (text == "true").into(),
            Self::Number => text.parse::<u32>().unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_settings_of_velero() {
        let parameters = [
            ("includedResources", "pods, secrets,"),
            ("snapshotMoveData", "false"),
            ("uploaderConfig.parallelFilesUpload", "4"),
            ("restoreSpec.includedResources", "pods"),
            ("restoreSpec.uploaderConfig.writeSparseFiles", "true"),
            ("ttl", "10"),
            ("for-a-template", "x"),
        ];
        let parameters = parameters.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let parameters = Parameters(parameters.into());
        assert_eq!(
            parameters.of(""),
            json!({
                "ttl": "10",
                "includedResources": ["pods", "secrets"],
                "snapshotMoveData": false,
                "uploaderConfig": { "parallelFilesUpload": 4 },
            })
        );
        assert_eq!(
            parameters.of("restoreSpec."),
            json!({ "includedResources": ["pods"], "uploaderConfig": { "writeSparseFiles": true } })
        );
        let problems = parameters.problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "/parameters/ttl");
    }
}
