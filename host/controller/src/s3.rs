//! The platform's object storage: lists and removals, by the host itself.

use backup_engine::{Location, Storage, StorageError};
use backup_sandbox::contract::StoredObject;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture};
use object_store::{
    ObjectStore as _, ObjectStoreExt as _,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

/// An S3 service.
#[derive(Default)]
pub(crate) struct S3;

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError(error.to_string())
}

/// A client of a bucket. Clients are cheap beside the requests they make, and keys may change between two.
fn bucket(at: &Location) -> Result<AmazonS3, StorageError> {
    AmazonS3Builder::new()
        .with_endpoint(&at.endpoint)
        .with_bucket_name(&at.bucket)
        .with_region(if at.region.is_empty() {
            "us-east-1"
        } else {
            &at.region
        })
        .with_access_key_id(&at.access_key)
        .with_secret_access_key(&at.secret_key)
        .with_virtual_hosted_style_request(!at.force_path_style)
        .with_allow_http(at.endpoint.starts_with("http://"))
        .build()
        .map_err(failed)
}

fn stored(object: object_store::ObjectMeta) -> StoredObject {
    StoredObject {
        key: object.location.to_string(),
        size_bytes: object.size,
        modified_at: u64::try_from(object.last_modified.timestamp()).unwrap_or_default(),
    }
}

impl Storage for S3 {
    fn objects<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredObject>, StorageError>> {
        Box::pin(async move {
            let bucket = bucket(at)?;
            let prefix = Path::from(path);
            // A list by prefix gives what lies below it; an object at the path itself comes before those.
            let mut found = match bucket.head(&prefix).await {
                Ok(object) if after.is_none_or(|after| path > after) => vec![stored(object)],
                Ok(_) | Err(object_store::Error::NotFound { .. }) => vec![],
                Err(error) => return Err(failed(error)),
            };
            let below = match after {
                Some(after) => bucket.list_with_offset(Some(&prefix), &Path::from(after)),
                None => bucket.list(Some(&prefix)),
            };
            let room = limit.saturating_sub(found.len());
            let below: Vec<StoredObject> = below
                .map_ok(stored)
                .take(room)
                .try_collect()
                .await
                .map_err(failed)?;
            found.extend(below);
            Ok(found)
        })
    }

    fn purge<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let bucket = bucket(at)?;
            let path = Path::from(path);
            let below = bucket
                .list(Some(&path))
                .map_ok(|found| found.location)
                .boxed();
            let removed: Result<Vec<Path>, _> = bucket.delete_stream(below).try_collect().await;
            removed.map_err(failed)?;
            match bucket.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(failed(error)),
            }
        })
    }
}
