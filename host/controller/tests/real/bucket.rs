//! The bucket of the run, as the played operators have it: a real S3 service that checks signatures.

use std::sync::Arc;

use ::s3::S3;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture};
use jiff::Timestamp;
use object_store::{
    Certificate, ClientOptions, ObjectStore as _, ObjectStoreExt as _, PutPayload,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use stage::Bucket;

use crate::cluster::s3;

/// What an operator with the platform's keys can do.
pub struct S3Bucket(AmazonS3);

/// The bucket of the run.
pub fn bucket() -> Arc<S3Bucket> {
    let s3 = s3();
    bucket_of(s3, &s3.bucket)
}

/// A bucket of a storage, behind TLS where that is.
pub fn bucket_of(s3: &S3, name: &str) -> Arc<S3Bucket> {
    // The client wants to know its cryptography also where it uses none. An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = ClientOptions::new().with_allow_http(true);
    if let Some(authority) = &s3.authority {
        let authority = Certificate::from_pem(authority.as_bytes()).unwrap();
        options = options.with_root_certificate(authority);
    }
    let client = AmazonS3Builder::new()
        .with_client_options(options)
        .with_endpoint(&s3.endpoint)
        .with_region("any")
        .with_bucket_name(name)
        .with_access_key_id(&s3.access_key)
        .with_secret_access_key(&s3.secret_key)
        .build();
    Arc::new(S3Bucket(client.unwrap()))
}

impl Bucket for S3Bucket {
    fn put<'a>(&'a self, key: &'a str, size_bytes: u64, _: Timestamp) -> BoxFuture<'a, ()> {
        let bytes = vec![0; usize::try_from(size_bytes).unwrap()];
        Box::pin(async move {
            let path = Path::parse(key).unwrap();
            self.0.put(&path, PutPayload::from(bytes)).await.unwrap();
        })
    }

    fn keys(&self) -> BoxFuture<'_, Vec<String>> {
        let keys = self
            .0
            .list(None)
            .map_ok(|object| object.location.to_string());
        Box::pin(async move {
            let mut keys: Vec<String> = keys.try_collect().await.unwrap();
            keys.sort();
            keys
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let paths = futures::stream::iter([Ok(Path::parse(key).unwrap())]).boxed();
            let removed = self.0.delete_stream(paths);
            removed.try_collect::<Vec<_>>().await.unwrap();
        })
    }
}
