//! The platform's bucket, as the played operators have it.

use std::fmt::Display;

use futures::future::BoxFuture;
use jiff::Timestamp;
use s3::Objects;
use stage::Bucket;

/// What an operator with the platform's keys can do. What fails is told in the log, and missed by whoever looks for it.
pub(crate) struct S3Bucket(pub(crate) Objects);

impl Bucket for S3Bucket {
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, _: Timestamp) -> BoxFuture<'a, ()> {
        let size_bytes = usize::try_from(size_bytes).unwrap_or_default();
        Box::pin(async move { told(key, self.0.put(key, size_bytes).await) })
    }

    fn keys(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { told("the list of objects", self.0.keys().await) })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { told(key, self.0.remove(key).await) })
    }
}

fn told<T: Default>(what: &str, outcome: Result<T, impl Display>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("the storage: {what}: {error}");
        T::default()
    })
}
