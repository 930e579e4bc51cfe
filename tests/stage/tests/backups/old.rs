//! Backups of the old controllers: without a finalizer, a plugin, a storage; and the counterparts of the reference's
//! tests, by behaviour.

use super::*;

/// A Backup as an old controller wrote it.
fn old(stage: &Stage, kind: &str, metadata: &Value) {
    put(stage, "old", |backup| {
        backup["metadata"]["finalizers"] = json!([]);
        backup["spec"] = json!({
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": kind, "name": "any" },
            "takenAt": "2026-01-01T00:00:00Z",
            "driverMetadata": metadata,
        });
        backup["status"] = json!({ "phase": "Ready" });
    });
}

fn finalizers(stage: &Stage) -> Value {
    backup(stage, "old")["metadata"]["finalizers"].clone()
}

// TestBackupReconciler_NotFoundIsNoop
#[tokio::test]
async fn a_backup_that_is_not_there_needs_nothing() {
    let mut stage = guest(Guest::default());
    stage.runner.settle().await.unwrap();
    drop(requests(&stage));
    let key = backup_engine::Key {
        kind: "Backup".to_owned(),
        namespace: TENANT.to_owned(),
        name: "absent".to_owned(),
    };
    let host = Arc::clone(stage.runner.host());
    assert_eq!(
        host.reconcile(&key).await.unwrap(),
        backup_engine::Next::default()
    );
    assert_eq!(requests(&stage), ["Get Backup absent"]);
}

// TestBackupReconciler_AddsFinalizer, TestBackupReconciler_FinalizerAlreadyPresentNoop
#[tokio::test]
async fn an_old_backup_is_held_when_it_is_first_seen_and_not_written_again() {
    let mut stage = guest(Guest::default());
    old(&stage, "Guest", &json!({}));
    stage.runner.settle().await.unwrap();
    assert_eq!(finalizers(&stage), json!(["backups.cozystack.io/cleanup"]));
    let found = backup(&stage, "old");
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(backup(&stage, "old"), found);
}

// TestStrategyKindForBackup. Defects 13 and 19 of the reference: a kind that had no branch, or none that it knew, fell
// into Velero's clean-up.
#[tokio::test]
async fn each_kind_of_strategy_is_its_own_and_nobody_cleans_up_for_another() {
    for kind in [
        "Velero",
        "CNPG",
        "Job",
        "Altinity",
        "MariaDB",
        "FoundationDB",
        "Etcd",
        "Unheard",
    ] {
        let mut stage = guest(Guest::default());
        old(
            &stage,
            kind,
            &json!({ "velero.io/backup-name": "planted", "velero.io/backup-namespace": "cozy-velero" }),
        );
        stage.runner.settle().await.unwrap();
        ask(&mut stage, "old", "now").await;
        assert_eq!(
            available(&stage, "old"),
            format!(
                "Unknown NotChecked: PluginNotReady: no plugin serves strategies of kind {kind}"
            )
        );
        drop(requests(&stage));
        stage.delete("Backup", TENANT, "old").await.unwrap();
        until_gone(&mut stage, "old").await;
        let asked = requests(&stage);
        assert!(
            !asked
                .iter()
                .any(|asked| asked.contains("DeleteBackupRequest")
                    || asked.starts_with("Delete ") && !asked.contains("Backup old")),
            "{asked:?}"
        );
        assert_eq!(
            events(&stage, "LeftBehind"),
            [format!(
                "Warning: PluginNotReady: no plugin serves strategies of kind {kind}; whatever was stored for it stays \
                 where it is"
            )]
        );
    }
}

// TestBackupReconciler_DeletionWithoutVeleroMetadata, TestBackupCleanup_CNPG_NoMetadataIsNoOp
#[tokio::test]
async fn a_backup_that_does_not_say_where_it_lies_touches_nothing() {
    let mut stage = etcd().await;
    let keys = stage.storage.keys();
    old(&stage, "Etcd", &json!({}));
    put(&stage, "old", |backup| {
        backup["spec"]["applicationRef"] =
            json!({ "apiGroup": "apps.cozystack.io", "kind": "Etcd", "name": "etcd" });
        backup["spec"]["strategyRef"]["kind"] = json!("Etcd");
        backup["spec"].as_object_mut().unwrap().remove("storage");
        backup["status"] = json!({ "phase": "Ready" });
    });
    delete(&mut stage, "old").await;
    until_gone(&mut stage, "old").await;
    assert!(events(&stage, "LeftBehind")[0].contains("MetadataMissing"));
    assert_eq!(stage.storage.keys(), keys);
    assert_eq!(snapshots(&stage), 1);
}

// TestBackupReconciler_DeletionVeleroBackupAlreadyGone
#[tokio::test]
async fn what_is_gone_already_needs_no_removal() {
    let mut stage = etcd().await;
    for object in stage.cluster.objects() {
        if object["kind"] == "EtcdSnapshot" {
            let name = object["metadata"]["name"].as_str().unwrap();
            stage
                .delete_any(OPERATOR, "EtcdSnapshot", Some(TENANT), name)
                .await
                .unwrap();
        }
    }
    let key = stage.storage.keys()[0].clone();
    stage.storage.remove(&key);
    delete(&mut stage, "ad-hoc").await;
    assert_eq!(backup(&stage, "ad-hoc"), Value::Null);
    assert_eq!(events(&stage, "LeftBehind"), Vec::<String>::new());
}

#[tokio::test]
async fn the_finalizer_of_an_old_version_is_honoured_and_goes_with_ours() {
    let mut stage = guest(Guest::default());
    put(&stage, "old", |backup| {
        backup["metadata"]["finalizers"] =
            json!(["backups.cozystack.io/cleanup-velero", "somebody/else"]);
    });
    delete(&mut stage, "old").await;
    assert_eq!(finalizers(&stage), json!(["somebody/else"]));
    drop(requests(&stage));
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        requests(&stage),
        Vec::<String>::new(),
        "the rest is another's"
    );
}

#[tokio::test]
async fn an_old_backup_in_another_bucket_is_left_alone() {
    let mut stage = guest(Guest::default().on("forget", "unreachable"));
    put(&stage, "old", |backup| {
        backup["spec"].as_object_mut().unwrap().remove("storage");
        backup["status"]["artifact"]["uri"] = json!("s3://of-old/tenant-acme/orders-db/mine");
    });
    ask(&mut stage, "old", "now").await;
    assert_eq!(
        available(&stage, "old"),
        "Unknown StorageChanged: the Backup lies at s3://of-old/tenant-acme/orders-db/mine, and the platform's storage \
         is now bucket cozy-backups"
    );
    delete(&mut stage, "old").await;
    assert!(ready(&stage, "old").starts_with("False StorageChanged: "));
}

#[tokio::test]
async fn an_old_backup_of_an_etcd_is_looked_at_and_removed_by_its_metadata() {
    let mut stage = etcd().await;
    let found = backup(&stage, "ad-hoc");
    put(&stage, "old", |backup| {
        backup["metadata"]["finalizers"] = json!([]);
        backup["spec"] = found["spec"].clone();
        for field in ["storage", "plugin", "deletionPolicy", "backupClassName"] {
            backup["spec"].as_object_mut().unwrap().remove(field);
        }
        backup["spec"]["driverMetadata"]
            .as_object_mut()
            .unwrap()
            .remove("etcd.aenix.io/metadata-version");
        backup["status"] = json!({ "phase": "Ready" });
    });
    patch(
        &stage,
        "ad-hoc",
        json!({ "spec": { "deletionPolicy": "Retain" } }),
    )
    .await;
    delete(&mut stage, "ad-hoc").await;
    ask(&mut stage, "old", "now").await;
    assert!(available(&stage, "old").starts_with("True Available"));
    assert_eq!(
        backup(&stage, "old")["status"]["artifact"]["sizeBytes"],
        20_512
    );
    delete(&mut stage, "old").await;
    until_gone(&mut stage, "old").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
    assert_eq!(snapshots(&stage), 0);
}

#[tokio::test]
async fn malformed_metadata_of_a_postgres_backup_is_told_as_its_own_mistake() {
    for (key, value, told) in [
        (
            "backup-name",
            "a/b",
            r#"says "a/b" for cnpg.io/backup-name, which cannot be the name of an object"#,
        ),
        (
            "server-name",
            "../other",
            r#"says "../other" for cnpg.io/server-name, which cannot be the folder of an archive"#,
        ),
        (
            "cluster-name",
            "A Cluster",
            r#"says "A Cluster" for cnpg.io/cluster-name, which cannot be the name of an object"#,
        ),
    ] {
        let mut stage = Stage::new().unwrap();
        stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
        stage.platform().unwrap();
        stage.namespace(TENANT).unwrap();
        let mut metadata = json!({
            "cnpg.io/destination-path": "s3://cozy-backups/tenant-acme/orders-db/",
            "cnpg.io/server-name": "orders-db",
            "cnpg.io/backup-id": "1",
        });
        // The Cluster is asked only where the archive is out of sight.
        if key == "cluster-name" {
            metadata["cnpg.io/destination-path"] = "s3://elsewhere/".into();
        }
        metadata[format!("cnpg.io/{key}")] = value.into();
        old(&stage, "CNPG", &metadata);
        ask(&mut stage, "old", "now").await;
        let said = available(&stage, "old");
        assert!(said.starts_with("Unknown "), "{said}");
        let told = format!("InvalidMetadata: spec.driverMetadata of Backup old {told}");
        assert!(said.ends_with(&told), "{said}");
    }
}

#[tokio::test]
async fn a_backup_of_another_controller_is_left_to_it() {
    let mut stage = guest(Guest::default());
    put(&stage, "old", |backup| {
        backup["metadata"]["finalizers"] = json!([]);
        backup["spec"]["strategyRef"]["apiGroup"] = json!("backups.example.com");
    });
    let found = backup(&stage, "old");
    pass_time(&mut stage, 2 * DAY).await;
    assert_eq!(backup(&stage, "old"), found);
    // An old controller of ours held those, too.
    put(&stage, "old", |backup| {
        backup["spec"]["strategyRef"]["apiGroup"] = json!("backups.example.com");
    });
    delete(&mut stage, "old").await;
    assert_eq!(backup(&stage, "old"), Value::Null);
}
