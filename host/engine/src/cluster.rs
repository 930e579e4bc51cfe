//! The cluster, as the engine needs it: a small trait with two implementations, the real API server and
//! [`memory`]. Offline rendering, the demo, the simulation and production run the same engine over it.

pub mod memory;

use std::{future::Future, sync::Arc};

use backup_api::names::API_VERSION;
use backup_sandbox::contract::{ObjectRef, Propagation, Selector};
use serde_json::Value;

use crate::object;

/// Whose rights a request uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// The host's own.
    Host,
    /// A ServiceAccount, impersonated: a strategy's, or that of a trial.
    Strategy {
        /// Where the ServiceAccount is.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Who asks, and for what: the account decides what is allowed, the purpose is for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose rights the request uses.
    pub account: Account,
    /// Job and plugin digest, as they stand in the user agent; empty for the host's own upkeep.
    pub purpose: String,
}

impl Caller {
    /// The host itself.
    #[must_use]
    pub fn host() -> Self {
        Self {
            account: Account::Host,
            purpose: String::new(),
        }
    }
}

/// Which part of an object a write changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status, where the kind has a status subresource.
    #[default]
    Main,
    /// The status subresource.
    Status,
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only this very object.
    pub uid: Option<String>,
    /// Only this version of it.
    pub resource_version: Option<String>,
    /// What becomes of its dependents; the kind's default when none.
    pub propagation: Option<Propagation>,
}

/// A cluster. Objects are JSON values as the API server shows them.
///
/// Every method may fail with an [`ApiError`]; absence is an error only where a write needs the object.
pub trait Cluster: Send + Sync + 'static {
    /// One object, as it is now: never from a cache that could be older than the caller's own writes.
    /// None when the object, or its kind, does not exist.
    fn get(
        &self,
        caller: &Caller,
        target: &ObjectRef,
    ) -> impl Future<Output = Result<Option<Value>, ApiError>> + Send;

    /// The objects of a kind in a namespace (in all of them, or of a cluster-scoped kind, when none) that
    /// carry all labels, sorted by namespace and name. Empty when the kind does not exist.
    fn list(
        &self,
        caller: &Caller,
        matching: &Selector,
    ) -> impl Future<Output = Result<Vec<Value>, ApiError>> + Send;

    /// The first of the objects that [`Cluster::list`] gives; none when there is none. A cluster may know it without a
    /// request.
    fn first(
        &self,
        caller: &Caller,
        matching: &Selector,
    ) -> impl Future<Output = Result<Option<ObjectRef>, ApiError>> + Send {
        async move {
            let found = self.list(caller, matching).await?;
            Ok(found.first().map(object::reference))
        }
    }

    /// The BackupJobs or RestoreJobs of a namespace (of all, when none) that have not ended, as [`Cluster::list`] gives
    /// them. A cluster may know them without a request; every pass over a job asks for them, so they are shared.
    fn live_jobs(
        &self,
        kind: &str,
        namespace: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Arc<Value>>, ApiError>> + Send {
        listed_live_jobs(self, kind, namespace)
    }

    /// Whether the cluster knows a kind.
    fn serves(
        &self,
        api_version: &str,
        kind: &str,
    ) -> impl Future<Output = Result<bool, ApiError>> + Send;

    /// The last lines of a container's log; none when there is no such Pod, container or run.
    fn log_tail(
        &self,
        caller: &Caller,
        pod: &ObjectRef,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> impl Future<Output = Result<Option<String>, ApiError>> + Send;

    /// Creates an object. With `dry_run` only asks whether it would be accepted.
    ///
    /// # Errors
    /// `AlreadyExists` when one of its name is there.
    fn create(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        dry_run: bool,
    ) -> impl Future<Output = Result<Value, ApiError>> + Send;

    /// Server-side apply, forced: takes over fields of other managers, gives up fields of its own last apply
    /// that are left out. Creates the object when absent, unless `metadata.uid` is among the fields. The status
    /// part of an absent object is `NotFound`, and does not look at `metadata.uid`.
    ///
    /// # Errors
    /// `Conflict` when `metadata.uid` is given and the object is absent, or `metadata.resourceVersion` is not
    /// the current one; `Invalid` when `metadata.uid` is another.
    fn apply(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        part: Part,
    ) -> impl Future<Output = Result<Value, ApiError>> + Send;

    /// JSON merge patch (RFC 7386). A `metadata.uid` (of the main part) or `metadata.resourceVersion` in the patch
    /// is a precondition.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version is another; `Invalid` when the UID is another.
    fn merge(
        &self,
        caller: &Caller,
        manager: &str,
        target: &ObjectRef,
        patch: &Value,
        part: Part,
    ) -> impl Future<Output = Result<Value, ApiError>> + Send;

    /// Deletes an object, or marks it for deletion while it has finalizers.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when a precondition does not hold.
    fn delete(
        &self,
        caller: &Caller,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// The jobs of a namespace, or of all, that have not ended, by a list of all.
///
/// # Errors
/// As [`Cluster::list`].
pub async fn listed_live_jobs<C: Cluster + ?Sized>(
    cluster: &C,
    kind: &str,
    namespace: Option<&str>,
) -> Result<Vec<Arc<Value>>, ApiError> {
    let matching = Selector {
        api_version: API_VERSION.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        labels: vec![],
    };
    let mut jobs = cluster.list(&Caller::host(), &matching).await?;
    jobs.retain(|job| !object::has_ended(job));
    Ok(jobs.into_iter().map(Arc::new).collect())
}

/// Why the API server refused, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of refusal.
    pub reason: ApiReason,
    /// The API server's message.
    pub message: String,
}

/// `metav1.StatusReason`, as far as something depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiReason {
    /// 404
    NotFound,
    /// 409, on creation
    AlreadyExists,
    /// 409, a precondition or a version
    Conflict,
    /// 403
    Forbidden,
    /// 401
    Unauthorized,
    /// 422
    Invalid,
    /// 400
    BadRequest,
    /// 405
    MethodNotAllowed,
    /// 413
    RequestEntityTooLarge,
    /// 429
    TooManyRequests,
    /// 504
    Timeout,
    /// 500, 503 and a connection that broke: it may have happened or not
    Unavailable,
}

impl ApiReason {
    /// As Kubernetes names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Forbidden => "Forbidden",
            Self::Unauthorized => "Unauthorized",
            Self::Invalid => "Invalid",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::TooManyRequests => "TooManyRequests",
            Self::Timeout => "Timeout",
            Self::Unavailable => "ServiceUnavailable",
        }
    }
}

impl ApiError {
    /// An error with the API server's words.
    pub fn new(reason: ApiReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// Whether the same request may succeed later, with nothing changed about it.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        matches!(
            self.reason,
            ApiReason::TooManyRequests | ApiReason::Timeout | ApiReason::Unavailable
        )
    }
}
