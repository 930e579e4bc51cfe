//! The backup sidecar of ClickHouse: where its settings come from, for each way to say it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::OnceLock;

use charts::CLICKHOUSE;
use controlplane::Helm;
use serde_json::{Value, json};

fn helm() -> &'static Helm {
    static HELM: OnceLock<Helm> = OnceLock::new();
    HELM.get_or_init(|| Helm::offline().unwrap())
}

/// What the chart makes with these values below `backup`, switched on.
fn render(backup: Value) -> Vec<Value> {
    let mut backup = backup;
    backup["enabled"] = json!(true);
    CLICKHOUSE
        .render(helm(), &json!({ "backup": backup }))
        .unwrap()
}

fn pod(objects: &[Value]) -> &Value {
    let installation = objects
        .iter()
        .find(|object| object["kind"] == "ClickHouseInstallation");
    &installation.unwrap()["spec"]["templates"]["podTemplates"][0]["spec"]
}

fn sidecar(objects: &[Value]) -> Option<&Value> {
    let containers = pod(objects)["containers"].as_array().unwrap();
    containers
        .iter()
        .find(|container| container["name"] == "clickhouse-backup")
}

/// A variable of the sidecar: its value, or `Secret/key`, with a `?` where it may be missing.
fn variable(objects: &[Value], name: &str) -> Option<String> {
    let variables = sidecar(objects).unwrap()["env"].as_array().unwrap();
    let variable = variables.iter().find(|variable| variable["name"] == name)?;
    let of = &variable["valueFrom"]["secretKeyRef"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(match variable.get("value") {
        Some(value) => text(value),
        None => {
            let optional = if of["optional"] == true { "?" } else { "" };
            format!("{}/{}{optional}", text(&of["name"]), text(&of["key"]))
        }
    })
}

fn has_secret(objects: &[Value], name: &str) -> bool {
    let mut secrets = objects.iter().filter(|object| object["kind"] == "Secret");
    secrets.any(|secret| secret["metadata"]["name"] == name)
}

/// Each variable comes from where the three ways say: the platform's Secret, the chart's own, one that is named.
#[test]
fn each_setting_of_the_bucket_comes_from_the_secret_of_its_mode() {
    // Whatever else is set: it is ignored in this mode.
    let system = render(json!({
        "useSystemBucket": true, "s3Bucket": "mine", "s3Region": "eu-9", "endpoint": "https://mine.example",
        "s3AccessKey": "a", "s3SecretKey": "b", "s3CredentialsSecret": { "name": "mine", "bucketKey": "B" },
    }));
    let own = render(json!({ "s3Bucket": "mine", "endpoint": "https://mine.example" }));
    let plain = render(json!({ "s3CredentialsSecret": { "name": "mine" } }));
    let named = render(json!({ "s3CredentialsSecret": {
        "name": "mine", "bucketKey": "B", "endpointKey": "E", "regionKey": "R", "accessKeyIDKey": "A",
        "secretAccessKeyKey": "S",
    } }));
    for (name, key, other) in [
        ("S3_BUCKET", "bucketName", "B"),
        ("S3_ENDPOINT", "endpoint", "E"),
        ("S3_REGION", "region", "R"),
        ("S3_ACCESS_KEY", "accessKey", "A"),
        ("S3_SECRET_KEY", "secretKey", "S"),
    ] {
        let said = |objects: &[Value]| variable(objects, name).unwrap();
        assert_eq!(said(&system), format!("cozy-backups-creds/{key}?"));
        assert_eq!(said(&own), format!("clickhouse-orders-backup-s3/{key}"));
        assert_eq!(said(&plain), format!("mine/{key}"));
        assert_eq!(said(&named), format!("mine/{other}"));
    }
}

#[test]
fn buckets_stand_in_the_path_where_the_service_is_not_amazons() {
    let style = |backup: Value| variable(&render(backup), "S3_FORCE_PATH_STYLE");
    assert_eq!(
        style(json!({ "useSystemBucket": true })).as_deref(),
        Some("cozy-backups-creds/forcePathStyle?")
    );
    assert_eq!(style(json!({ "s3Bucket": "mine" })), None);
    let with_endpoint = json!({ "s3Bucket": "mine", "endpoint": "https://mine.example" });
    assert_eq!(style(with_endpoint).as_deref(), Some("true"));
    let with_secret = json!({ "s3CredentialsSecret": { "name": "mine" } });
    assert_eq!(style(with_secret).as_deref(), Some("true"));
}

#[test]
fn two_tenants_whose_releases_have_one_name_never_share_a_folder() {
    let path = |backup: Value| variable(&render(backup), "S3_PATH").unwrap();
    assert_eq!(
        path(json!({ "useSystemBucket": true })),
        "tenant-acme/clickhouse-orders"
    );
    assert_eq!(path(json!({})), "clickhouse-orders");
    assert_eq!(path(json!({ "s3PathOverride": "here" })), "here");
    let both =
        json!({ "backup": { "enabled": true, "useSystemBucket": true, "s3PathOverride": "here" } });
    let refused = CLICKHOUSE.render(helm(), &both).unwrap_err().to_string();
    assert!(refused.contains("s3PathOverride"), "{refused}");
}

#[test]
fn the_secret_of_a_bucket_of_ones_own_is_made_only_where_it_is_used() {
    let made = |backup: Value| has_secret(&render(backup), "clickhouse-orders-backup-s3");
    assert!(made(json!({ "s3Bucket": "mine" })));
    assert!(!made(json!({ "useSystemBucket": true })));
    assert!(!made(json!({ "s3CredentialsSecret": { "name": "mine" } })));
}

#[test]
fn a_private_authority_is_trusted_in_every_mode() {
    for system in [true, false] {
        let with_ca = json!({ "useSystemBucket": system, "endpointCA": { "name": "our-ca", "key": "root.pem" } });
        let objects = render(with_ca);
        assert_eq!(
            variable(&objects, "SSL_CERT_DIR").as_deref(),
            Some("/etc/ssl/cozy-s3-ca:/etc/ssl/certs")
        );
        assert_eq!(
            pod(&objects)["volumes"][0],
            json!({
                "name": "backup-s3-ca",
                "secret": { "secretName": "our-ca", "items": [{ "key": "root.pem", "path": "ca.crt" }] },
            })
        );
        let mounts = &sidecar(&objects).unwrap()["volumeMounts"];
        assert_eq!(
            mounts[1],
            json!({ "name": "backup-s3-ca", "mountPath": "/etc/ssl/cozy-s3-ca", "readOnly": true })
        );
        let without = render(json!({ "useSystemBucket": system }));
        assert_eq!(variable(&without, "SSL_CERT_DIR"), None);
        assert_eq!(pod(&without).get("volumes"), None);
    }
}

#[test]
fn the_sidecar_answers_only_to_its_own_password() {
    let objects = render(json!({ "useSystemBucket": true }));
    assert_eq!(
        variable(&objects, "API_PASSWORD").as_deref(),
        Some("clickhouse-orders-backup-api-auth/password")
    );
    assert_eq!(
        variable(&objects, "API_LISTEN").as_deref(),
        Some("0.0.0.0:7171")
    );
    assert_eq!(
        variable(&objects, "CLICKHOUSE_PASSWORD").as_deref(),
        Some("clickhouse-orders-credentials/backup")
    );
    assert!(has_secret(&objects, "clickhouse-orders-backup-api-auth"));
}

#[test]
fn without_backups_there_is_no_sidecar_and_nothing_of_it() {
    let objects = CLICKHOUSE.render(helm(), &json!({})).unwrap();
    assert_eq!(sidecar(&objects), None);
    assert!(!has_secret(&objects, "clickhouse-orders-backup-api-auth"));
    assert!(!has_secret(&objects, "clickhouse-orders-backup-s3"));
}

#[test]
fn the_chart_makes_what_is_kept_in_each_mode() {
    for (name, backup) in [
        ("system", json!({ "useSystemBucket": true })),
        (
            "own",
            json!({ "s3Bucket": "mine", "s3AccessKey": "a", "s3SecretKey": "b" }),
        ),
        (
            "named",
            json!({ "s3CredentialsSecret": { "name": "mine" } }),
        ),
    ] {
        let mut objects = render(backup);
        for secret in objects
            .iter_mut()
            .filter(|object| object["kind"] == "Secret")
        {
            // One password in it is another with each rendering.
            for member in ["data", "stringData"] {
                let keys = secret.get_mut(member).and_then(Value::as_object_mut);
                let values = keys.into_iter().flat_map(|keys| keys.values_mut());
                values.for_each(|value| *value = json!("…"));
            }
        }
        CLICKHOUSE.makes(name, &objects).unwrap();
    }
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    let folder = CLICKHOUSE.folder();
    helm()
        .run(&["lint", "--strict", &folder.to_string_lossy()])
        .unwrap();
}

#[test]
fn the_readme_tells_all_values() {
    CLICKHOUSE.tells_its_values().unwrap();
}
