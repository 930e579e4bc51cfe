//! What a request looks like from outside, and what can be made to happen to it.

use std::sync::Arc;

use serde_json::Value;

use super::super::{Account, ApiError, Caller, Part};

/// What a request asks for, in RBAC's words where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// One object.
    Get,
    /// The objects of a kind.
    List,
    /// A new object.
    Create,
    /// Server-side apply; RBAC calls it `patch`.
    Apply,
    /// JSON merge patch; RBAC calls it `patch`.
    Merge,
    /// Removal.
    Delete,
    /// A container's log; RBAC calls it `get` of `pods/log`.
    Log,
}

impl Verb {
    /// The verb of an RBAC rule.
    #[must_use]
    pub fn as_rbac(self) -> &'static str {
        match self {
            Self::Get | Self::Log => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Apply | Self::Merge => "patch",
            Self::Delete => "delete",
        }
    }
}

/// One request, as a policy and an interceptor see it and the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose rights it uses.
    pub account: Account,
    /// Job and plugin digest of the caller.
    pub purpose: String,
    /// What it asks for.
    pub verb: Verb,
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// None for cluster-scoped kinds and for a list over all namespaces.
    pub namespace: Option<String>,
    /// None for a list, and for a create with a generated name.
    pub name: Option<String>,
    /// Which part a write changes.
    pub part: Part,
    /// Whether it only asks.
    pub dry_run: bool,
}

impl Operation {
    pub(super) fn new(caller: &Caller, verb: Verb, api_version: &str, kind: &str) -> Self {
        Self {
            account: caller.account.clone(),
            purpose: caller.purpose.clone(),
            verb,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: None,
            part: Part::Main,
            dry_run: false,
        }
    }

    /// Whether it can change something.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.dry_run
            && matches!(
                self.verb,
                Verb::Create | Verb::Apply | Verb::Merge | Verb::Delete
            )
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing unusual.
    Pass,
    /// It never reaches the cluster.
    Fail(ApiError),
    /// It is carried out, but this is what the caller hears: a connection that broke, a timeout.
    PassThenFail(ApiError),
}

/// Decides who may. Called without the cluster's lock, so it may ask the cluster.
pub(super) type Policy = Arc<dyn Fn(&Operation) -> bool + Send + Sync>;

/// Decides what fails. Called without the cluster's lock, so it may write to the cluster first, as somebody who
/// came in between.
pub(super) type Interceptor = Arc<dyn Fn(&Operation) -> Verdict + Send + Sync>;

/// Is told of each object as a write has left it, or as one that only asks would leave it. Called without the
/// cluster's lock.
pub(super) type Listener = Arc<dyn Fn(&Operation, &Value) + Send + Sync>;
