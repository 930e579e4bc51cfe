//! The reconciler of the projected copies: one pass over the copy in one namespace.
//!
//! ```text
//!  in a system namespace ─► there, and up to date, always
//!  in a tenant's         ─► up to date, while somebody could use it
//!                           removed, when for a while nobody could
//!  somebody else's       ─► left alone, which an Event says where the copy is needed
//! ```
//!
//! A pass is made when the copy, the source or the copy's user changes, and on a tick. One that finds everything in
//! order costs no request.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backup_api::names::CREDENTIALS_SECRET;
use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::Value;

use super::{ProjectionError, projected, users::User};
use crate::{
    cluster::{Account, ApiError, ApiReason, Caller, Cluster},
    host::Host,
    interest::{Interest, Next},
    ledger::later,
    object,
    queue::Key,
};

/// So long a copy has been of no use before it is removed. A job that failed is often ordered again, and a host that
/// has just started has yet to look at the jobs that it finds.
const UNUSED_FOR: Duration = Duration::from_secs(10 * 60);

/// Since when copies have been of no use, by namespace. A host that starts begins to count anew.
#[derive(Default)]
pub(crate) struct Unused(Mutex<BTreeMap<String, Timestamp>>);

impl Unused {
    fn since(&self, namespace: &str, now: Timestamp) -> Timestamp {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *unused.entry(namespace.to_owned()).or_insert(now)
    }

    pub(super) fn forget(&self, namespace: &str) {
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unused.remove(namespace);
    }
}

/// The copy in a namespace.
fn copy_in(namespace: &str) -> ObjectRef {
    object::target("v1", "Secret", Some(namespace), CREDENTIALS_SECRET)
}

/// Who looks at the copy in a namespace.
pub(super) fn caller(namespace: &str) -> Caller {
    Caller {
        account: Account::Host,
        purpose: purpose(namespace),
    }
}

/// For what it is looked at the copy in a namespace.
pub(super) fn purpose(namespace: &str) -> String {
    format!("Secret/{namespace}/{CREDENTIALS_SECRET}")
}

/// The key of the pass over the copy in a namespace.
pub(crate) fn key_in(namespace: &str) -> Key {
    Key {
        kind: "Secret".to_owned(),
        namespace: namespace.to_owned(),
        name: CREDENTIALS_SECRET.to_owned(),
    }
}

/// Whether a copy was found as it should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    InOrder,
    /// It was written, which is seen, and leads to another pass.
    Changed,
    /// It is not as it should be, for a reason that was told. A change of the source or the next tick is another try.
    Wanting,
    /// The namespace ends, and its copy with it.
    Ending,
}

impl<C: Cluster> Host<C> {
    /// One pass over the copy in a namespace.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub(crate) async fn reconcile_copy(&self, key: &Key) -> Result<Next, ApiError> {
        let namespace = &key.namespace;
        let target = copy_in(namespace);
        if key.name != target.name {
            return Ok(Next::gone());
        }
        let found = self.cluster.get(&caller(namespace), &target).await?;
        let mut interest = self.interest_of_copy(target);
        let next = if self.is_system(namespace) {
            self.keep_always(namespace, found.as_ref()).await?
        } else {
            match &found {
                Some(found) if projected::is_ours(found) => {
                    self.keep_or_remove(namespace, found, &mut interest).await?
                }
                found => {
                    self.bring_back(namespace, found.as_ref(), &mut interest)
                        .await?
                }
            }
        };
        Ok(next.watching(interest))
    }

    fn is_system(&self, namespace: &str) -> bool {
        let mut always = self.settings.storage.always_projected();
        always.any(|always| always == namespace)
    }

    fn interest_of_copy(&self, copy: ObjectRef) -> Interest {
        let mut objects = self.settings.storage.secrets();
        objects.push(copy);
        Interest::of_all(objects, vec![])
    }

    /// A system namespace has a copy, whatever else there is.
    async fn keep_always(&self, namespace: &str, copy: Option<&Value>) -> Result<Next, ApiError> {
        if self.bring_up_to_date(namespace, copy).await? == Found::InOrder {
            self.projection.counts.succeeded(namespace);
        }
        Ok(Next::quiet())
    }

    async fn keep_or_remove(
        &self,
        namespace: &str,
        copy: &Value,
        interest: &mut Interest,
    ) -> Result<Next, ApiError> {
        // Whether anybody uses it is another matter, and what hinders one is not to hinder the other.
        let refreshed = self.bring_up_to_date(namespace, Some(copy)).await;
        if matches!(refreshed, Ok(Found::Ending | Found::Changed)) {
            return Ok(Next::quiet());
        }
        let next = match self.user_of(namespace).await {
            User::Nobody => self.remove_once_unused(namespace, copy).await?,
            user => {
                self.projection.unused.forget(namespace);
                follow(user, namespace, interest);
                Next::quiet()
            }
        };
        refreshed.map(|_| next)
    }

    /// There is no copy of ours. One that is needed is brought back; otherwise there is nothing to remember.
    async fn bring_back(
        &self,
        namespace: &str,
        foreign: Option<&Value>,
        interest: &mut Interest,
    ) -> Result<Next, ApiError> {
        match self.user_of(namespace).await {
            // Nobody takes from it what cannot be told, and a job that needs a copy makes one.
            User::Nobody | User::Unknown(_) => {
                if foreign.is_none() {
                    self.projection.forget(namespace);
                }
                Ok(Next::gone())
            }
            user => {
                follow(user, namespace, interest);
                self.bring_up_to_date(namespace, foreign).await?;
                Ok(Next::quiet())
            }
        }
    }

    /// Removes a copy that has been of no use for a while.
    async fn remove_once_unused(&self, namespace: &str, copy: &Value) -> Result<Next, ApiError> {
        let now = self.now();
        let due = later(self.projection.unused.since(namespace, now), UNUSED_FOR);
        if now < due {
            return Ok(Next::at(due));
        }
        // A job that has just begun needs it, and is seen to when it ends.
        let Some(_removal) = self.projection.uses.remove(namespace) else {
            return Ok(Next::at(later(now, UNUSED_FOR)));
        };
        if self.ends(namespace).await? {
            return Ok(Next::quiet());
        }
        match projected::remove(&self.cluster, copy).await {
            Err(error) if error.reason == ApiReason::NotFound => {}
            Err(error) if error.can_pass() || error.reason == ApiReason::Conflict => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(namespace, %error, "a copy of the credentials that nobody uses cannot be removed");
                return Ok(Next::at(later(now, UNUSED_FOR)));
            }
            Ok(()) => tracing::info!(
                namespace,
                "a copy of the credentials that nobody uses is removed"
            ),
        }
        self.projection.forget(namespace);
        Ok(Next::quiet())
    }

    /// Brings a copy into being or up to date.
    ///
    /// # Errors
    /// A request that may succeed at once or later. What cannot is told and counted.
    async fn bring_up_to_date(
        &self,
        namespace: &str,
        copy: Option<&Value>,
    ) -> Result<Found, ApiError> {
        let error = match self.try_to_bring_up_to_date(namespace, copy).await {
            Ok(found) => return Ok(found),
            Err(error) => self.not_projected(namespace, copy, error).await,
        };
        match error {
            ProjectionError::ApiError(error) if error.can_pass() || is_race(&error) => Err(error),
            _ => Ok(Found::Wanting),
        }
    }

    async fn try_to_bring_up_to_date(
        &self,
        namespace: &str,
        copy: Option<&Value>,
    ) -> Result<Found, ProjectionError> {
        if let Some(copy) = copy.filter(|copy| projected::is_ours(copy)) {
            self.projection.keys.found(namespace, copy);
        }
        let credentials = self.credentials_for(&caller(namespace)).await?;
        let Some(change) = projected::change(copy, &credentials, namespace)? else {
            return Ok(Found::InOrder);
        };
        match self.namespace(namespace).await? {
            None => return Err(ProjectionError::NamespaceMissing(namespace.to_owned())),
            Some(found) if object::is_deleting(&found) => return Ok(Found::Ending),
            Some(_) => {}
        }
        projected::write(&self.cluster, copy, change).await?;
        tracing::info!(namespace, "a copy of the credentials is brought up to date");
        Ok(Found::Changed)
    }

    /// Whether a namespace is being deleted, and takes its copy along.
    async fn ends(&self, namespace: &str) -> Result<bool, ApiError> {
        let found = self.namespace(namespace).await?;
        Ok(found.is_some_and(|found| object::is_deleting(&found)))
    }

    async fn namespace(&self, name: &str) -> Result<Option<Value>, ApiError> {
        let target = object::target("v1", "Namespace", None, name);
        self.cluster.get(&caller(name), &target).await
    }
}

/// Somebody was there first: it is looked at anew at once.
pub(super) fn is_race(error: &ApiError) -> bool {
    matches!(error.reason, ApiReason::Conflict | ApiReason::AlreadyExists)
}

/// When the user of a copy changes, it is looked at again who uses it.
fn follow(user: User, namespace: &str, interest: &mut Interest) {
    match user {
        User::Object(object) => interest.watch(object),
        User::Application(account, object) => interest.watch_as(account, object),
        User::Unknown(why) => {
            tracing::debug!(namespace, why, "whether a copy is used cannot be told");
        }
        User::Nobody => {}
    }
}
