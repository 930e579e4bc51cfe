//! Retention removes what its rules say, and never the last good Backup.

use std::{collections::BTreeMap, sync::Arc};

use backup_api::names::API_VERSION;
use backup_engine::cluster::memory::ChangeKind;
use jiff::Timestamp;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Record, condition, is_deleting, named},
    vault::Vault,
};

/// A day's age, a day until it is looked at, and some slack, in seconds.
const TOO_OLD: i64 = 49 * 60 * 60;

/// A Backup as it was at the last rest, and as it is.
#[derive(Default)]
struct Known {
    then: Option<Arc<Value>>,
    now: Option<Arc<Value>>,
}

#[derive(Default)]
pub(crate) struct Retention {
    /// By UID: the Backups that are there, and those that were at the last rest.
    backups: BTreeMap<String, Known>,
    plans: BTreeMap<(String, String), Arc<Value>>,
    classes: BTreeMap<String, Arc<Value>>,
    /// When something last changed.
    now: i64,
}

impl Invariant for Retention {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let change = seen.change;
        let object = &change.object;
        let is_gone = change.kind == ChangeKind::Deleted;
        self.now = seen.now;
        match (text(object, "/apiVersion"), text(object, "/kind")) {
            (API_VERSION, "Plan") => {
                let name = (
                    text(object, "/metadata/namespace").to_owned(),
                    text(object, "/metadata/name").to_owned(),
                );
                match is_gone {
                    true => self.plans.remove(&name),
                    false => self.plans.insert(name, Arc::clone(object)),
                };
            }
            (API_VERSION, "BackupClass") => {
                let name = text(object, "/metadata/name").to_owned();
                match is_gone {
                    true => self.classes.remove(&name),
                    false => self.classes.insert(name, Arc::clone(object)),
                };
            }
            (API_VERSION, "Backup") => {
                let uid = text(object, "/metadata/uid").to_owned();
                let known = self.backups.entry(uid).or_default();
                known.now = (!is_gone).then(|| Arc::clone(object));
                let before = change.previous.as_deref();
                let was_leaving = before.is_some_and(is_deleting);
                // One without a phase was never finished: its job is being undone.
                let is_finished = !text(object, "/status/phase").is_empty();
                let is_removed = !was_leaving && (is_gone || is_deleting(object));
                if seen.by_host && is_finished && is_removed {
                    return self.is_replaced(before.unwrap_or(object));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rested(&mut self, _: &Record) -> Verdict {
        for known in self.backups.values_mut() {
            known.then.clone_from(&known.now);
        }
        self.backups.retain(|_, known| known.now.is_some());
        Ok(())
    }

    /// No more is kept than what Plans and classes say.
    fn ended(&mut self, _: &Record, _: &Vault) -> Verdict {
        self.plans_are_kept()?;
        self.classes_are_kept()
    }
}

impl Retention {
    /// Of each application, a Plan with `keepLast` keeps no more good Backups than that.
    fn plans_are_kept(&self) -> Verdict {
        for ((namespace, name), plan) in &self.plans {
            let last = plan.pointer("/spec/retentionPolicy/keepLast");
            let is_read = condition(plan, "Error").is_none_or(|error| error["status"] != "True");
            let Some(last) = last.and_then(Value::as_u64).filter(|_| is_read) else {
                continue;
            };
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            let backups = self.backups.values().filter_map(|known| known.now.as_ref());
            for backup in backups {
                let is_its = text(backup, "/metadata/namespace") == namespace
                    && text(backup, "/spec/planRef/name") == name;
                if is_its && is_good(backup) {
                    let of = backup["spec"]["applicationRef"].to_string();
                    *counts.entry(of).or_default() += 1;
                }
            }
            if let Some((of, count)) = counts.iter().find(|(_, count)| **count > last) {
                let seen = format!("{}: {count} of {of}", named(plan));
                return broken("a Plan keeps no more than it says", seen);
            }
        }
        Ok(())
    }

    /// A Backup that no Plan covers goes within a day of its age's end, if a newer one can be restored.
    fn classes_are_kept(&self) -> Verdict {
        let backups = self.backups.values().filter_map(|known| known.now.as_ref());
        for backup in backups.filter(|backup| is_good(backup) && !self.is_planned(backup)) {
            let class = self.classes.get(text(backup, "/spec/backupClassName"));
            let is_limited =
                class.is_some_and(|class| class["spec"].get("retentionPolicy").is_some());
            let taken = text(backup, "/spec/takenAt").parse::<Timestamp>();
            let is_old = taken.is_ok_and(|taken| taken.as_second() + TOO_OLD < self.now);
            if is_limited && is_old && self.is_replaced(backup).is_ok() {
                return broken("a class keeps no more than it says", named(backup));
            }
        }
        Ok(())
    }

    /// Whether the Backup's Plan is there.
    fn is_planned(&self, backup: &Value) -> bool {
        let name = ["/metadata/namespace", "/spec/planRef/name"];
        let [namespace, plan] = name.map(|member| text(backup, member).to_owned());
        self.plans.contains_key(&(namespace, plan))
    }

    /// A Backup that the host deletes by itself has a newer one of the same application that can be restored, under the
    /// same rules: of the same Plan, or of the same class where no Plan is in charge.
    fn is_replaced(&self, backup: &Value) -> Verdict {
        let same = |other: &Value, member: &str| other.pointer(member) == backup.pointer(member);
        let age = |backup: &Value| {
            let at = ["/spec/takenAt", "/metadata/name"];
            at.map(|member| text(backup, member).to_owned())
        };
        let replaces = |other: &Value| {
            let is_alike = same(other, "/metadata/namespace")
                && same(other, "/spec/applicationRef")
                && same(other, "/spec/backupClassName");
            let is_under_it = match self.is_planned(backup) {
                true => same(other, "/spec/planRef/name"),
                false => !self.is_planned(other),
            };
            is_alike && is_under_it && is_good(other) && age(other) > age(backup)
        };
        let mut known = self.backups.values();
        // A pass under way has read them before something else became of them.
        if known.any(|known| {
            let mut versions = known.then.iter().chain(&known.now);
            versions.any(|other| replaces(other))
        }) {
            return Ok(());
        }
        broken(
            "the last good Backup of an application stays",
            named(backup),
        )
    }
}

/// Whether a Backup can be restored, as far as is known.
fn is_good(backup: &Value) -> bool {
    let is_lost = condition(backup, "Available").is_some_and(|is| is["status"] == "False");
    text(backup, "/status/phase") == "Ready" && !is_lost && !is_deleting(backup)
}
