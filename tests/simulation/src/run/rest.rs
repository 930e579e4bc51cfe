//! How everything comes to rest behind the last event, and that it stays so.

use std::{collections::BTreeSet, time::Duration};

use backup_api::names::API_VERSION;
use backup_engine::{Key, Runner};
use serde_json::Value;

use super::{TURN, World};
use crate::{
    events::plans::suspend_all,
    ground::{text, unless_crashed},
    invariants::{Verdict, broken},
    record::{Job, has_started, is_deleting, named, reason, said},
    schedule::Ending,
};

/// Once faults have stopped and operators are fair, every job ends within this time: waiting for configuration is
/// bounded by half an hour, what strategies wait for by half an hour each, and jobs stand in line for an application.
const BOUND: i64 = 6 * 60 * 60;

/// Where operators stay silent, a job has a day from its start, and then an hour to undo; jobs stand in line for an
/// application, so each has that time.
const BOUND_OF_EACH: i64 = 26 * 60 * 60;

/// A pass that failed is tried again within so many seconds.
const PAUSE: i64 = 60;

/// So much longer a Backup may be there that is deleted: another storage than its own is waited out for a day.
const REMOVAL: i64 = 25 * 60 * 60;

/// How often the host looks for what it cannot watch, once everything stays as it is. A day of the usual half minutes
/// would take seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);

/// So long the history goes on where a class limits how long Backups stay.
const DAYS: i64 = 3 * 24 * 60 * 60;

/// The promise of those that have ended.
const ASKED_AGAIN: &str = "asking again after the end changes nothing";

/// For so many seconds nobody does anything, once everything is at rest.
const LEFT_ALONE: i64 = 60 * 60;

/// What a job that has not started waits for without an end, since it may come.
const MAY_COME: [&str; 3] = [
    "ApplicationBusy",
    "CredentialsProjectionPending",
    "PermissionMissing",
];

impl World {
    /// Nothing goes wrong any more, and where the schedule says so, everything is in order.
    pub(super) fn mend(&mut self) -> anyhow::Result<()> {
        suspend_all(&self.ground);
        self.mend_watches();
        self.start_at = self.elapsed;
        match self.ending {
            Ending::InOrder => {
                self.ground
                    .note(|| "everything is in order from here on".to_owned());
                self.ground.put_in_order()
            }
            Ending::AsItIs => {
                self.ground
                    .note(|| "everything stays as it is from here on".to_owned());
                self.ground.faults().disarm();
                self.settings.look_again = LOOK_AGAIN;
                self.host = None;
                Ok(())
            }
        }
    }

    /// By when all jobs have ended.
    fn bound(&self) -> i64 {
        let jobs = self.observer.record.jobs().filter(|job| !job.is_over());
        let jobs = i64::try_from(jobs.count()).unwrap_or(i64::MAX);
        self.ground.cluster.now()
            + match self.ending {
                Ending::InOrder => BOUND,
                Ending::AsItIs => BOUND_OF_EACH * (jobs + 1),
            }
    }

    /// Whatever is under way ends, and then nothing changes any more.
    pub(super) fn come_to_rest(&mut self) -> Verdict {
        self.look()?;
        let bound = self.bound();
        loop {
            let revision = self.ground.cluster.revision();
            let moved = self.turn()? || self.ground.cluster.revision() != revision;
            if !moved && self.live().is_none() && !self.is_tried_again() {
                break;
            }
            let end = match self.live_job() {
                Some(_) => bound,
                None => bound + REMOVAL,
            };
            if self.ground.cluster.now() > end {
                let seen = self.live().unwrap_or_default();
                return broken("every job ends, and what is deleted goes", seen);
            }
            let next = self.ground.cluster.now() + i64::from(TURN);
            let due = self.host.as_ref().and_then(Runner::next_at);
            // Where nothing moves, the time goes on to where something is due.
            let at = match due {
                Some(due) if !moved => (due.as_second() + 1).max(next).min(end + 1),
                None if !moved => end + 1,
                _ => next,
            };
            self.ground.cluster.set_now(at);
        }
        self.observer.end(&self.ground)?;
        self.ask_again()
    }

    /// Whether a pass that failed is tried again soon.
    fn is_tried_again(&self) -> bool {
        let due = self.host.as_ref().and_then(Runner::next_at);
        due.is_some_and(|due| due.as_second() <= self.ground.cluster.now() + PAUSE)
    }

    /// A job that has not ended and is to.
    fn live_job(&self) -> Option<String> {
        let mut live = self
            .observer
            .record
            .jobs()
            .filter(|job| !job.is_gone && is_to_end(job, self.ending));
        let job = live.next()?;
        Some(format!("{}: {}", named(&job.object), said(&job.object)))
    }

    /// The same, or an object of the host's that is to go and is still there.
    fn live(&self) -> Option<String> {
        if let Some(job) = self.live_job() {
            return Some(job);
        }
        let objects = self.ground.cluster.objects();
        let mut going = objects.iter().filter(|object| {
            text(object, "/apiVersion") == API_VERSION
                && object.pointer("/metadata/deletionTimestamp").is_some()
        });
        going.next().map(|object| named(object))
    }

    /// Passes over what has ended change nothing, also those of a new process.
    fn ask_again(&mut self) -> Verdict {
        let revision = self.ground.cluster.revision();
        self.start();
        self.work()?;
        let jobs = self.observer.record.jobs();
        let mut keys: BTreeSet<Key> = jobs.map(|job| Key::of(&job.object)).collect();
        keys.extend(self.keys("Plan"));
        self.pass_over(keys)?;
        self.is_unchanged(revision)?;
        // It may be time to look at a Backup, as where a look was given up with the process that was to make it.
        self.pass_over(self.keys("Backup"))?;
        let revision = self.ground.cluster.revision();
        self.pass_over(self.keys("Backup"))?;
        self.is_unchanged(revision)?;
        self.leave_plans_alone()?;
        if self.ground.is_limited() {
            self.live_on()?;
        }
        Ok(())
    }

    /// Days pass, in which Backups are looked at, and go when they are too old.
    fn live_on(&mut self) -> Verdict {
        let end = self.ground.cluster.now() + DAYS;
        while self.ground.cluster.now() < end {
            self.turn()?;
            let next = self.ground.cluster.now() + i64::from(TURN);
            let due = self.host.as_ref().and_then(Runner::next_at);
            let due = due.map_or(end, |due| due.as_second() + 1);
            self.ground.cluster.set_now(due.max(next).min(end));
        }
        self.observer.end(&self.ground)
    }

    /// The objects of a kind of the host's that are there and are to stay.
    fn keys(&self, kind: &str) -> BTreeSet<Key> {
        let objects = self.ground.cluster.objects();
        let found = objects.iter().filter(|object| {
            text(object, "/apiVersion") == API_VERSION
                && text(object, "/kind") == kind
                && !is_deleting(object)
        });
        found.map(|object| Key::of(object)).collect()
    }

    fn pass_over(&mut self, keys: BTreeSet<Key>) -> Verdict {
        if let Some(host) = &self.host {
            for key in keys {
                if let Some(Err(error)) = unless_crashed(host.host().reconcile(&key)) {
                    return broken(ASKED_AGAIN, format!("{key:?}: {error}"));
                }
            }
        }
        self.look()
    }

    fn is_unchanged(&self, since: u64) -> Verdict {
        if self.ground.cluster.revision() == since {
            return Ok(());
        }
        let objects = self.ground.cluster.objects();
        let version = |object: &Value| text(object, "/metadata/resourceVersion").parse::<u64>();
        let changed = objects
            .iter()
            .max_by_key(|object| version(object).unwrap_or_default());
        let seen = changed.map_or_else(String::new, |object| named(object));
        broken(ASKED_AGAIN, seen)
    }

    /// A suspended Plan is looked at again only when something about it changes.
    fn leave_plans_alone(&mut self) -> Verdict {
        // What is due already is due for what has changed before.
        while let Some(host) = &mut self.host
            && let Some(Some(_)) = unless_crashed(host.step())
        {}
        self.ground.cluster.advance(LEFT_ALONE);
        let revision = self.ground.cluster.revision();
        while let Some(host) = &mut self.host {
            let Some(Some(passed)) = unless_crashed(host.step()) else {
                break;
            };
            let is_as_before = self.ground.cluster.revision() == revision;
            if passed.key.kind == "Plan" && is_as_before {
                let seen = format!("{:?}", passed.key);
                return broken("a Plan comes to rest", seen);
            }
        }
        Ok(())
    }
}

/// Whether a job has to come to an end by itself.
fn is_to_end(job: &Job, ending: Ending) -> bool {
    let may_wait = ending == Ending::AsItIs
        && !has_started(&job.object)
        && MAY_COME.contains(&reason(&job.object));
    !job.is_over() && !may_wait
}
