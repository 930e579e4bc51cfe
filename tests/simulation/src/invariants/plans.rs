//! What a Plan makes and clears away: a job for each slot and no other, and the oldest goes first.

use std::{collections::BTreeMap, sync::Arc};

use backup_api::names::{API_VERSION, PLAN};
use backup_engine::cluster::memory::ChangeKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Job, Record, is_final, named, reason},
    vault::Vault,
};

/// How late a job may be made where the Plan does not say, in seconds.
const DEADLINE: i64 = 300;

/// So many finished jobs of each end stay where the Plan does not say.
const HISTORY: u64 = 3;

/// By namespace and name.
type Name = (String, String);

#[derive(Default)]
pub(crate) struct Plans {
    /// What each Plan was like since the last rest, the present last: a pass that is under way has read one of these.
    plans: BTreeMap<Name, Vec<Arc<Value>>>,
    /// When the host was seen to hold a Plan suspended, by its UID: closed spans, and the one that goes on.
    rests: BTreeMap<String, Vec<(i64, Option<i64>)>>,
    /// Jobs of Plans that others have deleted since the last rest.
    deleted: usize,
}

impl Invariant for Plans {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        if text(object, "/apiVersion") != API_VERSION {
            return Ok(());
        }
        match text(object, "/kind") {
            "Plan" => self.plan_changed(seen),
            "BackupJob" if !plan_of(object).is_empty() => self.job_changed(seen)?,
            _ => {}
        }
        Ok(())
    }

    fn rested(&mut self, _: &Record) -> Verdict {
        self.deleted = 0;
        for versions in self.plans.values_mut() {
            versions.drain(..versions.len().saturating_sub(1));
        }
        self.plans.retain(|_, versions| {
            let last = versions.last();
            last.is_some_and(|plan| !plan.is_null())
        });
        Ok(())
    }

    /// No more finished jobs are left than a Plan's limits allow.
    fn ended(&mut self, record: &Record, _: &Vault) -> Verdict {
        for ((namespace, name), versions) in &self.plans {
            let Some(plan) = versions.last() else {
                continue;
            };
            for end in ["Succeeded", "Failed"] {
                let left = of_plan(record, namespace, name)
                    .filter(|job| !job.is_gone && text(&job.object, "/status/phase") == end);
                let count = left.count();
                if count > limit(plan, end) {
                    let seen = format!("{}: {count} jobs {end}", named(plan));
                    return broken("a Plan's finished jobs are limited", seen);
                }
            }
        }
        Ok(())
    }
}

impl Plans {
    fn plan_changed(&mut self, seen: &Seen<'_>) {
        let plan = &seen.change.object;
        let name = (
            text(plan, "/metadata/namespace").to_owned(),
            text(plan, "/metadata/name").to_owned(),
        );
        let versions = self.plans.entry(name).or_default();
        if seen.change.kind == ChangeKind::Deleted {
            return versions.push(Arc::new(Value::Null));
        }
        versions.push(Arc::clone(plan));
        let uid = text(plan, "/metadata/uid").to_owned();
        let rests = self.rests.entry(uid).or_default();
        let is_suspended = reason(plan) == "Suspended";
        match rests.last_mut() {
            Some((_, until @ None)) if !is_suspended => *until = Some(seen.now),
            Some((_, None)) => {}
            _ if is_suspended => rests.push((seen.now, None)),
            _ => {}
        }
    }

    fn job_changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let job = &seen.change.object;
        match seen.change.kind {
            ChangeKind::Added if seen.by_host => {
                looks_as_a_plans(job)?;
                self.is_wanted(seen)
            }
            ChangeKind::Deleted if !seen.by_host => {
                self.deleted += 1;
                Ok(())
            }
            ChangeKind::Deleted if is_final(job) && !is_deleting_before(seen) => {
                self.is_history(seen)
            }
            _ => Ok(()),
        }
    }

    fn versions(&self, job: &Value) -> impl Iterator<Item = &Arc<Value>> {
        let name = (
            text(job, "/metadata/namespace").to_owned(),
            plan_of(job).to_owned(),
        );
        let versions = self.plans.get(&name).into_iter().flatten();
        versions.filter(|plan| !plan.is_null())
    }

    /// A job is made for a slot of a Plan that is there, can be read and is not suspended.
    fn is_wanted(&self, seen: &Seen<'_>) -> Verdict {
        let job = &seen.change.object;
        let mut wrong = "a job that names a Plan is made for one that is there";
        for plan in self.versions(job) {
            match self.wants(plan, seen) {
                Ok(()) => return Ok(()),
                Err(promise) => wrong = promise,
            }
        }
        broken(wrong, named(job))
    }

    fn wants(&self, plan: &Value, seen: &Seen<'_>) -> Result<(), &'static str> {
        let job = &seen.change.object;
        if plan.pointer("/spec/suspend") == Some(&json!(true)) {
            return Err("a suspended Plan makes no job");
        }
        let same = |member: &str| plan["spec"][member] == job["spec"][member];
        if !same("applicationRef") || !same("backupClassName") {
            return Err("a job backs up what its Plan says");
        }
        let slot = slot(plan, job).ok_or("a job is made for a slot of its Plan's schedule")?;
        if slot < seconds(text(plan, "/metadata/creationTimestamp")) {
            return Err("no job is made for a slot before its Plan");
        }
        if !(slot..=slot + DEADLINE).contains(&seen.now) {
            return Err("a job is made at its slot, or a little later");
        }
        if slot <= seconds(text(plan, "/status/lastScheduleTime")) {
            return Err("a slot that is dealt with has no other job");
        }
        let rests = self.rests.get(text(plan, "/metadata/uid"));
        let rested = rests
            .into_iter()
            .flatten()
            .any(|(from, until)| slot >= *from && until.is_none_or(|until| slot <= until));
        if rested {
            return Err("no job is made for a slot during suspension");
        }
        let is_forbidden = plan.pointer("/spec/concurrencyPolicy") == Some(&json!("Forbid"));
        let namespace = text(job, "/metadata/namespace");
        let mut others = of_plan(seen.record, namespace, plan_of(job));
        if is_forbidden && others.any(|other| !other.is_over() && !is_same(&other.object, job)) {
            return Err("a Plan that forbids it has no two jobs under way");
        }
        Ok(())
    }

    /// A finished job that the host deletes is the oldest of its end, and the others are as many as the Plan wants.
    fn is_history(&self, seen: &Seen<'_>) -> Verdict {
        let job = &seen.change.object;
        let end = text(job, "/status/phase");
        let namespace = text(job, "/metadata/namespace");
        let others: Vec<&Job> = of_plan(seen.record, namespace, plan_of(job))
            .filter(|other| !other.is_gone && text(&other.object, "/status/phase") == end)
            .collect();
        let age = |job: &Value| {
            let ended = seconds(text(job, "/status/completedAt"));
            (ended, text(job, "/metadata/name").to_owned())
        };
        if others.iter().any(|other| age(&other.object) < age(job)) {
            return broken("the oldest finished job goes first", named(job));
        }
        let left = others.len() + self.deleted;
        if self.versions(job).all(|plan| left < limit(plan, end)) {
            return broken("as many finished jobs stay as the Plan says", named(job));
        }
        Ok(())
    }
}

/// A Plan's job names it in its spec and a label. It is not owned by the Plan, or it would go with it.
fn looks_as_a_plans(job: &Value) -> Verdict {
    let is_owned = job.pointer("/metadata/ownerReferences").is_some();
    if job["metadata"]["labels"][PLAN] != json!(plan_of(job)) || is_owned {
        return broken("a Plan's job carries its label, and no owner", named(job));
    }
    Ok(())
}

fn is_deleting_before(seen: &Seen<'_>) -> bool {
    let before = seen.change.previous.as_deref();
    before.is_some_and(crate::record::is_deleting)
}

fn is_same(one: &Value, other: &Value) -> bool {
    one["metadata"]["uid"] == other["metadata"]["uid"]
}

fn plan_of(job: &Value) -> &str {
    text(job, "/spec/planRef/name")
}

/// The jobs that name a Plan.
fn of_plan<'a>(
    record: &'a Record,
    namespace: &'a str,
    plan: &'a str,
) -> impl Iterator<Item = &'a Job> {
    record.jobs().filter(move |job| {
        text(&job.object, "/metadata/namespace") == namespace && plan_of(&job.object) == plan
    })
}

/// So many finished jobs of an end stay.
fn limit(plan: &Value, end: &str) -> usize {
    let member = match end {
        "Succeeded" => "successfulJobsHistoryLimit",
        _ => "failedJobsHistoryLimit",
    };
    let limit = plan["spec"][member].as_u64().unwrap_or(HISTORY);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The slot that a job's name says, in seconds, where the Plan's schedule has such a one. Schedules are those that
/// `events/plans` draws.
fn slot(plan: &Value, job: &Value) -> Option<i64> {
    let name = text(job, "/metadata/name");
    let minutes = name.strip_prefix(plan_of(job))?.strip_prefix('-')?;
    let minutes: i64 = minutes.parse().ok()?;
    let cron = text(plan, "/spec/schedule/cron");
    if let Some(every) = cron.strip_prefix("@every ") {
        let period = every.strip_suffix('m')?.parse::<i64>().ok()? * 60;
        let created = seconds(text(plan, "/metadata/creationTimestamp"));
        let periods = (minutes * 60 + 59 - created).div_euclid(period);
        let slot = created + periods * period;
        return (periods > 0 && slot.div_euclid(60) == minutes).then_some(slot);
    }
    let step = cron.strip_prefix("*/")?.strip_suffix(" * * * *")?;
    let step: i64 = step.parse().ok()?;
    (minutes % step == 0).then_some(minutes * 60)
}

/// A time in seconds; the beginning of all times where there is none.
fn seconds(time: &str) -> i64 {
    let time = time.parse::<Timestamp>();
    time.map_or(i64::MIN, Timestamp::as_second)
}
