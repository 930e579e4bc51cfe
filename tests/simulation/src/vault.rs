//! The platform's buckets, and what the host removes from them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use backup_engine::{Location, MemoryStorage, Storage, StorageError};
use backup_sandbox::contract::StoredObject;
use futures::future::BoxFuture;

/// The bucket of the platform, and the one that it moves to.
pub(crate) const BUCKETS: [&str; 2] = ["cozy-backups", "cozy-backups-next"];

/// Where something is stored: a bucket and a key in it.
pub(crate) type Place = (String, String);

/// Every bucket that there is. Operators write to them, the host looks and removes.
#[derive(Default)]
pub(crate) struct Vault {
    buckets: [Arc<MemoryStorage>; BUCKETS.len()],
    /// The platform's.
    present: AtomicUsize,
    purges: Mutex<Vec<Place>>,
    lost: Mutex<BTreeSet<Place>>,
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

    /// Whether something lies there.
    pub(crate) fn holds(&self, (bucket, key): &Place) -> bool {
        self.bucket(bucket)
            .is_some_and(|bucket| bucket.keys().contains(key))
    }

    /// Somebody who has the keys removes the last of what a tenant has in a bucket.
    pub(crate) fn lose(&self, tenant: &str) -> Option<Place> {
        let folder = format!("{tenant}/");
        let found = self.buckets().find_map(|(name, bucket)| {
            let keys = bucket.keys().into_iter().rev();
            let mut keys = keys.filter(|key| key.starts_with(&folder) && !key.contains("/wals/"));
            keys.next().map(|key| (name, bucket, key))
        });
        let (name, bucket, key) = found?;
        bucket.remove(&key);
        let place = (name.to_owned(), key);
        lock(&self.lost).insert(place.clone());
        Some(place)
    }

    /// Whether somebody has removed what lay there.
    pub(crate) fn is_lost(&self, place: &Place) -> bool {
        lock(&self.lost).contains(place)
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
