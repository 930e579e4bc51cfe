//! Dumps in a bucket, which tell by their names when they were begun.
//!
//! The name says nothing of the Backup that ordered a dump: `backup.2026-08-21T09:00:00Z.gzip.sql`. Jobs of one
//! application never overlap, so the dump of a job is what came after the dumps that lay there before.

use std::time::Duration;

use backup_strategy::{bucket_and_key, prelude::*};

use crate::{
    MariaDb,
    metadata::{STORAGE_URI, VERSION},
    operator,
    storage::{DUMP, S3},
};

/// The first controller gave a job up 30 minutes after it had begun, and looked every few seconds.
const FIRST_CONTROLLERS_PATIENCE: Duration = Duration::from_secs(31 * 60);

/// A node's clock may be behind that of the API server.
const CLOCKS: Duration = Duration::from_secs(60);

/// A dump has its name within so many seconds of the start of its container.
const NAMED_WITHIN: Duration = Duration::from_secs(5);

/// A dump in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    pub key: String,
    pub begun_at: Timestamp,
    pub size_bytes: u64,
}

/// What can be seen of the dump of a finished backup.
#[derive(Debug)]
pub enum Sight {
    Seen(Dump),
    /// It should be here, and is not.
    Missing(String),
    /// It lies where this strategy may not look; the operator finds it by this time.
    Hidden(Timestamp),
}

/// The dumps that lie in a folder behind a key, sorted by time.
pub fn behind(cx: &Context<MariaDb>, s3: &S3, after: &str) -> impl Iterator<Item = Dump> {
    let stem = s3.stem();
    let stored = cx.stored_below(s3.folder()).after(after);
    // Another kind of application may have thousands of files in the same folder.
    let own =
        stored.map_while(move |object| Some((time_in(object.key.strip_prefix(&stem)?), object)));
    own.filter_map(|(begun_at, object)| {
        Some(Dump {
            begun_at: begun_at?,
            size_bytes: object.size_bytes,
            key: object.key,
        })
    })
}

/// When a dump was begun, by its key; none for what is no dump.
pub fn begun_at(key: &str) -> Option<Timestamp> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    time_in(name.strip_prefix(DUMP)?)
}

/// The time behind the first word of a dump's name. Newer operators put the compression last.
fn time_in(rest: &str) -> Option<Timestamp> {
    let (time, ending) = rest.split_once('.')?;
    let is_known = matches!(
        ending,
        "sql" | "gzip.sql" | "bzip2.sql" | "sql.gz" | "sql.bz2"
    );
    time.parse().ok().filter(|_| is_known)
}

/// Looks for the dump of a finished backup.
pub fn of_backup(cx: &Context<MariaDb>, source: &FinishedBackup, s3: &S3) -> Outcome<Sight> {
    if let Some(key) = named(source, s3) {
        return Ok(look(cx, source, s3, key));
    }
    if s3.is_in_sight(cx) {
        return search(cx, source, s3);
    }
    Ok(Sight::Hidden(hidden(source)))
}

/// The time by which the operator finds a dump of which only the Backup tells.
pub fn hidden(source: &FinishedBackup) -> Timestamp {
    source.taken_at + NAMED_WITHIN
}

/// The key that a Backup gives its dump. That of the first controller is none: it put the name of the operator's Backup
/// behind the folder.
fn named<'a>(source: &'a FinishedBackup, s3: &S3) -> Option<&'a str> {
    let artifact = source.artifact.as_ref();
    let artifact = artifact.map(|artifact| artifact.uri.as_str());
    let uris = [artifact, source.metadata(STORAGE_URI)];
    uris.into_iter().flatten().find_map(|uri| {
        let (_, key) = bucket_and_key(uri).filter(|(bucket, _)| *bucket == s3.bucket)?;
        begun_at(key).map(|_| key)
    })
}

fn look(cx: &Context<MariaDb>, source: &FinishedBackup, s3: &S3, key: &str) -> Sight {
    let begun_at = begun_at(key).unwrap_or(source.taken_at);
    if cx.in_sight(&s3.bucket, &s3.endpoint, key).is_none() {
        return Sight::Hidden(begun_at);
    }
    match cx.stored_below(key).find(|object| object.key == key) {
        Some(object) => Sight::Seen(Dump {
            begun_at,
            size_bytes: object.size_bytes,
            key: object.key,
        }),
        None => Sight::Missing(format!("s3://{}/{key} is no longer there", s3.bucket)),
    }
}

/// Looks for the dump of a backup that does not say what it is called: the last one that was begun before the backup was
/// complete, and not before it was ordered.
fn search(cx: &Context<MariaDb>, source: &FinishedBackup, s3: &S3) -> Outcome<Sight> {
    let ordered = operator::Backup::of_finished(cx, source)?;
    let ordered = ordered.and_then(|ordered| ordered.metadata.creation_timestamp);
    let earliest = match ordered.filter(|ordered| *ordered <= source.taken_at) {
        Some(ordered) => before(ordered, CLOCKS),
        None => before(source.taken_at, FIRST_CONTROLLERS_PATIENCE),
    };
    let found = behind(cx, s3, &format!("{}{earliest}", s3.stem()))
        .take_while(|dump| dump.begun_at <= source.taken_at)
        .last();
    Ok(found.map_or_else(
        || {
            Sight::Missing(format!(
                "there is no dump from between {earliest} and {} in {}",
                source.taken_at,
                s3.uri("")
            ))
        },
        Sight::Seen,
    ))
}

fn before(moment: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(moment.0.saturating_sub(duration.as_secs()))
}

/// Whether the first controller made a backup, whose dump holds accounts.
pub fn is_first_controllers(source: &FinishedBackup) -> bool {
    source.metadata(VERSION).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_tells_by_its_name_when_it_was_begun() {
        let at = "2026-08-21T09:00:00Z".parse().ok();
        for name in [
            "backup.2026-08-21T09:00:00Z.sql",
            "a/b/backup.2026-08-21T09:00:00Z.gzip.sql",
            "a/backup.2026-08-21T09:00:00Z.bzip2.sql",
            "a/backup.2026-08-21T09:00:00Z.sql.gz",
        ] {
            assert_eq!(begun_at(name), at, "{name}");
        }
        for other in [
            "nightly-29012345-x7k2p",
            "a/backup.sql",
            "a/backup.yesterday.sql",
            "a/backup.2026-08-21T09:00:00Z.xz.sql",
            "a/backup.2026-08-21T09:00:00Z.db",
            "a/etcd-backup.2026-08-21T09:00:00Z.sql",
            "backup.2026-08-21T09:00:00Z.sql/part",
        ] {
            assert_eq!(begun_at(other), None, "{other}");
        }
    }
}
