//! The values for Cozystack as it is today, beside the defaults.

use charts::HOST;
use serde_json::{Value, json};

use crate::render;

pub fn values() -> Value {
    let path = HOST.folder().join("values-cozystack.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A variable of the host.
fn variable(objects: &[Value], name: &str) -> String {
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut variables = container["env"].as_array().unwrap().iter();
    let variable = variables.find(|variable| variable["name"] == name).unwrap();
    variable["value"].as_str().unwrap().to_owned()
}

#[test]
fn the_bucket_and_its_keys_are_where_the_platform_has_them() {
    for (values, namespace, secret) in [
        (
            json!({}),
            "cozy-backup-controller",
            "cozy-backups-system-credentials",
        ),
        (
            values(),
            "tenant-root",
            "bucket-cozy-backups-system-credentials",
        ),
    ] {
        let objects = render(&values);
        assert_eq!(
            variable(&objects, "BACKUP_STORAGE_SECRET_NAMESPACE"),
            namespace
        );
        assert_eq!(variable(&objects, "BACKUP_STORAGE_SECRET_NAME"), secret);
        let find = |kind: &str, name: &str| {
            let mut objects = objects.iter();
            objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        };
        let bucket = find("Bucket", "cozy-backups").unwrap();
        assert_eq!(bucket["metadata"]["namespace"], namespace);
        let role = find("Role", "backupstrategy-controller-storage").unwrap();
        assert_eq!(role["metadata"]["namespace"], namespace);
        assert_eq!(role["rules"][0]["resourceNames"], json!([secret]));
    }
}

#[test]
fn what_the_platforms_administrators_have_set_in_the_reference_is_taken() {
    // Every value of the reference's chart, as it is forwarded.
    let objects = render(&json!({
        "backupStrategyController": { "chBackupClientImage": "example/migrations:1" },
        "backupStorage": {
            "provisionBucket": false, "namespace": "tenant-root", "bucketName": "ours", "bucketNameOverride": "",
            "endpoint": "https://s3.example.com", "region": "eu-1", "forcePathStyle": false,
            "systemSecretName": "keys", "systemNamespaces": ["cozy-velero"], "reconcileDefaultObjects": false,
        },
    }));
    assert_eq!(variable(&objects, "BACKUP_STORAGE_BUCKET_NAME"), "ours");
    assert_eq!(
        variable(&objects, "BACKUP_STORAGE_ENDPOINT"),
        "https://s3.example.com"
    );
    assert_eq!(
        variable(&objects, "BACKUP_STORAGE_FORCE_PATH_STYLE"),
        "false"
    );
}
