//! FoundationDB.

use serde_json::{Value, json};
use stage::{FoundationDbFate, FoundationDbOperator, Workplace};

use crate::{
    bucket::bucket,
    cluster::{Played, Scene},
    installed::Alone,
};

const OPERATOR: &str = "apps.foundationdb.org/v1beta2";

/// A tenant's databases, from a backup to its removal.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    for name in ["fdb", "copy", "third"] {
        let objects = stage::foundationdb_objects(scene.namespace(), name).unwrap();
        scene.put_with_status(objects).await;
    }
    {
        let _operator = operator(&scene, FoundationDbFate::Completes);
        backup_and_check(&scene).await;
        restore_in_place(&scene).await;
        restore_into_another(&scene).await;
    }
    no_credentials(&scene).await;
    deleted_midway(&scene).await;
    let _operator = operator(&scene, FoundationDbFate::Completes);
    removal(&scene).await;
}

fn operator(scene: &Scene, fate: FoundationDbFate) -> Played {
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    scene.play(FoundationDbOperator::at(place, fate))
}

async fn succeeded(scene: &Scene, kind: &str, name: &str) {
    let job = scene.ended(kind, name).await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
}

async fn cluster(scene: &Scene, application: &str) -> Value {
    let name = format!("foundationdb-{application}");
    let found = scene.read(OPERATOR, "FoundationDBCluster", &name).await;
    found.unwrap()
}

/// A backup of the first day is followed by that of the second, whose stream takes the place of the first.
async fn backup_and_check(scene: &Scene) {
    for name in ["monday", "tuesday"] {
        scene.backup_job_of(name, "FoundationDB", "fdb").await;
        succeeded(scene, "BackupJob", name).await;
    }
    let orders = scene.list(OPERATOR, "FoundationDBBackup").await;
    assert_eq!(orders.len(), 1, "a cluster has one stream at a time");
    let backup = scene.is_available("monday").await;
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 4096 + 512);
}

async fn restore_in_place(scene: &Scene) {
    let before = cluster(scene, "fdb").await;
    scene.restore_job("back", "monday").await;
    succeeded(scene, "RestoreJob", "back").await;
    is_monday(scene, "fdb").await;
    let after = cluster(scene, "fdb").await;
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"], before["spec"]);
    let release = scene
        .read(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "foundationdb-fdb",
        )
        .await
        .unwrap();
    assert_ne!(release["spec"]["suspend"], true);
}

async fn restore_into_another(scene: &Scene) {
    let spec = json!({
        "backupRef": { "name": "monday" },
        "targetApplicationRef": { "kind": "FoundationDB", "name": "copy" },
    });
    scene.job("RestoreJob", "over", &spec).await;
    succeeded(scene, "RestoreJob", "over").await;
    is_monday(scene, "copy").await;
}

/// A database holds what the backup of Monday holds.
async fn is_monday(scene: &Scene, application: &str) {
    let backup = scene.until("Backup", "monday", |_| true).await;
    let said = |key: &str| {
        let key = format!("apps.foundationdb.org/{key}");
        let said = backup["spec"]["driverMetadata"][key].as_str();
        said.unwrap_or_default().to_owned()
    };
    let restored = FoundationDbOperator::restored(&cluster(scene, application).await);
    let version = said("restorable-version").parse().unwrap();
    assert_eq!(restored, Some((said("blob-backup-name"), Some(version))));
}

/// The operator's own Pod has no credentials: the job says so while it waits.
async fn no_credentials(scene: &Scene) {
    let _operator = operator(scene, FoundationDbFate::NoCredentials);
    scene.backup_job_of("stuck", "FoundationDB", "third").await;
    let is_told = |job: &Value| {
        let message = job["status"]["message"].as_str().unwrap_or_default();
        message.contains("FDB_BLOB_CREDENTIALS")
    };
    scene.until("BackupJob", "stuck", is_told).await;
    scene.delete("BackupJob", "stuck").await;
    scene.gone("BackupJob", "stuck").await;
    assert!(scene.list(OPERATOR, "FoundationDBBackup").await.is_empty());
}

/// What was stored of a backup that nobody wants any more goes with it.
async fn deleted_midway(scene: &Scene) {
    let _operator = operator(scene, FoundationDbFate::SnapshotStalls);
    scene
        .backup_job_of("unwanted", "FoundationDB", "copy")
        .await;
    let is_running = |job: &Value| {
        let message = job["status"]["message"].as_str().unwrap_or_default();
        message.contains("FoundationDBBackupRunning")
    };
    scene.until("BackupJob", "unwanted", is_running).await;
    scene.delete("BackupJob", "unwanted").await;
    scene.gone("BackupJob", "unwanted").await;
    let streams = FoundationDbOperator::streams_to(&cluster(scene, "copy").await);
    assert_eq!(streams, None);
}

async fn removal(scene: &Scene) {
    for name in ["monday", "tuesday"] {
        scene.delete("Backup", name).await;
        scene.gone("Backup", name).await;
    }
    let place = format!("{}/fdb/", scene.namespace());
    let keys = stage::Bucket::keys(bucket().as_ref()).await;
    let left: Vec<&String> = keys.iter().filter(|key| key.contains(&place)).collect();
    assert!(left.is_empty(), "{left:?}");
}
