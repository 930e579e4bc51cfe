//! What may be set, and what comes of it in the operator's Backup.

use backup_engine::{AuthoritySettings, Settings, StorageSettings};
use serde_json::{Value, json};
use stage::{MariaDbFate, Stage};

use crate::{
    API, PASSWORD, TENANT,
    scene::{Scene, key_of},
};

/// The spec of the operator's Backup that a job orders.
async fn ordered(scene: &mut Scene) -> Value {
    scene.order_backup("nightly");
    scene.turn().await;
    let said = scene.stage.job(TENANT, "nightly");
    let dumps = scene.dumps();
    let [dump] = dumps.as_slice() else {
        panic!("{said}");
    };
    dump["spec"].clone()
}

/// What a job comes to that orders nothing.
async fn refused(scene: &mut Scene) -> String {
    let said = scene.backup_job("nightly").await;
    assert!(said.starts_with("Failed BackupFailed: "), "{said}");
    assert!(scene.dumps().is_empty(), "{said}");
    assert!(scene.keys().is_empty(), "{said}");
    said
}

fn of_platform(key: &str) -> Value {
    json!({ "name": "cozy-backups-creds", "key": key })
}

#[tokio::test]
async fn what_is_left_out_follows_the_platforms_storage() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene.template(&json!({ "storage": { "s3": {} } }));
    let spec = ordered(&mut scene).await;
    assert_eq!(
        spec["storage"],
        json!({ "s3": {
            "bucket": "cozy-backups",
            "endpoint": "s3.cozy.example",
            "prefix": "tenant-acme/orders/",
            "region": "eu-1",
            "accessKeyIdSecretKeyRef": of_platform("AWS_ACCESS_KEY_ID"),
            "secretAccessKeySecretKeyRef": of_platform("AWS_SECRET_ACCESS_KEY"),
            "tls": { "enabled": true },
        } })
    );
    assert!(spec.get("databases").is_none());
    assert!(spec.get("logLevel").is_none());
}

#[tokio::test]
async fn a_storage_without_tls_is_used_without_tls() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    let mut secret = scene
        .stage
        .cluster
        .read(
            "v1",
            "Secret",
            Some("cozy-backup-controller"),
            "cozy-backups-system-credentials",
        )
        .unwrap();
    secret["stringData"] = json!({ "endpoint": "http://s3.cozy.example:8333" });
    scene.stage.cluster.put(secret).unwrap();
    let s3 = ordered(&mut scene).await["storage"]["s3"].clone();
    assert_eq!(s3["endpoint"], "s3.cozy.example:8333");
    assert!(s3.get("tls").is_none());
}

#[tokio::test]
async fn a_private_authority_is_passed_on() {
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
    stage
        .serve(&Stage::bundled("mariadb.wasm").unwrap())
        .unwrap();
    stage.defaults(&["mariadb"]).unwrap();
    for namespace in [TENANT, "cozy-storage"] {
        stage.namespace(namespace).unwrap();
    }
    stage.mariadb(TENANT, "orders", PASSWORD).unwrap();
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
    let operator = stage::MariaDbOperator::new(
        std::sync::Arc::clone(&stage.storage),
        MariaDbFate::Completes,
    );
    let mut scene = Scene { stage, operator };
    let tls = json!({ "enabled": true, "caSecretKeyRef": of_platform("ca.crt") });
    assert_eq!(ordered(&mut scene).await["storage"]["s3"]["tls"], tls);
    let said = scene.play("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(scene.of_operator("Restore")[0]["spec"]["s3"]["tls"], tls);

    // A Backup from before the storage had one is restored with the authority of today.
    scene.change_backup("nightly", |backup| {
        let s3 = &mut backup["status"]["underlyingResources"]["storage"]["s3"];
        s3["tls"] = json!({ "enabled": true });
    });
    scene
        .stage
        .delete("RestoreJob", TENANT, "back")
        .await
        .unwrap();
    scene.stage.runner.settle().await.unwrap();
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(scene.of_operator("Restore")[0]["spec"]["s3"]["tls"], tls);
}

// TestBuildMariaDBBackupStorage_S3
#[tokio::test]
async fn a_storage_of_ones_own_is_told_word_for_word() {
    let key = |name: &str, key: &str| json!({ "name": name, "key": key });
    let s3 = json!({
        "bucket": "own",
        "endpoint": "s3.example.org:9000",
        "prefix": "tenant-acme/orders/",
        "region": "us-west-2",
        "accessKeyIdSecretKeyRef": key("own-keys", "id"),
        "secretAccessKeySecretKeyRef": key("own-keys", "secret"),
        "sessionTokenSecretKeyRef": key("own-keys", "token"),
        "tls": { "enabled": true, "caSecretKeyRef": key("own-ca", "tls.crt") },
    });
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene.template(&json!({ "storage": { "s3": s3 } }));
    assert_eq!(ordered(&mut scene).await["storage"], json!({ "s3": s3 }));
}

// TestRenderMariaDBTemplate_TemplatingApplicationName
#[tokio::test]
async fn templates_are_filled_in_for_the_application() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    let secret = |key: &str| json!({ "name": "{{ .Application.metadata.name }}-mariadb-backup-creds", "key": key });
    scene.template(&json!({
        "storage": { "s3": {
            "bucket": "{{ .Parameters.bucket }}",
            "endpoint": "s3.example.org",
            "prefix": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}/",
            "accessKeyIdSecretKeyRef": secret("AWS_ACCESS_KEY_ID"),
            "secretAccessKeySecretKeyRef": secret("AWS_SECRET_ACCESS_KEY"),
        } },
        "databases": ["{{ .Application.metadata.name }}", "{{ .Parameters.more }}"],
        "compression": "{{ .Parameters.how }}",
        "maxRetention": "{{ .Parameters.keep }}",
    }));
    scene.parameters(&json!({ "bucket": "own", "more": "", "how": "bzip2", "keep": "48h" }));
    let spec = ordered(&mut scene).await;
    let s3 = &spec["storage"]["s3"];
    assert_eq!(s3["bucket"], "own");
    assert_eq!(s3["prefix"], "tenant-acme/orders/");
    assert_eq!(
        s3["accessKeyIdSecretKeyRef"]["name"],
        "orders-mariadb-backup-creds"
    );
    assert_eq!(
        spec["databases"],
        json!(["orders"]),
        "what is empty is no database"
    );
    assert_eq!(spec["compression"], "bzip2");
    assert_eq!(spec["maxRetention"], "48h");
}

// Defect 9 of the reference: what could not be rendered was stored under its own template's text.
#[tokio::test]
async fn a_template_that_cannot_be_filled_in_names_the_field() {
    for prefix in [
        "{{ .Application.metadata.nmae }}/",
        "{{ .Parameters.absent }}/",
        "{{ nosuch }}/",
    ] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.template(&json!({ "storage": { "s3": { "prefix": prefix } } }));
        let said = refused(&mut scene).await;
        assert!(said.contains("spec/template/storage/s3/prefix"), "{said}");
    }
}

#[tokio::test]
async fn each_parameter_of_the_class_wins_over_the_strategy() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene.template(&json!({
        "storage": { "s3": { "bucket": "one", "endpoint": "one.example.org", "tls": { "enabled": true } } },
        "databases": ["one"],
        "compression": "gzip",
        "maxRetention": "1h",
        "logLevel": "debug",
    }));
    let s3 = "storage.s3";
    scene.parameters(&json!({
        "databases": "orders, customers",
        "compression": "none",
        "maxRetention": "1h30m",
        "logLevel": "error",
        format!("{s3}.bucket"): "own",
        format!("{s3}.endpoint"): "s3.example.org:9000",
        format!("{s3}.prefix"): "tenant-acme/orders/weekly",
        format!("{s3}.region"): "us-west-2",
        format!("{s3}.accessKeyIdSecretKeyRef.name"): "own",
        format!("{s3}.accessKeyIdSecretKeyRef.key"): "id",
        format!("{s3}.secretAccessKeySecretKeyRef.name"): "own",
        format!("{s3}.secretAccessKeySecretKeyRef.key"): "secret",
        format!("{s3}.sessionTokenSecretKeyRef.name"): "own",
        format!("{s3}.sessionTokenSecretKeyRef.key"): "token",
        format!("{s3}.tls.enabled"): "true",
        format!("{s3}.tls.caSecretKeyRef.name"): "own",
        format!("{s3}.tls.caSecretKeyRef.key"): "ca",
    }));
    let spec = ordered(&mut scene).await;
    let own = |key: &str| json!({ "name": "own", "key": key });
    assert_eq!(
        spec["storage"]["s3"],
        json!({
            "bucket": "own",
            "endpoint": "s3.example.org:9000",
            "prefix": "tenant-acme/orders/weekly/",
            "region": "us-west-2",
            "accessKeyIdSecretKeyRef": own("id"),
            "secretAccessKeySecretKeyRef": own("secret"),
            "sessionTokenSecretKeyRef": own("token"),
            "tls": { "enabled": true, "caSecretKeyRef": own("ca") },
        })
    );
    assert_eq!(spec["databases"], json!(["orders", "customers"]));
    assert_eq!(spec["compression"], "none");
    assert_eq!(spec["maxRetention"], "1h30m");
    assert_eq!(spec["logLevel"], "error");
}

#[tokio::test]
async fn tls_can_be_switched_off_by_the_class() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene.parameters(&json!({ "storage.s3.tls.enabled": "false" }));
    let spec = ordered(&mut scene).await;
    assert!(spec["storage"]["s3"].get("tls").is_none());
}

// The operator removes dumps after 30 days when it is told nothing: also those that Backups hold.
#[tokio::test]
async fn a_dump_stays_as_long_as_its_backup_does() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let first = key_of(&scene.backup("first").await);
    scene.pass(40 * 24 * 60 * 60).await;
    scene.backup("second").await;
    assert_eq!(scene.dumps()[0]["spec"]["maxRetention"], "876000h");
    assert!(scene.keys().contains(&first));
    assert!(scene.check("first").await.starts_with("True "));
}

#[tokio::test]
async fn a_retention_that_is_set_is_the_operators_to_keep_and_a_lost_dump_is_found() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.parameters(&json!({ "maxRetention": "48h" }));
    let first = key_of(&scene.backup("first").await);
    scene.pass(3 * 24 * 60 * 60).await;
    let second = key_of(&scene.backup("second").await);
    assert_eq!(scene.keys(), [second]);
    let said = scene.check("first").await;
    assert_eq!(
        said,
        format!("False Lost: DumpGone: s3://cozy-backups/{first} is no longer there")
    );
}

// Defect 10 of the reference: a retention that Go cannot read keeps the operator from reading any Backup.
#[tokio::test]
async fn a_retention_that_go_cannot_read_never_reaches_the_operator() {
    for (template, parameter) in [
        (Some("30d"), None),
        (Some("{{ .Parameters.keep }}"), None),
        (None, Some("30d")),
        (None, Some("2562048h")),
        (None, Some("0h")),
    ] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.template(
            &json!({ "storage": { "s3": {} }, "maxRetention": template.unwrap_or_default() }),
        );
        let mut parameters = json!({ "keep": "for ever" });
        if let Some(parameter) = parameter {
            parameters["maxRetention"] = parameter.into();
        }
        scene.parameters(&parameters);
        let said = refused(&mut scene).await;
        assert!(said.contains("maxRetention"), "{said}");
    }
}

// Defect 11 of the reference. A class's value is told by the class, a strategy's by its definition.
#[tokio::test]
async fn a_compression_that_the_operator_does_not_know_is_refused_here() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.parameters(&json!({ "compression": "zstd" }));
    let said = refused(&mut scene).await;
    assert!(said.contains("zstd"), "{said}");

    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "s3": {} }, "compression": "{{ .Parameters.how }}" }));
    scene.parameters(&json!({ "how": "zstd" }));
    let said = refused(&mut scene).await;
    assert!(said.contains("compression"), "{said}");
}

// The operator splits the whole key at its dots, and would find no dump of such a folder again.
#[tokio::test]
async fn a_folder_with_a_dot_is_refused() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "s3": { "prefix": "tenant-acme/orders/{{ .Parameters.version }}/" } } }));
    scene.parameters(&json!({ "version": "v1.2" }));
    let said = refused(&mut scene).await;
    assert!(
        said.contains("InvalidSpec: the strategy's spec: template.storage.s3.prefix: is a folder of the bucket"),
        "{said}"
    );
    assert!(said.contains("without a dot in it"), "{said}");
}

#[tokio::test]
async fn a_folder_of_another_tenant_is_refused() {
    for prefix in [
        "tenant-rival/orders/",
        "tenant-acme/",
        "tenant-acme/orders-2",
    ] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.template(&json!({ "storage": { "s3": { "prefix": prefix } } }));
        let said = refused(&mut scene).await;
        assert!(said.contains("PlanRejected"), "{said}");
    }
}

#[tokio::test]
async fn the_name_of_a_database_cannot_be_a_command() {
    for name in ["orders; reboot", "$(reboot)", "--tab=/backup", "a b"] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene
            .template(&json!({ "storage": { "s3": {} }, "databases": ["{{ .Parameters.name }}"] }));
        scene.parameters(&json!({ "name": name }));
        let said = refused(&mut scene).await;
        assert!(
            said.contains(
                "InvalidSpec: the strategy's spec: template.databases.0: is made of letters"
            ),
            "{said}"
        );
    }
}

// TestBuildMariaDBBackupStorage_RejectsEmpty, TestBuildMariaDBBackupStorage_RejectsMultiple: also where nobody has held
// the strategy to its definition.
#[tokio::test]
async fn there_is_exactly_one_place_for_dumps() {
    let claim = json!({ "accessModes": ["ReadWriteOnce"] });
    for storage in [
        json!({}),
        json!({ "s3": {}, "persistentVolumeClaim": claim }),
    ] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.template(&json!({ "storage": storage }));
        let said = refused(&mut scene).await;
        assert!(
            said.contains("exactly one of s3, persistentVolumeClaim and volume is set"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn credentials_of_ones_own_need_a_bucket_of_ones_own() {
    let own = json!({ "name": "own", "key": "id" });
    for (s3, missing) in [
        (
            json!({ "accessKeyIdSecretKeyRef": own, "endpoint": "s3.example.org" }),
            "bucket",
        ),
        (
            json!({ "accessKeyIdSecretKeyRef": own, "bucket": "own" }),
            "endpoint",
        ),
    ] {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.template(&json!({ "storage": { "s3": s3 } }));
        let said = refused(&mut scene).await;
        assert!(
            said.contains(&format!("template.storage.s3.{missing} is empty")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn problems_are_told_where_the_strategy_and_the_class_are() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "s3": { "prefix": "tenant.acme/orders" } } }));
    scene.stage.runner.settle().await.unwrap();
    let class = scene
        .stage
        .cluster
        .read(API, "BackupClass", None, "cozy-default")
        .unwrap();
    let said = class["status"]["conditions"].to_string();
    assert!(said.contains("/spec/template/storage/s3/prefix"), "{said}");
}
