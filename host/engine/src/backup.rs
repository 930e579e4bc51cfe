//! The reconciler of Backups: held from their first moment on, looked after while they live, removed when they are
//! deleted.
//!
//! ```text
//!  created ──► held by the finalizer ──► looked at, once a day and when asked (`check`)
//!                    │ deleted
//!                    ▼
//!               forgetting ──► gone: objects and data are removed (`forget`)
//!                    │
//!                    └───────► gone: left behind, which an Event and the log say
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `check` | whether the data is still there |
//! | `forget` | the removal, which always ends |
//! | `outlived` | Backups that no Plan covers, and that their class keeps no longer |
//! | `schedule` | when it is looked |
//! | `stored` | what lies in the storage for a Backup |

mod check;
mod forget;
mod outlived;
mod schedule;
mod stored;

use std::collections::BTreeMap;

use backup_api::{
    Backup, BackupStatus, JobStatus, Reason, Time,
    names::{API_VERSION, CHECK_REQUESTED, FINALIZER, LEGACY_FINALIZER, STRATEGY_GROUP},
};
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    admit::{Applicant, Case},
    cluster::{ApiError, Caller, Cluster},
    credentials::Credentials,
    host::Host,
    interest::Next,
    job::application_ref,
    ledger::Ledger,
    noted::Begun,
    object,
    observe::BackupOf,
    queue::Key,
    stop::Stop,
    storage::{Location, key_in},
    upkeep,
};
use schedule::{Slots, retry};

/// The parameters that a Backup was taken with. The first controllers kept them in the strategy's own document only.
pub(crate) fn parameters_of(backup: &Backup) -> BTreeMap<String, String> {
    let own = &backup.spec.parameters;
    let is_old = own.is_empty() && backup.spec.plugin.is_none();
    let status = backup.status.as_ref().filter(|_| is_old);
    let kept = status.and_then(|status| status.underlying_resources.as_ref()?.get("parameters"));
    kept.and_then(|kept| serde_json::from_value(kept.clone()).ok())
        .unwrap_or_else(|| own.clone())
}

/// Whether a Backup that was seen needs a pass at once: one that is to be held, removed, or looked at on request. What
/// was seen may be metadata only.
pub(crate) fn needs_pass(seen: &Value) -> bool {
    if object::is_deleting(seen) {
        return is_held(seen);
    }
    if is_foreign(seen) {
        return false;
    }
    let requested = requested_check(seen);
    let answered = object::text(seen, &["status", "lastCheckRequest"]);
    !object::has_finalizer(seen, FINALIZER)
        || requested.is_some_and(|requested| requested != answered)
}

impl<C: Cluster> Host<C> {
    /// When an object that was seen needs a pass, where that is a matter of time: a Backup is looked at when its turn
    /// comes. Costs no request. What was found when it was last looked at is told: so a host that has just begun knows
    /// of it, and whoever looks need not tell, since what it writes is seen.
    #[must_use]
    pub fn due_later(&self, seen: &Value) -> Option<(Key, Timestamp)> {
        let key = Key::of(seen);
        let is_backup = key.kind == "Backup" && object::text(seen, &["apiVersion"]) == API_VERSION;
        if !is_backup || object::is_deleting(seen) || is_foreign(seen) {
            return None;
        }
        let state = check::state_of_data(seen);
        self.observer.backup_seen(&BackupOf::of(seen), state);
        let now = self.now();
        let slots = Slots::of(object::uid(seen), self.settings.check_interval);
        let at = slots
            .map(|slots| slots.after(now))
            .into_iter()
            .chain(looked_again(seen).map(|at| at.max(now)))
            .min()?;
        Some((key, at))
    }

    /// One pass over a Backup.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub(crate) async fn reconcile_backup(&self, key: &Key) -> Result<Next, ApiError> {
        let target = object::target(API_VERSION, "Backup", Some(&key.namespace), &key.name);
        let Some(mut found) = self.cluster.get(&Caller::host(), &target).await? else {
            self.observer.backup_gone(&key.namespace, &key.name);
            return Ok(Next::gone());
        };
        if object::is_deleting(&found) {
            return self.remove_backup(&found).await;
        }
        if is_foreign(&found) {
            return Ok(Next::gone());
        }
        if !object::has_finalizer(&found, FINALIZER) {
            found = upkeep::hold(&self.cluster, &found).await?;
        }
        match self.remove_outlived(&found).await {
            // The deletion is seen, and leads to the removal.
            Ok(true) => return Ok(Next::gone()),
            Err(Stop::Api(error)) => return Err(error),
            Ok(false) | Err(_) => {}
        }
        self.look_after(&found).await
    }

    /// What a question about a Backup is about. Class, strategy object and application may be gone.
    async fn finished_case(
        &self,
        backup: &Backup,
        ledger: &Ledger,
        since: Timestamp,
        credentials: Credentials,
    ) -> Result<Case, Stop> {
        let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
        let subject = application_ref(&backup.spec.application_ref, namespace);
        let mut binding = self
            .resolve_noted(
                backup.spec.strategy_ref.clone(),
                parameters_of(backup),
                Begun::removal(ledger.job.strategy.as_ref()).as_ref(),
            )
            .await?;
        if !binding.serving.may_work_on(&subject.group, &subject.kind) {
            return Err(Stop::Wait {
                reason: Reason::PluginNotReady,
                message: format!(
                    "StrategyPlugin {} is not granted applications of kind {} in {}",
                    binding.serving.name, subject.kind, subject.group
                ),
                give_up_after: Some(self.settings.configuration_deadline),
            });
        }
        binding.job_deadline = forget::DEADLINE;
        let status = JobStatus {
            started_at: Some(Time(since)),
            strategy: ledger.job.strategy.clone(),
            ..JobStatus::default()
        };
        let applicant = Applicant {
            kind: "Backup",
            namespace,
            name: backup.metadata.name.as_deref().unwrap_or_default(),
            uid: backup.metadata.uid.as_deref().unwrap_or_default(),
            subject,
            status: &status,
            options: "{}".to_owned(),
            backup: Some(backup),
        };
        self.case_of(binding, &applicant, credentials).await
    }
}

/// When a Backup is looked at again that could not be looked at last time.
fn looked_again(seen: &Value) -> Option<Timestamp> {
    seen.pointer("/status/failedChecks")?;
    let status = BackupStatus::deserialize(seen.get("status")?).ok()?;
    retry(&status)
}

/// Whether the host's finalizer, or that of an old version, holds a Backup.
fn is_held(backup: &Value) -> bool {
    object::has_finalizer(backup, FINALIZER) || object::has_finalizer(backup, LEGACY_FINALIZER)
}

/// Whether a Backup is another controller's. Of metadata alone that cannot be told.
fn is_foreign(backup: &Value) -> bool {
    let group = object::text(backup, &["spec", "strategyRef", "apiGroup"]);
    !matches!(group, "" | STRATEGY_GROUP)
}

/// What somebody has put on a Backup to have it looked at.
fn requested_check(backup: &Value) -> Option<&str> {
    backup
        .get("metadata")?
        .get("annotations")?
        .get(CHECK_REQUESTED)?
        .as_str()
}

/// Says how the platform's storage differs from the one that a Backup records; none where it does not, and where the
/// Backup has no record.
pub(crate) fn moved(backup: &Backup, now: &Location) -> Option<String> {
    let recorded = backup.spec.storage.as_ref()?;
    let same_service =
        |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
    let is_here = recorded.bucket == now.bucket && same_service(&recorded.endpoint, &now.endpoint);
    (!is_here).then(|| {
        format!(
            "the Backup lies in bucket {} at {}, and the platform's storage is now bucket {} at {}",
            recorded.bucket, recorded.endpoint, now.bucket, now.endpoint
        )
    })
}

/// The same, and for a Backup without a record, as the old controllers wrote them: that it names another bucket.
fn is_elsewhere(backup: &Backup, now: &Location) -> Option<String> {
    if backup.spec.storage.is_some() {
        return moved(backup, now);
    }
    let uri = &backup.status.as_ref()?.artifact.as_ref()?.uri;
    let is_elsewhere = uri.starts_with("s3://") && key_in(&now.bucket, uri).is_none();
    is_elsewhere.then(|| {
        format!(
            "the Backup lies at {uri}, and the platform's storage is now bucket {}",
            now.bucket
        )
    })
}
