//! Removes backups: first the stream, so that nothing writes any more, then what was stored.

use backup_strategy::{Pod, prelude::*};

use crate::{
    FoundationDb,
    destination::Blob,
    metadata::BACKUP_NAME,
    operator::{AGENTS_LABEL, agents_of, cluster_name},
    stream,
};

/// A finished backup.
pub fn forget(cx: &Context<FoundationDb>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    if let Some(name) = source.metadata_name(BACKUP_NAME)? {
        nothing_writes(cx, name, &cluster_name(&source.application))?;
    }
    let blob = Blob::of_backup(&source)?;
    if remove(cx, &blob) {
        return Ok(());
    }
    fail!(
        "BackupOutOfReach",
        "{} is not in the platform's storage, or not in the application's place there, so it cannot be removed from \
         here; remove it by hand, and set the Backup's spec.deletionPolicy to Retain",
        blob.uri()
    )
}

/// What a BackupJob has left that came to nothing.
pub fn unfinished(cx: &Context<FoundationDb>, name: &str) -> Outcome<()> {
    nothing_writes(cx, name, &cluster_name(&cx.subject()))?;
    // Settings that cannot be read are why the job came to nothing, or else a backup was never asked for.
    if let Ok(blob) = Blob::of_settings(cx, name) {
        remove(cx, &blob);
    }
    Ok(())
}

/// Agents finish what they are writing.
fn nothing_writes(cx: &Context<FoundationDb>, name: &str, cluster: &str) -> Outcome<()> {
    stream::is_gone(cx, name, cluster)?;
    let agents = agents_of(name);
    let pods = cx.find::<Pod>(&[(AGENTS_LABEL, &agents)])?;
    if pods.is_empty() {
        return Ok(());
    }
    wait!(
        "BackupAgentsStopping",
        "{} Pods of {agents} are still there",
        pods.len()
    )
    .at_most(10.minutes())
}

/// Whether it could be reached.
fn remove(cx: &Context<FoundationDb>, blob: &Blob) -> bool {
    let Some(data) = blob.in_reach(cx) else {
        return false;
    };
    cx.purge(&data);
    cx.purge(&blob.index());
    true
}
