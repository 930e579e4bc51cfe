//! The bucket of the run, as the played operators have it: a real S3 service that checks signatures.

use std::sync::Arc;

use ::s3::{Objects, S3};
use futures::future::BoxFuture;
use jiff::Timestamp;
use stage::Bucket;

use crate::cluster::s3;

/// What an operator with the platform's keys can do. What fails, fails the test.
pub struct S3Bucket(Objects);

/// The bucket of the run.
pub fn bucket() -> Arc<S3Bucket> {
    let s3 = s3();
    bucket_of(s3, &s3.bucket)
}

/// A bucket of a storage, behind TLS where that is.
pub fn bucket_of(s3: &S3, name: &str) -> Arc<S3Bucket> {
    Arc::new(S3Bucket(Objects::of(s3, name).unwrap()))
}

/// The same with another pair of keys.
pub fn bucket_with(s3: &S3, name: &str, keys: (&str, &str)) -> Arc<S3Bucket> {
    Arc::new(S3Bucket(Objects::with(s3, name, keys).unwrap()))
}

impl S3Bucket {
    /// Whether the server knows nobody with these keys.
    pub async fn refuses(&self) -> bool {
        let answer = self.0.keys().await;
        answer.is_err_and(|error| error.to_string().contains("InvalidAccessKeyId"))
    }
}

impl Bucket for S3Bucket {
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, _: Timestamp) -> BoxFuture<'a, ()> {
        let size_bytes = usize::try_from(size_bytes).unwrap();
        Box::pin(async move { self.0.put(key, size_bytes).await.unwrap() })
    }

    fn keys(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { self.0.keys().await.unwrap() })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.0.remove(key).await.unwrap() })
    }
}
