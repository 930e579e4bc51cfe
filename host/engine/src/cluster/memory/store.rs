//! Objects, revisions and the clock: the only place that changes them.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use serde_json::Value;

use super::{
    builtin,
    faults::{Interceptor, Listener, Operation, Policy},
    kinds::{Kind, Kinds},
    object,
    ownership::Owners,
    watch::{Change, ChangeKind, Feed},
};

/// Where an object is. The order is that of lists: by kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: String,
    pub(super) kind: String,
    /// Empty for cluster-scoped kinds.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        Self {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn namespace_object(name: &str) -> Self {
        Self {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
        }
    }
}

/// An object as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// As it is read.
    pub(super) object: Arc<Value>,
    /// As it was written: an apply leaves empty lists and maps in the metadata, which are not seen again, but make
    /// the next write one that changes something.
    pub(super) raw: Arc<Value>,
    pub(super) owners: Owners,
}

/// Everything there is. Held by one lock, never across an await.
pub(super) struct State {
    pub(super) kinds: Kinds,
    pub(super) objects: BTreeMap<Key, Stored>,
    pub(super) feed: Feed,
    pub(super) revision: u64,
    /// Seconds since the Unix epoch.
    pub(super) now: i64,
    /// How many UIDs and generated names there were: the source of the next.
    drawn: u64,
    seed: u64,
    /// By namespace, Pod, container and whether it is of the run before the last restart.
    pub(super) logs: BTreeMap<(String, String, String, bool), String>,
    pub(super) requests: Vec<Operation>,
    pub(super) policy: Option<Policy>,
    pub(super) interceptor: Option<Interceptor>,
    pub(super) listener: Option<Listener>,
    /// Garbage waits for `collect_garbage`.
    pub(super) defer_gc: bool,
    /// Something happened that may have made garbage.
    pub(super) gc_due: bool,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let mut kinds = Kinds::default();
        builtin::install(&mut kinds);
        Self {
            kinds,
            objects: BTreeMap::new(),
            feed: Feed::new(),
            revision: 0,
            now: 0,
            drawn: 0,
            seed,
            logs: BTreeMap::new(),
            requests: Vec::new(),
            policy: None,
            interceptor: None,
            listener: None,
            defer_gc: false,
            gc_due: false,
        }
    }

    /// RFC 3339 in seconds, as the API server writes times.
    pub(super) fn time(&self) -> String {
        jiff::Timestamp::from_second(self.now)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_string()
    }

    fn draw(&mut self) -> (u64, u64) {
        self.drawn += 1;
        (self.drawn, scramble(self.seed ^ scramble(self.drawn)))
    }

    /// Of the shape of a random UUID. The count stands in its last part, so no two are the same.
    pub(super) fn uid(&mut self) -> String {
        let (count, noise) = self.draw();
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            noise >> 32,
            (noise >> 16) & 0xffff,
            (noise >> 4) & 0xfff,
            scramble(noise) & 0xfff,
            count & 0xffff_ffff_ffff,
        )
    }

    /// The five characters after a `generateName`: the API server's alphabet, which makes no words.
    pub(super) fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let (_, mut noise) = self.draw();
        let mut suffix = String::new();
        for _ in 0..5 {
            suffix.push(char::from(
                ALPHABET[(noise % ALPHABET.len() as u64) as usize],
            ));
            noise /= ALPHABET.len() as u64;
        }
        suffix
    }

    /// The objects of a kind in a namespace, in all of them when none.
    pub(super) fn of_kind<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Stored)> + use<'a> {
        let start = Key::new(kind, namespace.unwrap_or_default(), "");
        let (group, kind) = (start.group.clone(), start.kind.clone());
        self.objects
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(key, _)| {
                key.group == group
                    && key.kind == kind
                    && namespace.is_none_or(|namespace| key.namespace == namespace)
            })
    }

    /// Stores an object, new or changed, under a new revision.
    pub(super) fn write(&mut self, key: Key, object: Value, owners: Owners) -> Arc<Value> {
        self.write_raw(key, object, None, owners)
    }

    /// As [`State::write`], for an object that is not read as it was written.
    pub(super) fn write_raw(
        &mut self,
        key: Key,
        mut object: Value,
        raw: Option<Value>,
        owners: Owners,
    ) -> Arc<Value> {
        self.revision += 1;
        object::set(&mut object, "resourceVersion", self.revision.to_string());
        let object = Arc::new(object);
        let raw = raw.map_or_else(
            || object.clone(),
            |mut raw| {
                object::set(&mut raw, "resourceVersion", self.revision.to_string());
                Arc::new(raw)
            },
        );
        let stored = Stored {
            object: object.clone(),
            raw,
            owners,
        };
        let previous = self.objects.insert(key, stored).map(|stored| stored.object);
        let kind = if previous.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        self.feed.send(Change {
            kind,
            object: object.clone(),
            previous,
            revision: self.revision,
        });
        object
    }

    /// Removes an object; the removal has a revision of its own.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(stored) = self.objects.remove(key) else {
            return;
        };
        self.revision += 1;
        let mut object = (*stored.object).clone();
        object::set(&mut object, "resourceVersion", self.revision.to_string());
        self.feed.send(Change {
            kind: ChangeKind::Deleted,
            object: Arc::new(object),
            previous: Some(stored.object),
            revision: self.revision,
        });
        self.gc_due = true;
    }
}

/// SplitMix64: well spread, and the same on every machine.
fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How an object looks through a version of its kind: versions of a kind differ in nothing but their name here.
pub(super) fn shown(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    if object["apiVersion"].as_str() != Some(kind.api_version().as_str()) {
        object::set_top(&mut object, "apiVersion", Some(kind.api_version().into()));
    }
    object
}
