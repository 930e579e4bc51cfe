//! An operator's object as it was, for restores that delete it and create it anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Metadata, Object, Outcome, Value, fail, json, pruned};

/// What the host keeps for a job is at most 64 KiB; some of it is for what surrounds the object.
const BYTES: usize = 60 << 10;
/// Labels and annotations under this prefix are the host's to set: what is created anew carries those of the job that does
/// it.
const HOST_MARKS: &str = "backups.cozystack.io/";
/// Holds the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as a restore found it, to be [remembered](crate::Context::remember) before it is deleted: from then on there
/// is no other record of it.
///
/// ```
/// use backup_strategy::{Captured, json, prelude::*};
/// # #[derive(serde::Deserialize)]
/// # struct Database { metadata: Metadata, spec: Value }
/// # impl Object for Database { const API_VERSION: &str = "example.org/v1"; const KIND: &str = "Database"; }
/// # let labels = [("team".into(), "a".into()), ("backups.cozystack.io/owned-by.UID".into(), "1".into())].into();
/// # let metadata = Metadata { uid: "7".into(), labels, ..Metadata::default() };
/// # let found = Database { metadata, spec: json!({ "size": 3 }) };
/// let captured = Captured::of(&found.metadata, &found.spec)?;
/// let anew = captured.object::<Database>("tenant-acme", "orders-db");
/// assert_eq!(anew["metadata"]["labels"], json!({ "team": "a" }));
/// assert_eq!(anew["spec"], json!({ "size": 3 }));
/// # Ok::<(), Stop>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Captured {
    /// Of the object that was there: one with another was created after it.
    pub uid: String,
    /// Helm's among them: without them Helm takes the object for somebody else's.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Likewise.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What was asked for.
    pub spec: Value,
}

impl Captured {
    /// What has to be kept of an object.
    ///
    /// # Errors
    ///
    /// With a failure `NothingToCapture` where the object has no spec, and `TooLargeToCapture` where it cannot be kept: it
    /// must not be deleted then.
    pub fn of(metadata: &Metadata, spec: &Value) -> Outcome<Self> {
        let name = &metadata.name;
        if spec.as_object().is_none_or(serde_json::Map::is_empty) {
            return fail(
                "NothingToCapture",
                format!("{name} has an empty spec; it was left alone"),
            );
        }
        let captured = Self {
            uid: metadata.uid.clone(),
            labels: metadata.labels.clone(),
            annotations: metadata.annotations.clone(),
            spec: spec.clone(),
        };
        let captured =
            captured.with_marks(|key| !key.starts_with(HOST_MARKS) && key != LAST_APPLIED);
        let size = json!(captured).to_string().len();
        if size > BYTES {
            return fail(
                "TooLargeToCapture",
                format!(
                    "{name} has {size} bytes, which exceeds the {BYTES} that can be kept while it is deleted; it was left \
                     alone"
                ),
            );
        }
        Ok(captured)
    }

    /// The same with those of its labels and annotations only whose name is to be kept.
    #[must_use]
    pub fn with_marks(mut self, keep: fn(&str) -> bool) -> Self {
        self.labels.retain(|key, _| keep(key));
        self.annotations.retain(|key, _| keep(key));
        self
    }

    /// The object as it was, to be created.
    #[must_use]
    pub fn object<K: Object>(&self, namespace: &str, name: &str) -> Value {
        let metadata = pruned(json!({
            "name": name,
            "namespace": namespace,
            "labels": self.labels,
            "annotations": self.annotations,
        }));
        json!({
            "apiVersion": K::API_VERSION,
            "kind": K::KIND,
            "metadata": metadata,
            "spec": self.spec,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_told() {
        let reason = |spec: &Value| match Captured::of(&Metadata::default(), spec) {
            Err(crate::Stop::Fail(failure)) => failure.reason,
            other => format!("{other:?}"),
        };
        assert_eq!(reason(&Value::Null), "NothingToCapture");
        assert_eq!(reason(&json!({})), "NothingToCapture");
        assert_eq!(
            reason(&json!({ "padding": "x".repeat(BYTES) })),
            "TooLargeToCapture"
        );
    }

    #[test]
    fn what_others_have_written_down_of_the_object_is_not_kept() {
        let annotations = [
            LAST_APPLIED,
            "backups.cozystack.io/check-requested",
            "meta.helm.sh/release-name",
        ];
        let metadata = Metadata {
            annotations: annotations.map(|key| (key.into(), "fdb".into())).into(),
            ..Metadata::default()
        };
        let captured = Captured::of(&metadata, &json!({ "a": 1 })).unwrap_or_default();
        assert_eq!(
            captured.annotations,
            [("meta.helm.sh/release-name".into(), "fdb".into())].into()
        );
    }
}
