//! HelmReleases that were suspended for a job are put back, whatever becomes of it.

use std::collections::BTreeMap;

use backup_engine::cluster::memory::ChangeKind;
use serde_json::{Value, json};

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Job, Record, named},
};

/// What Velero puts on each object that it brings back.
const RESTORED_BY: &str = "velero.io/restore-name";

/// A release that was suspended for a job.
struct Held {
    job: String,
    name: String,
    is_suspended: bool,
    /// Somebody else has decided in between: the host cannot know what is right.
    is_forgiven: bool,
}

#[derive(Default)]
pub(crate) struct Releases {
    /// By namespace and name.
    held: BTreeMap<(String, String), Held>,
}

impl Invariant for Releases {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let release = &change.object;
        if text(release, "/kind") != "HelmRelease" {
            return Ok(());
        }
        let key = (
            text(release, "/metadata/namespace").to_owned(),
            text(release, "/metadata/name").to_owned(),
        );
        if change.kind == ChangeKind::Deleted {
            self.held.remove(&key);
            return Ok(());
        }
        let was = change
            .previous
            .as_ref()
            .is_some_and(|before| is_suspended(before));
        let is = is_suspended(release);
        if was == is {
            return Ok(());
        }
        match self.held.get_mut(&key) {
            Some(held) if !seen.by_host => held.is_forgiven = true,
            Some(held) => held.is_suspended = is,
            None if !seen.by_host => {}
            // Somebody suspended it between the host's note and its own request, which then changed nothing: a known
            // defect.
            None if !is && notes(seen, &key).is_some() => {}
            // Velero brings releases back at rest, as it is told, so that Helm makes nothing before it has.
            None if !is && release["metadata"]["labels"][RESTORED_BY].is_string() => {}
            None if !is => {
                return broken(
                    "a release is resumed only by who suspended it",
                    named(release),
                );
            }
            None => {
                let held = suspended(seen, &key)?;
                self.held.insert(key, held);
            }
        }
        Ok(())
    }

    fn rested(&mut self, record: &Record) -> Verdict {
        for held in self.held.values() {
            let is_over = record.job(&held.job).is_none_or(|job| job.is_over());
            if is_over && held.is_suspended && !held.is_forgiven {
                return broken("a suspended release is put back", held.name.clone());
            }
        }
        self.held
            .retain(|_, held| record.job(&held.job).is_some_and(|job| !job.is_over()));
        Ok(())
    }
}

/// The host has suspended a release: a live job has noted before what it was.
fn suspended(seen: &Seen<'_>, key: &(String, String)) -> Result<Held, super::Violation> {
    match notes(seen, key) {
        Some(job) => Ok(Held {
            job: text(&job.object, "/metadata/uid").to_owned(),
            name: named(&seen.change.object),
            is_suspended: true,
            is_forgiven: false,
        }),
        None => Err(super::Violation {
            promise: "what a release was is noted before it is suspended",
            seen: named(&seen.change.object),
        }),
    }
}

/// The live job that has noted that a release was not suspended.
fn notes<'a>(seen: &'a Seen<'_>, (namespace, name): &(String, String)) -> Option<&'a Job> {
    let notes_it = |job: &Value| {
        let noted = job.pointer("/status/strategy/suspended");
        let noted = noted.and_then(Value::as_array);
        noted.into_iter().flatten().any(|noted| {
            noted["namespace"] == json!(namespace)
                && noted["name"] == json!(name)
                && noted["wasSuspended"] == json!(false)
        })
    };
    let mut jobs = seen.record.jobs();
    jobs.find(|job| !job.is_over() && notes_it(&job.object))
}

fn is_suspended(release: &Value) -> bool {
    release.pointer("/spec/suspend") == Some(&json!(true))
}
