//! What FoundationDB has stored of a backup.
//!
//! ```text
//! data/<name>/snapshots/snapshot,<first version>,<last version>,<bytes>   one for each finished snapshot
//! data/<name>/kvranges/…                                                  the snapshots' data
//! data/<name>/logs/…/log,<first version>,<version behind the last>,…      what was changed, without a gap
//! ```
//!
//! A snapshot is taken while the database is written to. So its data makes a state of the database only together with
//! what was changed meanwhile, and what can be restored are the versions from the end of a snapshot on, as far as the
//! logs reach.

use backup_strategy::{StoredObject, prelude::*};

use crate::FoundationDb;

/// Objects that are looked at: logs of a day, as one is written every 20 seconds or so. An evaluation has 16 rounds, and
/// each gives 1000 of them.
const OBJECTS: usize = 5000;
/// Logs whose first versions are so far apart lie in folders of their own, which sort by version.
const FOLDER: i64 = 100_000_000_000;

/// Some versions, and what is stored of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    begin: i64,
    end: i64,
    bytes: u64,
}

impl Span {
    /// `snapshot,<begin>,<end>,<bytes>` and `log,<begin>,<end>,…`.
    fn of(object: &StoredObject, kind: &str) -> Option<Self> {
        let name = object.key.rsplit('/').next()?;
        let mut parts = name.split(',');
        (parts.next()? == kind).then_some(())?;
        Some(Self {
            begin: parts.next()?.parse().ok()?,
            end: parts.next()?.parse().ok()?,
            bytes: match kind {
                // The data of a snapshot lies elsewhere.
                "snapshot" => parts.next()?.parse().ok()?,
                _ => object.size_bytes,
            },
        })
    }
}

/// A state of the database that can be restored.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// As FoundationDB counts.
    pub version: i64,
    /// The snapshot's data, and the logs up to the version.
    pub bytes: u64,
}

/// What can be restored.
#[derive(Debug, PartialEq, Eq)]
pub enum Sight {
    Restorable(State),
    /// No snapshot is complete by then.
    NoSnapshot,
    /// The logs do not reach from a snapshot to the version.
    Gap,
}

/// The last state that is stored.
pub fn latest(cx: &Context<FoundationDb>, data: &str) -> Sight {
    last_of(&snapshots(cx, data), &logs(cx, data, i64::MAX))
}

/// The state of a version; of the first that can be restored where none is known.
pub fn at(cx: &Context<FoundationDb>, data: &str, version: Option<i64>) -> Sight {
    let snapshots = snapshots(cx, data);
    let Some(version) = version.or_else(|| snapshots.iter().map(|snapshot| snapshot.end).min())
    else {
        return Sight::NoSnapshot;
    };
    state_of(&snapshots, &logs(cx, data, version), version)
}

fn snapshots(cx: &Context<FoundationDb>, data: &str) -> Vec<Span> {
    let stored = cx.stored_below(&format!("{data}/snapshots"));
    stored
        .take(OBJECTS)
        .filter_map(|object| Span::of(&object, "snapshot"))
        .collect()
}

/// The logs of the versions up to `version`, and some more.
fn logs(cx: &Context<FoundationDb>, data: &str, version: i64) -> Vec<Span> {
    let stored = cx.stored_below(&format!("{data}/logs")).take(OBJECTS);
    stored
        .filter_map(|object| Span::of(&object, "log"))
        .take_while(|log| log.begin <= version.saturating_add(FOLDER))
        .collect()
}

fn last_of(snapshots: &[Span], logs: &[Span]) -> Sight {
    let Some(snapshot) = snapshots.iter().max_by_key(|snapshot| snapshot.end) else {
        return Sight::NoSnapshot;
    };
    let version = reach(snapshot.begin, logs) - 1;
    state_of(snapshots, logs, version.max(snapshot.end))
}

fn state_of(snapshots: &[Span], logs: &[Span], version: i64) -> Sight {
    let before = snapshots.iter().filter(|snapshot| snapshot.end <= version);
    let Some(snapshot) = before.max_by_key(|snapshot| snapshot.end) else {
        return Sight::NoSnapshot;
    };
    if reach(snapshot.begin, logs) <= version {
        return Sight::Gap;
    }
    let needed = logs
        .iter()
        .filter(|log| log.end > snapshot.begin && log.begin <= version);
    Sight::Restorable(State {
        version,
        bytes: needed.fold(snapshot.bytes, |sum, log| sum.saturating_add(log.bytes)),
    })
}

/// The version behind the last that logs cover from `begin` on without a gap. They are sorted by their keys, and so by
/// their versions but for a few: two looks are enough as a rule.
fn reach(begin: i64, logs: &[Span]) -> i64 {
    let mut reach = begin;
    loop {
        let before = reach;
        for log in logs {
            if log.begin <= reach {
                reach = reach.max(log.end);
            }
        }
        if reach == before {
            return reach;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(begin: i64, end: i64, bytes: u64) -> Span {
        Span { begin, end, bytes }
    }

    fn restorable(version: i64, bytes: u64) -> Sight {
        Sight::Restorable(State { version, bytes })
    }

    #[test]
    fn names_tell_versions() {
        let object = |key: &str| StoredObject {
            key: key.into(),
            size_bytes: 7,
            modified_at: Timestamp(0),
        };
        let of = |key: &str, kind: &str| Span::of(&object(key), kind);
        assert_eq!(
            of("data/n/snapshots/snapshot,10,20,500", "snapshot"),
            Some(span(10, 20, 500))
        );
        assert_eq!(
            of("data/n/logs/0000/0000/log,10,30,8a4f,1048576", "log"),
            Some(span(10, 30, 7))
        );
        for odd in [
            "data/n/snapshots/snapshot,10,20",
            "data/n/snapshots/snapshot,a,20,1",
            "data/n/snapshots/other,1,2,3",
        ] {
            assert_eq!(of(odd, "snapshot"), None, "{odd}");
        }
    }

    #[test]
    fn the_last_state_is_where_the_logs_end() {
        let snapshots = [span(10, 20, 500)];
        assert_eq!(last_of(&[], &[span(10, 30, 7)]), Sight::NoSnapshot);
        assert_eq!(last_of(&snapshots, &[]), Sight::Gap);
        assert_eq!(last_of(&snapshots, &[span(5, 15, 7)]), Sight::Gap);
        assert_eq!(
            last_of(&snapshots, &[span(15, 31, 7), span(5, 15, 7)]),
            restorable(30, 514)
        );
        // What is stored behind a gap is of no use yet.
        assert_eq!(
            last_of(&snapshots, &[span(5, 21, 7), span(25, 40, 7)]),
            restorable(20, 507)
        );
    }

    #[test]
    fn a_version_needs_a_snapshot_before_it_and_logs_up_to_it() {
        let snapshots = [span(10, 20, 500), span(40, 50, 600)];
        let logs = [span(5, 30, 1), span(30, 60, 2)];
        assert_eq!(state_of(&snapshots, &logs, 19), Sight::NoSnapshot);
        assert_eq!(state_of(&snapshots, &logs, 25), restorable(25, 501));
        assert_eq!(state_of(&snapshots, &logs, 55), restorable(55, 602));
        assert_eq!(state_of(&snapshots, &logs, 60), Sight::Gap);
        assert_eq!(state_of(&snapshots, &[span(5, 15, 1)], 25), Sight::Gap);
    }
}
