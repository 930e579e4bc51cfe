//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{Etcd, destination::S3};

pub fn check(cx: &Context<Etcd>) -> Outcome<Verdict> {
    let source = cx
        .source()
        .or_fail("NoBackup", "there is no backup to look after")?;
    let s3 = S3::of_backup(&source)?;
    Ok(match stored(cx, &s3) {
        Sight::Seen(object) => compared(source.artifact.as_ref(), &s3, object.size_bytes),
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

/// Whether what lies there is what the Backup says of it. The storage tells no checksum, so the size has to do. A Backup
/// that does not know the size learns it here; no snapshot has 0 bytes.
fn compared(artifact: Option<&Artifact>, s3: &S3, size: u64) -> Verdict {
    let known = artifact.and_then(|artifact| artifact.size_bytes);
    match known.filter(|known| *known > 0) {
        Some(known) if known == size => Verdict::Present,
        Some(known) => Verdict::lost(
            "SnapshotChanged",
            format!(
                "{} has {size} bytes, and the snapshot that was taken had {known}: it was cut off or overwritten",
                s3.uri()
            ),
        ),
        None => Verdict::PresentAs(Artifact::at(s3.uri()).with_size(size)),
    }
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
