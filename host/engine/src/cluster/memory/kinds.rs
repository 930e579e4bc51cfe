//! Which kinds there are.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    super::ApiError,
    errors,
    object::group_version,
    shape::{self, Shape},
};

/// How the API server counts `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// From 1, at every change outside metadata: custom resources.
    Content,
    /// Not at all: most of the core group.
    Absent,
}

/// What a write of the status part may change beside the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusWrite {
    /// There is no status part.
    Absent,
    /// Nothing: custom resources.
    StatusOnly,
    /// Labels, annotations and the like too: the core group.
    WithMetadata,
}

/// One version of a kind.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
    pub(super) status: StatusWrite,
    pub(super) generation: Generation,
    /// One of the API server's own kinds, which it holds in Go structs.
    pub(super) native: bool,
    /// Whether an update may leave out the resource version.
    pub(super) unconditional_update: bool,
    /// How values merge and who can own what.
    pub(super) shape: Arc<Shape>,
    /// The structural schema of a custom resource.
    pub(super) schema: Option<Arc<Value>>,
}

impl Kind {
    /// A kind without a schema, which behaves as a custom resource does.
    pub(super) fn open(
        api_version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
        status: bool,
    ) -> Self {
        let (group, version) = group_version(api_version);
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            status: if status {
                StatusWrite::StatusOnly
            } else {
                StatusWrite::Absent
            },
            generation: Generation::Content,
            native: false,
            unconditional_update: false,
            shape: Arc::new(shape::of_kind(None)),
            schema: None,
        }
    }

    /// `plural.group`, as messages name what was asked for.
    pub(super) fn resource(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `Kind.group`, as messages about an object's content name it.
    pub(super) fn subject(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }

    pub(super) fn is_definition(&self) -> bool {
        self.group == "apiextensions.k8s.io" && self.kind == "CustomResourceDefinition"
    }

    pub(super) fn has_status(&self) -> bool {
        self.status != StatusWrite::Absent
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

/// All kinds, by apiVersion and kind.
#[derive(Debug, Default)]
pub(super) struct Kinds(BTreeMap<(String, String), Arc<Kind>>);

impl Kinds {
    pub(super) fn add(&mut self, kind: Kind) {
        self.0
            .insert((kind.api_version(), kind.kind.clone()), Arc::new(kind));
    }

    pub(super) fn find(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        self.0
            .get(&(api_version.to_owned(), kind.to_owned()))
            .cloned()
    }

    /// # Errors
    /// What the API server answers below a path that it does not serve.
    pub(super) fn need(&self, api_version: &str, kind: &str) -> Result<Arc<Kind>, ApiError> {
        self.find(api_version, kind)
            .ok_or_else(errors::no_such_resource)
    }

    /// Any served version of a kind.
    pub(super) fn of_group(&self, group: &str, kind: &str) -> Option<Arc<Kind>> {
        self.0
            .values()
            .find(|known| known.group == group && known.kind == kind)
            .cloned()
    }

    pub(super) fn remove(&mut self, group: &str, kind: &str) {
        self.0
            .retain(|_, known| known.group != group || known.kind != kind);
    }
}
