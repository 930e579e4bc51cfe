//! The removal of a Backup with what belongs to it.

use serde_json::json;
use stage::MariaDbFate;

use crate::{
    FOLDER, TENANT,
    scene::{Scene, key_of},
};

#[tokio::test]
async fn a_backup_goes_with_its_dump_and_the_operators_object_and_nothing_else() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let mut keys = vec![];
    for name in ["first", "nightly", "third"] {
        keys.push(key_of(&scene.backup(name).await));
    }
    let foreign = format!("{FOLDER}orders/base/20261125/data.tar.gz");
    scene.stage.storage.put(&foreign, 1, 1);
    scene.forget("nightly").await;
    let left = scene.keys();
    assert!(!left.contains(&keys[1]));
    for key in [&keys[0], &keys[2], &foreign] {
        assert!(left.contains(key), "{key}");
    }
    assert_eq!(scene.dumps().len(), 2);
    assert!(scene.of_core("Pod").len() == 2, "its Job is gone");
    for name in ["first", "third"] {
        assert!(scene.check(name).await.starts_with("True "), "{name}");
    }
}

#[tokio::test]
async fn a_backup_goes_when_its_application_is_gone_and_its_strategy_too() {
    let mut scene = Scene::with_backup("nightly").await;
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
    stage
        .delete_cluster_scoped(
            "strategy.backups.cozystack.io/v1alpha1",
            "MariaDB",
            "cozy-default-mariadb",
        )
        .await
        .unwrap();
    scene.delete_all_of_operator().await;
    scene.forget("nightly").await;
    assert!(scene.keys().is_empty());
    assert!(scene.events("Backup", "nightly").is_empty());
}

#[tokio::test]
async fn a_dump_that_is_gone_already_keeps_nobody_from_going() {
    let mut scene = Scene::with_backup("nightly").await;
    let key = scene.keys()[0].clone();
    scene.stage.storage.remove(&key);
    scene.forget("nightly").await;
    assert!(scene.dumps().is_empty());
    assert!(scene.events("Backup", "nightly").is_empty());
}

#[tokio::test]
async fn a_dump_that_is_to_stay_stays() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.change_backup("nightly", |backup| {
        backup["spec"]["deletionPolicy"] = "Retain".into();
    });
    scene.forget("nightly").await;
    assert_eq!(scene.keys().len(), 1);
    assert_eq!(scene.dumps().len(), 1);
}

#[tokio::test]
async fn a_dump_out_of_reach_is_reported() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.change_backup("nightly", |backup| {
        let s3 = &mut backup["status"]["underlyingResources"]["storage"]["s3"];
        s3["bucket"] = "own".into();
        s3["endpoint"] = "s3.example.org".into();
        backup["status"]["artifact"] = json!({ "uri": "s3://own/tenant-acme/orders/" });
        backup["spec"]["driverMetadata"]["k8s.mariadb.com/storage-uri"] =
            "s3://own/tenant-acme/orders/".into();
    });
    scene.forget("nightly").await;
    assert!(scene.dumps().is_empty());
    assert_eq!(scene.events("Backup", "nightly"), ["LeftBehind"]);
    assert_eq!(scene.keys().len(), 1);
}

// TestBackupCleanup_MariaDB_DoesNotFallThroughToVelero
#[tokio::test]
async fn metadata_of_another_strategy_leads_nowhere() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.change_backup("nightly", |backup| {
        let metadata = &mut backup["spec"]["driverMetadata"];
        metadata["velero.io/backup-name"] = "tenant-acme.nightly".into();
        metadata["velero.io/backup-namespace"] = "cozy-velero".into();
    });
    scene.forget("nightly").await;
    let requests = scene.stage.cluster.requests();
    let of_velero = requests
        .iter()
        .filter(|request| request.api_version.starts_with("velero.io/"));
    assert_eq!(of_velero.count(), 0);
    assert!(scene.keys().is_empty());
}
