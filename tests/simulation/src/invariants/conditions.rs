//! Conditions are what tools expect of them.

use std::sync::LazyLock;

use backup_api::names::API_VERSION;
use backup_engine::cluster::memory::ChangeKind;
use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{is_job, named},
};

/// Of the Kubernetes API conventions.
static REASON: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$").ok());

pub(crate) struct Conditions;

impl Invariant for Conditions {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let object = &change.object;
        if !seen.by_host
            || change.kind == ChangeKind::Deleted
            || text(object, "/apiVersion") != API_VERSION
        {
            return Ok(());
        }
        let before = change
            .previous
            .as_ref()
            .map_or(&[][..], |object| conditions(object));
        let mut types = vec![];
        for condition in conditions(object) {
            is_well_formed(object, condition)?;
            if types.contains(&&condition["type"]) {
                let seen = format!("{}: {} twice", named(object), condition["type"]);
                return broken("conditions differ by their types", seen);
            }
            types.push(&condition["type"]);
            let earlier = before
                .iter()
                .find(|earlier| earlier["type"] == condition["type"]);
            if let Some(earlier) = earlier {
                keeps_its_time(object, earlier, condition)?;
            }
        }
        if is_job(object) {
            tells_of_the_phase(object)?;
        }
        Ok(())
    }
}

fn conditions(object: &Value) -> &[Value] {
    let conditions = object.pointer("/status/conditions");
    conditions
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A type, a status of three, a reason in one word, a time.
fn is_well_formed(object: &Value, condition: &Value) -> Verdict {
    let is_reason = REASON
        .as_ref()
        .is_some_and(|reason| reason.is_match(text(condition, "/reason")));
    let is_formed = is_reason
        && !text(condition, "/type").is_empty()
        && matches!(text(condition, "/status"), "True" | "False" | "Unknown")
        && text(condition, "/lastTransitionTime")
            .parse::<Timestamp>()
            .is_ok();
    if is_formed {
        return Ok(());
    }
    let seen = format!("{}: {condition}", named(object));
    broken("conditions are well formed", seen)
}

/// The time of the transition is that of the status.
fn keeps_its_time(object: &Value, before: &Value, condition: &Value) -> Verdict {
    let same = |member: &str| before[member] == condition[member];
    if same("status") && !same("lastTransitionTime") {
        let seen = format!("{}: {condition} was {before}", named(object));
        return broken("lastTransitionTime changes with the status only", seen);
    }
    Ok(())
}

/// A job that has a phase is Ready when it has succeeded and at no other time, and says why in its message, too.
fn tells_of_the_phase(job: &Value) -> Verdict {
    let phase = text(job, "/status/phase");
    if phase.is_empty() {
        return Ok(());
    }
    let ready = conditions(job)
        .iter()
        .find(|condition| condition["type"] == "Ready");
    let tells = ready.is_some_and(|ready| {
        (ready["status"] == "True") == (phase == "Succeeded")
            && text(ready, "/message") == text(job, "/status/message")
    });
    if tells {
        return Ok(());
    }
    let seen = format!("{} is {phase} and says {ready:?}", named(job));
    broken("Ready tells of the phase", seen)
}
