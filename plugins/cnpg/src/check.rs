//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{
    Cnpg,
    archive::{self, Archive, base_in, id_of},
    cluster_name,
    metadata::{BEGIN_WAL, CLUSTER_NAME, END_WAL},
    operator::{Backup, Completion, ObjectStore},
};

pub fn check(cx: &Context<Cnpg>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let archive = Archive::of_backup(&source)?;
    let ordered = archive::ordered(cx, &source)?;
    let id = id_of(cx, &source, &archive, ordered.as_ref())?;
    // The archive itself knows best.
    match archive.bases(cx) {
        Some(folder) => Ok(look(cx, &source, &archive, &folder, id.as_deref())),
        None => by_the_operator(cx, &source, &archive, ordered.as_ref()),
    }
}

fn look(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    folder: &str,
    id: Option<&str>,
) -> Verdict {
    let base = id.and_then(|id| base_in(cx, folder, id));
    let Some(base) = base else {
        let id = id.unwrap_or("a base backup of its time");
        return Verdict::lost(
            "BaseBackupGone",
            format!("the archive no longer holds {folder}/{id}"),
        );
    };
    let needed = [BEGIN_WAL, END_WAL].map(|key| source.metadata(key).unwrap_or_default());
    let gone = |name: &&str| archive.holds_wal(cx, name) == Some(false);
    if let Some(name) = needed.into_iter().find(gone) {
        return Verdict::lost(
            "WALGone",
            format!(
                "the archive no longer holds WAL file {name}, which base backup {} needs",
                base.id
            ),
        );
    }
    match &source.artifact {
        Some(artifact) => {
            Verdict::PresentAs(Artifact::at(artifact.uri.as_str()).with_size(base.size))
        }
        None => Verdict::Present,
    }
}

/// The operator's retention removes its own Backup with the base backup; a recovery window that begins later is no proof
/// of loss, since the oldest backup itself ends where the window begins.
fn by_the_operator(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    ordered: Option<&Backup>,
) -> Outcome<Verdict> {
    let cluster = source
        .metadata_name(CLUSTER_NAME)?
        .map_or_else(|| cluster_name(&source.application), Into::into);
    let window = cx
        .get::<ObjectStore>(&cluster)?
        .and_then(|store| store.first_recoverability_point(archive.server));
    let completed = ordered.is_some_and(|backup| backup.completion() == Completion::Done);
    if completed || window.is_some_and(|first| first <= source.taken_at) {
        return Ok(Verdict::Present);
    }
    Ok(Verdict::unknown(
        "ArchiveOutOfSight",
        format!(
            "{} is not in the platform's storage, and CloudNativePG says nothing of this backup",
            archive.destination
        ),
    ))
}
