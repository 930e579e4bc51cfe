//! Whether a finished backup can still be restored.

use backup_strategy::prelude::*;

use crate::{
    Altinity,
    archive::{Archive, Sight},
};

pub fn check(cx: &Context<Altinity>) -> Outcome<Verdict> {
    let source = cx.finished_backup()?;
    let archive = Archive::of_backup(cx, &source)?;
    Ok(match archive.sight(cx) {
        // An archive never changes. A Backup that does not know where it lies, or how large it is, learns it here.
        Sight::Whole(size) => {
            let found = Artifact {
                size_bytes: size,
                ..Artifact::at(archive.uri())
            };
            Verdict::compared(source.artifact.as_ref(), found, "ArchiveChanged", "archive")
        }
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
