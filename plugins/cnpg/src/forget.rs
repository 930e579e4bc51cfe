//! Removes a finished backup: its base backup, and the operator's object.
//!
//! WAL stays as long as anything else needs it: another base backup of the archive, or the Cluster that writes it. So the
//! WAL that only a removed base backup needed is left to the archive's own retention, and goes with the last one of an
//! archive that no Cluster writes to any more.

use backup_strategy::prelude::*;

use crate::{
    Cnpg,
    archive::{self, Archive, bases_in, id_of},
    cluster::Cluster,
    metadata::{BACKUP_NAME, CLUSTER_NAME},
    operator::Backup,
};

pub fn forget(cx: &Context<Cnpg>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    let archive = Archive::of_backup(&source)?;
    let ordered = archive::ordered(cx, &source)?;
    let id = id_of(cx, &source, &archive, ordered.as_ref())?;
    let folder = archive.bases(cx);
    if let (Some(folder), Some(id)) = (&folder, &id) {
        let others = bases_in(cx, folder, folder)
            .iter()
            .any(|base| base.id != *id);
        match archive.wals(cx) {
            Some(wals) if !others && !is_written(cx, &source, &archive)? => {
                cx.purge(folder);
                cx.purge(&wals);
            }
            _ => cx.purge(&format!("{folder}/{id}")),
        }
    }
    // After the data: by then nothing else tells which it was.
    if let Some(name) = source.metadata_name(BACKUP_NAME)? {
        cx.delete::<Backup>(name, None, Propagation::Background);
    }
    if folder.is_some() {
        return Ok(());
    }
    fail!(
        "BaseBackupOutOfReach",
        "{}{} is not in the platform's storage, so nothing can be removed there; leave it to retentionPolicy or remove \
         it by hand, and set the Backup's spec.deletionPolicy to Retain",
        archive.destination,
        archive.server
    )
}

/// Whether the Cluster archives into it.
fn is_written(cx: &Context<Cnpg>, source: &FinishedBackup, archive: &Archive<'_>) -> Outcome<bool> {
    let name = source
        .metadata_name(CLUSTER_NAME)?
        .map_or_else(|| crate::cluster_name(&source.application), Into::into);
    let cluster = cx.get::<Cluster>(&name)?;
    Ok(cluster.is_some_and(|cluster| cluster.server_name() == Some(archive.server)))
}
