//! What the host needs beside Velero.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use charts::VELERO;
use controlplane::Helm;
use serde_json::{Value, json};

fn location(values: &Value) -> Value {
    let objects = VELERO.render(&Helm::offline().unwrap(), values).unwrap();
    let mut locations = objects
        .into_iter()
        .filter(|object| object["kind"] == "BackupStorageLocation");
    let location = locations.next().unwrap();
    assert!(locations.next().is_none());
    location
}

#[test]
fn the_place_of_backups_is_the_platforms_bucket_with_the_projected_keys() {
    let location = location(&json!({}));
    assert_eq!(location["metadata"]["name"], "cozy-default");
    assert_eq!(location["metadata"]["namespace"], "cozy-velero");
    assert_eq!(
        location["spec"],
        json!({
            "provider": "aws",
            "default": false,
            "objectStorage": { "bucket": "cozy-backups", "prefix": "velero" },
            "credential": { "name": "cozy-backups-creds", "key": "cloud" },
            "config": {
                "region": "us-east-1",
                "s3ForcePathStyle": "true",
                "s3Url": "http://seaweedfs-s3.tenant-root.svc.cozy.local:8333",
            },
        })
    );
}

/// The host changes only what carries its label; an uninstall must not lose the backups of all virtual machines.
#[test]
fn the_host_may_bring_it_up_to_date_and_an_uninstall_keeps_it() {
    let location = location(&json!({}));
    let (key, value) = (
        backup_api::names::MANAGED_BY,
        backup_api::names::MANAGED_BY_VALUE,
    );
    assert_eq!(location["metadata"]["labels"][key], value);
    assert_eq!(
        location["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
}

#[test]
fn an_external_storage_is_said_in_the_words_of_veleros_own_chart() {
    let location = location(&json!({ "configuration": { "backupStorageLocation": [{
        "name": "cozy-default", "provider": "aws", "bucket": "ours", "prefix": "velero", "caCert": "Q0E=",
        "credential": { "name": "cozy-backups-creds", "key": "cloud" },
        "config": { "region": "eu-1", "s3Url": "https://s3.example.org" },
    }] } }));
    assert_eq!(
        location["spec"]["objectStorage"],
        json!({ "bucket": "ours", "prefix": "velero", "caCert": "Q0E=" })
    );
    assert_eq!(
        location["spec"]["config"]["s3Url"],
        "https://s3.example.org"
    );
}

#[test]
fn a_location_without_a_bucket_is_refused() {
    let values =
        json!({ "configuration": { "backupStorageLocation": [{ "name": "cozy-default" }] } });
    let refused = VELERO.render(&Helm::offline().unwrap(), &values);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("bucket"), "{refused}");
}

#[test]
fn the_chart_makes_what_is_kept() {
    let objects = VELERO.render(&Helm::offline().unwrap(), &json!({}));
    VELERO.makes("default", &objects.unwrap()).unwrap();
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    let folder = VELERO.folder();
    let helm = Helm::offline().unwrap();
    helm.run(&["lint", "--strict", &folder.to_string_lossy()])
        .unwrap();
}

#[test]
fn the_readme_tells_all_values() {
    VELERO.tells_its_values().unwrap();
}
