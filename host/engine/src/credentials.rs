//! The platform's credentials: read from one source Secret, projected into the namespaces that need them.
//!
//! ```text
//!  source Secret ──► Credentials ──┬─► cozy-backups-creds in each namespace that needs it
//!  CA, settings ────┘              ├─► `.Storage` of templates, `storage` of strategies, the host's own S3 client
//!                                  └─► Velero's BackupStorageLocation
//! ```
//!
//! A job sees to the copy in its namespace itself; from then on the copy has a reconciler of its own, as long as
//! somebody could use it.
//!
//! | file | holds |
//! |---|---|
//! | `source` | the source Secret in its two formats, and the certificate authority |
//! | `authority` | what counts as a certificate authority |
//! | `projected` | the keys of a copy, and how it is written |
//! | `copies` | the reconciler of copies |
//! | `users` | who could use a copy |
//! | `uses` | the jobs of this process that rely on one |
//! | `turns` | one pass at a time writes the copy of a namespace |
//! | `keys` | keys that were current before |
//! | `counts` | what came of it, as metrics |
//! | `location` | Velero's BackupStorageLocation |

mod authority;
mod copies;
mod counts;
mod keys;
mod location;
mod projected;
mod source;
mod turns;
mod users;
mod uses;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_api::{
    Reason,
    names::{CREDENTIALS_SECRET, MANAGED_BY},
};
use serde_json::Value;

use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster},
    events::Happened,
    host::Host,
    object,
    queue::Key,
    stop::Stop,
    storage::Location,
};

pub use counts::ProjectionCounts;
pub use location::STORAGE_LOCATION;
pub(crate) use location::is_storage_location;
pub(crate) use projected::AUTHORITY_KEY;

/// The platform's storage as its source Secret and the settings describe it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where the bucket is, and the keys.
    pub location: Location,
    /// The endpoint without its scheme, as MariaDB, ClickHouse and FoundationDB want it.
    pub host: String,
    /// What the settings say of path style, to be passed on as it is.
    pub force_path_style: Option<bool>,
    /// Keys that were current before, and are secrets all the same.
    pub earlier_keys: Vec<String>,
}

/// Why credentials could not be projected. The reasons are labels of metrics, and but for `NamespaceMissing` the
/// reference's.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// May come.
    #[error("the {0} does not exist yet")]
    SourceSecretMissing(String),
    /// Must be mended by the platform.
    #[error("the {0} is not usable: {1}")]
    SourceSecretMalformed(String, String),
    /// Must be removed by whoever made it.
    #[error(
        "Secret {CREDENTIALS_SECRET} in {0} is not the platform's (label {MANAGED_BY} is missing); remove or rename it"
    )]
    TargetSecretNotOwned(String),
    /// A system namespace that may come: what it is for is not installed.
    #[error("namespace {0} does not exist")]
    NamespaceMissing(String),
    /// May pass.
    #[error("the API server refused to read or write a credentials Secret: {0}")]
    ApiError(#[from] ApiError),
}

impl ProjectionError {
    /// As it stands in metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SourceSecretMissing(_) => "SourceSecretMissing",
            Self::SourceSecretMalformed(..) => "SourceSecretMalformed",
            Self::TargetSecretNotOwned(_) => "TargetSecretNotOwned",
            Self::NamespaceMissing(_) => "NamespaceMissing",
            Self::ApiError(_) => "APIError",
        }
    }

    /// Whether it can pass without anybody changing the job.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        matches!(self, Self::SourceSecretMissing(_) | Self::ApiError(_))
    }

    /// Whether it is about the source, and so the same in every namespace.
    fn is_of_the_source(&self) -> bool {
        matches!(
            self,
            Self::SourceSecretMissing(_) | Self::SourceSecretMalformed(..)
        )
    }
}

/// What the host keeps of projection between passes.
#[derive(Default)]
pub(crate) struct Projection {
    keys: keys::KnownKeys,
    pub(crate) uses: uses::Uses,
    unused: copies::Unused,
    turns: turns::Turns,
    counts: Arc<ProjectionCounts>,
    /// What was last told of the source: the same of every namespace is told once.
    told: Mutex<String>,
}

impl Projection {
    /// A namespace has no copy any more.
    fn forget(&self, namespace: &str) {
        self.keys.forget(namespace);
        self.unused.forget(namespace);
        self.counts.forget(namespace);
    }

    fn told(&self) -> MutexGuard<'_, String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether these words about the source are not what was told last.
    fn is_news(&self, words: &str) -> bool {
        let mut told = self.told();
        let is_news = *told != words;
        if is_news {
            words.clone_into(&mut told);
        }
        is_news
    }

    /// What goes wrong from now on is told again.
    fn source_is_in_order(&self) {
        self.told().clear();
    }
}

impl<C: Cluster> Host<C> {
    /// How often credentials were projected, and how often they could not be.
    #[must_use]
    pub fn projections(&self) -> Arc<ProjectionCounts> {
        Arc::clone(&self.projection.counts)
    }

    /// The objects that need a pass whether they are there or not: the copies in system namespaces, and Velero's
    /// BackupStorageLocation where the settings want one. To be looked at from the first moment on, and on a tick.
    #[must_use]
    pub fn own_keys(&self) -> Vec<Key> {
        let storage = &self.settings.storage;
        let copies = storage.always_projected().map(copies::key_in);
        copies.chain(location::key(&storage.velero)).collect()
    }

    /// The platform's credentials as they are now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, ProjectionError> {
        self.credentials_for(&Caller::host()).await
    }

    async fn credentials_for(&self, caller: &Caller) -> Result<Credentials, ProjectionError> {
        let credentials = source::read(&self.cluster, caller, &self.settings.storage).await?;
        self.projection.keys.are_current(&credentials.location);
        self.projection.source_is_in_order();
        Ok(credentials)
    }

    /// Keys that are secrets in a namespace beside the current ones.
    pub(crate) fn earlier_keys(&self, now: &Location, namespace: &str) -> Vec<String> {
        self.projection.keys.earlier(now, namespace)
    }

    /// The platform's credentials for a job, with an up-to-date copy in its namespace that stays until the job is
    /// forgotten.
    pub(crate) async fn projected(&self, namespace: &str, job: &str) -> Result<Credentials, Stop> {
        if !self.projection.uses.begin(namespace, job) {
            return Err(Stop::Api(ApiError::new(
                ApiReason::Conflict,
                format!("Secret {CREDENTIALS_SECRET} in {namespace} is being removed"),
            )));
        }
        let credentials = match self.credentials().await {
            Ok(credentials) => credentials,
            Err(error) => return Err(self.not_projected(namespace, None, error).await.into()),
        };
        has_bucket(&credentials)?;
        self.project(&credentials, namespace).await?;
        Ok(credentials)
    }

    /// Brings the copy in a namespace into being or up to date.
    pub(crate) async fn project(
        &self,
        credentials: &Credentials,
        namespace: &str,
    ) -> Result<(), ProjectionError> {
        if self.change(credentials, namespace).await?.is_none() {
            return Ok(());
        }
        // The first jobs of a namespace come together, and one of them makes the copy for all.
        let _turn = self.projection.turns.of(namespace).await;
        let Some((found, change)) = self.change(credentials, namespace).await? else {
            return Ok(());
        };
        match projected::write(&self.cluster, found.as_ref(), change).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self
                .not_projected(namespace, found.as_ref(), error.into())
                .await),
        }
    }

    /// The copy in a namespace, and what has to change about it; nothing where it is in order.
    async fn change(
        &self,
        credentials: &Credentials,
        namespace: &str,
    ) -> Result<Option<(Option<Value>, projected::Change)>, ProjectionError> {
        let target = object::target("v1", "Secret", Some(namespace), CREDENTIALS_SECRET);
        let found = match self.cluster.get(&Caller::host(), &target).await {
            Ok(found) => found,
            Err(error) => return Err(self.not_projected(namespace, None, error.into()).await),
        };
        if let Some(copy) = found.as_ref().filter(|copy| projected::is_ours(copy)) {
            self.projection.keys.found(namespace, copy);
        }
        match projected::change(found.as_ref(), credentials, namespace) {
            Ok(change) => Ok(change.map(|change| (found, change))),
            Err(error) => Err(self.not_projected(namespace, found.as_ref(), error).await),
        }
    }

    /// Counts and tells that the copy in a namespace could not be brought up to date. Gives the error back.
    async fn not_projected(
        &self,
        namespace: &str,
        found: Option<&Value>,
        error: ProjectionError,
    ) -> ProjectionError {
        if let ProjectionError::ApiError(api) = &error
            && copies::is_race(api)
        {
            return error;
        }
        let reason = error.reason();
        self.projection.counts.failed(namespace, reason);
        if matches!(error, ProjectionError::NamespaceMissing(_)) {
            tracing::debug!(
                namespace,
                "a system namespace is not there, and has no copy"
            );
        } else if !error.is_of_the_source() || self.projection.is_news(&error.to_string()) {
            tracing::warn!(namespace, reason, %error, "the credentials cannot be projected");
        }
        if let (ProjectionError::TargetSecretNotOwned(_), Some(secret)) = (&error, found) {
            self.tell_of_a_foreign_secret(secret, &error).await;
        }
        error
    }

    /// The tenant's own Secret stands where the copy belongs: an Event there says so, once.
    async fn tell_of_a_foreign_secret(&self, secret: &Value, error: &ProjectionError) {
        if !self.event_is_new(object::uid(secret), error.reason()) {
            return;
        }
        let happened = Happened {
            reason: error.reason().to_owned(),
            is_warning: true,
            action: "Project",
            of: String::new(),
            note: error.to_string(),
        };
        if let Err(error) = self.record_on(secret, &happened).await {
            tracing::warn!(%error, "an Event about a foreign Secret is not recorded");
        }
    }
}

/// Stops a job that needs a bucket where there is none yet.
pub(crate) fn has_bucket(credentials: &Credentials) -> Result<(), Stop> {
    if !credentials.location.bucket.is_empty() {
        return Ok(());
    }
    Err(Stop::Wait {
        reason: Reason::CredentialsProjectionPending,
        message: "the platform has no bucket yet: neither the source Secret nor backupStorage.bucketName names one"
            .to_owned(),
        give_up_after: None,
    })
}

/// Whether an object is one that the host keeps a copy of the credentials in, or somebody else's in its place.
pub(crate) fn is_copy(object: &Value) -> bool {
    object::text(object, &["apiVersion"]) == "v1"
        && object::text(object, &["kind"]) == "Secret"
        && object::text(object, &["metadata", "name"]) == CREDENTIALS_SECRET
}

impl From<ProjectionError> for Stop {
    fn from(error: ProjectionError) -> Self {
        if let ProjectionError::ApiError(api) = &error
            && (api.can_pass() || copies::is_race(api))
        {
            return Self::Api(api.clone());
        }
        if error.can_pass() {
            return Self::Wait {
                reason: Reason::CredentialsProjectionPending,
                message: error.to_string(),
                give_up_after: None,
            };
        }
        Self::Fail(error.to_string())
    }
}
