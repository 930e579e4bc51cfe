//! Velero's BackupStorageLocation follows the platform's storage.

use backup_engine::{AuthoritySettings, VeleroSettings};

use super::*;

const VELERO: &str = "cozy-velero";
const LOCATION: (&str, &str, &str) = ("velero.io/v1", "BackupStorageLocation", "cozy-default");

fn wanted(has_location: bool) -> StorageSettings {
    StorageSettings {
        velero: VeleroSettings {
            namespace: VELERO.to_owned(),
            has_location,
        },
        ..StorageSettings::default()
    }
}

/// Velero is installed.
fn install(stage: &Stage) {
    let kind = stage::Kind {
        group: "velero.io",
        version: "v1",
        kind: "BackupStorageLocation",
        plural: "backupstoragelocations",
    };
    stage.cluster.install_crd(&stage::crd(&kind)).unwrap();
    if stage
        .cluster
        .read("v1", "Namespace", None, VELERO)
        .is_none()
    {
        stage.namespace(VELERO).unwrap();
    }
}

fn location(stage: &Stage) -> Option<Value> {
    let (api_version, kind, name) = LOCATION;
    stage.cluster.read(api_version, kind, Some(VELERO), name)
}

fn expected() -> Value {
    json!({
        "provider": "aws",
        "default": false,
        "objectStorage": { "bucket": "cozy-backups", "prefix": "velero" },
        "credential": { "name": COPY, "key": "cloud" },
        "config": {
            "region": "eu-1",
            "s3ForcePathStyle": "true",
            "s3Url": "https://s3.cozy.example",
        },
    })
}

#[tokio::test]
async fn it_is_made_with_the_credentials_that_it_needs_and_follows_the_source() {
    let mut stage = platform(wanted(true));
    install(&stage);
    stage.runner.settle().await.unwrap();
    let made = location(&stage).unwrap();
    assert_eq!(made["spec"], expected());
    let labels = json!({ "apps.cozystack.io/managed-by": "cozystack-backups" });
    assert_eq!(made["metadata"]["labels"], labels);
    assert_eq!(access_key(&stage, VELERO), "AK1-of-the-platform");

    let moved = json!({
        "accessKey": "AK", "secretKey": "SK", "endpoint": "http://other.example:9000", "bucketName": "other",
    });
    put_secret(&stage, SOURCE.0, SOURCE.1, &json!({}), &moved);
    stage.runner.settle().await.unwrap();
    let spec = location(&stage).unwrap()["spec"].clone();
    assert_eq!(spec["objectStorage"]["bucket"], "other");
    assert_eq!(spec["config"]["s3Url"], "http://other.example:9000");
    assert_eq!(spec["config"]["region"], "us-east-1");
}

#[tokio::test]
async fn it_is_brought_back_and_mended_and_what_others_add_is_kept() {
    let mut stage = platform(wanted(true));
    install(&stage);
    stage.runner.settle().await.unwrap();
    let mut changed = location(&stage).unwrap();
    changed["spec"]["objectStorage"]["bucket"] = json!("mistyped");
    changed["spec"]["objectStorage"]["caCert"] = json!("bm9uZQ==");
    changed["spec"]["validationFrequency"] = json!("5m");
    changed["spec"]["config"]["checksumAlgorithm"] = json!("");
    stage.cluster.put(changed).unwrap();
    stage.runner.settle().await.unwrap();
    let mut spec = expected();
    spec["validationFrequency"] = json!("5m");
    spec["config"]["checksumAlgorithm"] = json!("");
    assert_eq!(location(&stage).unwrap()["spec"], spec);
    let revision = stage.cluster.revision();
    pass(&mut stage, 600).await;
    assert_eq!(stage.cluster.revision(), revision, "it is in order");

    let (api_version, kind, name) = LOCATION;
    stage
        .delete_any(api_version, kind, Some(VELERO), name)
        .await
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(location(&stage).unwrap()["spec"], expected());
}

// TestMissingObjectsSkipsBSLWhenVeleroAPIAbsent
#[tokio::test]
async fn it_is_made_once_velero_is_installed() {
    let mut stage = platform(wanted(true));
    stage.namespace(VELERO).unwrap();
    stage.runner.settle().await.unwrap();
    install(&stage);
    stage.runner.settle().await.unwrap();
    assert_eq!(location(&stage).unwrap()["spec"], expected());
}

#[tokio::test]
async fn one_that_was_made_is_kept_in_step_and_none_is_made_unasked() {
    let mut stage = platform(wanted(false));
    install(&stage);
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 120).await;
    assert_eq!(location(&stage), None);
    let (api_version, kind, name) = LOCATION;
    let made = |labels: Value| {
        json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": { "name": name, "namespace": VELERO, "labels": labels },
            "spec": { "provider": "aws", "objectStorage": { "bucket": "old" } },
        })
    };
    let ours = json!({ "apps.cozystack.io/managed-by": "cozystack-backups" });
    stage.cluster.put(made(ours)).unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(location(&stage).unwrap()["spec"], expected());

    stage.cluster.put(made(json!({}))).unwrap();
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 120).await;
    assert_eq!(
        location(&stage).unwrap()["spec"]["objectStorage"]["bucket"],
        "old",
        "it is somebody else's"
    );
}

#[tokio::test]
async fn it_knows_the_private_authority_of_the_storage() {
    let settings = StorageSettings {
        authority: Some(AuthoritySettings {
            namespace: "cozy-storage".to_owned(),
            name: "storage-ca".to_owned(),
            key: "tls.crt".to_owned(),
        }),
        force_path_style: None,
        ..wanted(true)
    };
    let mut stage = platform(settings);
    let certificate = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";
    let secret = json!({ "tls.crt": certificate });
    put_secret(&stage, "cozy-storage", "storage-ca", &json!({}), &secret);
    install(&stage);
    stage.runner.settle().await.unwrap();
    let spec = location(&stage).unwrap()["spec"].clone();
    let encoded = BASE64.encode(certificate.as_bytes());
    assert_eq!(spec["objectStorage"]["caCert"], encoded);
    assert_eq!(spec["config"].get("s3ForcePathStyle"), None);
    assert_eq!(values(&stage, VELERO)["ca.crt"], certificate);
}

#[tokio::test]
async fn without_a_bucket_it_is_left_as_it_is() {
    let mut stage = platform(wanted(true));
    install(&stage);
    stage.runner.settle().await.unwrap();
    let without =
        json!({ "accessKey": "AK", "secretKey": "SK", "endpoint": "https://s3.cozy.example" });
    put_secret(&stage, SOURCE.0, SOURCE.1, &json!({}), &without);
    stage.runner.settle().await.unwrap();
    assert_eq!(location(&stage).unwrap()["spec"], expected());
}
