//! Whether a finished backup can still be restored.

use backup_strategy::{covers, is_path, prelude::*};

use crate::{
    Cnpg,
    metadata::{BACKUP_ID, BACKUP_NAME, CLUSTER_NAME, DESTINATION_PATH, SERVER_NAME},
    operator::{Backup, Completion, ObjectStore},
};

pub fn check(cx: &Context<Cnpg>) -> Outcome<Verdict> {
    let source = cx
        .source()
        .or_fail("NoBackup", "there is no backup to look after")?;
    let (Some(destination), Some(server)) = (
        source.metadata(DESTINATION_PATH),
        source.metadata(SERVER_NAME),
    ) else {
        return Ok(Verdict::unknown(
            "MetadataMissing",
            "the Backup does not say where its archive lies",
        ));
    };
    let ordered = match source.metadata_name(BACKUP_NAME)? {
        Some(name) => cx.get::<Backup>(name)?,
        None => None,
    };
    let id = source.metadata(BACKUP_ID).or(ordered
        .as_ref()
        .and_then(|backup| backup.status.backup_id.as_deref()));

    // The archive itself knows best.
    if let Some(folder) = id.and_then(|id| folder(cx, destination, server, id)) {
        if !is_path(&folder) {
            let message = format!(
                "spec.driverMetadata of Backup {} leads to {folder:?}, which cannot be the folder of a base backup",
                source.name
            );
            return fail("InvalidMetadata", message);
        }
        return Ok(look(cx, &source, &folder));
    }

    // Otherwise the operator's word. Its retention removes its own Backup with the base backup; a window that
    // begins later is no proof of loss, since the oldest backup itself ends where the window begins.
    let cluster = source
        .metadata_name(CLUSTER_NAME)?
        .map_or_else(|| crate::cluster_name(&source.application), Into::into);
    let window = cx
        .get::<ObjectStore>(&cluster)?
        .and_then(|store| store.first_recoverability_point(server));
    let completed = ordered.is_some_and(|backup| backup.completion() == Completion::Done);
    if completed || window.is_some_and(|first| first <= source.taken_at) {
        return Ok(Verdict::Present);
    }
    Ok(Verdict::unknown(
        "ArchiveOutOfSight",
        format!(
            "{destination} is not in the platform's storage, and CloudNativePG says nothing of this backup"
        ),
    ))
}

/// The folder of a base backup, if it is where the platform lets this strategy look.
fn folder(cx: &Context<Cnpg>, destination: &str, server: &str, id: &str) -> Option<String> {
    let (bucket, path) = destination
        .strip_prefix("s3://")?
        .split_once('/')
        .unwrap_or_default();
    let folder = format!("{}/{server}/base/{id}", path.trim_matches('/'));
    let granted = cx.prefixes().iter().any(|prefix| covers(prefix, &folder));
    (granted && bucket == cx.bucket().name).then_some(folder)
}

fn look(cx: &Context<Cnpg>, source: &FinishedBackup, folder: &str) -> Verdict {
    let (mut size, mut described) = (0, false);
    for object in cx.stored_below(folder) {
        size += object.size_bytes;
        described |= object.key.ends_with("/backup.info");
    }
    match &source.artifact {
        _ if !described => Verdict::lost(
            "BaseBackupGone",
            format!("the archive no longer holds {folder}"),
        ),
        Some(artifact) => Verdict::PresentAs(Artifact::at(artifact.uri.as_str()).with_size(size)),
        None => Verdict::Present,
    }
}
