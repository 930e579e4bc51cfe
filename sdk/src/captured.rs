//! An operator's object as a restore found it, for restores that delete and create it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Metadata, Object, Value, json, pruned};

/// Labels and annotations under this prefix tell whose an object is, and are the host's to set: what is created again
/// carries those of the job that creates it.
const HOST: &str = "backups.cozystack.io/";
/// Holds the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object without its status, and without what the API server sets. To be
/// [remembered](crate::Context::remember) before the object is deleted: from then on there is no other record of it.
///
/// ```
/// use backup_strategy::{Captured, Metadata, Value, json};
/// # #[derive(serde::Deserialize)]
/// # struct Cluster;
/// # impl backup_strategy::Object for Cluster { const API_VERSION: &str = "example.org/v1"; const KIND: &str = "Cluster"; }
///
/// let found = Metadata { name: "db".into(), uid: "1".into(), ..Metadata::default() };
/// let captured = Captured::of(&found, &json!({ "replicas": 3 }));
/// let again = captured.object::<Cluster>("tenant-acme", "db");
/// assert_eq!(again["metadata"], json!({ "name": "db", "namespace": "tenant-acme" }));
/// assert_eq!(again["spec"]["replicas"], 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Captured {
    /// Of the object that was found: one of its name with another UID has taken its place.
    pub uid: String,
    /// Helm's among them: without them Helm takes the object for somebody else's.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The same holds for these.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// All of its spec.
    #[serde(default)]
    pub spec: Value,
}

impl Captured {
    /// An object that was read.
    #[must_use]
    pub fn of(metadata: &Metadata, spec: &Value) -> Self {
        Self {
            uid: metadata.uid.clone(),
            labels: metadata.labels.clone(),
            annotations: metadata.annotations.clone(),
            spec: spec.clone(),
        }
        .with_marks(|key| !key.starts_with(HOST) && key != LAST_APPLIED)
    }

    /// The same with those of its labels and annotations only.
    #[must_use]
    pub fn with_marks(mut self, keep: fn(&str) -> bool) -> Self {
        for marks in [&mut self.labels, &mut self.annotations] {
            // To remove from a map costs a component 3 KB more.
            let mut kept = BTreeMap::new();
            for (key, value) in std::mem::take(marks) {
                if keep(&key) {
                    kept.insert(key, value);
                }
            }
            *marks = kept;
        }
        self
    }

    /// The object as it was, to be created again.
    #[must_use]
    pub fn object<K: Object>(&self, namespace: &str, name: &str) -> Value {
        // Not the spec: `emptyDir: {}` says something.
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
    fn marks_of_the_host_and_of_kubectl_are_not_kept() {
        let marks = |keys: &[&str]| keys.iter().map(|key| ((*key).into(), "x".into())).collect();
        let found = Metadata {
            labels: marks(&[
                "app.kubernetes.io/managed-by",
                "backups.cozystack.io/owned-by.UID",
            ]),
            annotations: marks(&[LAST_APPLIED, "meta.helm.sh/release-name"]),
            ..Metadata::default()
        };
        let captured = Captured::of(&found, &json!({}));
        assert_eq!(captured.labels, marks(&["app.kubernetes.io/managed-by"]));
        assert_eq!(captured.annotations, marks(&["meta.helm.sh/release-name"]));
    }
}
