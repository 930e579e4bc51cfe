//! What is forgotten leaves nothing behind, unless that is said.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_engine::cluster::memory::{ChangeKind, Operation, Verb};
use serde_json::{Value, json};

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Record, is_deleting, named},
    strategies::Strategy,
};

#[derive(Default)]
pub(crate) struct Forgotten {
    /// What operators were asked for, by UID: the job that asked, and the name.
    orders: BTreeMap<String, (String, String)>,
    /// Namespaces that are being deleted: their Backups take nothing along.
    ending: BTreeSet<String>,
    /// The Backups of which an Event says what stays.
    said: BTreeSet<String>,
    /// An Event was to be written since the last rest, which may have been refused.
    was_to_say: bool,
}

impl Invariant for Forgotten {
    fn requested(&mut self, request: &Operation) -> Verdict {
        self.was_to_say |= request.verb == Verb::Create && request.kind == "Event";
        Ok(())
    }

    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let object = &change.object;
        let is_gone = change.kind == ChangeKind::Deleted;
        match (text(object, "/apiVersion"), text(object, "/kind")) {
            ("v1", "Namespace") => {
                let name = text(object, "/metadata/name").to_owned();
                if !is_gone && !is_deleting(object) {
                    self.ending.remove(&name);
                } else {
                    self.ending.insert(name);
                }
            }
            (_, "Event") => {
                self.said.insert(text(object, "/regarding/uid").to_owned());
            }
            (API_VERSION, "Backup") if is_gone => return self.is_forgotten(seen),
            _ if Strategy::of_order(object).is_some() => {
                let uid = text(object, "/metadata/uid").to_owned();
                // What belongs to its job goes with that.
                let is_owned = object.pointer("/metadata/ownerReferences").is_some();
                if is_gone || is_owned {
                    self.orders.remove(&uid);
                } else {
                    let order = (owner(object).to_owned(), named(object));
                    self.orders.insert(uid, order);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rested(&mut self, _: &Record) -> Verdict {
        self.was_to_say = false;
        Ok(())
    }
}

impl Forgotten {
    /// Nothing is left of a finished Backup that was to go with its data.
    fn is_forgotten(&self, seen: &Seen<'_>) -> Verdict {
        let backup = &seen.change.object;
        let is_ending = self.ending.contains(text(backup, "/metadata/namespace"));
        let is_retained = backup.pointer("/spec/deletionPolicy") == Some(&json!("Retain"));
        let is_finished = text(backup, "/status/phase") == "Ready";
        let has_said = self.was_to_say || self.said.contains(text(backup, "/metadata/uid"));
        if is_ending || is_retained || !is_finished || !seen.by_host || has_said {
            return Ok(());
        }
        let place = Strategy::of_backup(backup).and_then(|strategy| strategy.place(backup));
        if let Some((bucket, key)) = place.filter(|place| seen.storage.holds(place)) {
            let seen = format!("{}: s3://{bucket}/{key}", named(backup));
            return broken("a Backup that is forgotten leaves no data", seen);
        }
        let mut orders = self.orders.values();
        if let Some((_, order)) = orders.find(|(of, _)| of == owner(backup)) {
            let seen = format!("{}: {order}", named(backup));
            return broken("a Backup that is forgotten leaves no operator object", seen);
        }
        Ok(())
    }
}

fn owner(object: &Value) -> &str {
    object["metadata"]["labels"][OWNED_BY_UID]
        .as_str()
        .unwrap_or_default()
}
