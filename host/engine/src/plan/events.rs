//! What happened to a Plan, as Events on it.

use backup_api::names::API_VERSION;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    kept::Gone,
    slots::{COUNTED, Due},
};
use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster},
    host::Host,
    object,
};

/// Who reports.
const CONTROLLER: &str = "backups.cozystack.io/backupstrategy-controller";

/// An event's note is at most this long, by the API.
const NOTE: usize = 1024;

/// Something that happened.
pub(crate) struct Happened {
    /// In one CamelCase word.
    pub reason: &'static str,
    /// Whether somebody should look.
    pub is_warning: bool,
    /// What the host did.
    pub action: &'static str,
    /// What tells it from others of its reason: recorded again, it is the same event.
    pub of: String,
    /// For a person.
    pub note: String,
}

impl<C: Cluster> Host<C> {
    /// Records what happened to a Plan, once however often it is recorded.
    ///
    /// # Errors
    /// A request that may succeed later. An Event that is refused for good holds nothing up.
    pub(crate) async fn record_on_plan(
        &self,
        plan: &Value,
        happened: &Happened,
    ) -> Result<(), ApiError> {
        let on = object::reference(plan);
        let uid = object::uid(plan);
        let hash = Sha256::digest(format!("{uid}\0{}\0{}", happened.reason, happened.of));
        let hash: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // A name of an object is at most 253 characters.
        let name: String = on.name.chars().take(230).collect();
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.{hash}"), "namespace": on.namespace },
            "eventTime": format!("{:.6}", self.now()),
            "reportingController": CONTROLLER,
            "reportingInstance": CONTROLLER,
            "action": happened.action,
            "type": if happened.is_warning { "Warning" } else { "Normal" },
            "reason": happened.reason,
            "note": happened.note.chars().take(NOTE).collect::<String>(),
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": on.kind,
                "namespace": on.namespace,
                "name": on.name,
                "uid": uid,
            },
        });
        match self
            .cluster
            .create(&Caller::host(), CONTROLLER, &event, false)
            .await
        {
            Err(error) if error.can_pass() => Err(error),
            Err(error) if error.reason != ApiReason::AlreadyExists => {
                tracing::warn!(%error, reason = happened.reason, "an Event was refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Slots passed without a job: one Event for all of them.
pub(crate) fn slots_missed(due: &Due) -> Happened {
    let (first, last) = (due.missed.first(), due.missed.last());
    let name = |slot: Option<&Timestamp>| slot.map(ToString::to_string).unwrap_or_default();
    let count = match due.missed_more {
        true => format!("more than {COUNTED}"),
        false => due.missed.len().to_string(),
    };
    Happened {
        reason: "SlotsMissed",
        is_warning: true,
        action: "Schedule",
        of: name(first),
        note: format!(
            "{count} slots passed without a BackupJob, from {} to {}: the host was not at work, or not in time",
            name(first),
            name(last)
        ),
    }
}

/// A slot was left out.
pub(crate) fn skipped(slot: Timestamp, busy: &str) -> Happened {
    Happened {
        reason: "SlotSkipped",
        is_warning: true,
        action: "Schedule",
        of: slot.to_string(),
        note: format!(
            "no BackupJob was made for {slot}: BackupJob {busy} is under way, and spec.concurrencyPolicy is Forbid"
        ),
    }
}

/// A Backup goes.
pub(crate) fn removed(backup: &Gone) -> Happened {
    Happened {
        reason: "BackupRemoved",
        is_warning: false,
        action: "Remove",
        of: backup.uid.clone(),
        note: format!(
            "Backup {}, taken at {}, is removed: no rule of spec.retentionPolicy keeps it",
            backup.name, backup.taken_at
        ),
    }
}
