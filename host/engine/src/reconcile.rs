//! Which objects the host makes passes over, and which reconciler makes them.

use backup_api::names::{API_VERSION, FINALIZER};
use serde_json::Value;
use tracing::Instrument as _;

use crate::{
    backup,
    cluster::{ApiError, Cluster},
    credentials::{is_copy, is_storage_location},
    host::Host,
    interest::Next,
    object, observe,
    queue::Key,
};

impl<C: Cluster> Host<C> {
    /// One pass over an object: what it needs next, and when to look again. An object that is gone, or of a kind that
    /// has no reconciler, needs nothing.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub async fn reconcile(&self, key: &Key) -> Result<Next, ApiError> {
        self.pass(key).instrument(observe::pass(key)).await
    }

    async fn pass(&self, key: &Key) -> Result<Next, ApiError> {
        match key.kind.as_str() {
            "BackupJob" | "RestoreJob" => self.reconcile_job(key).await,
            "Backup" => self.reconcile_backup(key).await,
            "BackupClass" => self.reconcile_class(key).await,
            "Plan" => self.reconcile_plan(key).await,
            "Secret" => self.reconcile_copy(key).await,
            "BackupStorageLocation" => self.reconcile_storage_location(key).await,
            _ => Ok(Next::gone()),
        }
    }
}

/// The key of an object that needs a pass once it is seen; none where nothing is left to do, or it is no business of
/// the host's.
///
/// A job that has ended needs none, but for one that is still held. A Backup needs one at once only where it is to be
/// held, removed, or looked at on request; [`Host::due_later`] tells when its turn comes.
#[must_use]
pub fn needs_passes(object: &Value) -> Option<Key> {
    if is_copy(object) || is_storage_location(object) {
        return Some(Key::of(object));
    }
    if object::text(object, &["apiVersion"]) != API_VERSION {
        return None;
    }
    let key = Key::of(object);
    match key.kind.as_str() {
        "BackupJob" | "RestoreJob" => {
            (!object::has_ended(object) || object::has_finalizer(object, FINALIZER)).then_some(key)
        }
        "Backup" => backup::needs_pass(object).then_some(key),
        "BackupClass" | "Plan" => Some(key),
        _ => None,
    }
}
