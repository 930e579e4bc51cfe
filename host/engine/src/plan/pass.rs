//! A pass over a Plan: what was read, and the status in the making.

use std::collections::HashSet;

use backup_api::{Condition, Plan, PlanStatus, Reason, set_condition};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    jobs::{Made, job_name, last_success, live},
    kept::NAMED,
    retention::Rules,
    schedule::Schedule,
    slots::{Due, Timetable, delay},
};
use crate::{
    cluster::{ApiError, ApiReason},
    observe::PlanSeen,
};

/// How late a job may be made where the Plan does not say: as the reference has it.
const DEADLINE: i64 = 300;

/// A message of a condition is no longer than this: it quotes what a tenant wrote, and the API server refuses a status
/// with more than 32,768 characters in one.
const MESSAGE: usize = 4096;

/// What a Plan's spec says, read.
pub(super) struct Terms {
    /// When jobs are made.
    pub(super) timetable: Timetable,
    /// How long Backups stay.
    pub(super) rules: Rules,
    /// The schedule as one text.
    pub(super) text: String,
}

/// A pass over a Plan.
pub(super) struct Pass {
    /// The Plan as it was read.
    pub(super) found: Value,
    pub(super) plan: Plan,
    pub(super) now: Timestamp,
    pub(super) jobs: Vec<Made>,
    /// The status in the making.
    pub(super) status: PlanStatus,
}

impl Pass {
    pub(super) fn over(found: Value, now: Timestamp) -> Result<Self, ApiError> {
        let plan: Plan = serde_json::from_value(found.clone()).map_err(|error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("a Plan cannot be read: {error}"),
            )
        })?;
        Ok(Self {
            status: plan.status.clone().unwrap_or_default(),
            found,
            plan,
            now,
            jobs: vec![],
        })
    }

    pub(super) fn name(&self) -> String {
        self.plan.metadata.name.clone().unwrap_or_default()
    }

    fn created(&self) -> Timestamp {
        let created = self.plan.metadata.creation_timestamp.as_ref();
        created.map_or(self.now, |time| time.0)
    }

    /// Reads the spec.
    pub(super) fn terms(&self) -> Result<Terms, String> {
        let spec = &self.plan.spec;
        let schedule = Schedule::read(&spec.schedule, self.created())?;
        let rules = Rules::read(&spec.retention_policy.clone().unwrap_or_default())?;
        let namespace = self.plan.metadata.namespace.as_deref().unwrap_or_default();
        let spread = spec.schedule.spread_seconds.unwrap_or_default();
        let deadline = spec.starting_deadline_seconds.unwrap_or(DEADLINE);
        let cron = spec.schedule.cron.as_deref().unwrap_or_default().trim();
        let text = match spec.schedule.time_zone.as_deref() {
            None | Some("") => cron.to_owned(),
            Some(zone) => format!("TZ={zone} {cron}"),
        };
        Ok(Terms {
            timetable: Timetable {
                schedule,
                delay: delay(namespace, &self.name(), spread),
                deadline: SignedDuration::from_secs(deadline),
            },
            rules,
            text,
        })
    }

    /// Which slots are due.
    pub(super) fn due(&self, terms: &Terms) -> Due {
        let name = self.name();
        let timetable = &terms.timetable;
        let cursor = timetable.cursor(&self.status, &terms.text, self.created(), self.now);
        let names: HashSet<&str> = self.jobs.iter().map(|job| job.name.as_str()).collect();
        timetable.due(cursor, self.now, |slot| {
            names.contains(job_name(&name, slot).as_str())
        })
    }

    pub(super) fn next_slot(&self) -> Option<Timestamp> {
        self.status.next_schedule_time.as_ref().map(|time| time.0)
    }

    pub(super) fn count(&mut self, missed: usize) {
        if missed > 0 {
            let known = self.status.missed_slots.unwrap_or_default();
            let missed = i64::try_from(missed).unwrap_or(i64::MAX);
            self.status.missed_slots = Some(known.saturating_add(missed));
        }
    }

    /// Whether the spec has changed since the last pass.
    pub(super) fn is_new(&self) -> bool {
        self.status.observed_generation != self.plan.metadata.generation
    }

    /// What is told of the Plan: when a job last succeeded, and until when another has to. One slot may fail, so it is the
    /// second since then, or since jobs are made at all.
    pub(super) fn seen(&self, terms: Option<&Terms>) -> PlanSeen {
        let last_success = self.status.last_successful_time.as_ref().map(|time| time.0);
        let ready = |condition: &&Condition| condition.type_ == "Ready";
        let resumed = self.status.conditions.iter().find(ready);
        let resumed = resumed.map(|condition| condition.last_transition_time.0);
        let since = last_success
            .into_iter()
            .chain(resumed)
            .fold(self.created(), Timestamp::max);
        let terms = terms.filter(|_| !self.plan.spec.suspend);
        let success_due = terms.and_then(|terms| {
            let timetable = &terms.timetable;
            let first = timetable.schedule.next(since)?;
            let second = timetable.schedule.next(first)?;
            Some(timetable.made_at(second))
        });
        PlanSeen {
            last_success,
            success_due,
        }
    }

    /// Whether this pass made a job.
    pub(super) fn has_fired(&self) -> bool {
        let before = self.plan.status.as_ref();
        before.and_then(|status| status.last_schedule_time.as_ref())
            != self.status.last_schedule_time.as_ref()
    }

    /// Whether the last pass missed the class.
    pub(super) fn missed_its_class(&self) -> bool {
        self.status.conditions.iter().any(|condition| {
            condition.type_ == "Ready" && condition.reason == Reason::BackupClassNotFound.as_str()
        })
    }

    pub(super) fn scheduled(&mut self, refused: Option<&str>, class_is_missing: bool) {
        let class = self.plan.spec.backup_class_name.clone();
        match refused {
            Some(refused) => self.ready(
                false,
                Reason::ActionRefused,
                &format!("a BackupJob cannot be made: {refused}"),
            ),
            // Jobs are made all the same: the class may come in time, and if not, they say so and end.
            None if class_is_missing => self.ready(
                true,
                Reason::BackupClassNotFound,
                &format!("BackupClass {class} does not exist; jobs are made, and wait for it"),
            ),
            None => self.ready(
                true,
                Reason::Scheduled,
                "a BackupJob is made at each slot of the schedule",
            ),
        }
    }

    pub(super) fn suspended(&mut self) {
        self.status.next_schedule_time = None;
        self.ready(
            false,
            Reason::Suspended,
            "no BackupJobs are made while spec.suspend is true",
        );
    }

    pub(super) fn invalid(&mut self, wrong: &str) {
        self.status.next_schedule_time = None;
        // Each once: a condition that is set to False first has another time of its transition in every pass.
        self.condition("Ready", false, Reason::PlanInvalid, wrong);
        self.condition("Error", true, Reason::PlanInvalid, wrong);
    }

    /// A Plan that can be read is ready, or is not.
    fn ready(&mut self, is_ready: bool, reason: Reason, message: &str) {
        self.condition("Ready", is_ready, reason, message);
        self.condition("Error", false, Reason::Scheduled, "the Plan can be read");
    }

    fn condition(&mut self, type_: &str, status: bool, reason: Reason, message: &str) {
        let message: String = message.chars().take(MESSAGE).collect();
        let mut condition = Condition::new(type_, status, reason.as_str(), message, self.now);
        condition.observed_generation = self.plan.metadata.generation;
        set_condition(&mut self.status.conditions, condition);
    }

    /// What the status says of the jobs.
    pub(super) fn take_stock(&mut self) {
        let live = live(&self.jobs);
        self.status.active = live
            .iter()
            .take(NAMED)
            .map(|job| job.name.clone())
            .collect();
        self.status.last_successful_time =
            last_success(&self.jobs, self.status.last_successful_time.as_ref());
        self.status.observed_generation = self.plan.metadata.generation;
    }
}
