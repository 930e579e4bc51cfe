//! The objects of a bucket, as somebody with the server's keys has them.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    Certificate, ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, PutPayload,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::S3;

/// A bucket, asked over S3 with signed requests.
#[derive(Debug)]
pub struct Objects(AmazonS3);

impl Objects {
    /// A bucket of a server, behind TLS where that is.
    ///
    /// # Errors
    /// When there is no client for it.
    pub fn of(s3: &S3, bucket: &str) -> Result<Self, Error> {
        Self::with(s3, bucket, (&s3.access_key, &s3.secret_key))
    }

    /// The same with another access key and its secret.
    ///
    /// # Errors
    /// As [`Objects::of`].
    pub fn with(
        s3: &S3,
        bucket: &str,
        (access_key, secret_key): (&str, &str),
    ) -> Result<Self, Error> {
        // The client wants to know its cryptography also where it uses none. An error says that somebody was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut options = ClientOptions::new().with_allow_http(true);
        if let Some(authority) = &s3.authority {
            options = options.with_root_certificate(Certificate::from_pem(authority.as_bytes())?);
        }
        let client = AmazonS3Builder::new()
            .with_client_options(options)
            .with_endpoint(&s3.endpoint)
            .with_region("any")
            .with_bucket_name(bucket)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .build();
        client.map(Self)
    }

    /// Puts an object of so many bytes, in the place of one of this key.
    ///
    /// # Errors
    /// When the key is none, or the server refuses.
    pub async fn put(&self, key: &str, size_bytes: usize) -> Result<(), Error> {
        let bytes = PutPayload::from(vec![0; size_bytes]);
        self.0.put(&Path::parse(key)?, bytes).await.map(drop)
    }

    /// The keys of all objects, in order.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let listed = self.0.list(None);
        let keys = listed.map_ok(|object| object.location.to_string());
        let mut keys: Vec<String> = keys.try_collect().await?;
        keys.sort();
        Ok(keys)
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When the key is none, or the server refuses.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let paths = stream::iter([Ok(Path::parse(key)?)]).boxed();
        let removed = self.0.delete_stream(paths);
        removed.try_for_each(|_| std::future::ready(Ok(()))).await
    }
}
