//! A storage whose certificate is signed by a private authority.

use backup_engine::AuthoritySettings;
use jiff::Timestamp;
use stage::{Cnpg, Fate, Operator as _};

use super::*;

const CERTIFICATE: &str =
    "-----BEGIN CERTIFICATE-----\nYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n";

fn private() -> StorageSettings {
    StorageSettings {
        authority: Some(AuthoritySettings {
            namespace: "cozy-storage".to_owned(),
            name: "storage-ca".to_owned(),
            key: "ca.crt".to_owned(),
        }),
        ..StorageSettings::default()
    }
}

fn put_authority(stage: &Stage, text: &str) {
    let values = json!({ "ca.crt": text });
    put_secret(stage, "cozy-storage", "storage-ca", &json!({}), &values);
}

#[tokio::test]
async fn an_authority_that_is_missing_is_waited_for_and_then_projected() {
    let mut stage = platform(private());
    stage.backup_job(TENANT, "first", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "first");
    assert!(
        said.starts_with("Pending CredentialsProjectionPending: the Secret cozy-storage/storage-ca with the storage's certificate authority does not exist yet"),
        "{said}"
    );
    assert!(failures(&stage, TENANT, "SourceSecretMissing") >= 1);
    put_authority(&stage, &format!("\n{CERTIFICATE}\n\n"));
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "first");
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(values(&stage, TENANT)["ca.crt"], CERTIFICATE);
}

#[tokio::test]
async fn an_authority_of_no_use_is_told_and_not_projected() {
    let key = CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY");
    for (text, problem) in [
        ("", "ca.crt is missing"),
        ("not PEM", "ca.crt holds no certificate in PEM"),
        (&format!("{CERTIFICATE}{key}"), "ca.crt holds a private key"),
    ] {
        let mut stage = platform(private());
        put_authority(&stage, text);
        stage.backup_job(TENANT, "first", "orders-db").unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "first");
        assert!(
            said.starts_with("Failed BackupFailed: the Secret cozy-storage/storage-ca with the storage's certificate authority is not usable: "),
            "{said}"
        );
        assert!(said.contains(problem), "{said}");
        assert_eq!(copy(&stage, TENANT), None);
    }
}

#[tokio::test]
async fn another_authority_reaches_every_copy_and_none_is_left_where_it_is_public() {
    let mut stage = platform(private());
    put_authority(&stage, CERTIFICATE);
    back_up(&mut stage, TENANT, "first").await;
    let other = CERTIFICATE.replace("YSBj", "b3Ro");
    put_authority(&stage, &other);
    stage.runner.settle().await.unwrap();
    let with_authority = copy(&stage, TENANT).unwrap();
    assert_eq!(values(&stage, TENANT)["ca.crt"], other);

    let mut public = platform(StorageSettings::default());
    back_up(&mut public, TENANT, "first").await;
    public.cluster.put(with_authority).unwrap();
    public.restart();
    public.runner.settle().await.unwrap();
    assert_eq!(values(&public, TENANT).get("ca.crt"), None);
}

/// What CNPG's ObjectStore says of the storage, once a backup has begun.
async fn object_store(storage: StorageSettings) -> Value {
    let settings = Settings {
        storage,
        ..Settings::default()
    };
    let mut stage = Stage::with_settings(settings).unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.platform().unwrap();
    let source =
        json!({ "accessKey": "AK", "secretKey": "SK", "endpoint": "https://s3.cozy.example" });
    put_secret(&stage, SOURCE.0, SOURCE.1, &json!({}), &source);
    put_authority(&stage, CERTIFICATE);
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage.backup_job(TENANT, "first", "orders-db").unwrap();
    let operator = Cnpg::new(stage.storage.clone(), Fate::Stalls);
    for _ in 0..6 {
        stage.runner.settle().await.unwrap();
        let now = Timestamp::from_second(stage.cluster.now()).unwrap();
        operator.step(&stage.cluster, now).await.unwrap();
    }
    let store = stage.cluster.read(
        "barmancloud.cnpg.io/v1",
        "ObjectStore",
        Some(TENANT),
        "postgres-orders-db",
    );
    store.unwrap()["spec"]["configuration"].clone()
}

#[tokio::test]
async fn strategies_are_told_where_the_authority_stands_and_which_bucket_the_settings_name() {
    let private = StorageSettings {
        bucket_name: "of-the-settings".to_owned(),
        ..private()
    };
    let store = object_store(private).await;
    assert_eq!(
        store["endpointCA"],
        json!({ "name": COPY, "key": "ca.crt" })
    );
    assert_eq!(
        store["destinationPath"],
        "s3://of-the-settings/tenant-acme/orders-db/"
    );
    let public = StorageSettings {
        bucket_name: "of-the-settings".to_owned(),
        ..StorageSettings::default()
    };
    assert_eq!(object_store(public).await.get("endpointCA"), None);
}
