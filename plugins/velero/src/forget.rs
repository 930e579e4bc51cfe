//! Removes backups. Velero does that itself when it is asked to: of a Backup that is just deleted everything stays in
//! the bucket, and Velero makes it anew from there.

use std::time::Duration;

use backup_strategy::prelude::*;

use crate::{
    Velero, check,
    metadata::{BACKUP_NAME, BACKUP_NAMESPACE},
    target,
    velero::{Backup, DeleteBackupRequest, NAMESPACE},
};

/// A request that Velero has refused is made again after so long, in which somebody may mend what it named.
const PAUSE: Duration = Duration::from_secs(5 * 60);

pub fn forget(cx: &Context<Velero>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    let Some(name) = source.metadata_name(BACKUP_NAME)? else {
        return Ok(());
    };
    let namespace = source.metadata_name(BACKUP_NAMESPACE)?.unwrap_or(NAMESPACE);
    match cx.get_in::<Backup>(namespace, name)? {
        Some(backup) => removed(cx, &backup, namespace),
        None if check::is_stored(cx, &source, name)? == Some(true) => {
            target::velero_is_there(cx)?;
            wait!("VeleroBackupMissing", "waiting until Velero finds its Backup {name} in the bucket, to remove it; it looks once a minute")
            .ask_again_after(60.seconds())
            .at_most(30.minutes())
        }
        // Velero removes what it has stored before its object.
        None => Ok(()),
    }
}

/// Has Velero remove a backup, and waits until it has.
pub fn removed(cx: &Context<Velero>, backup: &Backup, namespace: &str) -> Outcome<()> {
    let name = cx.child_name("delete");
    if let Some(request) = cx.get_in::<DeleteBackupRequest>(namespace, &name)?
        && let Some(why) = request.refusal()
    {
        let asked_at = request.metadata.creation_timestamp.unwrap_or(cx.now());
        if cx.now() >= asked_at + PAUSE {
            // The next time it is asked anew.
            let uid = request.metadata.uid.as_str();
            cx.delete_in::<DeleteBackupRequest>(
                namespace,
                &name,
                Some(uid),
                Propagation::Background,
            );
        }
        return fail!(
            "VeleroRefused",
            "Velero has not removed its Backup {}: {why}",
            backup.metadata.name
        );
    }
    cx.create(
        Lifetime::Kept,
        &DeleteBackupRequest::of(backup, namespace, &name),
    );
    wait!(
        "VeleroBackupRemoving",
        "Velero is to remove its Backup {} with all that it stored",
        backup.metadata.name
    )
    .at_most(45.minutes())
}
