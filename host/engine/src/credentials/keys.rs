//! Keys to the platform's storage that are current no more: they may still open it, so they are secrets like the
//! current ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::source::decode;
use crate::storage::Location;

/// The keys of a copy that hold one key each.
const SINGLE: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "accessKey",
    "secretKey",
];

/// So many keys are remembered of one namespace's copy at most. Keys are rotated by the month; whoever writes others
/// into a copy by the minute is not to fill the memory.
const MOST_OF_A_COPY: usize = 16;

/// The keys that are known.
#[derive(Default)]
pub(crate) struct KnownKeys(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Current at some time since the process began.
    current: BTreeSet<String>,
    /// Found in the copy of a namespace. They count in that namespace alone: somebody may have written there what
    /// stands in everybody's plans.
    found: BTreeMap<String, BTreeSet<String>>,
}

impl KnownKeys {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These keys are current.
    pub(super) fn are_current(&self, location: &Location) {
        let mut known = self.known();
        for key in [&location.access_key, &location.secret_key] {
            if !known.current.contains(key) {
                known.current.insert(key.clone());
            }
        }
    }

    /// Remembers what a namespace's copy holds.
    pub(super) fn found(&self, namespace: &str, copy: &Value) {
        let values = decode(copy);
        let keys = SINGLE.iter().filter_map(|key| values.get(*key));
        let mut known = self.known();
        for key in keys {
            let key = key.trim();
            if known.current.contains(key) {
                continue;
            }
            let found = known.found.entry(namespace.to_owned()).or_default();
            if found.len() < MOST_OF_A_COPY {
                found.insert(key.to_owned());
            }
        }
    }

    /// A namespace has no copy any more.
    pub(super) fn forget(&self, namespace: &str) {
        self.known().found.remove(namespace);
    }

    /// The keys that are secrets in a namespace beside the current ones.
    pub(crate) fn earlier(&self, location: &Location, namespace: &str) -> Vec<String> {
        let known = self.known();
        let found = known.found.get(namespace).into_iter().flatten();
        let keys = known.current.iter().chain(found);
        keys.filter(|key| **key != location.access_key && **key != location.secret_key)
            .cloned()
            .collect()
    }
}
