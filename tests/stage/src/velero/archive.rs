//! What a backup of Velero's holds.

use std::collections::BTreeMap;

use serde_json::Value;

/// Objects, and the data of their volumes.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Velero's own Backup, of which it makes another when it finds none.
    pub backup: Value,
    /// The objects, as they were.
    pub objects: Vec<Value>,
    /// What lay in the volume of which claim.
    pub data: BTreeMap<String, String>,
}

impl Archive {
    /// The key of an archive's description in the bucket.
    pub(super) fn description(name: &str) -> String {
        format!("{}/velero-backup.json", Self::folder(name))
    }

    pub(super) fn folder(name: &str) -> String {
        format!("{}/backups/{name}", super::PREFIX)
    }

    /// The keys of an archive in the bucket, with their sizes.
    pub(super) fn files(name: &str) -> Vec<(String, u64)> {
        let folder = Self::folder(name);
        let file = |file: String, size| (format!("{folder}/{file}"), size);
        vec![
            file("velero-backup.json".into(), 2_048),
            file(format!("{name}.tar.gz"), 40_960),
            file(format!("{name}-logs.gz"), 8_192),
            file(format!("{name}-results.gz"), 64),
            file(format!("{name}-resource-list.json.gz"), 512),
            file(format!("{name}-itemoperations.json.gz"), 1_024),
            file(format!("{name}-volumeinfo.json.gz"), 512),
        ]
    }
}
