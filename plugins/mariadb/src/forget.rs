//! Removes dumps: the operator's objects, then what was stored.

use backup_strategy::prelude::*;

use crate::{
    Expected, MariaDb, Remembered,
    dump::{self, Sight},
    metadata::BACKUP_NAME,
    operator::{self, Claim},
    storage::Storage,
};

/// What is left of a dump to remove.
enum Left {
    Key(String),
    /// It is gone, or went with its volume.
    Nothing,
    /// Out of reach; the words say where it lies.
    Elsewhere(String),
}

/// A finished backup.
pub fn forget(cx: &Context<MariaDb>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    let removed = cx.state()?.and_then(|state| state.removed);
    let left = match removed {
        Some(key) => Ok(Left::Key(key)),
        None => left(cx, &source),
    };
    // Which dump it is may be known from the operator's Backup alone, which goes with it.
    if let Ok(Left::Key(key)) = &left {
        cx.remember(&Remembered {
            ordered: None,
            removed: Some(key.clone()),
        })?;
        cx.purge(key);
    }
    if let Some(name) = source.metadata_name(BACKUP_NAME)? {
        without_objects(cx, name, Propagation::Background)?;
    }
    match left? {
        Left::Key(_) | Left::Nothing => Ok(()),
        Left::Elsewhere(place) => fail!(
            "DumpOutOfReach",
            "the dump lies {place}, so it cannot be removed from here; remove it by hand, and set the Backup's \
             spec.deletionPolicy to Retain"
        ),
    }
}

fn left(cx: &Context<MariaDb>, source: &FinishedBackup) -> Outcome<Left> {
    let storage = Storage::of_backup(cx, source)?;
    if let Some(s3) = storage.s3 {
        return Ok(match dump::of_backup(cx, source, &s3)? {
            Sight::Seen(dump) if cx.in_reach(&s3.bucket, &s3.endpoint, &dump.key).is_some() => {
                Left::Key(dump.key)
            }
            Sight::Missing(_) => Left::Nothing,
            Sight::Seen(_) | Sight::Hidden(_) => Left::Elsewhere(format!(
                "below {}, outside of the platform's storage",
                s3.uri("")
            )),
        });
    }
    Ok(match storage.volume {
        Some(volume) => Left::Elsewhere(format!("on a volume of one's own, {volume}")),
        None => Left::Nothing,
    })
}

/// What a BackupJob has left that came to nothing: also a dump that was stored, but is no Backup's.
pub fn unfinished(cx: &Context<MariaDb>, name: &str) -> Outcome<()> {
    // In the foreground: it is gone when its Job is, which may be about to store something.
    without_objects(cx, name, Propagation::Foreground)?;
    if let Some(Expected { s3, after }) = cx.state()?.and_then(|state| state.ordered?.expected)
        && s3.is_in_sight(cx)
    {
        for dump in dump::behind(cx, &s3, &after) {
            cx.purge(&dump.key);
        }
    }
    Ok(())
}

/// Deletes an operator's Backup and the volume that it may have made, and waits until both are gone.
fn without_objects(cx: &Context<MariaDb>, name: &str, propagation: Propagation) -> Outcome<()> {
    let mut left = vec![];
    if cx.is_going::<operator::Backup>(name, propagation)? {
        left.push(operator::Backup::KIND);
    }
    if cx.is_going::<Claim>(name, Propagation::Background)? {
        left.push(Claim::KIND);
    }
    if left.is_empty() {
        return Ok(());
    }
    wait!(
        "DumpRemoving",
        "{} {name} is being deleted",
        left.join(" and ")
    )
    .at_most(10.minutes())
}
