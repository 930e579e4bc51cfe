//! An application is worked on by one job at a time.

use std::collections::BTreeSet;

use backup_api::names::API_VERSION;
use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Job, has_started, is_job, named},
};

/// A known defect of the engine, which would hide others: a RestoreJob whose Backup is deleted loses its turn. False once
/// that is mended.
const TOLERATES_LOST_TURNS: bool = false;

#[derive(Default)]
pub(crate) struct Turns {
    /// The Backups that are there, by namespace and name.
    backups: BTreeSet<(String, String)>,
}

impl Invariant for Turns {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        let is_gone = seen.change.kind == ChangeKind::Deleted;
        if text(object, "/apiVersion") == API_VERSION && text(object, "/kind") == "Backup" {
            let name = place(object, "/metadata/name");
            match is_gone {
                true => self.backups.remove(&name),
                false => self.backups.insert(name),
            };
        }
        if !is_job(object) || is_gone {
            return Ok(());
        }
        let started: Vec<&Job> = seen
            .record
            .jobs()
            .filter(|job| !job.is_over() && has_started(&job.object))
            .filter(|job| !(TOLERATES_LOST_TURNS && self.has_lost_its_backup(&job.object)))
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

impl Turns {
    fn has_lost_its_backup(&self, job: &Value) -> bool {
        let backup = place(job, "/spec/backupRef/name");
        text(job, "/kind") == "RestoreJob" && !self.backups.contains(&backup)
    }
}

fn place(object: &Value, name: &str) -> (String, String) {
    (
        text(object, "/metadata/namespace").to_owned(),
        text(object, name).to_owned(),
    )
}

/// What a job that has begun has noted of its application.
fn application(job: &Value) -> (&str, &Value) {
    (
        text(job, "/metadata/namespace"),
        &job["status"]["strategy"]["applicationRef"],
    )
}
