//! The platform's buckets, and what the host removes from them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use backup_engine::{Location, MemoryStorage, Storage, StorageError, covers};
use backup_sandbox::contract::StoredObject;
use futures::future::BoxFuture;

use crate::{ground::unless_crashed, strategies::Strategy};

/// The bucket of the platform, and the one that it moves to.
pub(crate) const BUCKETS: [&str; 2] = ["cozy-backups", "cozy-backups-next"];

/// A bucket in memory does not ask where it is.
const NOWHERE: Location = Location {
    endpoint: String::new(),
    bucket: String::new(),
    region: String::new(),
    force_path_style: true,
    authority: None,
    access_key: String::new(),
    secret_key: String::new(),
};

/// Where something is stored: a bucket and a key in it, or a path that covers keys.
pub(crate) type Place = (String, String);

/// A new object in a bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// Whose operator wrote it.
    pub strategy: Strategy,
    pub at: Place,
}

/// What lies at a place: each key with its size, and when it was written.
pub(crate) type Content = Vec<(String, u64, u64)>;

/// Every bucket that there is. Operators write to them, the host looks and removes.
#[derive(Default)]
pub(crate) struct Vault {
    buckets: [Arc<MemoryStorage>; BUCKETS.len()],
    /// The platform's.
    present: AtomicUsize,
    purges: Mutex<Vec<Place>>,
    lost: Mutex<BTreeSet<Place>>,
    /// What lay there when it was looked for new objects last, and the new ones that nobody has asked for.
    known: Mutex<BTreeSet<Place>>,
    written: Mutex<Vec<Written>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Each bucket with its name.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (&'static str, &Arc<MemoryStorage>)> {
        BUCKETS.into_iter().zip(&self.buckets)
    }

    /// The bucket that the platform's storage is.
    pub(crate) fn present(&self) -> &'static str {
        BUCKETS[self.present.load(Ordering::Relaxed) % BUCKETS.len()]
    }

    /// The same bucket.
    pub(crate) fn present_bucket(&self) -> &Arc<MemoryStorage> {
        &self.buckets[self.present.load(Ordering::Relaxed) % BUCKETS.len()]
    }

    /// The platform's storage is the next bucket from now on. Gives back which.
    pub(crate) fn move_on(&self) -> &'static str {
        self.present.fetch_add(1, Ordering::Relaxed);
        self.present()
    }

    fn bucket(&self, name: &str) -> Option<&Arc<MemoryStorage>> {
        let mut buckets = self.buckets();
        buckets
            .find(|(is, _)| *is == name)
            .map(|(_, bucket)| bucket)
    }

    /// What lies at or below a place.
    pub(crate) fn content(&self, (name, path): &Place) -> Content {
        let Some(bucket) = self.bucket(name) else {
            return vec![];
        };
        let found = unless_crashed(bucket.objects(&NOWHERE, path, None, usize::MAX));
        let found = found.and_then(Result::ok).unwrap_or_default();
        let found = found.into_iter();
        found
            .map(|object| (object.key, object.size_bytes, object.modified_at))
            .collect()
    }

    /// A place without a bucket is in the one that holds it.
    pub(crate) fn resolve(&self, (bucket, path): Place) -> Place {
        let whole = |bucket: &str| (bucket.to_owned(), path.clone());
        let mut buckets = BUCKETS.into_iter().map(whole);
        match bucket.is_empty() {
            true => buckets
                .find(|place| self.holds(place))
                .unwrap_or_else(|| whole("")),
            false => whole(&bucket),
        }
    }

    /// Whether something lies at or below a place.
    pub(crate) fn holds(&self, place: &Place) -> bool {
        !self.content(place).is_empty()
    }

    /// The objects at or below a place.
    pub(crate) fn objects_at(&self, place: &Place) -> impl Iterator<Item = Place> + use<> {
        let bucket = place.0.clone();
        let found = self.content(place).into_iter();
        found.map(move |(key, ..)| (bucket.clone(), key))
    }

    /// Notes what a strategy's operator has written.
    pub(crate) fn note_written(&self, strategy: Strategy) {
        let mut known = lock(&self.known);
        let mut now = BTreeSet::new();
        for (name, bucket) in self.buckets() {
            now.extend(bucket.keys().into_iter().map(|key| (name.to_owned(), key)));
        }
        let new = now.difference(&known).cloned();
        lock(&self.written).extend(new.map(|at| Written { strategy, at }));
        *known = now;
    }

    /// What was noted since this was asked last.
    pub(crate) fn take_written(&self) -> Vec<Written> {
        std::mem::take(&mut *lock(&self.written))
    }

    /// Somebody who has the keys removes the last of what a tenant has in a bucket.
    pub(crate) fn lose(&self, tenant: &str) -> Option<Place> {
        let folder = format!("{tenant}/");
        let found = self.buckets().find_map(|(name, bucket)| {
            let keys = bucket.keys().into_iter().rev();
            let is_its =
                |key: &str| key.starts_with(&folder) || key.contains(&format!("/{folder}"));
            let mut keys = keys.filter(|key| is_its(key) && !key.contains("/wals/"));
            keys.next().map(|key| (name, bucket, key))
        });
        let (name, bucket, key) = found?;
        bucket.remove(&key);
        let place = (name.to_owned(), key);
        lock(&self.lost).insert(place.clone());
        Some(place)
    }

    /// Whether somebody has removed what lay at a place, or a part of it.
    pub(crate) fn is_lost(&self, (bucket, path): &Place) -> bool {
        let lost = lock(&self.lost);
        lost.iter()
            .any(|(of, key)| of == bucket && covers(path, key))
    }

    /// The paths that the host has purged since this was asked last.
    pub(crate) fn take_purges(&self) -> Vec<Place> {
        std::mem::take(&mut *lock(&self.purges))
    }

    fn of(&self, at: &Location) -> Result<&Arc<MemoryStorage>, StorageError> {
        self.bucket(&at.bucket)
            .ok_or_else(|| StorageError(format!("there is no bucket {:?}", at.bucket)))
    }
}

impl Storage for Vault {
    fn objects<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredObject>, StorageError>> {
        match self.of(at) {
            Ok(bucket) => bucket.objects(at, path, after, limit),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }

    fn purge<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        lock(&self.purges).push((at.bucket.clone(), path.to_owned()));
        match self.of(at) {
            Ok(bucket) => bucket.purge(at, path),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}
