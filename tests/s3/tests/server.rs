//! The server keeps objects for whoever has its keys.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop right there"
)]

use futures::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use s3::{Objects, S3};

fn client(s3: &S3, secret_key: &str) -> AmazonS3 {
    // The client wants to know its cryptography also where it uses none. An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    AmazonS3Builder::new()
        .with_endpoint(&s3.endpoint)
        .with_allow_http(true)
        .with_region("any")
        .with_bucket_name(&s3.bucket)
        .with_access_key_id(&s3.access_key)
        .with_secret_access_key(secret_key)
        .build()
        .unwrap()
}

async fn names(client: &AmazonS3, prefix: &str) -> Vec<String> {
    let listed: Vec<_> = client
        .list(Some(&Path::from(prefix)))
        .try_collect()
        .await
        .unwrap();
    listed
        .into_iter()
        .map(|object| object.location.to_string())
        .collect()
}

#[tokio::test]
async fn what_is_put_is_listed_read_and_deleted() {
    let s3 = S3::start().unwrap();
    let client = client(&s3, &s3.secret_key);
    let path = Path::from("tenant-acme/orders-db/base.tar");
    client.put(&path, "bytes".into()).await.unwrap();
    assert_eq!(
        names(&client, "tenant-acme").await,
        ["tenant-acme/orders-db/base.tar"]
    );
    assert_eq!(names(&client, "tenant-other").await, Vec::<String>::new());
    let read = client.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "bytes");
    client.delete(&path).await.unwrap();
    assert_eq!(names(&client, "tenant-acme").await, Vec::<String>::new());
}

#[tokio::test]
async fn who_has_another_secret_is_refused() {
    let s3 = S3::start().unwrap();
    let error = client(&s3, "another")
        .put(&Path::from("a"), "bytes".into())
        .await
        .unwrap_err();
    assert!(
        matches!(error, object_store::Error::PermissionDenied { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn keys_are_made_and_withdrawn_while_it_serves() {
    let s3 = S3::start().unwrap();
    let (access_key, secret_key) = s3.make_keys();
    let old = Objects::of(&s3, &s3.bucket).unwrap();
    let new = Objects::with(&s3, &s3.bucket, (&access_key, &secret_key)).unwrap();
    old.put("a", 1).await.unwrap();
    assert_eq!(new.keys().await.unwrap(), ["a"]);
    s3.withdraw_keys(&s3.access_key);
    let error = old.put("b", 1).await.unwrap_err();
    assert!(error.to_string().contains("InvalidAccessKeyId"), "{error}");
    assert_eq!(new.keys().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn two_servers_know_nothing_of_each_other() {
    let (one, other) = (S3::start().unwrap(), S3::start().unwrap());
    assert_ne!(one.secret_key, other.secret_key);
    client(&one, &one.secret_key)
        .put(&Path::from("a"), "bytes".into())
        .await
        .unwrap();
    assert_eq!(
        names(&client(&other, &other.secret_key), "").await,
        Vec::<String>::new()
    );
}

#[test]
fn nothing_is_left_of_a_server_that_was_dropped() {
    let s3 = S3::start().unwrap();
    let root = s3.root.clone();
    assert!(root.exists());
    drop(s3);
    assert!(!root.exists());
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let s3 = S3::start().unwrap();
    let client = client(&s3, &s3.secret_key);
    let (folder, path) = (Path::from("a"), Path::from("a/b"));
    client.put(&path, "bytes".into()).await.unwrap();
    let missing = client.head(&folder).await;
    assert!(
        matches!(missing, Err(object_store::Error::NotFound { .. })),
        "{missing:?}"
    );
}
