//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{
    MariaDb,
    dump::{self, Dump, Sight},
    metadata::BACKUP_NAME,
    operator::Claim,
    storage::{S3, Storage},
};

pub fn check(cx: &Context<MariaDb>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let storage = Storage::of_backup(cx, &source)?;
    if let Some(s3) = storage.s3 {
        return Ok(match dump::of_backup(cx, &source, &s3)? {
            Sight::Seen(dump) => compared(source.artifact.as_ref(), &s3, &dump),
            Sight::Missing(words) => Verdict::lost("DumpGone", words),
            Sight::Hidden(_) => Verdict::unknown(
                "DumpOutOfSight",
                format!(
                    "{} is not in the platform's storage, where this could be looked at",
                    s3.uri("")
                ),
            ),
        });
    }
    if storage.volume.is_some() {
        return Ok(Verdict::unknown(
            "DumpOutOfSight",
            "the dump lies on a volume, which cannot be looked into",
        ));
    }
    let name = source.metadata_name(BACKUP_NAME)?.unwrap_or_default();
    let claim = match name {
        "" => None,
        name => cx.get::<Claim>(name)?,
    };
    Ok(match claim {
        Some(claim) if !claim.metadata.is_being_deleted() => Verdict::Present,
        _ => Verdict::lost(
            "VolumeGone",
            format!("PersistentVolumeClaim {name} is no longer there, which held the dump"),
        ),
    })
}

/// Whether what lies there is what the Backup says of it. The storage tells no checksum, so the size has to do. A Backup
/// that does not know its dump, as those of the first controller, learns it here.
fn compared(artifact: Option<&Artifact>, s3: &S3, dump: &Dump) -> Verdict {
    let found = Artifact::at(format!("s3://{}/{}", s3.bucket, dump.key)).with_size(dump.size_bytes);
    let said = artifact.filter(|artifact| artifact.uri == found.uri);
    Verdict::compared(said, found, "DumpChanged", "dump")
}
