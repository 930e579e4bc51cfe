//! Postgres.

use serde_json::{Value, json};
use stage::{Bucket as _, Cnpg, Fate, Workplace};

use crate::{
    bucket::bucket,
    cluster::{API, Scene},
    installed::Alone,
};

const OPERATOR: &str = "postgresql.cnpg.io/v1";
const APPS: &str = "apps.cozystack.io/v1alpha1";
const HELM: &str = "helm.toolkit.fluxcd.io/v2";

/// A tenant's database, and another one that takes its data, from the first backup to the last.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    for name in ["orders-db", "copy"] {
        let database = stage::postgres_objects(scene.namespace(), name, "a-password");
        scene.put_with_status(database.unwrap()).await;
    }
    let operator = scene.play(operator(&scene, Fate::Completes));
    backup(&scene).await;
    in_place(&scene).await;
    into_another(&scene).await;
    drop(operator);
    called_off(&scene).await;
    failed(&scene).await;
    forgotten(&scene).await;
}

fn operator(scene: &Scene, fate: Fate) -> Cnpg {
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    Cnpg::at(place, fate)
}

async fn succeeded(scene: &Scene, kind: &str, name: &str) {
    let job = scene.ended(kind, name).await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
}

/// Taken, and found to be there.
async fn backup(scene: &Scene) {
    scene
        .backup_job_of("nightly", "Postgres", "orders-db")
        .await;
    succeeded(scene, "BackupJob", "nightly").await;
    let backup = scene.read(API, "Backup", "nightly").await.unwrap();
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 4_195_508);
    scene.is_available("nightly").await;
}

/// The operator's own object is not needed.
async fn in_place(scene: &Scene) {
    for order in scene.list(OPERATOR, "Backup").await {
        let name = order["metadata"]["name"].as_str().unwrap();
        scene.delete_in(OPERATOR, "Backup", name).await;
    }
    let before = cluster(scene, "postgres-orders-db").await;
    scene.restore_job("back", "nightly").await;
    succeeded(scene, "RestoreJob", "back").await;
    let after = cluster(scene, "postgres-orders-db").await;
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    is_restored(scene, "orders-db").await;
}

async fn into_another(scene: &Scene) {
    let before = cluster(scene, "postgres-orders-db").await;
    let target = json!({ "kind": "Postgres", "name": "copy" });
    let spec = json!({
        "backupRef": { "name": "nightly" },
        "targetApplicationRef": target,
        "options": { "recoveryTime": "latest" },
    });
    scene.job("RestoreJob", "into-copy", &spec).await;
    succeeded(scene, "RestoreJob", "into-copy").await;
    is_restored(scene, "copy").await;
    let after = cluster(scene, "postgres-orders-db").await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
}

/// The Cluster recovers from the Backup, Helm goes on, and has nothing against what is there.
async fn is_restored(scene: &Scene, name: &str) {
    let release = format!("postgres-{name}");
    let found = cluster(scene, &release).await;
    let metadata =
        scene.read(API, "Backup", "nightly").await.unwrap()["spec"]["driverMetadata"].clone();
    assert_eq!(
        found["spec"]["bootstrap"]["recovery"]["recoveryTarget"]["backupID"],
        metadata["cnpg.io/backup-id"]
    );
    let application = scene.read(APPS, "Postgres", name).await.unwrap();
    assert_eq!(application["spec"]["bootstrap"]["enabled"], true);
    let goes_on = |release: &Value| {
        let said = &release["status"]["conditions"][0];
        release["spec"]["suspend"] != true && said["reason"] == "UpgradeSucceeded"
    };
    let target = (HELM, "HelmRelease", release.as_str());
    scene.until_in(scene.namespace(), target, goes_on).await;
}

/// A job that is deleted takes its order back.
async fn called_off(scene: &Scene) {
    let _operator = scene.play(operator(scene, Fate::Stalls));
    scene.backup_job_of("off", "Postgres", "orders-db").await;
    let is_running = |job: &Value| {
        let message = job["status"]["message"].as_str();
        message.is_some_and(|message| message.starts_with("BackupRunning"))
    };
    scene.until("BackupJob", "off", is_running).await;
    scene.delete("BackupJob", "off").await;
    scene.gone("BackupJob", "off").await;
    assert_eq!(scene.list(OPERATOR, "Backup").await.len(), 0);
}

/// The operator's words reach the tenant.
async fn failed(scene: &Scene) {
    let fate = Fate::Fails("no space left on device".to_owned());
    let _operator = scene.play(operator(scene, fate));
    scene.backup_job_of("failed", "Postgres", "orders-db").await;
    let job = scene.ended("BackupJob", "failed").await;
    assert_eq!(job["status"]["phase"], "Failed");
    let message = job["status"]["message"].as_str().unwrap();
    assert!(message.contains("no space left on device"), "{message}");
}

/// The archive goes with its last Backup, since the restored Cluster archives elsewhere.
async fn forgotten(scene: &Scene) {
    let namespace = scene.namespace();
    let archive = format!("{namespace}/orders-db/{namespace}-orders-db/");
    let stored = async || {
        let keys = bucket().keys().await;
        keys.iter().filter(|key| key.starts_with(&archive)).count()
    };
    assert_eq!(stored().await, 3);
    scene.delete("Backup", "nightly").await;
    scene.gone("Backup", "nightly").await;
    assert_eq!(stored().await, 0);
}

async fn cluster(scene: &Scene, name: &str) -> Value {
    scene.read(OPERATOR, "Cluster", name).await.unwrap()
}
