//! A Backup is what a job has left that succeeded, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Record, is_job, named},
    vault::Vault,
};

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

    /// Once nothing is under way, no Backup is that of a job that failed.
    fn ended(&mut self, record: &Record, _: &Vault) -> Verdict {
        for (uid, backup) in &self.there {
            let job = record.job(uid);
            let has_failed = job.is_some_and(|job| text(&job.object, "/status/phase") == "Failed");
            if has_failed {
                return broken("a Backup is not there if its job has failed", named(backup));
            }
        }
        Ok(())
    }
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
