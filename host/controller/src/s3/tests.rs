use ::s3::S3 as Server;

use super::*;

/// Where a server is, trusted by an authority or by none.
fn at(server: &Server, authority: Option<String>) -> Location {
    // An error says that another test was first.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Location {
        endpoint: server.endpoint.clone(),
        bucket: server.bucket.clone(),
        region: String::new(),
        force_path_style: true,
        authority,
        access_key: server.access_key.clone(),
        secret_key: server.secret_key.clone(),
    }
}

async fn keys(at: &Location, path: &str) -> Result<Vec<String>, StorageError> {
    let found = S3.objects(at, path, None, 10).await?;
    Ok(found.into_iter().map(|object| object.key).collect())
}

async fn put(at: &Location, key: &str) {
    let bucket = bucket(at).unwrap();
    bucket.put(&Path::from(key), "bytes".into()).await.unwrap();
}

#[tokio::test]
async fn a_storage_with_an_authority_of_its_own_is_listed_and_purged() {
    let server = Server::start_tls().unwrap();
    let at = at(&server, server.authority.clone());
    // Paths of objects: of a folder this server says that it has failed, where others say that there is no such object.
    let (path, other) = ("tenant-acme/orders-db/a", "tenant-acme/orders-db/b");
    for key in [path, other] {
        put(&at, key).await;
        assert_eq!(keys(&at, key).await.unwrap(), [key]);
    }
    S3.purge(&at, path).await.unwrap();
    assert_eq!(keys(&at, path).await.unwrap(), Vec::<String>::new());
    assert_eq!(keys(&at, other).await.unwrap(), [other]);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told_as_such() {
    let server = Server::start_tls().unwrap();
    let words = keys(&at(&server, None), "a").await.unwrap_err().0;
    let beginning = format!(
        "the certificate of {} is signed by no public authority; name its own in backupStorage.caSecret",
        server.endpoint
    );
    assert!(words.starts_with(&beginning), "{words}");
}

#[tokio::test]
async fn the_authority_of_another_storage_is_not_trusted() {
    let (server, other) = (Server::start_tls().unwrap(), Server::start_tls().unwrap());
    let words = keys(&at(&server, other.authority.clone()), "a").await;
    let words = words.unwrap_err().0;
    assert!(
        words.contains("is not signed by the authority in backupStorage.caSecret"),
        "{words}"
    );
}

#[tokio::test]
async fn several_authorities_may_be_named() {
    let (server, other) = (Server::start_tls().unwrap(), Server::start_tls().unwrap());
    let both = [&other, &server].map(|server| server.authority.clone().unwrap());
    let at = at(&server, Some(both.concat()));
    assert_eq!(keys(&at, "a").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_storage_that_is_not_there_is_told_with_its_cause() {
    let server = Server::start().unwrap();
    let at = at(&server, None);
    drop(server);
    let words = keys(&at, "a").await.unwrap_err().0;
    assert!(
        words.to_lowercase().contains("connection refused"),
        "{words}"
    );
}

#[test]
fn a_bucket_stands_in_the_path_or_in_the_name() {
    let location = |force_path_style| Location {
        endpoint: "https://s3.cozy.example:9000".to_owned(),
        bucket: "backups".to_owned(),
        region: String::new(),
        force_path_style,
        authority: None,
        access_key: String::new(),
        secret_key: String::new(),
    };
    assert_eq!(endpoint(&location(true)), "https://s3.cozy.example:9000");
    assert_eq!(
        endpoint(&location(false)),
        "https://backups.s3.cozy.example:9000"
    );
}
