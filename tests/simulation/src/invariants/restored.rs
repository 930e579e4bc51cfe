//! An application that was restored shows the Backup that was asked for, and no other.

use std::collections::BTreeMap;

use backup_api::names::API_VERSION;
use backup_engine::cluster::memory::ChangeKind;
use serde_json::Value;

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{has_started, named, works_in},
    strategies::{Shown, Strategy},
    vault::{Content, Place, Vault},
};

/// Where data lay, and what lay there.
type Data = (Place, Content);

/// An application: namespace, kind and name.
type Name = (String, String, String);

#[derive(Default)]
pub(crate) struct Restored {
    /// By namespace and name: the data of the Backups, as it was when they were ready.
    backups: BTreeMap<(String, String), Data>,
    /// What was asked for by the RestoreJobs that have begun, by their UIDs.
    asked: BTreeMap<String, Data>,
    /// What applications show, where they were restored since the last restore of theirs has begun.
    shown: BTreeMap<Name, Data>,
}

impl Invariant for Restored {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        match (text(object, "/apiVersion"), text(object, "/kind")) {
            (API_VERSION, "Backup") => self.backup_changed(seen),
            (API_VERSION, "RestoreJob") => return self.restore_changed(seen),
            _ => self.note_shown(seen),
        }
        Ok(())
    }

    fn shown(&mut self, shown: &Shown, stored: &Vault) {
        let Shown {
            namespace,
            kind,
            name,
            from,
        } = shown.clone();
        let from = stored.resolve(from);
        let content = stored.content(&from);
        self.shown
            .insert((namespace, kind.to_owned(), name), (from, content));
    }
}

impl Restored {
    fn backup_changed(&mut self, seen: &Seen<'_>) {
        let backup = &seen.change.object;
        let name = name_of(backup);
        if seen.change.kind == ChangeKind::Added {
            self.backups.remove(&name);
        }
        let place = Strategy::of_backup(backup).and_then(|strategy| strategy.place(backup));
        let is_ready = text(backup, "/status/phase") == "Ready";
        if let Some(place) = place.filter(|_| is_ready && !self.backups.contains_key(&name)) {
            let content = seen.storage.content(&place);
            self.backups.insert(name, (place, content));
        }
    }

    fn restore_changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let job = &seen.change.object;
        let uid = text(job, "/metadata/uid");
        let before = seen.change.previous.as_deref();
        if has_started(job) && !before.is_some_and(has_started) {
            let (namespace, _) = name_of(job);
            let backup = text(job, "/spec/backupRef/name").to_owned();
            if let Some(data) = self.backups.get(&(namespace, backup)) {
                self.asked.insert(uid.to_owned(), data.clone());
            }
            self.shown.remove(&target(job));
        }
        let phase = |job: &Value| text(job, "/status/phase") == "Succeeded";
        if !phase(job) || before.is_some_and(phase) || seen.change.kind == ChangeKind::Deleted {
            return Ok(());
        }
        let asked = self.asked.get(uid);
        let shown = self.shown.get(&target(job));
        if asked
            .zip(shown)
            .is_some_and(|(asked, shown)| is_same(asked, shown, seen.storage))
        {
            return Ok(());
        }
        let words = |data: Option<&Data>| match data {
            Some(((bucket, key), content)) => format!("s3://{bucket}/{key} {content:?}"),
            None => "nothing".to_owned(),
        };
        broken(
            "a restored application shows the Backup that was asked for",
            format!(
                "{}: asked for {}, shows {}",
                named(job),
                words(asked),
                words(shown)
            ),
        )
    }

    /// Notes that an application has come to show what was restored.
    fn note_shown(&mut self, seen: &Seen<'_>) {
        let shown = |object: &Value| -> Vec<Shown> {
            let strategies = Strategy::all();
            strategies
                .flat_map(|strategy| strategy.shown(object))
                .collect()
        };
        let change = seen.change;
        if change.kind == ChangeKind::Deleted {
            return;
        }
        let before = change.previous.as_deref().map(shown).unwrap_or_default();
        for now in shown(&change.object) {
            if !before.contains(&now) {
                self.shown(&now, seen.storage);
            }
        }
    }
}

/// Whether what an application shows is what was asked for: all of it but what somebody has removed. More may have come
/// to it: some operators go on storing what changes.
fn is_same((place, asked): &Data, (from, shown): &Data, stored: &Vault) -> bool {
    let bucket = &place.0;
    let mut kept = asked
        .iter()
        .filter(|(key, ..)| !stored.is_lost(&(bucket.clone(), key.clone())));
    place == from && kept.all(|object| shown.contains(object))
}

fn name_of(object: &Value) -> (String, String) {
    let of = ["/metadata/namespace", "/metadata/name"];
    let [namespace, name] = of.map(|member| text(object, member).to_owned());
    (namespace, name)
}

/// The application that a RestoreJob that has begun has noted.
fn target(job: &Value) -> Name {
    let noted = &job["status"]["strategy"];
    (
        works_in(job).to_owned(),
        text(noted, "/applicationRef/kind").to_owned(),
        text(noted, "/applicationRef/name").to_owned(),
    )
}
