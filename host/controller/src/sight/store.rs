//! The objects, or their names, that one watch shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use backup_api::names::OWNED_BY_UID;
use backup_engine::has_ended;
use backup_sandbox::contract::{ObjectRef, Selector};
use serde_json::Value;

use super::{is_as_new, metadata};

/// Which objects of a kind a watch sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// All.
    All,
    /// Those of one name.
    Named(String),
    /// Jobs that have not ended.
    Live,
    /// Those that carry a job's label.
    Labelled,
}

/// What is kept of the objects that a watch sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Keeps {
    /// All of each.
    Objects,
    /// That there is one of that name. The watch also tells when what was read elsewhere has changed.
    Names,
}

/// What a watch sees and what is kept of it: by this the watches of a kind are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// Where; everywhere when absent.
    pub namespace: Option<String>,
    /// Which objects.
    pub scope: Scope,
    /// What of them.
    pub keeps: Keeps,
}

/// An object as a watch shows it.
pub(crate) struct Seen<'a> {
    /// Whole, or metadata only.
    pub object: &'a Value,
    /// Whether it is gone, or has left what is watched.
    pub is_gone: bool,
}

/// Namespace and name.
pub(super) type Name = (String, String);

#[derive(Debug)]
struct Entry {
    /// None where only the name is kept.
    object: Option<Arc<Value>>,
    /// This process deleted it, or wrote it so that the watch will see it no more: until the watch tells, the API
    /// server is to be asked.
    is_unsure: bool,
    /// During which list this process wrote it last, counted from 1.
    written_in: u64,
}

pub(super) struct Store {
    view: View,
    in_sync: bool,
    objects: BTreeMap<Name, Entry>,
    /// How many lists were begun.
    lists: u64,
    /// What the list under way has shown.
    listing: Option<BTreeSet<Name>>,
    /// The newest version that the watch has told of, of any object. Versions of a kind are numbers that grow.
    told_until: u128,
}

impl Store {
    pub(super) fn new(view: View) -> Self {
        Self {
            view,
            in_sync: false,
            objects: BTreeMap::new(),
            lists: 0,
            listing: None,
            told_until: 0,
        }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// How many objects it shows.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether it tells of every change of the kind where it looks, so that what was read there once can be kept until
    /// then.
    pub(super) fn validates(&self) -> bool {
        self.view.scope == Scope::All && self.view.keeps != Keeps::Objects
    }

    pub(super) fn lists(&mut self) {
        self.in_sync = false;
        self.lists += 1;
        self.listing = Some(BTreeSet::new());
    }

    /// What the list has not shown is gone, unless this process wrote it while it was listed.
    pub(super) fn listed(&mut self) {
        if let Some(shown) = self.listing.take() {
            let now = self.lists;
            self.objects
                .retain(|name, entry| shown.contains(name) || entry.written_in == now);
        }
        self.in_sync = true;
    }

    pub(super) fn lost(&mut self) {
        self.in_sync = false;
    }

    /// Takes over what the watch shows, unless it is older than what is kept. Gives back whether it was not.
    pub(super) fn saw(&mut self, seen: &Seen<'_>) -> bool {
        let name = name_of(seen.object);
        self.told_until = self
            .told_until
            .max(version(seen.object).unwrap_or_default());
        if let Some(shown) = &mut self.listing {
            shown.insert(name.clone());
        }
        let known = self.objects.get(&name);
        if known.is_some_and(|entry| entry.is_older_than_kept(seen.object)) {
            return false;
        }
        if seen.is_gone {
            self.objects.remove(&name);
            return true;
        }
        if known.is_none_or(|entry| !self.says_nothing_new(entry, seen.object)) {
            let written_in = known.map_or(0, |entry| entry.written_in);
            self.keep(name, seen.object, written_in, false);
        }
        true
    }

    /// Whether this is only the object as it was before this process deleted it or wrote it out of sight.
    fn says_nothing_new(&self, entry: &Entry, shown: &Value) -> bool {
        let is_ending = !metadata(shown, "deletionTimestamp").is_empty();
        let is_another = entry
            .object
            .as_deref()
            .is_some_and(|kept| metadata(kept, "uid") != metadata(shown, "uid"));
        let is_listed_since = self.listing.is_some() && entry.written_in < self.lists;
        entry.is_unsure && !is_ending && !is_another && !is_listed_since
    }

    fn keep(&mut self, name: Name, object: &Value, written_in: u64, is_unsure: bool) {
        let object = (self.view.keeps == Keeps::Objects).then(|| Arc::new(slim(object)));
        let entry = Entry {
            object,
            is_unsure,
            written_in,
        };
        self.objects.insert(name, entry);
    }

    pub(super) fn written(&mut self, target: &ObjectRef, object: &Value) {
        let name = name_of(object);
        let known = self.objects.get(&name);
        let covers = self.covers(target, object);
        let is_news = match known {
            Some(entry) => !entry.is_older_than_kept(object),
            // The watch has gone past it: what it does not show any more was deleted while the answer was on its way.
            None => version(object).is_none_or(|version| version > self.told_until),
        };
        if is_news && (covers || known.is_some()) {
            let now = self.lists;
            self.keep(name, object, now, !covers);
        }
    }

    pub(super) fn deleted(&mut self, target: &ObjectRef) {
        let now = self.lists;
        if let Some(entry) = self.objects.get_mut(&key_of(target)) {
            entry.is_unsure = true;
            entry.written_in = now;
        }
    }

    /// Whether the watch looks into a namespace, or into all where it is absent.
    fn reaches(&self, namespace: Option<&str>) -> bool {
        let within = self.view.namespace.as_deref();
        within.is_none() || within == namespace
    }

    /// Whether an object is one that the watch sees.
    fn covers(&self, target: &ObjectRef, object: &Value) -> bool {
        if !self.reaches(target.namespace.as_deref()) {
            return false;
        }
        match &self.view.scope {
            Scope::All => true,
            Scope::Named(name) => target.name == *name,
            Scope::Live => !has_ended(object),
            Scope::Labelled => object["metadata"]["labels"][OWNED_BY_UID].is_string(),
        }
    }

    /// The object, or that there is none; nothing where that is not known here.
    pub(super) fn get(&self, target: &ObjectRef) -> Option<Option<Value>> {
        if !self.in_sync {
            return None;
        }
        match self.objects.get(&key_of(target)) {
            Some(entry) if entry.is_unsure => None,
            Some(entry) => Some(Some(entry.object.as_deref()?.clone())),
            None => self.knows_absence(target).then_some(None),
        }
    }

    fn knows_absence(&self, target: &ObjectRef) -> bool {
        let sees = match &self.view.scope {
            Scope::All => true,
            Scope::Named(name) => target.name == *name,
            Scope::Live | Scope::Labelled => false,
        };
        sees && self.reaches(target.namespace.as_deref())
    }

    /// The objects that a selector names; nothing where not all of them are seen here.
    pub(super) fn list(&self, matching: &Selector) -> Option<Vec<Value>> {
        let by_job = matching
            .labels
            .iter()
            .any(|label| label.key == OWNED_BY_UID);
        let sees_all = match self.view.scope {
            Scope::All => true,
            Scope::Labelled => by_job,
            Scope::Live | Scope::Named(_) => false,
        };
        if !sees_all || !self.reaches(matching.namespace.as_deref()) {
            return None;
        }
        let entries = self.entries_of(matching.namespace.as_deref())?;
        let objects: Option<Vec<&Arc<Value>>> = entries.into_iter().map(Entry::known).collect();
        let carries = |object: &&Arc<Value>| {
            matching
                .labels
                .iter()
                .all(|label| object["metadata"]["labels"][&label.key] == label.value.as_str())
        };
        let matching = objects?.into_iter().filter(carries);
        Some(matching.map(|object| (**object).clone()).collect())
    }

    /// The first object of a kind in a namespace, or of all; nothing where that is not known here.
    pub(super) fn first(&self, matching: &Selector) -> Option<Option<ObjectRef>> {
        let sees_all = self.view.scope == Scope::All && matching.labels.is_empty();
        if !self.in_sync || !sees_all || !self.reaches(matching.namespace.as_deref()) {
            return None;
        }
        let mut entries = self.range(matching.namespace.as_deref()).peekable();
        if entries.peek().is_none() {
            return Some(None);
        }
        // Where it is not sure of any that it is there, it is not sure that there is none.
        let ((namespace, name), _) = entries.find(|(_, entry)| !entry.is_unsure)?;
        Some(Some(ObjectRef {
            api_version: matching.api_version.clone(),
            kind: matching.kind.clone(),
            namespace: (!namespace.is_empty()).then(|| namespace.clone()),
            name: name.clone(),
        }))
    }

    /// The jobs of a namespace, or of all, that have not ended.
    pub(super) fn live(&self, namespace: Option<&str>) -> Option<Vec<Arc<Value>>> {
        if self.view.scope != Scope::Live || !self.reaches(namespace) {
            return None;
        }
        let entries = self.entries_of(namespace)?;
        let has_left = |entry: &&Entry| entry.object.as_deref().is_some_and(has_ended);
        let live = entries.into_iter().filter(|entry| !has_left(entry));
        live.map(|entry| entry.known().cloned()).collect()
    }

    /// What is kept of a namespace, or of all; nothing where not all of it is kept.
    fn entries_of<'a>(&'a self, namespace: Option<&'a str>) -> Option<Vec<&'a Entry>> {
        if !self.in_sync || self.view.keeps != Keeps::Objects {
            return None;
        }
        Some(self.range(namespace).map(|(_, entry)| entry).collect())
    }

    fn range<'a>(
        &'a self,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Name, &'a Entry)> {
        let from = (namespace.unwrap_or_default().to_owned(), String::new());
        let entries = self.objects.range(from..);
        entries.take_while(move |((of, _), _)| namespace.is_none_or(|namespace| namespace == of))
    }
}

impl Entry {
    /// The object, where it is sure.
    fn known(&self) -> Option<&Arc<Value>> {
        self.object.as_ref().filter(|_| !self.is_unsure)
    }

    /// Whether what is shown is older than what is kept of the same object.
    fn is_older_than_kept(&self, shown: &Value) -> bool {
        let Some(kept) = &self.object else {
            return false;
        };
        metadata(kept, "uid") == metadata(shown, "uid")
            && !is_as_new(
                metadata(shown, "resourceVersion"),
                metadata(kept, "resourceVersion"),
            )
    }
}

/// An object's version, where it is a number.
fn version(object: &Value) -> Option<u128> {
    metadata(object, "resourceVersion").parse().ok()
}

fn key_of(target: &ObjectRef) -> Name {
    let namespace = target.namespace.clone().unwrap_or_default();
    (namespace, target.name.clone())
}

pub(super) fn name_of(object: &Value) -> Name {
    (
        metadata(object, "namespace").to_owned(),
        metadata(object, "name").to_owned(),
    )
}

/// Without `managedFields`, which are half of an object and which no pass reads.
pub(super) fn slim(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}
