//! Where a played operator keeps its data.

use backup_engine::MemoryStorage;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// A bucket as an operator has it: it knows the keys, and nobody looks at what it does.
///
/// On the stage it is the host's own [`MemoryStorage`]; on a real API server it is a real S3 service.
pub trait Bucket: Send + Sync {
    /// Stores an object of so many bytes, in the place of one that is there. A storage that has a clock of its own
    /// passes over `at`.
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, at: Timestamp) -> BoxFuture<'a, ()>;

    /// The keys that are there, sorted.
    fn keys(&self) -> BoxFuture<'_, Vec<String>>;

    /// Removes an object; one that is gone counts as removed.
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()>;
}

impl Bucket for MemoryStorage {
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, at: Timestamp) -> BoxFuture<'a, ()> {
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        MemoryStorage::put(self, key, size_bytes, seconds);
        Box::pin(std::future::ready(()))
    }

    fn keys(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(std::future::ready(MemoryStorage::keys(self)))
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        MemoryStorage::remove(self, key);
        Box::pin(std::future::ready(()))
    }
}
