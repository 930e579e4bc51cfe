//! How a job lives: forwards only, and once it has ended nobody touches it.

use std::sync::Arc;

use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{has_started, is_deleting, is_final, is_held, is_job, named, said},
};

pub(crate) struct Lives;

impl Invariant for Lives {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        if !is_job(&change.object) || change.kind == ChangeKind::Deleted {
            return Ok(());
        }
        is_let_go(&change.object)?;
        match change.previous.as_ref().map(Arc::as_ref) {
            Some(before) => {
                goes_forwards(before, &change.object)?;
                keeps_its_spec(before, &change.object)?;
                is_left_alone(before, seen)
            }
            None => Ok(()),
        }
    }
}

/// A finished job carries no finalizer.
fn is_let_go(job: &Value) -> Verdict {
    if is_final(job) && is_held(job) {
        return broken("a finished job is held by nothing", named(job));
    }
    Ok(())
}

/// Pending, Running, and then one end that never changes.
fn goes_forwards(before: &Value, job: &Value) -> Verdict {
    let rank = |job: &Value| match text(job, "/status/phase") {
        "" => 0,
        "Pending" => 1,
        "Running" => 2,
        _ => 3,
    };
    let is_back = rank(job) < rank(before);
    let is_another_end =
        is_final(before) && text(before, "/status/phase") != text(job, "/status/phase");
    if is_back || is_another_end {
        let seen = format!("{} was {} and is {}", named(job), said(before), said(job));
        return broken("a job goes forwards, and its end is final", seen);
    }
    Ok(())
}

/// The spec of a job that has started does not change.
fn keeps_its_spec(before: &Value, job: &Value) -> Verdict {
    if has_started(before) && before["spec"] != job["spec"] {
        return broken("the spec of a started job does not change", named(job));
    }
    Ok(())
}

/// The host does not touch a job that has ended.
fn is_left_alone(before: &Value, seen: &Seen<'_>) -> Verdict {
    if seen.by_host && is_final(before) {
        let job = &seen.change.object;
        let is_new = is_deleting(job) && !is_deleting(before);
        if !is_new {
            return broken("a finished job is left alone", named(job));
        }
    }
    Ok(())
}
