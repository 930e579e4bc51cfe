//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{Etcd, destination::S3};

pub fn check(cx: &Context<Etcd>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let s3 = S3::of_backup(&source)?;
    Ok(match stored(cx, &s3) {
        Sight::Seen(object) => {
            let found = Artifact::at(s3.uri()).with_size(object.size_bytes);
            Verdict::compared(
                source.artifact.as_ref(),
                found,
                "SnapshotChanged",
                "snapshot",
            )
        }
        Sight::Missing => Verdict::lost("SnapshotGone", format!("{} is no longer there", s3.uri())),
        // The operator does not look at stored objects again: that its EtcdSnapshot is there says nothing.
        Sight::Hidden => Verdict::unknown(
            "SnapshotOutOfSight",
            format!(
                "{} is not in the platform's storage, where this could be looked at",
                s3.uri()
            ),
        ),
    })
}

/// What can be seen of a stored snapshot.
pub enum Sight {
    Seen(backup_strategy::StoredObject),
    Missing,
    /// It lies where this strategy may not look.
    Hidden,
}

pub fn stored(cx: &Context<Etcd>, s3: &S3) -> Sight {
    let Some(key) = s3.in_sight(cx) else {
        return Sight::Hidden;
    };
    match cx.stored_below(key).find(|object| object.key == key) {
        Some(object) => Sight::Seen(object),
        None => Sight::Missing,
    }
}
