//! Removes snapshots: the operator's object first, so that nothing writes any more, then what was stored.

use backup_strategy::prelude::*;

use crate::{Etcd, destination::S3, metadata::BACKUP_NAME, operator::EtcdSnapshot};

/// A finished backup.
pub fn forget(cx: &Context<Etcd>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    if let Some(name) = source.metadata_name(BACKUP_NAME)? {
        without_snapshot(cx, name)?;
    }
    let s3 = S3::of_backup(&source)?;
    match s3.in_reach(cx) {
        Some(key) => {
            cx.purge(key);
            Ok(())
        }
        None => fail!(
            "SnapshotOutOfReach",
            "{} is not in the platform's storage, so it cannot be removed from here; remove it by hand, and set the \
             Backup's spec.deletionPolicy to Retain",
            s3.uri()
        ),
    }
}

/// What a BackupJob has left that came to nothing: also a snapshot that was completed, but is no Backup's.
pub fn unfinished(cx: &Context<Etcd>, name: &str) -> Outcome<()> {
    without_snapshot(cx, name)?;
    // Settings that cannot be read are why the job came to nothing, or else a snapshot was never asked for.
    if let Ok(mut s3) = S3::of_settings(cx) {
        s3.key = s3.file(Some(name));
        if let Some(key) = s3.in_reach(cx) {
            cx.purge(key);
        }
    }
    Ok(())
}

/// Deletes an EtcdSnapshot and waits until it is gone, with the Job that works on it: that is why in the foreground.
fn without_snapshot(cx: &Context<Etcd>, name: &str) -> Outcome<()> {
    if !cx.is_going::<EtcdSnapshot>(name, Propagation::Foreground)? {
        return Ok(());
    }
    wait!(
        "EtcdSnapshotRemoving",
        "EtcdSnapshot {name} is being deleted"
    )
    .at_most(10.minutes())
}
