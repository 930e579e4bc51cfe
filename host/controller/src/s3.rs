//! The platform's object storage: lists and removals, by the host itself.

use std::{error::Error, io, time::Duration};

use backup_engine::{Location, Storage, StorageError};
use backup_sandbox::contract::StoredObject;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::{
    Certificate, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

/// What storages take for a region that have none.
const REGION: &str = "us-east-1";

/// A request is tried again for so long. Jobs and Backups are looked at again anyway, and a pass that waits keeps
/// others waiting.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRIES: usize = 2;

/// An S3 service.
#[derive(Default)]
pub(crate) struct S3;

/// A client of a bucket. Clients are cheap beside the requests they make, and keys may change between two.
fn bucket(at: &Location) -> Result<AmazonS3, StorageError> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    AmazonS3Builder::new()
        .with_endpoint(endpoint(at))
        .with_bucket_name(&at.bucket)
        .with_region(if at.region.is_empty() {
            REGION
        } else {
            &at.region
        })
        .with_access_key_id(&at.access_key)
        .with_secret_access_key(&at.secret_key)
        .with_virtual_hosted_style_request(!at.force_path_style)
        .with_client_options(client(at)?)
        .with_retry(retry)
        .build()
        .map_err(|error| failed(at, &error))
}

/// Where a bucket stands in the host's name, the client wants to be given that name.
fn endpoint(at: &Location) -> String {
    match at.endpoint.split_once("://") {
        Some((scheme, host)) if !at.force_path_style => format!("{scheme}://{}.{host}", at.bucket),
        _ => at.endpoint.clone(),
    }
}

/// Trusts the storage's own certificate authority beside those of the system.
fn client(at: &Location) -> Result<ClientOptions, StorageError> {
    let options = ClientOptions::new().with_allow_http(at.endpoint.starts_with("http://"));
    let authority = at.authority.as_deref().unwrap_or_default();
    let certificates = Certificate::from_pem_bundle(authority.as_bytes());
    let certificates = certificates.map_err(|error| failed(at, &error))?;
    Ok(certificates
        .into_iter()
        .fold(options, ClientOptions::with_root_certificate))
}

/// What went wrong, down to its cause: that is what tells.
fn failed(at: &Location, error: &(dyn Error + 'static)) -> StorageError {
    let mut words = error.to_string();
    let cause = causes(error).last();
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    if !words.contains(&cause) {
        words = format!("{words}: {cause}");
    }
    if causes(error).any(is_about_certificate) {
        let endpoint = &at.endpoint;
        let advice = match at.authority {
            Some(_) => "is not signed by the authority in backupStorage.caSecret",
            None => "is signed by no public authority; name its own in backupStorage.caSecret",
        };
        words = format!("the certificate of {endpoint} {advice} ({words})");
    }
    StorageError(words)
}

/// Whether nobody who is trusted has signed a certificate: nobody of that name, or somebody else of it.
fn is_about_certificate(error: &(dyn Error + 'static)) -> bool {
    use rustls::{CertificateError, Error};
    matches!(
        error.downcast_ref(),
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        ))
    )
}

/// An error and what caused it, one after the other. An I/O error leaves out of its sources the very error it holds.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error = *error;
        let held = error.downcast_ref().and_then(io::Error::get_ref);
        match held {
            Some(held) => Some(held),
            None => error.source(),
        }
    })
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
                Err(error) => return Err(failed(at, &error)),
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
                .map_err(|error| failed(at, &error))?;
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
            // A list by prefix does not give an object at the path itself.
            let itself = match bucket.head(&path).await {
                Ok(object) => Some(Ok(object.location)),
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(failed(at, &error)),
            };
            let below = bucket.list(Some(&path)).map_ok(|found| found.location);
            let all = stream::iter(itself).chain(below).boxed();
            let removed: Result<Vec<Path>, _> = bucket.delete_stream(all).try_collect().await;
            removed.map_err(|error| failed(at, &error))?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
