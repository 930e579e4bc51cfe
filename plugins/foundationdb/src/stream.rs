//! Streams of changes: a cluster has one at a time, and it goes on until somebody ends it.
//!
//! To delete a FoundationDBBackup sends its agents home and leaves the stream in the database, which then keeps every
//! change until there are agents again. So the operator is told to end the stream first, and holds the object until it
//! has. What was stored by then stays as it is.

use backup_strategy::prelude::*;

use crate::{
    FoundationDb,
    operator::{FoundationDbBackup, FoundationDbCluster, is_of_jobs},
};

/// Sees to it that nothing is stored of a cluster but by the backup `own`: the streams of earlier backups end. One that no
/// job has made is somebody else's business.
pub fn nobody_else_stores(cx: &Context<FoundationDb>, cluster: &str, own: &str) -> Outcome<()> {
    let mut others = cx.find::<FoundationDbBackup>(&[])?;
    others.retain(|other| other.cluster() == cluster && other.name() != own);
    let foreign = others
        .iter()
        .find(|other| !is_of_jobs(other) && other.is_to_run());
    if let Some(foreign) = foreign {
        return fail!(
            "ConflictingInChartBackup",
            "FoundationDBBackup {} backs FoundationDBCluster {cluster} up already, and a cluster can have one at a time; \
             switch it off in the application's values, or set its spec.backupState to Stopped",
            foreign.name()
        );
    }
    others.retain(|other| is_of_jobs(other));
    let found = cx.get::<FoundationDbCluster>(cluster)?;
    for other in &others {
        end(cx, other, found.is_some());
    }
    match others.first() {
        None => Ok(()),
        Some(other) => ending(other),
    }
}

/// Waits until a backup is gone, and its stream with it.
pub fn is_gone(cx: &Context<FoundationDb>, name: &str, cluster: &str) -> Outcome<()> {
    let Some(backup) = cx.get::<FoundationDbBackup>(name)? else {
        return Ok(());
    };
    let found = cx.get::<FoundationDbCluster>(cluster)?;
    end(cx, &backup, found.is_some());
    ending(&backup)
}

/// One step further. Where the cluster is gone there is no stream, and the operator would hold the object for ever.
fn end(cx: &Context<FoundationDb>, backup: &FoundationDbBackup, has_cluster: bool) {
    if backup.is_being_deleted() {
        return;
    }
    let name = backup.name();
    if has_cluster && backup.is_streaming() {
        if !backup.is_told_to_end() {
            return cx.merge::<FoundationDbBackup>(name, &backup.ending());
        }
        if !backup.is_held() {
            return;
        }
    }
    cx.delete::<FoundationDbBackup>(name, backup.uid(), Propagation::Foreground);
}

fn ending(backup: &FoundationDbBackup) -> Outcome<()> {
    wait!(
        "FoundationDBBackupStopping",
        "FoundationDBBackup {} is ended and removed by the operator",
        backup.name()
    )
    .at_most(15.minutes())
}
