//! One pass at a time writes the copy of a namespace: the others find it in order.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use futures::lock::{Mutex, MutexGuard};

/// So many namespaces can be written to at the same time. Two that share a turn wait for each other, and for nothing else.
const TURNS: usize = 64;

/// The turns of all namespaces.
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for the turn of a namespace, and has it until this is dropped.
    pub(super) async fn of(&self, namespace: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(namespace);
        let index = usize::try_from(hash % TURNS as u64).unwrap_or_default();
        self.0[index].lock().await
    }
}
