//! What is known of the jobs that there were, from their changes.

use std::{collections::BTreeMap, sync::Arc};

use backup_api::names::{API_VERSION, FINALIZER};
use backup_engine::cluster::memory::{Change, ChangeKind};
use serde_json::Value;

use crate::ground::text;

/// A job as it was seen last.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub object: Arc<Value>,
    pub is_gone: bool,
}

/// Every job that there ever was, by its UID.
#[derive(Default)]
pub(crate) struct Record {
    jobs: BTreeMap<String, Job>,
}

impl Record {
    /// Notes a change.
    pub(crate) fn note(&mut self, change: &Change) {
        if is_job(&change.object) {
            let job = Job {
                object: Arc::clone(&change.object),
                is_gone: change.kind == ChangeKind::Deleted,
            };
            self.jobs
                .insert(text(&change.object, "/metadata/uid").to_owned(), job);
        }
    }

    pub(crate) fn job(&self, uid: &str) -> Option<&Job> {
        self.jobs.get(uid)
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }
}

impl Job {
    /// Whether nothing is left to do for it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_gone || is_final(&self.object)
    }
}

/// Whether an object is a BackupJob or a RestoreJob.
pub(crate) fn is_job(object: &Value) -> bool {
    text(object, "/apiVersion") == API_VERSION
        && matches!(text(object, "/kind"), "BackupJob" | "RestoreJob")
}

/// Whether a job has ended.
pub(crate) fn is_final(job: &Value) -> bool {
    matches!(text(job, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether an object is being deleted.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The namespace that a job works in: of a restore that has begun the one that it has noted.
pub(crate) fn works_in(job: &Value) -> &str {
    match text(job, "/status/strategy/targetNamespace") {
        "" => text(job, "/metadata/namespace"),
        other => other,
    }
}

/// Whether work on a job has begun.
pub(crate) fn has_started(job: &Value) -> bool {
    !text(job, "/status/startedAt").is_empty()
}

/// Whether the host's finalizer holds an object.
pub(crate) fn is_held(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers");
    let finalizers = finalizers.and_then(Value::as_array);
    finalizers.is_some_and(|held| held.iter().any(|held| held == FINALIZER))
}

/// An object in a few words.
pub(crate) fn named(object: &Value) -> String {
    format!(
        "{} {}/{}",
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == type_)
}

/// The reason of an object's `Ready`.
pub(crate) fn reason(object: &Value) -> &str {
    condition(object, "Ready").map_or("", |ready| text(ready, "/reason"))
}

/// A job in one line: `Phase Reason: message`.
pub(crate) fn said(job: &Value) -> String {
    format!(
        "{} {}: {}",
        text(job, "/status/phase"),
        reason(job),
        text(job, "/status/message")
    )
}
