//! What lies in the buckets for Backups goes with them where that was asked for, and what is told of it is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_engine::{cluster::memory::ChangeKind, covers};
use serde_json::{Value, json};

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    ground::text,
    record::{Record, condition, is_deleting, named},
    strategies::Strategy,
    vault::{Place, Vault},
};

#[derive(Default)]
pub(crate) struct Data {
    /// The Backups that are there, by their UIDs.
    there: BTreeMap<String, Arc<Value>>,
    /// What lay there for each when it was ready.
    data: BTreeMap<String, BTreeSet<Place>>,
    /// What Backups have left that are gone, and whose data was to stay.
    retained: BTreeSet<Place>,
}

impl Invariant for Data {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let object = &seen.change.object;
        match (text(object, "/apiVersion"), text(object, "/kind")) {
            (API_VERSION, "Backup") => self.backup_changed(seen),
            _ if seen.by_host && seen.change.kind == ChangeKind::Deleted => {
                self.may_remove_order(object)
            }
            _ => Ok(()),
        }
    }

    fn purged(&mut self, at: &Place) -> Verdict {
        let (bucket, path) = at;
        for backup in self.there.values() {
            if let Some(place) = place(backup)
                && covers(path, &place.1)
            {
                if place.0 != *bucket {
                    let seen = format!("{}: a purge in {bucket}", named(backup));
                    return broken("where the storage has moved nothing is touched", seen);
                }
                may_go(backup)?;
            }
        }
        let is_retained = |place: &Place| place.0 == *bucket && covers(path, &place.1);
        if self.retained.iter().any(is_retained) {
            return broken("data that is to stay stays for ever", path.clone());
        }
        Ok(())
    }

    /// Data that nobody has removed is there as long as its Backup, and longer where it was to stay.
    fn ended(&mut self, _: &Record, stored: &Vault) -> Verdict {
        let is_there = |place: &Place| stored.holds(place) || stored.is_lost(place);
        for (uid, backup) in &self.there {
            let mut data = self.data.get(uid).into_iter().flatten();
            if let Some((bucket, key)) = data.find(|place| !is_there(place)) {
                let seen = format!("{}: s3://{bucket}/{key}", named(backup));
                return broken("a Backup's data is there", seen);
            }
        }
        match self.retained.iter().find(|place| !is_there(place)) {
            Some((bucket, key)) => broken(
                "data that is to stay stays for ever",
                format!("s3://{bucket}/{key}"),
            ),
            None => Ok(()),
        }
    }
}

impl Data {
    fn backup_changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let backup = &seen.change.object;
        let uid = text(backup, "/metadata/uid").to_owned();
        if seen.change.kind == ChangeKind::Deleted {
            self.there.remove(&uid);
            let data = self.data.remove(&uid).unwrap_or_default();
            if is_retained(backup) {
                let data = data.into_iter().filter(|place| seen.storage.holds(place));
                self.retained.extend(data);
            }
            return Ok(());
        }
        let is_ready = text(backup, "/status/phase") == "Ready";
        if let Some(place) = place(backup).filter(|_| is_ready && !self.data.contains_key(&uid)) {
            let data = seen.storage.objects_at(&place).collect();
            self.data.insert(uid.clone(), data);
        }
        self.there.insert(uid, Arc::clone(backup));
        if !seen.by_host {
            return Ok(());
        }
        records_its_storage(backup)?;
        tells_the_truth(seen)
    }

    /// The operator's object of a Backup stays with it: what an operator does to data when its object goes is not the
    /// host's to know.
    fn may_remove_order(&self, order: &Value) -> Verdict {
        if Strategy::of_order(order).is_none_or(|(_, order)| !order.is_kept) {
            return Ok(());
        }
        let owner = |object: &Value| object["metadata"]["labels"][OWNED_BY_UID].clone();
        let mut backups = self.there.values();
        let backup = backups.find(|backup| owner(backup) == owner(order));
        backup.map_or(Ok(()), |backup| may_go(backup))
    }
}

/// Only what is deleted goes with its data, and only where its policy says so.
fn may_go(backup: &Value) -> Verdict {
    if !is_deleting(backup) {
        return broken(
            "the data of a Backup that stays is not touched",
            named(backup),
        );
    }
    if is_retained(backup) {
        return broken("deletionPolicy Retain leaves data alone", named(backup));
    }
    Ok(())
}

/// A Backup's record of the storage names the bucket that its data lies in.
fn records_its_storage(backup: &Value) -> Verdict {
    let recorded = text(backup, "/spec/storage/bucket");
    match place(backup) {
        Some((bucket, _)) if bucket != recorded => broken(
            "a Backup records the storage that its data lies in",
            format!("{}: {recorded}, and {bucket}", named(backup)),
        ),
        _ => Ok(()),
    }
}

/// Looked at, data is available where it is there, and lost only where it is not, in the bucket that it was written to.
fn tells_the_truth(seen: &Seen<'_>) -> Verdict {
    let backup = &seen.change.object;
    let looked = |backup: &Value| text(backup, "/status/lastCheckTime").to_owned();
    let before = seen.change.previous.as_deref();
    let asked = |backup: &Value| text(backup, "/status/lastCheckRequest").to_owned();
    let is_new = before
        .is_none_or(|before| looked(before) != looked(backup) || asked(before) != asked(backup));
    let (Some(available), Some(place)) = (condition(backup, "Available"), place(backup)) else {
        return Ok(());
    };
    if !is_new || looked(backup).is_empty() {
        return Ok(());
    }
    let is_there = seen.storage.holds(&place);
    let is_true = match text(available, "/status") {
        "True" => is_there,
        // A part that is gone may be all that matters.
        "False" => !is_there || seen.storage.is_lost(&place),
        _ => true,
    };
    if is_true {
        return Ok(());
    }
    let seen = format!("{}: {available}", named(backup));
    broken("Available tells whether the data was there", seen)
}

fn is_retained(backup: &Value) -> bool {
    backup.pointer("/spec/deletionPolicy") == Some(&json!("Retain"))
}

/// Where a Backup's data lies.
fn place(backup: &Value) -> Option<Place> {
    Strategy::of_backup(backup)?.place(backup)
}
