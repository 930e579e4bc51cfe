//! From a Backup back into a MariaDB.

use serde_json::{Value, json};
use stage::{MariaDbFate, MariaDbOperator, Workplace};

use crate::{
    API, FOLDER, PASSWORD, TENANT,
    scene::{Scene, key_of, shown},
};

const RESTORED: &str = "Succeeded RestoreCompleted: Backup nightly is restored";
const INSTANCE: &str = "tenant-acme/mariadb-orders";

fn restored(scene: &Scene) -> Vec<(String, String)> {
    scene.operator.restored()
}

#[tokio::test]
async fn a_dump_is_put_back_into_its_own_mariadb() {
    let mut scene = Scene::with_backup("nightly").await;
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    let key = scene.keys()[0].clone();
    assert_eq!(restored(&scene), [(INSTANCE.to_owned(), key)]);
    let restores = scene.of_operator("Restore");
    assert_eq!(restores.len(), 1);
    insta::assert_yaml_snapshot!("restore-of-the-operator", shown(&restores[0]), {
        ".metadata.name" => "(name)",
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".metadata.ownerReferences[0].uid" => "(uid)",
    });
}

// Defect 2 of the reference: whatever Backup was named, the newest dump was restored.
#[tokio::test]
async fn an_older_backup_is_restored_from_its_own_dump() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let mut keys = vec![];
    for name in ["first", "nightly", "third"] {
        keys.push(key_of(&scene.backup(name).await));
    }
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    assert_eq!(restored(&scene), [(INSTANCE.to_owned(), keys[1].clone())]);
    let begun = keys[1].split('.').nth(1).unwrap();
    let spec = &scene.of_operator("Restore")[0]["spec"];
    assert_eq!(spec["targetRecoveryTime"], begun);
}

// TestResolveMariaDBRestoreTarget
#[tokio::test]
async fn a_dump_is_put_into_another_mariadb_or_into_its_own() {
    for (target, instance) in [
        (json!(null), "tenant-acme/mariadb-orders"),
        (
            json!({ "kind": "MariaDB", "name": "copy" }),
            "tenant-acme/mariadb-copy",
        ),
    ] {
        let mut scene = Scene::with_backup("nightly").await;
        scene.stage.mariadb(TENANT, "copy", PASSWORD).unwrap();
        let mut spec = json!({ "backupRef": { "name": "nightly" } });
        if !target.is_null() {
            spec["targetApplicationRef"] = target;
        }
        scene
            .stage
            .cluster
            .put(json!({
                "apiVersion": API,
                "kind": "RestoreJob",
                "metadata": { "name": "back", "namespace": TENANT },
                "spec": spec,
            }))
            .unwrap();
        assert_eq!(scene.play("RestoreJob", "back").await, RESTORED);
        let key = scene.keys()[0].clone();
        assert_eq!(restored(&scene), [(instance.to_owned(), key)]);
        let prefix = &scene.of_operator("Restore")[0]["spec"]["s3"]["prefix"];
        assert_eq!(*prefix, FOLDER, "the place of the source");
    }
}

#[tokio::test]
async fn a_dump_is_put_into_a_mariadb_of_another_namespace() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.stage.restore_policy().unwrap();
    scene.stage.namespace("tenant-other").unwrap();
    scene
        .stage
        .mariadb("tenant-other", "orders", PASSWORD)
        .unwrap();
    scene.pass(60).await;
    let options = json!({ "targetNamespace": "tenant-other" });
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &options)
        .unwrap();
    assert_eq!(scene.play("RestoreJob", "back").await, RESTORED);
    let key = scene.keys()[0].clone();
    assert_eq!(
        restored(&scene),
        [("tenant-other/mariadb-orders".to_owned(), key)]
    );
}

// Defect 12 of the reference.
#[tokio::test]
async fn the_backup_and_the_bucket_are_all_that_a_restore_needs() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.stage.mariadb(TENANT, "copy", PASSWORD).unwrap();
    scene.delete_all_of_operator().await;
    scene
        .stage
        .delete("BackupJob", TENANT, "nightly")
        .await
        .unwrap();
    scene
        .stage
        .delete_cluster_scoped(API, "BackupClass", "cozy-default")
        .await
        .unwrap();
    scene
        .stage
        .delete_any(
            "apps.cozystack.io/v1alpha1",
            "MariaDB",
            Some(TENANT),
            "orders",
        )
        .await
        .unwrap();
    let to = ("MariaDB", "copy");
    scene
        .stage
        .restore_job_to(TENANT, "back", "nightly", to, &json!({}))
        .unwrap();
    assert_eq!(scene.play("RestoreJob", "back").await, RESTORED);
    assert_eq!(restored(&scene).len(), 1);
}

// TestEnsureMariaDBRestore_IdempotentByLabel: by name, which holds the job's UID.
#[tokio::test]
async fn a_job_orders_one_restore_however_often_it_is_looked_at() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.fate(MariaDbFate::RestoreStalls);
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &json!({}))
        .unwrap();
    for _ in 0..3 {
        scene.turn().await;
        scene.stage.restart();
    }
    let restores = scene.of_operator("Restore");
    assert_eq!(restores.len(), 1);
    assert_eq!(restores[0]["spec"]["mariaDbRef"]["name"], "mariadb-orders");

    // The job created anew is another one.
    scene
        .stage
        .delete("RestoreJob", TENANT, "back")
        .await
        .unwrap();
    scene.turn().await;
    scene.turn().await;
    assert!(scene.of_operator("Restore").is_empty());
    scene.fate(MariaDbFate::Completes);
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    assert_eq!(restored(&scene).len(), 1);
}

// TestReconcileMariaDBRestore_TargetMariaDBNotFoundIsTransient, TestMariaDBRestoreOptions_EffectiveDeadline
#[tokio::test]
async fn a_target_that_is_not_there_is_waited_for_as_long_as_the_tenant_wants() {
    for (options, minutes) in [
        (json!({}), 30),
        (json!({ "restoreTimeoutSeconds": 0 }), 30),
        (json!({ "restoreTimeoutSeconds": -1 }), 30),
        (json!({ "restoreTimeoutSeconds": 7200 }), 120),
    ] {
        let mut scene = Scene::with_backup("nightly").await;
        let to = ("MariaDB", "copy");
        scene
            .stage
            .restore_job_to(TENANT, "back", "nightly", to, &options)
            .unwrap();
        let start = scene.stage.cluster.now();
        scene.turn().await;
        let said = scene.stage.said("RestoreJob", TENANT, "back");
        assert!(
            said.starts_with("Pending Waiting: TargetMariaDBNotReady: MariaDB tenant-acme/mariadb-copy: it does not exist yet"),
            "{said}"
        );
        let said = scene.play("RestoreJob", "back").await;
        assert!(
            said.starts_with("Failed RestoreFailed: TargetMariaDBNotReady: "),
            "{said}"
        );
        let took = (scene.stage.cluster.now() - start) / 60;
        assert!((minutes..minutes + 3).contains(&took), "{took} minutes");
        assert!(scene.of_operator("Restore").is_empty());
    }
}

#[tokio::test]
async fn a_target_that_comes_in_time_is_restored_into() {
    let mut scene = Scene::with_backup("nightly").await;
    let to = ("MariaDB", "copy");
    scene
        .stage
        .restore_job_to(TENANT, "back", "nightly", to, &json!({}))
        .unwrap();
    scene.turn().await;
    scene.stage.mariadb(TENANT, "copy", PASSWORD).unwrap();
    assert_eq!(scene.play("RestoreJob", "back").await, RESTORED);
}

// TestParseMariaDBRestoreOptions: what is no option is told, and not passed over. The reference took a `recoveryTime` for
// nothing, and restored something else than was asked for.
#[tokio::test]
async fn an_option_that_does_not_fit_is_named() {
    for (options, named) in [
        (
            json!({ "restoreTimeoutSeconds": "soon" }),
            "restoreTimeoutSeconds",
        ),
        (
            json!({ "recoveryTime": "2026-11-25T12:00:00Z" }),
            "recoveryTime",
        ),
    ] {
        let mut scene = Scene::with_backup("nightly").await;
        scene
            .stage
            .restore_job(TENANT, "back", "nightly", &options)
            .unwrap();
        let said = scene.play("RestoreJob", "back").await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(said.contains(named), "{said}");
        assert!(scene.of_operator("Restore").is_empty());
    }
}

// TestReconcileMariaDBRestore_KindCheckedBeforeSrcBackupGet: and before anything else, such as that the dump is gone.
#[tokio::test]
async fn a_target_of_another_kind_is_refused_first() {
    for target in [
        json!({ "kind": "Postgres", "name": "orders" }),
        json!({ "apiGroup": "apps.example.org", "kind": "MariaDB", "name": "orders" }),
    ] {
        let mut scene = Scene::with_backup("nightly").await;
        for key in scene.keys() {
            scene.stage.storage.remove(&key);
        }
        scene
            .stage
            .cluster
            .put(json!({
                "apiVersion": API,
                "kind": "RestoreJob",
                "metadata": { "name": "back", "namespace": TENANT },
                "spec": { "backupRef": { "name": "nightly" }, "targetApplicationRef": target },
            }))
            .unwrap();
        let said = scene.play("RestoreJob", "back").await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(!said.contains("DumpGone"), "{said}");
        assert!(
            said.contains("Postgres") || said.contains("apps.example.org"),
            "{said}"
        );
    }
}

// TestReconcileMariaDBRestore_StartedAtPersistedContinuesInline: a host that knows nothing of the job goes on at once.
#[tokio::test]
async fn a_dump_that_is_gone_is_told_before_anything_is_touched() {
    let mut scene = Scene::with_backup("nightly").await;
    let key = scene.keys()[0].clone();
    scene.stage.storage.remove(&key);
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &json!({}))
        .unwrap();
    scene.stage.restart();
    scene.stage.runner.settle().await.unwrap();
    assert_eq!(
        scene.stage.said("RestoreJob", TENANT, "back"),
        format!(
            "Failed RestoreFailed: DumpGone: s3://cozy-backups/{key} is no longer there; nothing was restored"
        )
    );
    assert!(scene.of_operator("Restore").is_empty());
}

// Defect 1 of the reference, of restores.
#[tokio::test]
async fn a_failed_restore_is_no_restore() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.fate(MariaDbFate::RestoreFails);
    let said = scene.restore_job("nightly").await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: MariaDBRestoreFailed: mariadb-operator's Job back-"
        ),
        "{said}"
    );
    assert!(
        said.contains("the MariaDB may hold a part of the dump"),
        "{said}"
    );
    assert!(scene.of_operator("Restore").is_empty(), "it is undone");
    assert!(
        scene
            .events("RestoreJob", "back")
            .contains(&"MariaDBPartlyRestored".to_owned())
    );
}

#[tokio::test]
async fn a_restore_that_does_not_end_is_given_up_and_stopped() {
    for (options, minutes) in [
        (json!({}), 30),
        (json!({ "restoreTimeoutSeconds": 7200 }), 120),
    ] {
        let mut scene = Scene::with_backup("nightly").await;
        scene.fate(MariaDbFate::RestoreStalls);
        scene
            .stage
            .restore_job(TENANT, "back", "nightly", &options)
            .unwrap();
        let start = scene.stage.cluster.now();
        let said = scene.play("RestoreJob", "back").await;
        assert!(said.contains("MariaDBRestoreRunning: "), "{said}");
        assert!(said.contains("restoreTimeoutSeconds"), "{said}");
        let took = (scene.stage.cluster.now() - start) / 60;
        assert!((minutes..minutes + 3).contains(&took), "{took} minutes");
        assert!(scene.of_operator("Restore").is_empty());
        let pods = scene.of_core("Pod");
        let of_restore = pods.iter().filter(|pod| {
            pod["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with("back-")
        });
        assert_eq!(of_restore.count(), 0, "nothing runs on");
    }
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named_long_before() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.fate(MariaDbFate::RestoreStuck("no such Secret".to_owned()));
    let start = scene.stage.cluster.now();
    let said = scene.restore_job("nightly").await;
    assert!(
        said.contains("MariaDBRestoreStuck: the Pod of Job back-"),
        "{said}"
    );
    assert!(
        said.contains("CreateContainerConfigError: no such Secret"),
        "{said}"
    );
    assert!((scene.stage.cluster.now() - start) / 60 < 13);
}

// Defect 7 of the reference, of restores: the operator's Backup is not looked at.
#[tokio::test]
async fn a_restore_goes_on_when_the_operators_backup_vanishes() {
    let mut scene = Scene::with_backup("nightly").await;
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &json!({}))
        .unwrap();
    scene.turn().await;
    let name = scene.dumps()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    scene.delete("Backup", &name).await;
    assert_eq!(scene.play("RestoreJob", "back").await, RESTORED);
}

/// A tenant whose dumps go into a bucket of its own, where nobody of the platform can look.
async fn with_own_bucket() -> (Scene, Vec<String>) {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let key = |key: &str| json!({ "name": "own-keys", "key": key });
    scene.template(&json!({
        "storage": { "s3": {
            "bucket": "own",
            "endpoint": "s3.example.org",
            "accessKeyIdSecretKeyRef": key("id"),
            "secretAccessKeySecretKeyRef": key("secret"),
        } },
    }));
    let own = std::sync::Arc::new(backup_engine::MemoryStorage::default());
    let place = Workplace::new(std::sync::Arc::clone(&scene.stage.storage))
        .with_bucket("own", std::sync::Arc::clone(&own));
    scene.operator = MariaDbOperator::at(place, MariaDbFate::Completes);
    for name in ["first", "nightly", "third"] {
        scene.backup(name).await;
    }
    (scene, own.keys())
}

#[tokio::test]
async fn a_dump_that_nobody_can_see_is_found_by_the_operator_by_time() {
    let (mut scene, keys) = with_own_bucket().await;
    assert_eq!(keys.len(), 3);
    assert!(scene.keys().is_empty());
    let backup = scene.stage.read("Backup", TENANT, "nightly");
    assert_eq!(
        backup["status"]["artifact"]["uri"], "s3://own/tenant-acme/orders/",
        "the folder is all that is known"
    );
    let begun = keys[1].split('.').nth(1).unwrap();
    assert_eq!(backup["spec"]["takenAt"], begun, "as its Pod says");
    scene.delete_all_of_operator().await;
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    assert_eq!(restored(&scene), [(INSTANCE.to_owned(), keys[1].clone())]);
    let s3 = &scene.of_operator("Restore")[0]["spec"]["s3"];
    assert_eq!(s3["bucket"], "own");
    assert_eq!(s3["accessKeyIdSecretKeyRef"]["name"], "own-keys");
}

// Newer operators take the last dump that is not younger than the time, those of today the nearest.
#[tokio::test]
async fn the_time_of_an_unseen_dump_lies_behind_its_own_and_before_the_next() {
    let (mut scene, keys) = with_own_bucket().await;
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    let spec = scene.of_operator("Restore")[0]["spec"].clone();
    let wanted: jiff::Timestamp = spec["targetRecoveryTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let at = |key: &str| {
        key.split('.')
            .nth(1)
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let behind: Vec<_> = keys.iter().filter(|key| at(key) <= wanted).collect();
    assert_eq!(behind.last(), Some(&&keys[1]));
}

#[tokio::test]
async fn a_mariadb_can_be_restored_twice_from_the_same_backup() {
    let mut scene = Scene::with_backup("nightly").await;
    for _ in 0..2 {
        assert_eq!(scene.restore_job("nightly").await, RESTORED);
        scene
            .stage
            .delete("RestoreJob", TENANT, "back")
            .await
            .unwrap();
        scene.stage.runner.settle().await.unwrap();
        assert!(
            scene.of_operator("Restore").is_empty(),
            "a Restore goes with its job"
        );
    }
    assert_eq!(restored(&scene).len(), 2);
}

#[tokio::test]
async fn a_backup_that_says_nowhere_where_its_dump_lies_is_refused() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.delete_all_of_operator().await;
    scene.change_backup("nightly", |backup| {
        backup["status"]["underlyingResources"] = Value::Null;
        backup["spec"]["driverMetadata"]["k8s.mariadb.com/storage-uri"] = "".into();
    });
    let said = scene.restore_job("nightly").await;
    assert!(said.contains("MetadataMissing: "), "{said}");
    assert!(said.contains("k8s.mariadb.com/storage-uri"), "{said}");
}

#[tokio::test]
async fn a_backup_without_its_document_is_restored_by_its_uri() {
    let mut scene = Scene::with_backup("nightly").await;
    let key = scene.keys()[0].clone();
    scene.delete_all_of_operator().await;
    scene.change_backup("nightly", |backup| {
        backup["status"]["underlyingResources"] = json!({ "kind": "Other" });
    });
    assert_eq!(scene.restore_job("nightly").await, RESTORED);
    assert_eq!(restored(&scene), [(INSTANCE.to_owned(), key)]);
    let s3 = &scene.of_operator("Restore")[0]["spec"]["s3"];
    assert_eq!(s3["tls"], json!({ "enabled": true }));
    assert_eq!(s3["region"], "eu-1");
}
