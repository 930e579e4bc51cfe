//! An application is worked on by one job at a time.

use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::record::{Job, has_started, is_job, named, works_in};

pub(crate) struct Turns;

impl Invariant for Turns {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        if !is_job(object) || seen.change.kind == ChangeKind::Deleted {
            return Ok(());
        }
        let started: Vec<&Job> = seen
            .record
            .jobs()
            .filter(|job| !job.is_over() && has_started(&job.object))
            .collect();
        let same = |one: &Value, other: &Value| one["metadata"]["uid"] == other["metadata"]["uid"];
        let Some(me) = started.iter().find(|job| same(&job.object, object)) else {
            return Ok(());
        };
        let other = started.iter().find(|other| {
            !same(&other.object, object) && application(&other.object) == application(&me.object)
        });
        match other {
            None => Ok(()),
            Some(other) => broken(
                "one job at a time works on an application",
                format!("{} and {}", named(&me.object), named(&other.object)),
            ),
        }
    }
}

/// What a job that has begun has noted of its application.
fn application(job: &Value) -> (&str, &Value) {
    (works_in(job), &job["status"]["strategy"]["applicationRef"])
}
