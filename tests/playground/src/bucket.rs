//! The platform's bucket, as the played operators have it.

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture};
use jiff::Timestamp;
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, PutPayload,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use s3::S3;
use stage::Bucket;

/// What an operator with the platform's keys can do. What fails is told in the log, and missed by whoever looks for it.
pub(crate) struct S3Bucket(AmazonS3);

impl S3Bucket {
    /// The bucket of a server.
    ///
    /// # Errors
    /// When there is no client for it.
    pub(crate) fn of(s3: &S3) -> Result<Self, object_store::Error> {
        let client = AmazonS3Builder::new()
            .with_endpoint(&s3.endpoint)
            .with_allow_http(true)
            .with_region("any")
            .with_bucket_name(&s3.bucket)
            .with_access_key_id(&s3.access_key)
            .with_secret_access_key(&s3.secret_key)
            .build();
        client.map(Self)
    }

    async fn store(&self, key: &str, size_bytes: u64) -> Result<(), object_store::Error> {
        let bytes = vec![0; usize::try_from(size_bytes).unwrap_or_default()];
        let path = Path::parse(key)?;
        self.0.put(&path, PutPayload::from(bytes)).await.map(|_| ())
    }

    async fn delete(&self, key: &str) -> Result<(), object_store::Error> {
        let paths = futures::stream::iter([Ok(Path::parse(key)?)]).boxed();
        let deleted = self.0.delete_stream(paths);
        deleted.try_for_each(|_| std::future::ready(Ok(()))).await
    }
}

impl Bucket for S3Bucket {
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, _: Timestamp) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tell(key, self.store(key, size_bytes).await);
        })
    }

    fn keys(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let keys = self
                .0
                .list(None)
                .map_ok(|object| object.location.to_string());
            let mut keys: Vec<String> = keys.try_collect().await.unwrap_or_else(|error| {
                tell("the list of objects", Err(error));
                vec![]
            });
            keys.sort();
            keys
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tell(key, self.delete(key).await);
        })
    }
}

fn tell(what: &str, outcome: Result<(), object_store::Error>) {
    if let Err(error) = outcome {
        eprintln!("the storage: {what}: {error}");
    }
}
