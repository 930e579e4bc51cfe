//! When it is looked whether a Backup's data is there.
//!
//! Every Backup has its own moment of each interval, by its UID: of ten thousand Backups a few come due at a time, and
//! when the next is follows from the UID alone, so that a host that starts has nothing to read for it. A moment at which
//! no host was there is passed over.

use std::time::Duration;

use backup_api::BackupStatus;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::ledger::later;

/// A pass that comes so late after a Backup's moment is about something else. A queue is behind by minutes at most.
const LATE: Duration = Duration::from_secs(60 * 60);

/// How long to wait before looking again when it could not be looked, the first three times in a row: a hiccup, a
/// restart, an outage. After that the Backup's next moment is soon enough.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
];

/// The moments at which a Backup is looked at.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    interval: i64,
    offset: i64,
}

impl Slots {
    /// The moments of a Backup; none where Backups are looked at on request only.
    pub(super) fn of(uid: &str, interval: Duration) -> Option<Self> {
        let interval = i64::try_from(interval.as_secs())
            .ok()
            .filter(|seconds| *seconds > 0)?;
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Sha256::digest(uid)) {
            *to = from;
        }
        let offset = i64::from_be_bytes(first).rem_euclid(interval);
        Some(Self { interval, offset })
    }

    /// The last moment up to a time.
    fn before(self, now: Timestamp) -> Timestamp {
        let past = (now.as_second() - self.offset).rem_euclid(self.interval);
        Timestamp::from_second(now.as_second() - past).unwrap_or(Timestamp::MIN)
    }

    /// The first moment after a time.
    pub(super) fn after(self, now: Timestamp) -> Timestamp {
        let interval = Duration::from_secs(self.interval.unsigned_abs());
        later(self.before(now), interval)
    }

    /// Whether a Backup that came into being at a time is to be looked at.
    pub(super) fn is_due(self, created: Timestamp, status: &BackupStatus, now: Timestamp) -> bool {
        let last = status.last_check_time.as_ref().map(|time| time.0);
        let moment = self.before(now);
        moment > last.unwrap_or(created).max(created) && now < later(moment, LATE)
    }
}

/// When to look again after it could not be looked.
pub(super) fn retry(status: &BackupStatus) -> Option<Timestamp> {
    let times = usize::try_from(status.failed_checks?).ok()?;
    let pause = PAUSES.get(times.checked_sub(1)?)?;
    Some(later(status.last_check_time.as_ref()?.0, *pause))
}

#[cfg(test)]
mod tests {
    use backup_api::Time;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn looked(at: Timestamp) -> BackupStatus {
        BackupStatus {
            last_check_time: Some(Time(at)),
            ..BackupStatus::default()
        }
    }

    #[test]
    fn every_backup_has_one_moment_a_day() {
        let slots = Slots::of("a-uid", DAY).unwrap();
        let first = slots.after(at(1_000_000));
        assert!(first > at(1_000_000) && first <= at(1_086_400));
        assert_eq!(slots.after(first), later(first, DAY));
        assert!(slots.is_due(at(0), &BackupStatus::default(), first));
        assert!(!slots.is_due(at(0), &looked(first), first));
        assert!(slots.is_due(at(0), &looked(first), later(first, DAY)));
    }

    #[test]
    fn a_backup_that_is_younger_than_its_last_moment_has_time() {
        let slots = Slots::of("a-uid", DAY).unwrap();
        let moment = slots.after(at(1_000_000));
        assert!(!slots.is_due(
            later(moment, PAUSES[0]),
            &BackupStatus::default(),
            later(moment, PAUSES[1])
        ));
    }

    #[test]
    fn a_moment_without_a_host_is_passed_over() {
        let slots = Slots::of("a-uid", DAY).unwrap();
        let moment = slots.after(at(1_000_000));
        assert!(!slots.is_due(at(0), &BackupStatus::default(), later(moment, LATE)));
    }

    #[test]
    fn ten_thousand_backups_do_not_come_due_at_once() {
        let now = at(1_000_000);
        let mut hours = [0; 24];
        for uid in 0..10_000 {
            let due = Slots::of(&format!("uid-{uid}"), DAY).unwrap().after(now);
            let hour = (due.as_second() - now.as_second() - 1) / 3600;
            hours[usize::try_from(hour).unwrap()] += 1;
        }
        assert!(
            hours.iter().all(|hour| (300..550).contains(hour)),
            "{hours:?}"
        );
    }

    #[test]
    fn without_an_interval_it_is_looked_on_request_only() {
        assert!(Slots::of("a-uid", Duration::ZERO).is_none());
    }

    #[test]
    fn pauses_grow_and_end() {
        let failed = |times| BackupStatus {
            failed_checks: Some(times),
            ..looked(at(0))
        };
        assert_eq!(retry(&looked(at(0))), None);
        assert_eq!(retry(&failed(1)), Some(at(60)));
        assert_eq!(retry(&failed(3)), Some(at(3600)));
        assert_eq!(retry(&failed(4)), None);
    }
}
