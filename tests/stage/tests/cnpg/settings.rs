//! What may be set, and what becomes of it.

use backup_engine::{AuthoritySettings, Settings, StorageSettings};
use serde_json::{Value, json};
use stage::{Fate, Stage};

use crate::world::*;

/// The `spec` of the ObjectStore after a backup.
async fn written(stage: &mut Stage) -> Value {
    back_up(stage, "ad-hoc").await;
    store(stage, CLUSTER)["spec"].clone()
}

fn key(name: &str, key: &str) -> Value {
    json!({ "name": name, "key": key })
}

// TestBuildBarmanObjectStore_AllFields, …_CustomCredentialKeys, …_EndpointCA: custom key.
#[tokio::test]
async fn every_setting_reaches_the_object_store() {
    let mut stage = stage();
    set(
        &stage,
        "/barmanObjectStore",
        json!({
            "destinationPath": "s3://cozy-backups/{{ .Storage.prefix }}/pg/",
            "endpointURL": "https://other.example",
            "retentionPolicy": "14d",
            "endpointCA": { "secretRef": { "name": "ca" }, "key": "root.pem" },
            "s3Credentials": {
                "secretRef": { "name": "{{ .Application.metadata.name }}-keys" },
                "accessKeyIDKey": "id",
                "secretAccessKeyKey": "word",
            },
            "wal": { "compression": "zstd", "encryption": "AES256" },
            "data": { "compression": "snappy", "encryption": "aws:kms", "jobs": 4 },
        }),
    );
    assert_eq!(
        written(&mut stage).await,
        json!({
            "configuration": {
                "destinationPath": "s3://cozy-backups/tenant-acme/orders-db/pg/",
                "endpointURL": "https://other.example",
                "endpointCA": key("ca", "root.pem"),
                "s3Credentials": {
                    "accessKeyId": key("orders-db-keys", "id"),
                    "secretAccessKey": key("orders-db-keys", "word"),
                },
                "wal": { "compression": "zstd", "encryption": "AES256" },
                "data": { "compression": "snappy", "encryption": "aws:kms", "jobs": 4 },
            },
            "retentionPolicy": "14d",
            "instanceSidecarConfiguration": {
                "env": [{ "name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required" }],
            },
        })
    );
}

// TestBuildBarmanObjectStore_Minimal, …_EndpointCA: nil block, empty secretRef.name.
#[tokio::test]
async fn what_is_left_out_follows_the_platforms_storage() {
    let minimal = json!({ "destinationPath": "s3://cozy-backups/{{ .Storage.prefix }}/" });
    let mut empty = minimal.clone();
    empty["endpointURL"] = json!("");
    empty["endpointCA"] = json!({ "secretRef": { "name": "" } });
    empty["s3Credentials"] = json!({ "secretRef": { "name": "" } });
    empty["wal"] = json!({ "compression": "" });
    for settings in [minimal, empty] {
        let mut stage = stage();
        set(&stage, "/barmanObjectStore", settings);
        let written = written(&mut stage).await;
        assert_eq!(
            written["configuration"],
            json!({
                "destinationPath": "s3://cozy-backups/tenant-acme/orders-db/",
                "endpointURL": "https://s3.cozy.example",
                "s3Credentials": {
                    "accessKeyId": key("cozy-backups-creds", "AWS_ACCESS_KEY_ID"),
                    "secretAccessKey": key("cozy-backups-creds", "AWS_SECRET_ACCESS_KEY"),
                },
            })
        );
        assert_eq!(written.get("retentionPolicy"), None);
    }
}

// TestBuildBarmanObjectStore_EndpointCA: default key.
#[tokio::test]
async fn an_authority_is_passed_on() {
    let mut stage = stage();
    let authority = json!({ "secretRef": { "name": "ca" } });
    set(&stage, "/barmanObjectStore/endpointCA", authority);
    let written = written(&mut stage).await;
    assert_eq!(written["configuration"]["endpointCA"], key("ca", "ca.crt"));
}

/// A platform whose storage has a certificate of a private authority, with a tenant's database.
fn with_private_authority() -> Stage {
    let authority = AuthoritySettings {
        namespace: "cozy-storage".to_owned(),
        name: "storage-ca".to_owned(),
        key: "ca.crt".to_owned(),
    };
    let settings = Settings {
        storage: StorageSettings {
            authority: Some(authority),
            ..StorageSettings::default()
        },
        ..Settings::default()
    };
    let stage = Stage::with_settings(settings).unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.defaults(&["cnpg"]).unwrap();
    for namespace in ["cozy-storage", TENANT] {
        stage.namespace(namespace).unwrap();
    }
    let certificate = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "storage-ca", "namespace": "cozy-storage" },
        "stringData": { "ca.crt": certificate },
    });
    stage.cluster.put(secret).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

/// Also where a strategy names endpoint and credentials by hand.
#[tokio::test]
async fn a_private_authority_of_the_platform_is_passed_on_for_backup_and_restore() {
    for by_hand in [false, true] {
        let mut stage = with_private_authority();
        if by_hand {
            let endpoint = json!("https://s3.cozy.example/");
            set(&stage, "/barmanObjectStore/endpointURL", endpoint);
            let credentials = json!({ "secretRef": { "name": "cozy-backups-creds" } });
            set(&stage, "/barmanObjectStore/s3Credentials", credentials);
        }
        let authority = written(&mut stage).await["configuration"]["endpointCA"].clone();
        assert_eq!(authority, key("cozy-backups-creds", "ca.crt"));
        assert_eq!(
            restored(&mut stage, &nothing(), Fate::Completes).await,
            RESTORED
        );
        let recovery = store(&stage, "postgres-orders-db-recovery");
        assert_eq!(recovery["spec"]["configuration"]["endpointCA"], authority);
        assert_eq!(
            application(&stage)["spec"]["backup"]["endpointCA"],
            authority
        );
    }
}

#[tokio::test]
async fn every_setting_can_be_a_parameter_of_the_class() {
    let mut stage = stage();
    parameters(
        &stage,
        json!({
            "serverName": "server",
            "barmanObjectStore.destinationPath": "s3://cozy-backups/tenant-acme/orders-db/of-the-class/",
            "barmanObjectStore.endpointURL": "https://other.example",
            "barmanObjectStore.retentionPolicy": "2w",
            "barmanObjectStore.endpointCA.secretRef.name": "ca",
            "barmanObjectStore.endpointCA.key": "root.pem",
            "barmanObjectStore.s3Credentials.secretRef.name": "keys",
            "barmanObjectStore.s3Credentials.accessKeyIDKey": "id",
            "barmanObjectStore.s3Credentials.secretAccessKeyKey": "word",
            "wal.compression": "xz",
            "wal.encryption": "aws:kms",
            "data.compression": "lz4",
            "data.encryption": "AES256",
            "data.jobs": "3",
        }),
    );
    let written = written(&mut stage).await;
    assert_eq!(
        written["configuration"],
        json!({
            "destinationPath": "s3://cozy-backups/tenant-acme/orders-db/of-the-class/",
            "endpointURL": "https://other.example",
            "endpointCA": key("ca", "root.pem"),
            "s3Credentials": {
                "accessKeyId": key("keys", "id"),
                "secretAccessKey": key("keys", "word"),
            },
            "wal": { "compression": "xz", "encryption": "aws:kms" },
            "data": { "compression": "lz4", "encryption": "AES256", "jobs": 3 },
        })
    );
    assert_eq!(written["retentionPolicy"], "2w");
    let metadata = backup(&stage, "ad-hoc")["spec"]["driverMetadata"].clone();
    assert_eq!(metadata["cnpg.io/server-name"], "server");
    assert_eq!(metadata["cnpg.io/s3-secret-ref"], "keys");
}

/// The documented knobs, one by one over the default strategy.
#[tokio::test]
async fn the_documented_knobs_win_over_the_strategy() {
    let mut stage = stage();
    parameters(
        &stage,
        json!({
            "barmanObjectStore.retentionPolicy": "7d",
            "data.compression": "bzip2",
            "wal.compression": "lz4",
        }),
    );
    let written = written(&mut stage).await;
    assert_eq!(written["retentionPolicy"], "7d");
    assert_eq!(written["configuration"]["data"]["compression"], "bzip2");
    assert_eq!(written["configuration"]["wal"]["compression"], "lz4");
}

/// Defect 23: what Barman does not take was found out by the operator.
#[tokio::test]
async fn values_that_barman_does_not_take_are_refused_by_name() {
    for (parameter, value) in [
        ("wal.compression", "rar"),
        ("data.compression", "zstd"),
        ("data.encryption", "none"),
        ("data.jobs", "many"),
        ("barmanObjectStore.retentionPolicy", "30"),
        ("barmanObjectStore.destinationPath", "bucket/folder"),
        ("barmanObjectStore.endpointURL", "s3.example"),
    ] {
        let mut stage = stage();
        parameters(&stage, json!({ parameter: value }));
        stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
        let operator = operator(&stage, Fate::Completes);
        let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
        assert!(said.starts_with("Failed BackupFailed: "), "{said}");
        assert!(said.contains(parameter), "{said}");
        assert_eq!(orders(&stage).len(), 0);
    }
}

// TestRenderCNPGTemplate_TemplatingApplicationName. Defect 23: a template that failed was used as it stood.
#[tokio::test]
async fn a_template_that_fails_is_told_and_nothing_is_written() {
    let mut stage = stage();
    let place = json!("s3://cozy-backups/{{ fail \"no place\" }}/");
    set(&stage, "/barmanObjectStore/destinationPath", place);
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(said.contains("TemplateFailed"), "{said}");
    assert_eq!(store(&stage, CLUSTER), Value::Null);
}

// TestRenderCNPGTemplate_RoundTripsParametersThroughSnapshot
#[tokio::test]
async fn a_restore_renders_with_the_parameters_of_the_backup() {
    let mut stage = stage();
    parameters(&stage, json!({ "keys": "of-the-backup" }));
    let credentials = json!({ "secretRef": { "name": "{{ .Parameters.keys }}" } });
    set(&stage, "/barmanObjectStore/s3Credentials", credentials);
    let endpoint = json!("https://s3.cozy.example");
    set(&stage, "/barmanObjectStore/endpointURL", endpoint);
    back_up(&mut stage, "ad-hoc").await;
    parameters(&stage, json!({ "keys": "of-today" }));
    // The first controller kept them beside users and databases only.
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        let spec = backup["spec"].as_object_mut().unwrap();
        spec.remove("parameters").unwrap();
        spec.remove("plugin");
    });
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    let recovery = store(&stage, "postgres-orders-db-recovery");
    assert_eq!(
        recovery["spec"]["configuration"]["s3Credentials"]["accessKeyId"]["name"],
        "of-the-backup"
    );
}

/// Defect 6: a storage without a URL, which is Amazon's, was looked for at a default of the chart's.
#[tokio::test]
async fn amazons_endpoint_is_said_to_be_empty() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["spec"]["driverMetadata"]["cnpg.io/endpoint-url"] = json!("");
    });
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    assert_eq!(application(&stage)["spec"]["backup"]["endpointURL"], "");
    let recovery = store(&stage, "postgres-orders-db-recovery");
    assert_eq!(recovery["spec"]["configuration"].get("endpointURL"), None);
}
