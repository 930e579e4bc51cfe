//! What is asked of operators: once for a job, in its name, and its success is theirs.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::names::OWNED_BY_UID;
use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{has_started, is_final, is_job, named},
    strategies::Strategy,
};

#[derive(Default)]
pub(crate) struct Orders {
    /// By the job's UID and the kind: how many the host made, less those that others removed.
    made: BTreeMap<(String, &'static str), i32>,
    /// The jobs that an operator has told to be done.
    done: BTreeSet<String>,
}

impl Invariant for Orders {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let object = &change.object;
        if is_job(object) && change.kind == ChangeKind::Modified {
            let before = change.previous.as_ref();
            let was = before.map_or("", |before| text(before, "/status/phase"));
            if was != "Succeeded" && text(object, "/status/phase") == "Succeeded" {
                return self.is_done(object);
            }
        }
        let Some((strategy, order)) = Strategy::of_order(object) else {
            return Ok(());
        };
        let uid = label(object).unwrap_or_default();
        let count = |made: &mut Self, by| {
            let key = (uid.to_owned(), order.kind);
            let made = made.made.entry(key).or_default();
            *made += by;
            *made
        };
        match change.kind {
            ChangeKind::Added if seen.by_host => {
                is_in_a_jobs_name(seen)?;
                if count(self, 1) > order.most {
                    return broken("one job asks an operator once", named(object));
                }
            }
            ChangeKind::Deleted if !seen.by_host && !uid.is_empty() => {
                count(self, -1);
            }
            ChangeKind::Modified if strategy.is_complete(object) => {
                self.done.insert(uid.to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

impl Orders {
    /// Success only if the operator has said so, for this very job.
    fn is_done(&self, job: &Value) -> Verdict {
        if self.done.contains(text(job, "/metadata/uid")) {
            return Ok(());
        }
        broken(
            "a job succeeds only if the operator has said so for it",
            named(job),
        )
    }
}

/// What the host creates carries the UID of a job that has begun and has not ended: its state is written before.
fn is_in_a_jobs_name(seen: &Seen<'_>) -> Verdict {
    let object = &seen.change.object;
    let job = label(object).and_then(|uid| seen.record.job(uid));
    let Some(job) = job else {
        return broken("an operator object carries its job's UID", named(object));
    };
    if !has_started(&job.object) || job.object.pointer("/status/strategy/plugin").is_none() {
        let seen = format!("{} before {}", named(object), named(&job.object));
        return broken("a job's state is written before its first action", seen);
    }
    if is_final(&job.object) {
        let seen = format!("{} after {}", named(object), named(&job.object));
        return broken("a job that has ended does nothing", seen);
    }
    Ok(())
}

fn label(object: &Value) -> Option<&str> {
    object["metadata"]["labels"][OWNED_BY_UID].as_str()
}
