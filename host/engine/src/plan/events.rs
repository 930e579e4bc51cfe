//! What happened to a Plan, as Events on it.

use jiff::Timestamp;

use super::{
    kept::Gone,
    slots::{COUNTED, Due},
};
use crate::events::Happened;

/// Slots passed without a job: one Event for all of them.
pub(crate) fn slots_missed(due: &Due) -> Happened {
    let (first, last) = (due.missed.first(), due.missed.last());
    let name = |slot: Option<&Timestamp>| slot.map(ToString::to_string).unwrap_or_default();
    let count = match due.missed_more {
        true => format!("more than {COUNTED}"),
        false => due.missed.len().to_string(),
    };
    Happened {
        reason: "SlotsMissed".to_owned(),
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
        reason: "SlotSkipped".to_owned(),
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
        reason: "BackupRemoved".to_owned(),
        is_warning: false,
        action: "Remove",
        of: backup.uid.clone(),
        note: format!(
            "Backup {}, taken at {}, is removed: no rule of spec.retentionPolicy keeps it",
            backup.name, backup.taken_at
        ),
    }
}
