//! Settings, parameters of the class, and what the first controller's settings mean.

use std::sync::Arc;

use backup_engine::{AuthoritySettings, Settings};
use serde_json::{Value, json};
use stage::{FoundationDbFate, FoundationDbOperator, Stage};

use crate::{COMPLETED, TENANT, World};

// TestRenderFoundationDBTemplate_TemplatingApplicationName
#[tokio::test]
async fn every_setting_reaches_the_operator_rendered() {
    let mut world = World::new();
    world.settings(|template| {
        *template = json!({
            "blobStoreConfiguration": {
                "accountName": "key-{{ .Application.metadata.name }}@s3.example.org:8333",
                "backupName": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}/nightly/",
                "urlParameters": ["region={{ .Application.metadata.namespace }}", "secure_connection=0", "{{ .Parameters.none | default \"\" }}"],
            },
            "agentCount": 3,
            "snapshotPeriodSeconds": 600,
            "customParameters": ["knob_{{ .Application.metadata.name }}=1"],
        });
    });
    world.parameters(&json!({ "blobStoreConfiguration.bucket": "own-fdb" }));
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let spec = &orders[0]["spec"];
    let name = orders[0]["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        spec["blobStoreConfiguration"],
        json!({
            "accountName": "key-fdb@s3.example.org:8333",
            "bucket": "own-fdb",
            "backupName": format!("tenant-acme/fdb/nightly/{name}"),
            "urlParameters": ["region=tenant-acme", "secure_connection=0"],
        })
    );
    assert_eq!(spec["agentCount"], 3);
    assert_eq!(spec["snapshotPeriodSeconds"], 600);
    assert_eq!(spec["customParameters"], json!(["knob_fdb=1"]));
    // What lies elsewhere cannot be looked at.
    assert!(world.metadata("ad-hoc", "restorable-version").is_null());
}

#[tokio::test]
async fn parameters_of_the_class_win_over_the_strategy() {
    let mut world = World::new();
    world.settings(|template| {
        template["agentCount"] = 3.into();
        template["customParameters"] = json!(["knob_a=1"]);
    });
    world.parameters(&json!({
        "blobStoreConfiguration.accountName": "https://s3.cozy.example",
        "blobStoreConfiguration.bucket": "cozy-backups",
        "blobStoreConfiguration.backupName": "tenant-acme/fdb/weekly",
        "blobStoreConfiguration.urlParameters": "region=eu-2&sc=1",
        "agentCount": "1",
        "snapshotPeriodSeconds": "60",
        "customParameters": "knob_b=2 --knob_c=3",
        "backupMode": "oneTime",
    }));
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let spec = &orders[0]["spec"];
    let blob = &spec["blobStoreConfiguration"];
    assert_eq!(blob["accountName"], "@s3.cozy.example");
    assert_eq!(blob["urlParameters"], json!(["region=eu-2", "sc=1"]));
    assert!(
        world
            .blob_name("ad-hoc")
            .starts_with("tenant-acme/fdb/weekly/ad-hoc-")
    );
    assert_eq!(spec["snapshotPeriodSeconds"], 60);
    assert_eq!(spec["customParameters"], json!(["knob_b=2", "knob_c=3"]));
    assert_eq!(spec["agentCount"], 0, "the backup is over");
    let backup = world.backup("ad-hoc");
    let kept = &backup["status"]["underlyingResources"];
    assert_eq!(kept["parameters"]["agentCount"], "1");
    assert_eq!(kept["customParameters"], json!(["knob_b=2", "knob_c=3"]));
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_named() {
    for (parameter, value) in [
        ("agentCount", "two"),
        ("backupMode", "sometimes"),
        ("snapshotPeriodSeconds", "-1"),
    ] {
        let mut world = World::new();
        world.parameters(&json!({ parameter: value }));
        let said = world.back_up("ad-hoc").await;
        assert!(
            said.starts_with("Failed ") && said.contains(parameter),
            "{said}"
        );
        assert!(world.orders().is_empty());
    }
}

/// Settings as the first controller shipped them.
fn of_the_first_controller(template: &mut Value) {
    *template = json!({
        "blobStoreConfiguration": {
            "accountName": "s3.cozy.example",
            "bucket": "cozy-backups",
            "urlParameters": [
                "secure_connection=1",
                "region=eu-1",
                "bucket_path={{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}",
            ],
        },
        "snapshotPeriodSeconds": 3600,
        "customParameters": ["--blob_credentials=/var/fdb-blob-credentials/blob_credentials.json"],
        "backupDeploymentPodTemplateSpec": { "spec": {
            "securityContext": { "runAsUser": 4059, "runAsGroup": 4059 },
            "containers": [{
                "name": "foundationdb",
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "cpu": "200m", "memory": "256Mi" } },
                "volumeMounts": [{ "name": "blob-credentials", "mountPath": "/var/fdb-blob-credentials", "readOnly": true }],
            }],
            "volumes": [{ "name": "blob-credentials", "secret": {
                "secretName": "cozy-backups-creds",
                "items": [{ "key": "blob_credentials.json", "path": "blob_credentials.json" }],
            } }],
        } },
    });
}

/// Defects 1, 2, 7 and 8: a template where nobody looks, an account without `@`, dashes twice, a parameter that FoundationDB
/// does not know. Each of them kept every backup from ever starting.
#[tokio::test]
async fn the_first_controllers_settings_do_what_they_mean() {
    let mut world = World::new();
    world.settings(of_the_first_controller);
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let spec = &orders[0]["spec"];
    assert!(spec.get("backupDeploymentSpec").is_none());
    assert!(spec.get("customParameters").is_none());
    let blob = &spec["blobStoreConfiguration"];
    assert_eq!(blob["accountName"], "@s3.cozy.example");
    assert_eq!(
        blob["urlParameters"],
        json!(["secure_connection=1", "region=eu-1"])
    );
    assert!(world.blob_name("ad-hoc").starts_with("tenant-acme/fdb/"));
    let agent = &spec["podTemplateSpec"]["spec"]["containers"][0];
    assert_eq!(
        agent["env"],
        json!([{ "name": "FDB_BLOB_CREDENTIALS", "value": "/var/fdb-blob-credentials/blob_credentials.json" }])
    );
    assert_eq!(agent["volumeMounts"].as_array().unwrap().len(), 1);
}

/// Defect 1: without resources of their own the operator asks for a processor and 8 GiB, for each agent.
#[tokio::test]
async fn agents_have_credentials_and_resources_and_the_level_restricted() {
    let mut world = World::new();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let pod = &orders[0]["spec"]["podTemplateSpec"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let agent = &pod["containers"][0];
    assert_eq!(agent["name"], "foundationdb");
    assert_eq!(agent["resources"]["limits"]["memory"], "256Mi");
    assert_eq!(agent["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(
        pod["volumes"][0]["secret"]["secretName"],
        "cozy-backups-creds"
    );
}

/// Defect 9: FoundationDB looks an account up by its host, without the port.
#[tokio::test]
async fn the_file_of_credentials_has_the_account_that_is_looked_up() {
    let mut world = World::new();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let secret = world
        .stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds");
    let file = secret.unwrap()["data"]["blob_credentials.json"].clone();
    let file = data_encoding::BASE64
        .decode(file.as_str().unwrap().as_bytes())
        .unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    assert!(
        file["accounts"]["@s3.cozy.example"]["secret"].is_string(),
        "{file}"
    );
}

/// Defect 8: backups of one name in two tenants shared a folder.
#[tokio::test]
async fn a_folder_of_other_tenants_is_refused() {
    for folder in [
        "tenant-rival/fdb",
        "tenant-acme",
        "../tenant-rival",
        "data/tenant-acme",
    ] {
        let mut world = World::new();
        world.settings(|template| template["blobStoreConfiguration"]["backupName"] = folder.into());
        let said = world.back_up("ad-hoc").await;
        assert!(said.starts_with("Failed "), "{folder}: {said}");
        assert!(world.orders().is_empty(), "{folder}");
    }
}

#[tokio::test]
async fn settings_that_would_lead_elsewhere_or_show_a_secret_are_refused() {
    for (parameter, value, word) in [
        (
            "blobStoreConfiguration.urlParameters",
            "bucket=other",
            "urlParameters: is <name>=<value>",
        ),
        (
            "blobStoreConfiguration.urlParameters",
            "region=eu-1&prefix=tenant-rival",
            "urlParameters: is <name>=<value>",
        ),
        (
            "blobStoreConfiguration.accountName",
            "key:word@s3.cozy.example",
            "secret",
        ),
        ("blobStoreConfiguration.bucket", "s3://other", "bucket"),
    ] {
        let mut world = World::new();
        world.parameters(&json!({ parameter: value }));
        let said = world.back_up("ad-hoc").await;
        assert!(
            said.starts_with("Failed ") && said.contains(word),
            "{value}: {said}"
        );
        assert!(world.orders().is_empty());
    }
}

/// Defect 16: other versions store in the clear what they were told to encrypt.
#[tokio::test]
async fn a_key_is_refused_where_nothing_would_be_encrypted() {
    let mut world = World::new();
    world.settings(|template| template["encryptionKeyPath"] = "/var/keys/key".into());
    let said = world.back_up("ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: EncryptionUnsupported: encryptionKeyPath is set, and FoundationDB 7.3.63 "),
        "{said}"
    );
    let mut world = World::new();
    world.settings(|template| template["encryptionKeyPath"] = "/var/keys/key".into());
    world.change(|cluster| cluster["status"]["runningVersion"] = "7.3.77".into());
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    assert_eq!(
        world.orders()[0]["spec"]["encryptionKeyPath"],
        "/var/keys/key"
    );
    let backup = world.backup("ad-hoc");
    assert_eq!(
        backup["status"]["underlyingResources"]["encryptionKeyPath"],
        "/var/keys/key"
    );
}

/// A platform whose storage has a certificate of a private authority.
fn with_private_authority() -> World {
    let mut settings = Settings::default();
    settings.storage.authority = Some(AuthoritySettings {
        namespace: "cozy-storage".to_owned(),
        name: "storage-ca".to_owned(),
        key: "ca.crt".to_owned(),
    });
    let stage = Stage::with_settings(settings).unwrap();
    stage
        .serve(&Stage::bundled("foundationdb.wasm").unwrap())
        .unwrap();
    stage.defaults(&["foundationdb"]).unwrap();
    for namespace in ["cozy-storage", TENANT] {
        stage.namespace(namespace).unwrap();
    }
    let certificate =
        "-----BEGIN CERTIFICATE-----\nYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n";
    stage
        .cluster
        .put(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "storage-ca", "namespace": "cozy-storage" },
            "stringData": { "ca.crt": certificate },
        }))
        .unwrap();
    stage.foundationdb(TENANT, "fdb").unwrap();
    let operator =
        FoundationDbOperator::new(Arc::clone(&stage.storage), FoundationDbFate::Completes);
    World { stage, operator }
}

/// FoundationDB can be given an authority, but the operator's own Pod has to know it, too.
#[tokio::test]
async fn a_private_authority_is_refused_unless_the_template_says_that_it_is_seen_to() {
    let mut world = with_private_authority();
    let said = world.back_up("ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: PrivateCAUnsupported: s3.cozy.example "),
        "{said}"
    );
    assert!(world.orders().is_empty());

    let mut world = with_private_authority();
    world.settings(|template| {
        template["backupDeploymentPodTemplateSpec"]["spec"]["containers"] = json!([{
            "name": "foundationdb",
            "env": [{ "name": "FDB_TLS_CA_FILE", "value": "/var/fdb-blob-credentials/ca.crt" }],
        }]);
    });
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let agent = &orders[0]["spec"]["podTemplateSpec"]["spec"]["containers"][0];
    assert_eq!(agent["env"][1]["name"], "FDB_BLOB_CREDENTIALS");
}

#[tokio::test]
async fn settings_that_change_while_a_job_runs_are_for_the_next_one() {
    let mut world = World::new();
    world.order("ad-hoc");
    world.stage.runner.settle().await.unwrap();
    world.settings(|template| {
        template["blobStoreConfiguration"]["backupName"] = "tenant-acme/fdb/elsewhere".into();
    });
    assert_eq!(world.play("BackupJob", "ad-hoc").await, COMPLETED);
    assert!(!world.blob_name("ad-hoc").contains("elsewhere"));
}
