//! Removes the archives of a finished backup.
//!
//! In the platform's bucket they are removed from here, so the application may be gone. What lies in a storage of the
//! application's own only its clickhouse-backup can reach.

use backup_strategy::prelude::*;

use crate::{
    Altinity,
    archive::Archive,
    operator::{Installation, Sidecars, release_of},
    run::{self, Purpose, Run},
};

/// How many seconds a removal may take.
const REMOVING: u32 = 20 * 60;

const REMOVAL: Purpose = Purpose {
    mode: "delete",
    reason: "ArchiveRemoving",
    doing: "clickhouse-backup removes the archive",
};

pub fn forget(cx: &Context<Altinity>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    let archive = Archive::of_backup(cx, &source)?;
    match &archive.bucket {
        Some(bucket) if *bucket == cx.bucket().name => {
            archive.purge(cx);
            Ok(())
        }
        Some(bucket) => out_of_reach(
            &archive,
            &format!("bucket {bucket} is not the platform's any more"),
        ),
        None if cx
            .get::<Installation>(&release_of(&cx.subject()))?
            .is_none() =>
        {
            out_of_reach(
                &archive,
                "the storage was the application's own, and the application is gone",
            )
        }
        None => {
            let decide = |sidecars: &Sidecars| {
                let steps = run::steps(cx, &archive, sidecars)?.removal(&archive, sidecars);
                Ok(Run {
                    archive: archive.clone(),
                    steps,
                    outdated: Vec::new(),
                })
            };
            let settings = crate::spec::Spec {
                template: None,
                deadline_seconds: Some(REMOVING),
                ..cx.spec()?
            };
            Run::to_its_end(cx, &REMOVAL, &settings, decide).map(|_| ())
        }
    }
}

fn out_of_reach(archive: &Archive, why: &str) -> Outcome<()> {
    fail!(
        "ArchiveOutOfReach",
        "{} cannot be removed from here: {why}; remove it by hand, and set the Backup's spec.deletionPolicy to Retain",
        archive.uri()
    )
}
