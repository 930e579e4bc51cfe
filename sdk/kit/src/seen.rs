//! The objects that have been there, also those that are gone.

use std::collections::BTreeMap;

use backup_api::names::GROUP;
use backup_engine::{
    cluster::memory::{ChangeKind, Changes, MemoryCluster},
    reference,
};
use backup_sandbox::contract::ObjectRef;
use serde_json::Value;

use crate::matching::fits;

/// All objects that have been there.
pub(crate) struct Seen {
    changes: Changes,
    objects: BTreeMap<ObjectRef, Object>,
    /// Of what each UID is, also of objects that others have taken the place of.
    uids: BTreeMap<String, String>,
}

/// An object as it was last.
struct Object {
    last: Value,
    is_there: bool,
}

/// Which objects are meant: those of a kind, where it says so of one API group, of one namespace, of one name, which may have `*` in it.
pub(crate) struct Which<'a> {
    pub(crate) kind: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

impl<'a> Which<'a> {
    /// What the head of a document names.
    pub(crate) fn of(document: &'a Value) -> Self {
        let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
        Self {
            kind: text("/kind").unwrap_or_default(),
            group: text("/apiVersion").map(group),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    /// `Kind`, `Kind.group`, `Kind:name` or `Kind.group:name`.
    pub(crate) fn named(words: &'a str) -> Self {
        let (kind, name) = match words.split_once(':') {
            Some((kind, name)) => (kind, Some(name)),
            None => (words, None),
        };
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group)),
            None => (kind, None),
        };
        Self {
            kind,
            group,
            namespace: None,
            name,
        }
    }

    fn fits(&self, target: &ObjectRef) -> bool {
        let namespace = target.namespace.as_deref();
        self.kind == target.kind
            && self
                .group
                .is_none_or(|wanted| wanted == group(&target.api_version))
            && self
                .namespace
                .is_none_or(|wanted| namespace == Some(wanted))
            && self.name.is_none_or(|wanted| fits(wanted, &target.name))
    }
}

/// In words of a case: `EtcdSnapshot tenant-acme/x`.
impl std::fmt::Display for Which<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind)?;
        if let Some(group) = self.group {
            write!(f, ".{group}")?;
        }
        match (self.namespace, self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}"),
            (_, Some(name)) => write!(f, " {name}"),
            (Some(namespace), None) => write!(f, " in {namespace}"),
            (None, None) => Ok(()),
        }
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// An object in words of a case.
fn told(target: &ObjectRef) -> String {
    match &target.namespace {
        Some(namespace) => format!("{} {namespace}/{}", target.kind, target.name),
        None => format!("{} {}", target.kind, target.name),
    }
}

impl Seen {
    pub(crate) fn of(cluster: &MemoryCluster) -> Self {
        let mut seen = Self {
            changes: cluster.changes(),
            objects: BTreeMap::new(),
            uids: BTreeMap::new(),
        };
        for object in cluster.objects() {
            seen.see(&object, true);
        }
        seen
    }

    fn see(&mut self, object: &Value, is_there: bool) {
        let (target, last) = (reference(object), object.clone());
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            let words = format!("(uid of {} {})", target.kind, target.name);
            self.uids.insert(uid.to_owned(), words);
        }
        self.objects.insert(target, Object { last, is_there });
    }

    /// Takes in what has changed.
    pub(crate) fn look(&mut self, cluster: &MemoryCluster) {
        loop {
            match self.changes.try_next() {
                Ok(Some(change)) => {
                    self.see(&change.object, change.kind != ChangeKind::Deleted);
                }
                Ok(None) => return,
                // So many at once that some were missed.
                Err(_) => {
                    let uids = std::mem::take(&mut self.uids);
                    *self = Self::of(cluster);
                    self.uids.extend(uids);
                }
            }
        }
    }

    /// The objects that are meant and are there. Where no group is named, those of the host's own kinds count only where
    /// there is no other.
    pub(crate) fn there(&self, which: &Which<'_>) -> Vec<&Value> {
        self.all(which, true)
    }

    fn all(&self, which: &Which<'_>, is_there: bool) -> Vec<&Value> {
        let meant = |is_hosts: bool| -> Vec<&Value> {
            let of_group = |target: &&ObjectRef| {
                which.group.is_some() || (group(&target.api_version) == GROUP) == is_hosts
            };
            let objects = self.objects.iter();
            let objects = objects.filter(|(target, object)| {
                object.is_there == is_there && which.fits(target) && of_group(target)
            });
            objects.map(|(_, object)| &object.last).collect()
        };
        let others = meant(false);
        if others.is_empty() && which.group.is_none() {
            return meant(true);
        }
        others
    }

    /// The one object that is meant: one that is there, or else one that was.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(crate) fn one(&self, which: &Which<'_>) -> Result<&Value, String> {
        let there = self.all(which, true);
        let meant = match there.is_empty() {
            true => self.all(which, false),
            false => there,
        };
        match &meant[..] {
            [one] => Ok(one),
            [] => Err(format!("there is no {which}")),
            many => {
                let names: Vec<String> = many.iter().map(|one| told(&reference(one))).collect();
                Err(format!(
                    "there is more than one {which}: {}; say which",
                    names.join(", ")
                ))
            }
        }
    }

    /// The kinds of the objects that a strategy has made for a job and that are there, sorted.
    pub(crate) fn made_by_jobs(&self) -> Vec<&str> {
        let objects = self.objects.iter();
        let mut kinds: Vec<&str> = objects
            .filter(|(target, object)| {
                object.is_there
                    && group(&target.api_version) != GROUP
                    && target.kind != "Event"
                    && object.last["metadata"]["labels"]
                        .get(backup_api::names::OWNED_BY_UID)
                        .is_some()
            })
            .map(|(target, _)| target.kind.as_str())
            .collect();
        kinds.sort_unstable();
        kinds
    }

    /// UIDs by what they are of, for documents that a person reads.
    pub(crate) fn uids(&self) -> &BTreeMap<String, String> {
        &self.uids
    }
}
