//! The platform's object storage, as the engine needs it: two requests, and where to send them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use backup_sandbox::contract::StoredObject;
use futures::future::BoxFuture;

/// A bucket and the key to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// URL of the service.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Region; may be empty.
    pub region: String,
    /// Whether the bucket stands in the path rather than in the host name.
    pub force_path_style: bool,
    /// The certificate authority of the service in PEM; none where its certificate is signed by a public one.
    pub authority: Option<String>,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

/// Without the keys: this ends up in logs.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Location")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish()
    }
}

/// Why the storage could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the object storage did not answer: {0}")]
pub struct StorageError(pub String);

/// An object storage.
pub trait Storage: Send + Sync {
    /// What lies below a path (`a/b` covers `a/b/c`, not `a/bc`): sorted by key, from the first key behind `after`
    /// on, at most `limit` objects.
    fn objects<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredObject>, StorageError>>;

    /// Removes what lies at or below a path. What is gone already counts as removed.
    fn purge<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), StorageError>>;
}

/// Whether a key lies at or below a path.
#[must_use]
pub fn covers(path: &str, key: &str) -> bool {
    key.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The key of an `s3://` URI, without slashes around it, where the URI is about this bucket and not about all of it.
pub(crate) fn key_in<'a>(bucket: &str, uri: &'a str) -> Option<&'a str> {
    let (named, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    let key = key.trim_matches('/');
    (named == bucket && !key.is_empty()).then_some(key)
}

/// A storage in memory, one bucket for all locations: for the demo, offline rendering and tests.
#[derive(Default)]
pub struct MemoryStorage {
    objects: Mutex<BTreeMap<String, StoredObject>>,
    is_silent: AtomicBool,
}

impl MemoryStorage {
    /// Puts an object of a size, in the place of one that is there.
    pub fn put(&self, key: &str, size_bytes: u64, modified_at: u64) {
        let object = StoredObject {
            key: key.to_owned(),
            size_bytes,
            modified_at,
        };
        self.lock().insert(key.to_owned(), object);
    }

    /// Removes an object, as somebody who has the key to the bucket.
    pub fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    /// The keys that are there, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The keys that are there with their sizes in bytes, sorted.
    #[must_use]
    pub fn sizes(&self) -> Vec<(String, u64)> {
        let objects = self.lock();
        let sizes = objects
            .values()
            .map(|object| (object.key.clone(), object.size_bytes));
        sizes.collect()
    }

    /// Whether it answers, from now on.
    pub fn answers(&self, answers: bool) {
        self.is_silent.store(!answers, Ordering::Relaxed);
    }

    fn reach(&self) -> Result<MutexGuard<'_, BTreeMap<String, StoredObject>>, StorageError> {
        if self.is_silent.load(Ordering::Relaxed) {
            return Err(StorageError("no route to host".to_owned()));
        }
        Ok(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, StoredObject>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn objects<'a>(
        &'a self,
        _: &'a Location,
        path: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredObject>, StorageError>> {
        let found = self.reach().map(|objects| {
            let below = objects.values().filter(|object| {
                covers(path, &object.key) && after.is_none_or(|after| object.key.as_str() > after)
            });
            below.take(limit).cloned().collect()
        });
        Box::pin(async move { found })
    }

    fn purge<'a>(
        &'a self,
        _: &'a Location,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let purged = self
            .reach()
            .map(|mut objects| objects.retain(|key, _| !covers(path, key)));
        Box::pin(async move { purged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_whole_segments_only() {
        assert!(covers("a/b", "a/b"));
        assert!(covers("a/b", "a/b/c"));
        assert!(!covers("a/b", "a/bc"));
        assert!(!covers("a/b", "a"));
    }

    #[test]
    fn a_key_is_of_one_bucket() {
        assert_eq!(key_in("b", "s3://b/a/c.db"), Some("a/c.db"));
        assert_eq!(key_in("b", "s3://b/a/"), Some("a"));
        for other in ["s3://other/a", "s3://b", "s3://b/", "file:///b/a", ""] {
            assert_eq!(key_in("b", other), None, "{other}");
        }
    }
}
