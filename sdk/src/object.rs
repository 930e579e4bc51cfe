//! Kubernetes objects, as far as a strategy looks at them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Timestamp, Value, bindings::cozystack::backup_strategy::types::ObjectRef, json};

/// A kind of object that a strategy reads: a small struct with just the fields that are used, and methods that
/// answer the questions one has.
///
/// ```
/// use backup_strategy::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Dump {
///     #[serde(default)]
///     status: DumpStatus,
/// }
///
/// #[derive(Deserialize, Default)]
/// struct DumpStatus {
///     phase: Option<String>,
/// }
///
/// impl Object for Dump {
///     const API_VERSION: &str = "example.org/v1";
///     const KIND: &str = "Dump";
/// }
///
/// impl Dump {
///     fn is_complete(&self) -> bool {
///         self.status.phase.as_deref() == Some("Complete")
///     }
/// }
/// # assert!(!Dump { status: DumpStatus::default() }.is_complete());
/// ```
pub trait Object: DeserializeOwned {
    /// `group/version`, or `v1`.
    const API_VERSION: &'static str;
    /// The kind, as the operator spells it.
    const KIND: &'static str;
    /// True for kinds without a namespace.
    const CLUSTER_SCOPED: bool = false;
    /// True where the strategy reads and writes them in system namespaces only
    /// ([`Strategy::SYSTEM_NAMESPACES`](crate::Strategy::SYSTEM_NAMESPACES)): its account needs no right elsewhere.
    const IN_SYSTEM_NAMESPACES: bool = false;

    /// An object of this kind, to be created or applied.
    #[must_use]
    fn object(namespace: &str, name: &str, spec: Value) -> Value {
        assembled(Self::API_VERSION, Self::KIND, namespace, name, spec)
    }
}

#[inline(never)]
fn assembled(api_version: &str, kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace },
    });
    object["spec"] = spec;
    object
}

/// What is most often used of an object's `metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The object's name.
    pub name: String,
    /// Changes when an object of the same name is created anew.
    pub uid: String,
    /// Changes with every write.
    pub resource_version: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Changes when something else is asked for.
    pub generation: i64,
    /// Who holds it when its deletion was asked for.
    pub finalizers: Vec<String>,
    /// Whose it is.
    pub owner_references: Vec<OwnerReference>,
    /// When it was created.
    pub creation_timestamp: Option<Timestamp>,
    /// Set from when its deletion was asked for.
    pub deletion_timestamp: Option<Timestamp>,
}

/// Whose an object is, as far as that tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// UID of the owner.
    pub uid: String,
}

impl Metadata {
    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// One entry of `status.conditions`, as most operators write them (`metav1.Condition`).
///
/// ```
/// use backup_strategy::Condition;
///
/// let conditions = [Condition {
///     r#type: "Ready".into(),
///     status: "False".into(),
///     reason: "QuorumLost".into(),
///     ..Condition::default()
/// }];
/// let ready = Condition::named(&conditions, "Ready");
/// assert!(ready.is_some_and(|ready| !ready.is_true()));
/// assert_eq!(ready.map(ToString::to_string).as_deref(), Some("Ready=False, QuorumLost"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word for machines.
    pub reason: String,
    /// Words for people.
    pub message: String,
    /// When `status` changed last.
    pub last_transition_time: Option<Timestamp>,
}

impl Condition {
    /// The condition of a type, if it is there.
    #[must_use]
    pub fn named<'a>(conditions: &'a [Self], of_type: &str) -> Option<&'a Self> {
        conditions
            .iter()
            .find(|condition| condition.r#type == of_type)
    }

    /// Whether it holds.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// In a line, for messages: `Ready=False, QuorumLost: two of three members do not answer`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.r#type, self.status)?;
        for (separator, text) in [(", ", &self.reason), (": ", &self.message)] {
            if !text.is_empty() {
                write!(f, "{separator}{text}")?;
            }
        }
        Ok(())
    }
}

/// Applications that a job works on beside its own, for [`Strategy::HOLDS`](crate::Strategy::HOLDS): the disks of a
/// virtual machine, for example.
#[derive(Debug, Clone, Copy)]
pub struct Holds {
    /// The kind of the job's own application, `VMInstance`.
    pub of: &'static str,
    /// The others, as `group/Kind`: `apps.cozystack.io/VMDisk`.
    pub kind: &'static str,
    /// Where their names stand in the job's own application: a JSON pointer in which `*` stands for every item of a
    /// list, `/spec/disks/*/name`.
    pub names: &'static str,
}

/// A kind that a strategy reads, for [`Strategy::READS`](crate::Strategy::READS).
#[derive(Debug, Clone, Copy)]
pub struct Reads {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) small: bool,
    pub(crate) logs: bool,
    pub(crate) in_system_namespaces: bool,
}

impl Reads {
    /// Objects of this kind.
    #[must_use]
    pub const fn of<K: Object>() -> Self {
        Self {
            api_version: K::API_VERSION,
            kind: K::KIND,
            small: false,
            logs: false,
            in_system_namespaces: K::IN_SYSTEM_NAMESPACES,
        }
    }

    /// They are few and small enough for the host to watch them whole.
    #[must_use]
    pub const fn small(self) -> Self {
        Self {
            small: true,
            ..self
        }
    }

    /// Logs of these Pods are read, too.
    #[must_use]
    pub const fn with_logs(self) -> Self {
        Self { logs: true, ..self }
    }
}

/// What a strategy does to objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `create`, `ensure` and `dry_run`.
    Create,
    /// `apply`.
    Apply,
    /// `merge`.
    Merge,
    /// `delete` and `delete_all`.
    Delete,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Merge => "merge",
            Self::Delete => "delete",
        }
    }
}

/// A kind that a strategy writes, for [`Strategy::WRITES`](crate::Strategy::WRITES).
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) actions: &'static [Action],
    pub(crate) storage_paths: &'static [&'static str],
    pub(crate) in_system_namespaces: bool,
}

impl Writes {
    /// Objects of this kind, with these actions.
    #[must_use]
    pub const fn of<K: Object>(actions: &'static [Action]) -> Self {
        Self {
            api_version: K::API_VERSION,
            kind: K::KIND,
            actions,
            storage_paths: &[],
            in_system_namespaces: K::IN_SYSTEM_NAMESPACES,
        }
    }

    /// Where in such an object a place in object storage stands, as JSON pointers: a URI with a bucket, or a
    /// key. The host refuses an object whose places lie outside of what the strategy was granted.
    #[must_use]
    pub const fn with_storage_paths(self, storage_paths: &'static [&'static str]) -> Self {
        Self {
            storage_paths,
            ..self
        }
    }
}

/// A name of an object has at most so many bytes.
const NAME_BYTES: usize = 253;

/// Whether the host takes this for the name of an object. Most kinds want a DNS subdomain, but RBAC allows `:`, and some
/// capitals.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    !matches!(text, "" | "." | "..") && text.len() <= NAME_BYTES && text.bytes().all(allowed)
}

pub(crate) fn reference<K: Object>(namespace: String, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: K::API_VERSION.into(),
        kind: K::KIND.into(),
        namespace: (!K::CLUSTER_SCOPED).then_some(namespace),
        name: name.into(),
    }
}
