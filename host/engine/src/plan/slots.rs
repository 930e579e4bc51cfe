//! Which slots of a schedule are due, which were missed, and which comes next.
//!
//! ```text
//!            cursor                last      now - delay     next
//!  ────┼───────┼────────┼────────────┼───────────┼────────────┼────►
//!   dealt with   missed    missed      due if not               waits
//!                                      too late
//! ```
//!
//! The cursor is `status.nextScheduleTime`: everything before it was dealt with, whatever became of it. A pass moves it
//! on in the same write that tells what became of the slots, so a pass that is cut off is done again with the same
//! slots, and makes jobs of the same names.

use backup_api::PlanStatus;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::schedule::Schedule;

/// So many missed slots are counted at most at one time: a year of `* * * * *` is half a million, and whether there
/// were a thousand or more helps nobody.
pub(crate) const COUNTED: usize = 1000;

/// A clock that goes back by less than this is being set right: what it passed once it does not pass again. One that
/// goes back further was wrong before, and the schedule goes on from what it shows now.
const SET_RIGHT: SignedDuration = SignedDuration::from_hours(1);

/// A schedule with what else decides when jobs are made.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    /// Its slots.
    pub schedule: Schedule,
    /// How long after its slot a job is made.
    pub delay: SignedDuration,
    /// How much later than that it may be.
    pub deadline: SignedDuration,
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// The slot to make a job for.
    pub slot: Option<Timestamp>,
    /// The last slot that has its job already.
    pub made: Option<Timestamp>,
    /// Slots that passed without a job.
    pub missed: Vec<Timestamp>,
    /// Whether more were missed than are counted.
    pub missed_more: bool,
    /// The first slot that is not dealt with.
    pub next: Option<Timestamp>,
}

impl Timetable {
    /// The first slot that was not dealt with yet.
    ///
    /// `schedule` is the schedule as the status has it: a cursor of another one says nothing. A Plan that nobody has
    /// looked at yet may be one that the reference's controller looked after until now: as that one would, it makes up
    /// for a slot within the deadline, though for none before its creation.
    pub(crate) fn cursor(
        &self,
        status: &PlanStatus,
        schedule: &str,
        created: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if status.observed_generation.is_none() {
            let earliest = now
                .checked_sub(self.delay.saturating_add(self.deadline))
                .unwrap_or(Timestamp::MIN);
            return self.schedule.next(earliest.max(created));
        }
        let next = self.schedule.next(now);
        let noted = status.next_schedule_time.as_ref().map(|time| time.0);
        let Some(noted) = noted.filter(|_| status.observed_schedule.as_deref() == Some(schedule))
        else {
            return next;
        };
        match next {
            Some(next) if next < noted && self.was_ahead(next, noted, now) => Some(next),
            _ => Some(noted),
        }
    }

    /// Whether the clock that the cursor was set by was far ahead of the present one.
    fn was_ahead(&self, next: Timestamp, noted: Timestamp, now: Timestamp) -> bool {
        let before = noted
            .checked_sub(SignedDuration::from_nanos(1))
            .unwrap_or(noted);
        let last = self.schedule.last(next, before);
        last.is_some_and(|last| last.duration_since(now) > SET_RIGHT)
    }

    /// What is due from the cursor on. `has_job` tells whether a slot has its job.
    pub(crate) fn due(
        &self,
        cursor: Option<Timestamp>,
        now: Timestamp,
        has_job: impl Fn(Timestamp) -> bool,
    ) -> Due {
        let until = now.checked_sub(self.delay).unwrap_or(Timestamp::MIN);
        let last = cursor
            .filter(|cursor| *cursor <= until)
            .and_then(|cursor| Some((cursor, self.schedule.last(cursor, until)?)));
        let Some((cursor, last)) = last else {
            return Due {
                next: cursor,
                ..Due::default()
            };
        };
        let mut due = Due {
            next: self.schedule.next(last),
            ..Due::default()
        };
        for (count, slot) in self.schedule.slots(cursor, last).enumerate() {
            if slot == last {
                break;
            }
            if count == COUNTED {
                due.missed_more = true;
                break;
            }
            due.note(slot, has_job(slot));
        }
        if has_job(last) || until.duration_since(last) > self.deadline {
            due.note(last, has_job(last));
        } else {
            due.slot = Some(last);
        }
        due
    }

    /// When the job of a slot is made.
    pub(crate) fn made_at(&self, slot: Timestamp) -> Timestamp {
        slot.checked_add(self.delay).unwrap_or(Timestamp::MAX)
    }
}

impl Due {
    fn note(&mut self, slot: Timestamp, has_job: bool) {
        if has_job {
            self.made = Some(slot);
        } else {
            self.missed.push(slot);
        }
    }
}

/// How long after its slots a Plan makes jobs: always the same for one Plan, and spread evenly over all Plans.
pub(crate) fn delay(namespace: &str, name: &str, spread_seconds: u32) -> SignedDuration {
    let digest = Sha256::digest(format!("{namespace}/{name}"));
    let hash = digest
        .iter()
        .take(8)
        .fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    let seconds = hash % (u64::from(spread_seconds) + 1);
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use backup_api::Time;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-06-{text}Z").parse().unwrap()
    }

    fn table(cron: &str, delay: i64) -> Timetable {
        let spec = backup_api::Schedule {
            cron: Some(cron.to_owned()),
            ..backup_api::Schedule::default()
        };
        Timetable {
            schedule: Schedule::read(&spec, at("01T00:00:00")).unwrap(),
            delay: SignedDuration::from_secs(delay),
            deadline: SignedDuration::from_secs(300),
        }
    }

    fn seen(next: Option<&str>) -> PlanStatus {
        PlanStatus {
            observed_generation: Some(1),
            observed_schedule: Some("same".to_owned()),
            next_schedule_time: next.map(|next| Time(at(next))),
            ..PlanStatus::default()
        }
    }

    #[test]
    fn the_last_slot_is_made_up_for_and_the_others_are_missed() {
        let hourly = table("@hourly", 0);
        let due = hourly.due(Some(at("02T01:00:00")), at("02T04:04:00"), |_| false);
        assert_eq!(due.slot, Some(at("02T04:00:00")));
        assert_eq!(due.missed.len(), 3);
        assert_eq!(due.next, Some(at("02T05:00:00")));
        let late = hourly.due(Some(at("02T01:00:00")), at("02T04:05:01"), |_| false);
        assert_eq!(late.slot, None);
        assert_eq!(late.missed.len(), 4);
    }

    #[test]
    fn a_slot_that_has_its_job_is_neither_due_nor_missed() {
        let hourly = table("@hourly", 0);
        let due = hourly.due(Some(at("02T01:00:00")), at("02T02:00:00"), |_| true);
        assert_eq!((due.slot, due.missed.len()), (None, 0));
        assert_eq!(due.made, Some(at("02T02:00:00")));
    }

    #[test]
    fn a_year_of_missed_minutes_is_counted_up_to_a_thousand() {
        let minutes = table("* * * * *", 0);
        let now = "2027-06-02T00:00:00Z".parse().unwrap();
        let due = minutes.due(Some(at("02T00:00:00")), now, |_| false);
        assert_eq!(due.slot, Some(now));
        assert_eq!((due.missed.len(), due.missed_more), (COUNTED, true));
    }

    #[test]
    fn a_delay_moves_when_a_job_is_made_and_not_its_slot() {
        let hourly = table("@hourly", 600);
        let cursor = Some(at("02T01:00:00"));
        let early = hourly.due(cursor, at("02T01:09:59"), |_| false);
        assert_eq!((early.slot, early.next), (None, cursor));
        let due = hourly.due(cursor, at("02T01:10:00"), |_| false);
        assert_eq!(due.slot, cursor);
        assert_eq!(hourly.made_at(at("02T01:00:00")), at("02T01:10:00"));
        // The deadline counts from there.
        assert_eq!(
            hourly.due(cursor, at("02T01:15:00"), |_| false).slot,
            cursor
        );
    }

    #[test]
    fn another_schedule_begins_now() {
        let hourly = table("@hourly", 0);
        let now = at("02T04:30:00");
        let cursor = |noted: Option<&str>, schedule: &str| {
            hourly.cursor(&seen(noted), schedule, at("01T00:00:00"), now)
        };
        assert_eq!(cursor(Some("02T01:00:00"), "same"), Some(at("02T01:00:00")));
        assert_eq!(
            cursor(Some("02T01:00:00"), "other"),
            Some(at("02T05:00:00"))
        );
        assert_eq!(cursor(None, "same"), Some(at("02T05:00:00")));
    }

    // Defect 4 of the reference: a slot up to five minutes before the creation fired.
    #[test]
    fn a_plan_that_nobody_looked_at_begins_at_its_creation_or_the_deadline() {
        let hourly = table("@hourly", 0);
        let cursor =
            |created, now| hourly.cursor(&PlanStatus::default(), "same", at(created), at(now));
        assert_eq!(
            cursor("02T04:01:00", "02T04:02:00"),
            Some(at("02T05:00:00"))
        );
        assert_eq!(
            cursor("01T00:00:00", "02T04:02:00"),
            Some(at("02T04:00:00"))
        );
        assert_eq!(
            cursor("01T00:00:00", "02T04:06:00"),
            Some(at("02T05:00:00"))
        );
    }

    #[test]
    fn a_clock_that_is_set_right_passes_no_slot_twice_and_one_that_was_wrong_is_forgotten() {
        let hourly = table("@hourly", 0);
        let cursor =
            |noted, now| hourly.cursor(&seen(Some(noted)), "same", at("01T00:00:00"), at(now));
        // The slot of 04:00 is done, and it is 03:50 again.
        assert_eq!(
            cursor("02T05:00:00", "02T03:50:00"),
            Some(at("02T05:00:00"))
        );
        // The clock was two weeks ahead.
        assert_eq!(
            cursor("16T05:00:00", "02T03:50:00"),
            Some(at("02T04:00:00"))
        );
    }

    #[test]
    fn a_plan_that_resumes_with_a_delay_keeps_its_cursor() {
        let hourly = table("@hourly", 7200);
        // Resumed at 12:30: the first slot is 13:00, whose job is made at 15:00.
        for now in ["02T12:31:00", "02T13:30:00", "02T14:59:00"] {
            let cursor = hourly.cursor(
                &seen(Some("02T13:00:00")),
                "same",
                at("01T00:00:00"),
                at(now),
            );
            assert_eq!(cursor, Some(at("02T13:00:00")), "{now}");
        }
    }

    #[test]
    fn a_delay_is_stable_and_spread() {
        let delays: std::collections::BTreeSet<_> = (0..200)
            .map(|index| delay("tenant-acme", &format!("plan-{index}"), 599).as_secs())
            .collect();
        assert!(delays.len() > 120, "{} different ones of 200", delays.len());
        assert!(delays.iter().all(|delay| (0..600).contains(delay)));
        assert_eq!(delay("a", "b", 599), delay("a", "b", 599));
        assert_eq!(delay("a", "b", 0), SignedDuration::ZERO);
    }
}
