//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{
    FoundationDb,
    archive::{self, Sight, State},
    destination::Blob,
    metadata::{BACKUP_NAME, RESTORABLE_VERSION},
    operator::{FoundationDbBackup, Progress},
};

pub fn check(cx: &Context<FoundationDb>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let blob = Blob::of_backup(&source)?;
    let Some(data) = blob.in_sight(cx) else {
        return out_of_sight(cx, &source, &blob);
    };
    Ok(match archive::at(cx, &data, version_of(&source)) {
        Sight::Restorable(state) => present(&source, &blob, &state),
        Sight::NoSnapshot => Verdict::lost(
            "SnapshotGone",
            format!("{data} no longer holds a snapshot that can be restored"),
        ),
        Sight::Gap => Verdict::lost(
            "LogsGone",
            format!("{data} no longer holds what was changed while the snapshot was taken"),
        ),
    })
}

/// The state that a Backup is of; none where the Backup does not say it.
pub fn version_of(source: &FinishedBackup) -> Option<i64> {
    source.metadata(RESTORABLE_VERSION)?.parse().ok()
}

/// With the size of what a restore needs, where the Backup does not know it.
fn present(source: &FinishedBackup, blob: &Blob, state: &State) -> Verdict {
    let known = source.artifact.as_ref();
    if known.is_some_and(|artifact| artifact.size_bytes == Some(state.bytes)) {
        return Verdict::Present;
    }
    let uri = known.map_or_else(|| blob.data_uri(), |artifact| artifact.uri.clone());
    Verdict::PresentAs(Artifact::at(uri).with_size(state.bytes))
}

/// The operator speaks of what the cluster stores now, which may be this backup.
fn out_of_sight(
    cx: &Context<FoundationDb>,
    source: &FinishedBackup,
    blob: &Blob,
) -> Outcome<Verdict> {
    let backup = match source.metadata_name(BACKUP_NAME)? {
        Some(name) => cx.get::<FoundationDbBackup>(name)?,
        None => None,
    };
    if backup.is_some_and(|backup| backup.progress() == Progress::Restorable) {
        return Ok(Verdict::Present);
    }
    Ok(Verdict::unknown(
        "BackupOutOfSight",
        format!(
            "{} is not in the platform's storage, where this could be looked at",
            blob.uri()
        ),
    ))
}
