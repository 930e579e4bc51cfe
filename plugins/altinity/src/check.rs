//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{
    Altinity,
    archive::{Archive, Sight},
};

pub fn check(cx: &Context<Altinity>) -> Outcome<Verdict> {
    let source = cx
        .source()
        .or_fail("NoBackup", "there is no backup to look after")?;
    let archive = Archive::of_backup(cx, &source)?;
    Ok(match archive.sight(cx) {
        Sight::Whole(size) => compared(source.artifact.as_ref(), &archive, size),
        Sight::Missing(folder) => Verdict::lost(
            "ArchiveGone",
            format!("{folder} is no longer a whole archive"),
        ),
        Sight::Hidden => Verdict::unknown(
            "ArchiveOutOfSight",
            format!(
                "{} is not in the platform's storage, where this could be looked at",
                archive.uri()
            ),
        ),
    })
}

/// An archive never changes. A Backup that does not know where it lies, or how large it is, learns it here.
fn compared(artifact: Option<&Artifact>, archive: &Archive, size: Option<u64>) -> Verdict {
    let known = artifact
        .and_then(|artifact| artifact.size_bytes)
        .filter(|known| *known > 0);
    match (known, size) {
        (Some(known), Some(size)) if known != size => Verdict::lost(
            "ArchiveChanged",
            format!(
                "{} has {size} bytes, and the archive that was taken had {known}: parts of it were removed or overwritten",
                archive.uri()
            ),
        ),
        (Some(_), _) => Verdict::Present,
        (None, Some(size)) => Verdict::PresentAs(Artifact::at(archive.uri()).with_size(size)),
        (None, None) => Verdict::PresentAs(Artifact::at(archive.uri())),
    }
}
