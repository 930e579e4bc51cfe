//! Whether a finished backup can still be restored.

use backup_strategy::{is_path, prelude::*};

use crate::{
    Velero,
    metadata::{BACKUP_NAME, BACKUP_NAMESPACE, EXPIRES_AT, FOLDER, VERSION},
    velero::{Backup, NAMESPACE, Progress, Told},
};

/// The file that Velero writes first, and makes its Backup anew from.
const DESCRIPTION: &str = "velero-backup.json";

pub fn check(cx: &Context<Velero>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let Some(name) = source.metadata_name(BACKUP_NAME)? else {
        return Ok(Verdict::unknown(
            "MetadataMissing",
            "the Backup does not say what Velero calls it",
        ));
    };
    let namespace = source.metadata_name(BACKUP_NAMESPACE)?.unwrap_or(NAMESPACE);
    let backup = cx.get_in::<Backup>(namespace, name)?;
    let stored = is_stored(cx, &source, name)?;
    Ok(match (backup, stored) {
        (Some(backup), _) if backup.progress() != Progress::Done => Verdict::lost(
            "VeleroBackupUnusable",
            format!("Velero says {} of its Backup {name}", backup.phase()),
        ),
        // What is known to lie in the bucket must lie there.
        (_, Some(false)) if source.metadata(FOLDER).is_some() => lost(cx, &source, name),
        (Some(_), _) | (None, Some(true)) => Verdict::Present,
        (None, _) if !cx.serves::<Backup>() => Verdict::unknown(
            "VeleroMissing",
            format!("Velero is not installed, so its Backup {name} cannot be looked at"),
        ),
        (None, Some(false)) => lost(cx, &source, name),
        (None, None) => Verdict::unknown(
            "BackupOutOfSight",
            format!(
                "Velero has no Backup {name} now, and where it is stored cannot be looked at from here; see whether its \
                 BackupStorageLocation is Available"
            ),
        ),
    })
}

fn lost(cx: &Context<Velero>, source: &FinishedBackup, name: &str) -> Verdict {
    let expired = source
        .metadata(EXPIRES_AT)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .filter(|expired| *expired <= cx.now());
    match expired {
        Some(expired) => Verdict::lost(
            "BackupExpired",
            format!("Velero has removed its Backup {name}, which expired at {expired}"),
        ),
        None => Verdict::lost(
            "BackupGone",
            format!("Velero's Backup {name} is gone, and the bucket holds nothing of it"),
        ),
    }
}

/// Whether the platform's bucket holds what Velero stored of a backup; none where that lies elsewhere. A Backup of the
/// first controller does not say where it lies, so it is looked for where Velero puts it in the platform's bucket.
pub fn is_stored(
    cx: &Context<Velero>,
    source: &FinishedBackup,
    name: &str,
) -> Outcome<Option<bool>> {
    let folder = match (source.metadata(FOLDER), source.metadata(VERSION)) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(_)) => return Ok(None),
        (None, None) => match folder_of(cx, name) {
            Some(folder) => folder,
            None => return Ok(None),
        },
    };
    if !is_path(&folder) {
        return fail!(
            "InvalidMetadata",
            "spec.driverMetadata of Backup {} says {folder:?} for {FOLDER}, which cannot be a path",
            source.name
        );
    }
    let within = cx
        .prefixes()
        .iter()
        .any(|prefix| backup_strategy::covers(prefix, &folder));
    Ok(within.then(|| size(cx, &folder).is_some()))
}

/// The folder of the platform's bucket in which Velero puts a backup.
pub fn folder_of(cx: &Context<Velero>, name: &str) -> Option<String> {
    let prefixes = cx.prefixes();
    let prefix = prefixes.first()?;
    Some(format!("{prefix}/backups/{name}"))
}

/// How much Velero has stored in a backup's folder, beside the data of its volumes; none where it has not.
pub fn size(cx: &Context<Velero>, folder: &str) -> Option<u64> {
    let (mut size, mut described) = (0, false);
    for object in cx.stored_below(folder) {
        size += object.size_bytes;
        described |= object.key.ends_with(DESCRIPTION);
    }
    described.then_some(size)
}
