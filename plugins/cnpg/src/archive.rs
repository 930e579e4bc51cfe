//! Where the base backups and the WAL of one Cluster lie, and what can be seen of them.

use std::time::Duration;

use backup_strategy::{is_path, prelude::*};

use crate::{
    Cnpg,
    cluster::Cluster,
    metadata::{BACKUP_ID, BACKUP_NAME, DESTINATION_PATH, ENDPOINT_URL, SERVER_NAME},
    operator::Backup,
    settings::{Access, settings},
};

/// Barman names a base backup after the moment in which it begins, and the operator takes down when it began: the two
/// differ by what a checkpoint takes at most, and a Cluster has one base backup at a time.
const SAME_MOMENT: Duration = Duration::from_secs(10 * 60);
/// Folders of WAL are called by this much of a WAL file's name.
const WAL_FOLDER: usize = 16;
/// So much WAL is looked through for one that reaches a moment: 64 GB of changes, or two weeks of rest. Each thousand is
/// a read of its own, of which an evaluation has 16.
const WAL_LOOKED_AT: usize = 4000;

/// The archive of one Cluster.
pub struct Archive<'a> {
    /// Such as `s3://bucket/prefix/`.
    pub destination: &'a str,
    /// URL of the S3 service; empty for Amazon's.
    pub endpoint: &'a str,
    /// Its folder below the destination.
    pub server: &'a str,
}

impl<'a> Archive<'a> {
    /// The one that a finished backup is in.
    pub fn of_backup(source: &'a FinishedBackup) -> Outcome<Self> {
        let said = |key: &str| source.metadata(key).filter(|text| !text.is_empty());
        let (Some(destination), Some(server)) = (said(DESTINATION_PATH), said(SERVER_NAME)) else {
            return fail!(
                "MetadataMissing",
                "spec.driverMetadata of Backup {} does not say where its archive lies ({DESTINATION_PATH} and \
                 {SERVER_NAME})",
                source.name
            );
        };
        if !is_path(server) || server.contains('/') {
            return fail!(
                "InvalidMetadata",
                "spec.driverMetadata of Backup {} says {server:?} for {SERVER_NAME}, which cannot be the folder of an \
                 archive",
                source.name
            );
        }
        Ok(Self {
            destination,
            endpoint: said(ENDPOINT_URL).unwrap_or_default(),
            server,
        })
    }

    /// Path of a folder in the platform's bucket, if that is where the archive lies and where this strategy may look.
    fn sight(&self, cx: &Context<Cnpg>, below: &str) -> Option<String> {
        let place = self.destination.strip_prefix("s3://")?;
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        let path = format!("{}/{}/{below}", path.trim_matches('/'), self.server);
        let path = path.trim_start_matches('/');
        cx.in_sight(bucket, self.endpoint, path).map(Into::into)
    }

    /// Path of the folder of base backups, if it can be seen.
    pub fn bases(&self, cx: &Context<Cnpg>) -> Option<String> {
        self.sight(cx, "base")
    }

    /// Path of the folder of WAL, if it can be seen.
    pub fn wals(&self, cx: &Context<Cnpg>) -> Option<String> {
        self.sight(cx, "wals")
    }

    /// Whether it holds a WAL file; none if it cannot be seen.
    pub fn holds_wal(&self, cx: &Context<Cnpg>, name: &str) -> Option<bool> {
        let log = name.get(..WAL_FOLDER)?;
        let folder = self.sight(cx, &format!("wals/{log}"))?;
        let start = format!("{folder}/{name}");
        Some(
            cx.stored_below(&folder)
                .any(|file| file.key.starts_with(&start)),
        )
    }

    /// Whether WAL was archived at a moment or later, none if that cannot be told: whatever a WAL file holds had
    /// happened when it was archived. Looks at WAL behind the file of this name.
    pub fn reaches(&self, cx: &Context<Cnpg>, moment: Timestamp, behind: &str) -> Option<bool> {
        let folder = self.wals(cx)?;
        let mut files = cx.stored_below(&folder);
        let log = behind.get(..WAL_FOLDER).unwrap_or_default();
        let behind = format!("{folder}/{log}/{behind}");
        if is_path(&behind) {
            files = files.after(&behind);
        }
        let mut looked_at = 0;
        for file in files.take(WAL_LOOKED_AT) {
            if file.modified_at >= moment {
                return Some(true);
            }
            looked_at += 1;
        }
        (looked_at < WAL_LOOKED_AT).then_some(false)
    }
}

/// One base backup, as the bucket shows it.
pub struct Base {
    /// Its folder's name.
    pub id: String,
    pub size: u64,
    /// Whether it is complete: this is written last.
    pub is_described: bool,
}

/// The base backups in a folder, sorted by the moment in which they began; of a longer path just one.
pub fn bases_in(cx: &Context<Cnpg>, folder: &str, below: &str) -> Vec<Base> {
    let mut bases: Vec<Base> = Vec::new();
    for file in cx.stored_below(below) {
        let inside = file.key.get(folder.len() + 1..).unwrap_or_default();
        let (id, name) = inside.split_once('/').unwrap_or_default();
        if bases.last().is_none_or(|last| last.id != id) {
            bases.push(Base {
                id: id.into(),
                size: 0,
                is_described: false,
            });
        }
        if let Some(base) = bases.last_mut() {
            base.size += file.size_bytes;
            base.is_described |= name == "backup.info";
        }
    }
    bases
}

/// The base backup of this ID in a folder, if it is there as a whole.
pub fn base_in(cx: &Context<Cnpg>, folder: &str, id: &str) -> Option<Base> {
    let found = bases_in(cx, folder, &format!("{folder}/{id}"));
    found.into_iter().find(|base| base.is_described)
}

/// The moment in a base backup's ID: `20260821T010405`, UTC.
fn moment(id: &str) -> Option<Timestamp> {
    let part = |range| id.get(range).filter(|_| id.len() == 15);
    let (date, time) = (
        [part(0..4)?, part(4..6)?, part(6..8)?],
        [part(9..11)?, part(11..13)?, part(13..15)?],
    );
    let text = format!("{}T{}Z", date.join("-"), time.join(":"));
    text.parse().ok()
}

/// What the operator has noted of a finished backup, if that is there still.
pub fn ordered(cx: &Context<Cnpg>, source: &FinishedBackup) -> Outcome<Option<Backup>> {
    match source.metadata_name(BACKUP_NAME)? {
        Some(name) => cx.get(name),
        None => Ok(None),
    }
}

/// The ID of a finished backup's base backup; none where nobody knows it any more.
///
/// Backups of the first controller do not say it. Their base backup is the one that began when they did.
pub fn id_of(
    cx: &Context<Cnpg>,
    source: &FinishedBackup,
    archive: &Archive<'_>,
    ordered: Option<&Backup>,
) -> Outcome<Option<String>> {
    let noted = ordered.and_then(|backup| backup.says("backupId"));
    if let Some(id) = source
        .metadata(BACKUP_ID)
        .or(noted)
        .filter(|id| !id.is_empty())
    {
        if is_path(id) && !id.contains('/') {
            return Ok(Some(id.into()));
        }
        return fail!(
            "InvalidMetadata",
            "spec.driverMetadata of Backup {} says {id:?} for {BACKUP_ID}, which cannot be the folder of a base \
             backup",
            source.name
        );
    }
    let Some(folder) = archive.bases(cx) else {
        return Ok(None);
    };
    let ids = bases_in(cx, &folder, &folder)
        .into_iter()
        .map(|base| base.id);
    Ok(nearest(ids, source.taken_at))
}

/// The ID that is nearest to a moment, if it is of the same.
fn nearest(ids: impl Iterator<Item = String>, taken_at: Timestamp) -> Option<String> {
    let apart = |id: &String| {
        let at = moment(id)?;
        Some(at.since(taken_at).max(taken_at.since(at)))
    };
    let known = ids.filter_map(|id| Some((apart(&id)?, id)));
    let (apart, id) = known.min()?;
    (apart <= SAME_MOMENT).then_some(id)
}

/// The folder that a Cluster archives into: the one that it has, or for one that has none the one that the settings
/// name. Barman lets no Cluster begin in a folder with WAL in it, such as the archive that the Cluster itself was
/// restored from: then it gets a folder of its own.
pub fn server_name(cx: &Context<Cnpg>, cluster: Option<&Cluster>, name: &str) -> Outcome<String> {
    if let Some(has) = cluster.and_then(Cluster::server_name) {
        return Ok(has.into());
    }
    let settings = settings(cx)?;
    let wanted = backup_strategy::set(settings.server_name.as_deref()).unwrap_or(name);
    let access = Access::of(cx, &settings);
    let archive = Archive {
        destination: &settings.barman_object_store.destination_path,
        endpoint: access.endpoint.as_deref().unwrap_or_default(),
        server: wanted,
    };
    let is_taken = match archive.wals(cx) {
        Some(wals) => cx.stored_below(&wals).next().is_some(),
        None => cluster.is_some_and(Cluster::was_restored),
    };
    Ok(if is_taken {
        anew(cx, wanted)
    } else {
        wanted.into()
    })
}

/// A folder that no other archive has.
pub fn anew(cx: &Context<Cnpg>, name: &str) -> String {
    let own = cx.child_name("archive");
    let (_, hash) = own.rsplit_once('-').unwrap_or_default();
    format!("{name}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_moment() {
        assert_eq!(moment("20260821T010405"), Some(Timestamp(1_787_274_245)));
        for other in [
            "",
            "20260821",
            "20260821T01040",
            "2026-08-21T0104",
            "äöü20260821T01",
        ] {
            assert_eq!(moment(other), None, "{other}");
        }
    }

    #[test]
    fn the_base_backup_of_a_moment_is_the_nearest_of_the_same() {
        let ids = [
            "20260820T010405",
            "20260821T010405",
            "20260821T010805",
            "latest",
        ];
        let nearest = |taken_at| nearest(ids.into_iter().map(Into::into), Timestamp(taken_at));
        let at = 1_787_274_245;
        assert_eq!(nearest(at).as_deref(), Some("20260821T010405"));
        assert_eq!(nearest(at - 300).as_deref(), Some("20260821T010405"));
        assert_eq!(nearest(at + 200).as_deref(), Some("20260821T010805"));
        assert_eq!(nearest(at + 3600), None, "it was removed");
    }
}
