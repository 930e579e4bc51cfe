//! What is looked at before a restore touches anything: what the Backup and its archive can give.

use backup_strategy::prelude::*;

use crate::{
    Cnpg,
    archive::{self, Archive, base_in, id_of},
    metadata::{BACKUP_ID, BACKUP_NAME, END_WAL, STOPPED_AT},
    operator::{Backup, Completion},
    spec::{Options, RecoveryTime},
};

/// Stored objects cannot be watched.
const LOOK_AGAIN: u32 = 20;

/// The `recoveryTarget` of the Cluster, null for all that was archived, once the archive holds what it takes.
pub fn recovery_target(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    options: &Options,
) -> Outcome<Value> {
    if [BACKUP_NAME, BACKUP_ID]
        .iter()
        .all(|key| source.metadata(key).is_none())
    {
        return fail!(
            "MetadataMissing",
            "spec.driverMetadata of Backup {} does not say which base backup it is ({BACKUP_NAME})",
            source.name
        );
    }
    let ordered = archive::ordered(cx, source)?;
    let id = id_of(cx, source, archive, ordered.as_ref())?;
    is_stored(cx, archive, id.as_deref(), source)?;
    is_in_reach(cx, source, ordered.as_ref(), options)?;
    is_archived(cx, source, archive, ordered.as_ref(), options)?;
    match (options.moment(), &id) {
        (RecoveryTime::At(time, _), _) => Ok(pruned(json!({ "backupID": id, "targetTime": time }))),
        (RecoveryTime::Latest, None) => Ok(Value::Null),
        (RecoveryTime::Latest, Some(id)) => Ok(json!({ "backupID": id })),
        (RecoveryTime::Backup, Some(id)) => Ok(json!({ "backupID": id, "targetImmediate": true })),
        (RecoveryTime::Backup, None) => fail!(
            "BaseBackupUnknown",
            "Backup {} does not say the ID of its base backup, and neither CloudNativePG's Backup nor the archive \
             tells it; restore with a recoveryTime some time after {}",
            source.name,
            source.taken_at
        ),
    }
}

/// A Cluster is not deleted for a base backup that is gone.
fn is_stored(
    cx: &Context<Cnpg>,
    archive: &Archive<'_>,
    id: Option<&str>,
    source: &FinishedBackup,
) -> Outcome<()> {
    // What lies elsewhere only the operator can see.
    let Some(folder) = archive.bases(cx) else {
        return Ok(());
    };
    if id.is_some_and(|id| base_in(cx, &folder, id).is_some()) {
        return Ok(());
    }
    fail!(
        "BaseBackupGone",
        "the archive {folder} no longer holds the base backup {} of Backup {}; nothing was touched",
        id.unwrap_or("that began at its time"),
        source.name
    )
}

/// A Backup gives the moments from its end on.
fn is_in_reach(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    ordered: Option<&Backup>,
    options: &Options,
) -> Outcome<()> {
    let RecoveryTime::At(time, at) = options.moment() else {
        return Ok(());
    };
    let stopped = source
        .metadata(STOPPED_AT)
        .and_then(|text| text.parse().ok());
    let earliest = stopped
        .or(ordered.and_then(|backup| backup.moment("stoppedAt")))
        .unwrap_or(source.taken_at);
    if *at < earliest {
        return fail!(
            "RecoveryTimeTooEarly",
            "recoveryTime {time} is before {earliest}, when Backup {} was complete; name an earlier Backup",
            source.name
        );
    }
    if *at > cx.now() {
        return fail!(
            "RecoveryTimeInFuture",
            "recoveryTime {time} has not come yet: it is {}",
            cx.now()
        );
    }
    Ok(())
}

/// Waits for WAL that is still with the Cluster: it would be lost with its volumes.
fn is_archived(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    ordered: Option<&Backup>,
    options: &Options,
) -> Outcome<()> {
    let (reason, missing) = match missing(cx, source, archive, ordered, options) {
        Some(missing) => missing,
        None => {
            let message = "what the restore needs is in the archive";
            cx.condition("WALArchiveReady", true, "ArchiveCaughtUp", message);
            return Ok(());
        }
    };
    cx.condition("WALArchiveReady", false, "WaitingForArchive", &missing);
    let deadline = options.wal_deadline();
    if cx.now().since(cx.job().started_at) >= deadline {
        return fail!(
            reason,
            "{missing}, also after {} seconds; nothing was touched; look at the ObjectStore and at spec.plugins of the \
             Cluster, and if the archive just needs longer, restore again with a larger walArchiveTimeoutSeconds",
            deadline.as_secs()
        );
    }
    wait("WaitingForArchive", missing)
        .pending()
        .ask_again_after(LOOK_AGAIN.seconds())
        .at_most(deadline)
}

/// What the archive lacks, and the reason of a failure for want of it.
fn missing(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    ordered: Option<&Backup>,
    options: &Options,
) -> Option<(&'static str, String)> {
    const REASON: &str = "WALNotArchived";
    let noted = ordered.and_then(|backup| backup.says("endWal"));
    let end = source.metadata(END_WAL).or(noted).unwrap_or_default();
    if let Some(ordered) = ordered {
        let name = &ordered.metadata.name;
        if ordered.completion() != Completion::Done {
            let phase = ordered.phase();
            return Some((
                REASON,
                format!("CloudNativePG's Backup {name} is {phase:?}, not completed"),
            ));
        }
        if end.is_empty() {
            return Some((
                REASON,
                format!("CloudNativePG's Backup {name} names no last WAL file"),
            ));
        }
    }
    if archive.holds_wal(cx, end) == Some(false) {
        return Some((
            REASON,
            format!("WAL file {end}, which the base backup needs, is not in the archive"),
        ));
    }
    if let RecoveryTime::At(time, at) = options.moment()
        && archive.reaches(cx, *at, end) == Some(false)
    {
        return Some((
            "RecoveryTargetUnreachable",
            format!("recoveryTime {time} is past the latest WAL archived"),
        ));
    }
    None
}
