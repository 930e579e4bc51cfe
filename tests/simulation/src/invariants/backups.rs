//! A Backup is what a job has left that succeeded, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Record, is_job, named},
};

/// A known defect of the engine, which would hide others: a job that is undone once its Backup was recorded leaves the
/// Backup, without its data. False once that is mended.
const TOLERATES_LEFT_BACKUPS: bool = true;

#[derive(Default)]
pub(crate) struct Backups {
    /// The Backups that are there, by their jobs' UIDs.
    there: BTreeMap<String, std::sync::Arc<Value>>,
    /// The jobs whose Backups somebody has removed.
    removed: BTreeSet<String>,
}

impl Invariant for Backups {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let object = &change.object;
        if text(object, "/apiVersion") == API_VERSION && text(object, "/kind") == "Backup" {
            let uid = label(object).to_owned();
            if change.kind == ChangeKind::Deleted {
                self.there.remove(&uid);
                self.removed.insert(uid);
                return Ok(());
            }
            if change.kind == ChangeKind::Added {
                is_a_jobs(seen)?;
            }
            self.there.insert(uid, std::sync::Arc::clone(object));
        }
        let before = change.previous.as_ref();
        let was = before.map_or("", |before| text(before, "/status/phase"));
        let has_succeeded = is_job(object)
            && text(object, "/kind") == "BackupJob"
            && was != "Succeeded"
            && text(object, "/status/phase") == "Succeeded";
        if has_succeeded {
            return self.has_backup(object);
        }
        Ok(())
    }

    /// Once nothing is under way, every Backup is that of a job that succeeded, and its data is there.
    fn ended(&mut self, record: &Record, stored: &[String]) -> Verdict {
        for (uid, backup) in &self.there {
            let job = record.job(uid);
            let phase = job.map_or("", |job| text(&job.object, "/status/phase"));
            if phase == "Succeeded" {
                is_stored(backup, stored)?;
            } else if !TOLERATES_LEFT_BACKUPS {
                let seen = format!("{}, and its job is {phase:?}", named(backup));
                return broken("a Backup is there only if its job has succeeded", seen);
            }
        }
        Ok(())
    }
}

/// A Backup's data is where it says.
fn is_stored(backup: &Value, stored: &[String]) -> Verdict {
    let place = text(backup, "/status/artifact/uri").strip_prefix("s3://");
    let Some((_, key)) = place.and_then(|place| place.split_once('/')) else {
        // The strategy's own terms.
        return Ok(());
    };
    if stored.iter().any(|stored| stored == key) {
        return Ok(());
    }
    broken("a Backup's data is there", named(backup))
}

impl Backups {
    /// A job that succeeds leaves a Backup that is ready, unless somebody has removed it.
    fn has_backup(&self, job: &Value) -> Verdict {
        let uid = text(job, "/metadata/uid");
        let is_ready = self
            .there
            .get(uid)
            .is_some_and(|backup| text(backup, "/status/phase") == "Ready");
        if is_ready || self.removed.contains(uid) {
            return Ok(());
        }
        broken("a BackupJob that succeeds leaves a Backup", named(job))
    }
}

/// A Backup has the name and the UID of a BackupJob that has not ended.
fn is_a_jobs(seen: &Seen<'_>) -> Verdict {
    let backup = &seen.change.object;
    let is_its = seen.record.job(label(backup)).is_some_and(|job| {
        !job.is_over()
            && text(&job.object, "/kind") == "BackupJob"
            && ["/metadata/name", "/metadata/namespace"]
                .iter()
                .all(|member| text(&job.object, member) == text(backup, member))
    });
    if is_its {
        return Ok(());
    }
    broken("a Backup carries its job's name and UID", named(backup))
}

fn label(object: &Value) -> &str {
    object["metadata"]["labels"][OWNED_BY_UID]
        .as_str()
        .unwrap_or_default()
}
