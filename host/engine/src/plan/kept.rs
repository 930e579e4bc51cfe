//! The Backups of a Plan, under its retention policy.

use std::collections::BTreeMap;

use backup_api::{ApplicationReference, Backup, BackupPhase, NextRemoval, Reason, Time};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::retention::{Held, Removal, Rules, Worth};
use crate::object;

/// So many names stand in a status at most.
pub(crate) const NAMED: usize = 100;

/// The Backups of a Plan, by the application that they were taken from: a Plan that goes over to another application
/// does not push out the Backups of the first.
#[derive(Default)]
pub(crate) struct Shelf {
    applications: BTreeMap<String, Vec<Held>>,
    /// The UIDs, by name.
    uids: BTreeMap<String, String>,
}

/// A Backup that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was taken.
    pub taken_at: Timestamp,
}

impl Shelf {
    /// Puts a Backup on the shelf. One that cannot be read is left alone. `is_live` tells whether the job of a name is
    /// under way.
    pub(crate) fn put(&mut self, found: &Value, is_live: impl Fn(&str) -> bool) {
        let Ok(backup) = serde_json::from_value::<Backup>(found.clone()) else {
            return;
        };
        let name = backup.metadata.name.clone().unwrap_or_default();
        let worth = if object::is_deleting(found) {
            Worth::Leaving
        } else if is_good(&backup) {
            Worth::Good
        } else if is_live(&name) {
            Worth::Unfinished
        } else {
            Worth::Bad
        };
        self.uids
            .insert(name.clone(), object::uid(found).to_owned());
        let application = application_key(&backup.spec.application_ref);
        self.applications
            .entry(application)
            .or_default()
            .push(Held {
                name,
                taken_at: backup.spec.taken_at.0,
                worth,
            });
    }

    /// The Backups that go now, oldest first.
    pub(crate) fn gone(&self, rules: &Rules, now: Timestamp, zone: &TimeZone) -> Vec<Gone> {
        let mut gone: Vec<Gone> = self
            .applications
            .values()
            .flat_map(|held| rules.judge(held, now, zone).removed)
            .map(|held| Gone {
                uid: self.uids.get(&held.name).cloned().unwrap_or_default(),
                name: held.name,
                taken_at: held.taken_at,
            })
            .collect();
        gone.sort_by(|a, b| (a.taken_at, &a.name).cmp(&(b.taken_at, &b.name)));
        gone
    }

    /// When the first Backup is too old.
    pub(crate) fn next_expiry(
        &self,
        rules: &Rules,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let removals = self
            .applications
            .values()
            .filter_map(|held| rules.next_removal(held, now, zone, None));
        removals.filter_map(|removal| removal.at).min()
    }

    /// What goes next, as it stands in the status: by age first, else after the next backup, which the Plan makes of
    /// `application` at `next`.
    pub(crate) fn next_removal(
        &self,
        rules: &Rules,
        now: Timestamp,
        zone: &TimeZone,
        application: &str,
        next: Option<Timestamp>,
    ) -> Option<NextRemoval> {
        let removals = self.applications.iter().filter_map(|(of, held)| {
            // Of another application there will be no other backup.
            let next = next.filter(|_| of == application);
            rules.next_removal(held, now, zone, next)
        });
        let at = |removal: &Removal| removal.at.or(next).unwrap_or(Timestamp::MAX);
        let first = removals.min_by_key(|removal| at(removal))?;
        Some(NextRemoval {
            backups: first.names.into_iter().take(NAMED).collect(),
            time: first.at.map(Time),
        })
    }
}

/// What tells applications of a namespace apart.
pub(crate) fn application_key(application: &ApplicationReference) -> String {
    let group = application.group();
    format!("{group}/{}/{}", application.kind, application.name)
}

/// Whether a Backup can be restored, as far as is known.
fn is_good(backup: &Backup) -> bool {
    let Some(status) = &backup.status else {
        return false;
    };
    let is_lost = status.conditions.iter().any(|condition| {
        condition.type_ == "Available"
            && condition.status == "False"
            && condition.reason == Reason::Lost.as_str()
    });
    status.phase == Some(BackupPhase::Ready) && !is_lost
}
