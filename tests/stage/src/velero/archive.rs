//! What a backup of Velero's holds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::play::text;

/// Objects, and the data of their volumes.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Velero's own Backup, of which it makes another when it finds none.
    pub backup: Value,
    /// The objects, as they were.
    pub objects: Vec<Value>,
    /// What lay in the volume of which claim.
    pub data: BTreeMap<String, String>,
    /// Where it is stored.
    pub location: Location,
}

/// What a BackupStorageLocation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The folder in it.
    pub prefix: String,
}

impl Location {
    pub(super) fn of(location: &Value) -> Self {
        let text = |field: &str| text(location, &format!("/spec/objectStorage/{field}")).to_owned();
        Self {
            bucket: text("bucket"),
            prefix: text("prefix"),
        }
    }

    pub(super) fn folder(&self, backup: &str) -> String {
        format!("{}/backups/{backup}", self.prefix)
    }

    /// The key of a backup's description.
    pub(super) fn description(&self, backup: &str) -> String {
        format!("{}/velero-backup.json", self.folder(backup))
    }

    /// The keys of a backup, with their sizes.
    pub(super) fn files(&self, backup: &str, namespace: &str) -> Vec<(String, u64)> {
        let folder = self.folder(backup);
        let file = |file: String, size| (format!("{folder}/{file}"), size);
        vec![
            file("velero-backup.json".into(), 2_048),
            file(format!("{backup}.tar.gz"), 40_960),
            file(format!("{backup}-logs.gz"), 8_192),
            file(format!("{backup}-results.gz"), 64),
            file(format!("{backup}-resource-list.json.gz"), 512),
            file(format!("{backup}-itemoperations.json.gz"), 1_024),
            file(format!("{backup}-volumeinfo.json.gz"), 512),
            // One repository for all backups of a namespace.
            (
                format!("{}/kopia/{namespace}/kopia.repository", self.prefix),
                1_100,
            ),
        ]
    }
}
