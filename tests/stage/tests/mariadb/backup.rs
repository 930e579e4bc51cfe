//! From a BackupJob to a Backup.

use serde_json::{Value, json};
use stage::MariaDbFate;

use crate::{
    FOLDER, PASSWORD, TENANT,
    scene::{Scene, key_of, shown},
};

// TestCreateMariaDBBackupArtifact_ArtifactShape, TestMarshalMariaDBBackupSnapshot_RoundTrip
#[tokio::test]
async fn a_job_leads_to_a_dump_and_a_backup() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let backup = scene.backup("nightly").await;

    let dumps = scene.dumps();
    assert_eq!(dumps.len(), 1);
    let name = dumps[0]["metadata"]["name"].as_str().unwrap();
    assert!(dumps[0]["metadata"].get("ownerReferences").is_none());
    insta::assert_yaml_snapshot!("backup-of-the-operator", shown(&dumps[0]), {
        ".metadata.name" => "(name)",
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
    });
    assert_eq!(
        backup["spec"]["driverMetadata"]["k8s.mariadb.com/backup-name"],
        name
    );
    insta::assert_yaml_snapshot!("backup", shown(&backup), {
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".spec.plugin.digest" => "(digest)",
        ".spec.driverMetadata[\"k8s.mariadb.com/backup-name\"]" => "(name)",
    });
}

// Defect 3 of the reference. TestMariaDBBackupURI: the slash behind the folder.
#[tokio::test]
async fn the_artifact_is_the_object_that_lies_in_the_bucket() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let backup = scene.backup("nightly").await;
    let [key] = scene.keys().try_into().unwrap();
    assert!(
        key.starts_with("tenant-acme/orders/backup.2026-11-25T12:00:"),
        "{key}"
    );
    assert!(key.ends_with("Z.gzip.sql"), "{key}");
    assert_eq!(key_of(&backup), key);
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 4_096);
    let uri = &backup["spec"]["driverMetadata"]["k8s.mariadb.com/storage-uri"];
    assert_eq!(*uri, backup["status"]["artifact"]["uri"]);
    // The state is that of when the dump was begun, not of when it was stored.
    let begun = key.split('.').nth(1).unwrap();
    assert_eq!(backup["spec"]["takenAt"], begun);
}

#[tokio::test]
async fn what_lies_there_already_is_not_taken_for_the_jobs_dump() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let storage = &scene.stage.storage;
    for key in [
        "backup.2026-11-24T12:00:00Z.gzip.sql",
        // By its name younger than the job's own will be.
        "backup.latest.sql",
        "zz-base/2026.sql",
        "backup.d/backup.2026-12-01T00:00:00Z.sql",
    ] {
        storage.put(&format!("{FOLDER}{key}"), 1, 1);
    }
    storage.put("tenant-acme/orders-2/backup.2026-11-26T00:00:00Z.sql", 1, 1);
    let before = scene.keys();
    let first = key_of(&scene.backup("first").await);
    let second = key_of(&scene.backup("second").await);
    assert_ne!(first, second);
    for key in [first, second] {
        assert!(!before.contains(&key), "{key}");
    }
}

// Another kind of application may have its files in the same folder, and thousands of them.
#[tokio::test]
async fn thousands_of_foreign_files_in_the_folder_do_not_hide_the_dump() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    for index in 0..2_000 {
        for folder in ["a-server/wals", "orders/wals"] {
            let key = format!("{FOLDER}{folder}/{index:06}");
            scene.stage.storage.put(&key, 1, 1);
        }
    }
    let backup = scene.backup("nightly").await;
    assert!(key_of(&backup).starts_with("tenant-acme/orders/backup."));
}

// TestEnsureMariaDBBackup_IdempotentByLabel
#[tokio::test]
async fn a_job_orders_one_dump_however_often_it_is_looked_at() {
    let mut scene = Scene::new(MariaDbFate::DumpStalls);
    scene
        .stage
        .mariadb(TENANT, "mariadb-src", PASSWORD)
        .unwrap();
    scene
        .stage
        .backup_job_of(TENANT, "ad-hoc", "MariaDB", "mariadb-src")
        .unwrap();
    for _ in 0..3 {
        scene.turn().await;
        scene.stage.restart();
    }
    let dumps = scene.dumps();
    assert_eq!(dumps.len(), 1);
    let spec = &dumps[0]["spec"];
    assert_eq!(spec["mariaDbRef"]["name"], "mariadb-mariadb-src");
    assert_eq!(spec["storage"]["s3"]["prefix"], "tenant-acme/mariadb-src/");
    let labels = &dumps[0]["metadata"]["labels"];
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobNamespace"],
        TENANT
    );
}

// TestFindMariaDBBackupForJob_DuplicateMatches: the job goes by the name of its dump, which holds its UID.
#[tokio::test]
async fn dumps_with_the_labels_of_the_job_are_not_taken_for_its_own() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let labels = json!({
        "backups.cozystack.io/owned-by.BackupJobName": "nightly",
        "backups.cozystack.io/owned-by.BackupJobNamespace": TENANT,
    });
    for name in ["nightly-aaaaa", "nightly-bbbbb"] {
        scene
            .stage
            .cluster
            .put(json!({
                "apiVersion": crate::OPERATOR,
                "kind": "Backup",
                "metadata": { "name": name, "namespace": TENANT, "labels": labels },
                "spec": { "mariaDbRef": { "name": "mariadb-orders" }, "storage": {} },
                "status": { "conditions": [{ "type": "Complete", "status": "True", "reason": "JobComplete" }] },
            }))
            .unwrap();
    }
    let backup = scene.backup("nightly").await;
    assert_eq!(scene.dumps().len(), 3);
    let name = backup["spec"]["driverMetadata"]["k8s.mariadb.com/backup-name"]
        .as_str()
        .unwrap();
    assert!(!name.ends_with("-aaaaa") && !name.ends_with("-bbbbb"));
    assert_eq!(scene.keys(), [key_of(&backup)]);
}

// Defect 4 of the reference.
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_dumps_anew() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let mut taken = vec![];
    for _ in 0..2 {
        taken.push(key_of(&scene.backup("nightly").await));
        scene
            .stage
            .delete("BackupJob", TENANT, "nightly")
            .await
            .unwrap();
        scene.forget("nightly").await;
    }
    assert_ne!(taken[0], taken[1]);
    assert!(scene.dumps().is_empty());
    assert!(scene.keys().is_empty());
}

// Defect 14 of the reference: names longer than a label were refused.
#[tokio::test]
async fn a_job_with_the_longest_name_has_its_dump() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let name = "n".repeat(200);
    let backup = scene.backup(&name).await;
    assert_eq!(backup["metadata"]["name"], name.as_str());
}

// Defect 13 of the reference.
#[tokio::test]
async fn a_dump_holds_no_accounts() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.backup("nightly").await;
    assert_eq!(scene.dumps()[0]["spec"]["ignoreGlobalPriv"], true);
}

// TestValidateMariaDBApplicationRef
#[tokio::test]
async fn a_job_is_about_a_mariadb_of_cozystack() {
    let cases = [
        (
            json!({ "apiGroup": "apps.cozystack.io", "kind": "MariaDB", "name": "orders" }),
            true,
        ),
        (
            json!({ "apiGroup": "", "kind": "MariaDB", "name": "orders" }),
            true,
        ),
        (json!({ "kind": "MariaDB", "name": "orders" }), true),
        (
            json!({ "apiGroup": "apps.example.org", "kind": "MariaDB", "name": "orders" }),
            false,
        ),
        (json!({ "kind": "Postgres", "name": "orders" }), false),
    ];
    for (application, is_one) in cases {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene
            .stage
            .cluster
            .put(json!({
                "apiVersion": crate::API,
                "kind": "BackupJob",
                "metadata": { "name": "nightly", "namespace": TENANT },
                "spec": { "backupClassName": "cozy-default", "applicationRef": application },
            }))
            .unwrap();
        let said = scene.play("BackupJob", "nightly").await;
        assert_eq!(
            said.starts_with("Succeeded"),
            is_one,
            "{application}: {said}"
        );
        assert_eq!(scene.dumps().len(), usize::from(is_one), "{application}");
    }
}

#[tokio::test]
async fn no_password_stands_where_the_tenant_reads() {
    let mut scene = Scene::with_backup("nightly").await;
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    for object in scene.stage.cluster.objects() {
        let is_application = object["apiVersion"] == "apps.cozystack.io/v1alpha1";
        let is_secret = object["kind"] == "Secret";
        if is_application || is_secret {
            continue;
        }
        let text = object.to_string();
        for secret in [PASSWORD, &scene.stage.access_key, &scene.stage.secret_key] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

// Defect 8 of the reference: what is recorded is what was ordered. Of defect 7: it needs no application any more.
#[tokio::test]
async fn what_changes_while_a_dump_runs_is_for_the_next_one() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.order_backup("nightly");
    scene.turn().await;
    let s3 = json!({ "s3": { "prefix": "tenant-acme/orders/elsewhere" } });
    scene.template(&json!({ "storage": s3, "compression": "bzip2" }));
    let stage = &scene.stage;
    stage
        .delete_any(
            "apps.cozystack.io/v1alpha1",
            "MariaDB",
            Some(TENANT),
            "orders",
        )
        .await
        .unwrap();
    let said = scene.play("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = scene.stage.read("Backup", TENANT, "nightly");
    assert!(key_of(&backup).ends_with("Z.gzip.sql"));
    let kept = &backup["status"]["underlyingResources"]["storage"]["s3"]["prefix"];
    assert_eq!(*kept, FOLDER);
}

// Defect 1 of the reference: the operator calls a Job that has failed complete.
#[tokio::test]
async fn a_failed_dump_is_no_backup() {
    let mut scene = Scene::new(MariaDbFate::DumpFails);
    let said = scene.backup_job("nightly").await;
    assert!(
        said.starts_with(
            "Failed BackupFailed: MariaDBBackupFailed: mariadb-operator's Job nightly-"
        ),
        "{said}"
    );
    assert!(
        said.contains("Complete=True, JobFailed: Failed; it was container mariadb of Pod nightly-"),
        "{said}"
    );
    assert_eq!(scene.stage.read("Backup", TENANT, "nightly"), Value::Null);
    assert!(scene.dumps().is_empty(), "it is undone");
    assert!(scene.of_core("Pod").is_empty());
}
