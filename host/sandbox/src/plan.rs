//! What a strategy wants to happen.

use serde_json::Value;

use crate::contract::{Level, Lifetime, ObjectRef, Propagation, Selector, Severity};

/// One action, in the contract's words. The functions of `plan` document each.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `plan.create`
    Create {
        /// The object.
        object: Value,
        /// Whether it goes with the job.
        lifetime: Lifetime,
    },
    /// `plan.dry-run`
    DryRun {
        /// The object.
        object: Value,
    },
    /// `plan.apply`
    Apply {
        /// The fields to own.
        object: Value,
    },
    /// `plan.merge`
    Merge {
        /// The object.
        target: ObjectRef,
        /// RFC 7386.
        patch: Value,
    },
    /// `plan.delete`
    Delete {
        /// The object.
        target: ObjectRef,
        /// Only this very object.
        uid: Option<String>,
        /// What becomes of its dependents.
        propagation: Propagation,
    },
    /// `plan.delete-all`
    DeleteAll {
        /// Which objects; never without labels.
        matching: Selector,
        /// What becomes of their dependents.
        propagation: Propagation,
    },
    /// `plan.suspend`
    Suspend {
        /// The HelmRelease's namespace.
        namespace: String,
        /// The HelmRelease's name.
        release: String,
    },
    /// `plan.resume`
    Resume {
        /// The HelmRelease's namespace.
        namespace: String,
        /// The HelmRelease's name.
        release: String,
    },
    /// `plan.purge`
    Purge {
        /// Relative to the bucket, without a `/` at either end.
        path: String,
    },
}

impl Action {
    /// The name of the function of `plan`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::DryRun { .. } => "dry-run",
            Self::Apply { .. } => "apply",
            Self::Merge { .. } => "merge",
            Self::Delete { .. } => "delete",
            Self::DeleteAll { .. } => "delete-all",
            Self::Suspend { .. } => "suspend",
            Self::Resume { .. } => "resume",
            Self::Purge { .. } => "purge",
        }
    }
}

/// A condition beside the host's own `Ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// PascalCase.
    pub type_: String,
    /// True or False.
    pub status: bool,
    /// PascalCase.
    pub reason: String,
    /// For a person.
    pub message: String,
}

/// An event on the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Normal or Warning.
    pub severity: Severity,
    /// PascalCase.
    pub reason: String,
    /// For a person.
    pub message: String,
}

/// A line of the strategy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: Level,
    /// At most 8 KiB. It can have line breaks and tabs, and no other control characters.
    pub message: String,
}

/// Everything that a strategy wrote down in one evaluation. Nothing of it has happened yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In the order they were written down.
    pub actions: Vec<Action>,
    /// In the order they were written down; of two with one type the later counts.
    pub conditions: Vec<Condition>,
    /// In the order they were written down.
    pub events: Vec<Event>,
    /// `Some` when `remember` was called: the new state, none to clear it.
    pub remember: Option<Option<String>>,
}
