//! Where archives lie, and how a Backup's is found.
//!
//! ```text
//! <bucket>/<path>/<name>/metadata.json, metadata/<database>/<table>.json, shadow/<database>/<table>/...
//! ```
//!
//! `metadata.json` comes last, so an archive with it is whole. Each shard has an archive; that of the first has the name
//! that the first controller gave, and is the Backup's artifact.

use backup_strategy::{bucket_and_key, covers, is_path, prelude::*};
use serde::{Deserialize, Serialize};

use crate::{Altinity, metadata, operator::release_of};

/// What an archive holds as its last.
const LAST: &str = "metadata.json";
/// How many objects are counted for the size of a backup: some eight pages, of the sixteen reads that an evaluation has.
const COUNTED: usize = 8000;
/// How many archives are looked at for the one of an old Backup, each a read.
const LOOKED_AT: usize = 6;
/// How long before the end of a job its archive may have been begun: the host ends any job after a day.
const DAY: u32 = 24;

/// The archives of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Archive {
    /// That of the first shard.
    pub name: String,
    pub shards: u32,
    /// Their folder.
    pub path: String,
    /// The platform's bucket; none where the application has a storage of its own, which nobody here can look into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

/// What can be seen of the archives.
#[derive(Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of them, and their size unless they have more objects than are counted.
    Whole(Option<u64>),
    /// One of them is not there, or was never completed.
    Missing(String),
    /// They lie where this strategy may not look.
    Hidden,
}

impl Archive {
    /// The name of a new archive: as the first controller gave it, and what tells two jobs of one second apart.
    pub fn name_of(application: &ApplicationRef, begun: Timestamp, uid: &str) -> String {
        let mark: String = uid
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        format!("{}-{}-{mark}", release_of(application), compact(begun))
    }

    /// The archive of a shard.
    pub fn of_shard(&self, shard: u32) -> String {
        match shard {
            0 => self.name.clone(),
            shard => format!("{}-shard{shard}", self.name),
        }
    }

    /// The folder of a shard's archive.
    pub fn folder(&self, shard: u32) -> String {
        format!("{}/{}", self.path, self.of_shard(shard))
    }

    pub fn uri(&self) -> String {
        match &self.bucket {
            Some(bucket) => format!("s3://{bucket}/{}", self.folder(0)),
            None => format!("clickhouse-backup://{}", self.folder(0)),
        }
    }

    /// The archives of a finished backup. A Backup of the first controller names none; it has the last one that was
    /// begun before the Backup was written.
    pub fn of_backup(cx: &Context<Altinity>, source: &FinishedBackup) -> Outcome<Self> {
        let said = |key: &str| backup_strategy::set(source.metadata(key)).map(ToOwned::to_owned);
        if let Some(name) = said(metadata::ARCHIVE) {
            let archive = Self {
                name,
                shards: said(metadata::SHARDS)
                    .and_then(|shards| shards.parse().ok())
                    .unwrap_or(1),
                path: said(metadata::PATH).unwrap_or_else(|| usual_path(&source.application)),
                bucket: said(metadata::BUCKET),
            };
            return archive.checked(source);
        }
        let artifact = source
            .artifact
            .as_ref()
            .and_then(|artifact| bucket_and_key(&artifact.uri));
        if let Some((bucket, (path, name))) =
            artifact.and_then(|(bucket, key)| Some((bucket, key.rsplit_once('/')?)))
        {
            let archive = Self {
                name: name.into(),
                shards: 1,
                path: path.into(),
                bucket: Some(bucket.into()),
            };
            return archive.checked(source);
        }
        let unknown = format!(
            "Backup {} does not say which archive it is, and {} in the platform's bucket holds none that was begun in the \
             {DAY} hours before; ask for a check of the Backup, or set spec.deletionPolicy to Retain and remove what it \
             stands for by hand",
            source.name,
            usual_path(&source.application),
        );
        let since = Timestamp(source.taken_at.0.saturating_sub(u64::from(DAY) * 3600));
        Self::latest(cx, &source.application, since, source.taken_at)?
            .or_fail("ArchiveUnknown", unknown)
    }

    /// The last whole archive in the application's usual folder that was begun in a span of time, by the name that the
    /// first controller gave.
    pub fn latest(
        cx: &Context<Altinity>,
        application: &ApplicationRef,
        since: Timestamp,
        until: Timestamp,
    ) -> Outcome<Option<Self>> {
        let path = usual_path(application);
        if !cx.prefixes().iter().any(|prefix| covers(prefix, &path)) {
            return Ok(None);
        }
        let names = format!("{path}/{}-", release_of(application));
        let (mut after, last) = (
            format!("{names}{}", compact(since)),
            format!("{names}{}", compact(until)),
        );
        let mut found = None;
        for _ in 0..LOOKED_AT {
            let Some(object) = cx.stored_below(&path).after(&after).next() else {
                break;
            };
            let Some((name, _)) = object.key[path.len() + 1..].split_once('/') else {
                break;
            };
            let folder = format!("{path}/{name}");
            if folder > last {
                break;
            }
            if is_stamp(&folder, &names) && is_whole(cx, &folder) {
                found = Some(name.to_owned());
            }
            // All that lies in the folder comes before this.
            after = format!("{folder}0");
        }
        Ok(found.map(|name| Self {
            name,
            shards: 1,
            path,
            bucket: Some(cx.bucket().name),
        }))
    }

    /// Whoever wrote the Backup must not lead to another place than an archive's.
    fn checked(self, source: &FinishedBackup) -> Outcome<Self> {
        if is_path(&self.folder(0)) && !self.name.contains('/') && (1..=1000).contains(&self.shards)
        {
            return Ok(self);
        }
        fail!(
            "InvalidMetadata",
            "Backup {} leads to {:?}, which cannot be an archive of clickhouse-backup",
            source.name,
            self.folder(0)
        )
    }

    /// Whether a folder is in the platform's bucket, and where this strategy may look.
    fn is_in_sight(&self, cx: &Context<Altinity>, folder: &str) -> bool {
        let artifact = cx.source().and_then(|source| source.artifact);
        let artifact = artifact
            .as_ref()
            .and_then(|artifact| bucket_and_key(&artifact.uri));
        let mut prefixes = cx.prefixes();
        prefixes.extend(artifact.map(|(_, key)| key.to_owned()));
        self.bucket.as_ref() == Some(&cx.bucket().name)
            && prefixes.iter().any(|prefix| covers(prefix, folder))
    }

    /// What is there. Of an archive of another application only the first shard's can be looked at.
    pub fn sight(&self, cx: &Context<Altinity>) -> Sight {
        if !self.is_in_sight(cx, &self.folder(0)) {
            return Sight::Hidden;
        }
        let (mut size, mut objects) = (0, 0);
        for folder in (0..self.shards).map(|shard| self.folder(shard)) {
            if !self.is_in_sight(cx, &folder) {
                continue;
            }
            if !is_whole(cx, &folder) {
                return Sight::Missing(folder);
            }
            for object in cx.stored_below(&folder).take(COUNTED + 1 - objects) {
                objects += 1;
                size += object.size_bytes;
            }
        }
        Sight::Whole((objects <= COUNTED).then_some(size))
    }

    /// Removes them from the platform's bucket. The host does not, where another Backup claims one.
    pub fn purge(&self, cx: &Context<Altinity>) {
        for folder in (0..self.shards).map(|shard| self.folder(shard)) {
            if self.is_in_sight(cx, &folder) {
                cx.purge(&folder);
            }
        }
    }
}

/// The folder that the chart gives an application in the platform's bucket.
pub fn usual_path(application: &ApplicationRef) -> String {
    format!("{}/{}", application.namespace, release_of(application))
}

fn is_whole(cx: &Context<Altinity>, folder: &str) -> bool {
    let last = format!("{folder}/{LAST}");
    cx.stored_below(&last)
        .next()
        .is_some_and(|object| object.key == last)
}

/// `20260821T010405Z`, as the names of archives have it.
fn compact(moment: Timestamp) -> String {
    moment.to_string().replace(['-', ':'], "")
}

/// Whether a folder is named as the first controller did: an application called `<this one>-more` has other archives.
fn is_stamp(folder: &str, names: &str) -> bool {
    folder.strip_prefix(names).is_some_and(|stamp| {
        let mut shape = stamp.bytes().zip(b"ddddddddTddddddZ");
        stamp.len() == 16
            && shape.all(|(c, wanted)| {
                if *wanted == b'd' {
                    c.is_ascii_digit()
                } else {
                    c == *wanted
                }
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> ApplicationRef {
        ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "ClickHouse".into(),
            namespace: "tenant-acme".into(),
            name: "events".into(),
        }
    }

    #[test]
    fn an_archive_is_named_after_the_release_the_time_and_the_job() {
        let begun: Timestamp = "2026-08-21T01:04:05Z".parse().unwrap();
        let name = Archive::name_of(&events(), begun, "0f1e2d3c-4b5a-6978");
        assert_eq!(name, "clickhouse-events-20260821T010405Z-0f1e2d3c");
        assert_eq!(usual_path(&events()), "tenant-acme/clickhouse-events");
    }

    #[test]
    fn each_shard_has_an_archive_of_its_own() {
        let archive = Archive {
            name: "a".into(),
            shards: 2,
            path: "p".into(),
            bucket: Some("b".into()),
        };
        assert_eq!(
            (archive.folder(0), archive.folder(1)),
            ("p/a".into(), "p/a-shard1".into())
        );
        assert_eq!(archive.uri(), "s3://b/p/a");
    }

    #[test]
    fn a_neighbour_whose_name_begins_alike_has_other_archives() {
        let names = "p/clickhouse-events-";
        assert!(is_stamp("p/clickhouse-events-20260821T010405Z", names));
        for other in [
            "p/clickhouse-events-old-20260821T010405Z",
            "p/clickhouse-events-20260821T010405Z-0f1e2d3c",
            "p/clickhouse-events-2026-08-21T0104",
            "p/clickhouse-event-20260821T010405Z",
        ] {
            assert!(!is_stamp(other, names), "{other}");
        }
    }
}
