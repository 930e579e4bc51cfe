//! Backups of ClickHouse, with the strategy as the real component. Kubernetes' Job controller, the kubelet, the operator
//! and clickhouse-backup are played.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod abort;
mod backup;
mod check;
mod client;
mod crashes;
mod forget;
mod kept;
mod restore;
mod settings;
mod sidecar;
mod template;

use std::sync::Arc;

use backup_engine::MemoryStorage;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{AltinityFate, ClickHouse, OWN_BUCKET, Operator as _, Stage, Workplace};

const TENANT: &str = "tenant-acme";
const API: &str = "backups.cozystack.io/v1alpha1";
const INSTALLATION: &str = "clickhouse.altinity.com/v1";
/// The folder of the application `events` in the platform's bucket.
const FOLDER: &str = "tenant-acme/clickhouse-events";
/// Before each name in a Backup's metadata.
const METADATA: &str = "altinity.strategy.backups.cozystack.io";

/// A platform with the plugin, and a tenant whose ClickHouse `events` has a shard of two replicas, as the chart has it.
fn stage() -> Stage {
    stage_of((1, 2))
}

/// The same with so many shards, and replicas of each.
fn stage_of(layout: (u32, u32)) -> Stage {
    let stage = Stage::of("altinity", TENANT).unwrap();
    stage.clickhouse(TENANT, "events", layout).unwrap();
    stage
}

/// What stands around clickhouse-backup, with a storage of its own for applications that have one.
fn play(stage: &Stage, fate: AltinityFate) -> ClickHouse {
    ClickHouse::at(workplace(stage), fate)
}

fn workplace(stage: &Stage) -> Workplace {
    Workplace::new(Arc::clone(&stage.storage))
        .with_bucket(OWN_BUCKET, Arc::new(MemoryStorage::default()))
}

async fn turn(stage: &Stage, around: &ClickHouse) {
    stage.cluster.advance(20);
    let now = Timestamp::from_second(stage.cluster.now()).unwrap();
    around.step(&stage.cluster, now).await.unwrap();
}

/// Host and all that stands around clickhouse-backup take turns until the job ends.
async fn ended(stage: &mut Stage, around: &ClickHouse, kind: &str, job: &str) -> String {
    for _ in 0..400 {
        stage.runner.settle().await.unwrap();
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        turn(stage, around).await;
    }
    panic!(
        "the job did not end; it says {}",
        stage.said(kind, TENANT, job)
    );
}

/// A backup of `events`, to its end.
async fn backed_up(stage: &mut Stage, around: &ClickHouse, job: &str) -> String {
    stage
        .backup_job_of(TENANT, job, "ClickHouse", "events")
        .unwrap();
    ended(stage, around, "BackupJob", job).await
}

/// A restore in place, to its end.
async fn restored(
    stage: &mut Stage,
    around: &ClickHouse,
    job: &str,
    backup: &str,
    options: &Value,
) -> String {
    stage.restore_job(TENANT, job, backup, options).unwrap();
    ended(stage, around, "RestoreJob", job).await
}

/// A restore to another application, to its end.
async fn copied(
    stage: &mut Stage,
    around: &ClickHouse,
    job: &str,
    backup: &str,
    to: &str,
) -> String {
    stage
        .restore_job_to(TENANT, job, backup, ("ClickHouse", to), &json!({}))
        .unwrap();
    ended(stage, around, "RestoreJob", job).await
}

/// A Backup is deleted, and is gone.
async fn forgotten(stage: &mut Stage, around: &ClickHouse, backup: &str) {
    stage.delete("Backup", TENANT, backup).await.unwrap();
    for _ in 0..200 {
        stage.runner.settle().await.unwrap();
        if stage.read("Backup", TENANT, backup).is_null() {
            return;
        }
        turn(stage, around).await;
    }
    panic!("the Backup stays");
}

/// The Jobs of Kubernetes that are there.
fn jobs(stage: &Stage) -> Vec<Arc<Value>> {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|object| object["kind"] == "Job" && object["apiVersion"] == "batch/v1")
        .collect()
}

/// The name of the archive that a Backup says it is.
fn archive(stage: &Stage, backup: &str) -> String {
    let backup = stage.read("Backup", TENANT, backup);
    backup["spec"]["driverMetadata"][format!("{METADATA}/archive")]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The archives in a folder that are whole.
fn archives(stage: &Stage, folder: &str) -> Vec<String> {
    let keys = stage.storage.keys().into_iter();
    let names = keys.filter_map(|key| {
        let name = key
            .strip_prefix(folder)?
            .strip_prefix('/')?
            .strip_suffix("/metadata.json")?;
        Some(name.to_owned())
    });
    names.collect()
}

/// Puts an archive as clickhouse-backup writes it.
fn put_archive(stage: &Stage, folder: &str) {
    for (file, size) in [
        ("shadow/shop/orders/default_all_1_1_0.tar", 4_096),
        ("metadata/shop/orders.json", 512),
        ("metadata.json", 1_024),
    ] {
        stage.storage.put(&format!("{folder}/{file}"), size, 1);
    }
}

/// Sets the default strategy's spec.
fn strategy(stage: &Stage, spec: &Value) {
    let object = json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Altinity",
        "metadata": { "name": "cozy-default-altinity" }, "spec": spec,
    });
    stage.cluster.put(object).unwrap();
}

/// Sets the default class's parameters.
fn parameters(stage: &Stage, parameters: &Value) {
    let mut class = stage
        .cluster
        .read(API, "BackupClass", None, "cozy-default")
        .unwrap();
    class["spec"]["strategies"][0]["parameters"] = parameters.clone();
    stage.cluster.put(class).unwrap();
}

/// Lets an application have a storage of its own, by the chart's older settings.
async fn own_storage(stage: &Stage, name: &str) {
    let installation = format!("clickhouse-{name}");
    let mut object = stage
        .cluster
        .read(
            INSTALLATION,
            "ClickHouseInstallation",
            Some(TENANT),
            &installation,
        )
        .unwrap();
    object["metadata"]["annotations"] = json!({ "stage/storage": "own" });
    stage.cluster.put(object).unwrap();
    for pod in clickhouse_pods(stage, name) {
        stage
            .delete_any("v1", "Pod", Some(TENANT), &pod)
            .await
            .unwrap();
    }
    turn(stage, &play(stage, AltinityFate::Completes)).await;
}

/// The names of an application's Pods.
fn clickhouse_pods(stage: &Stage, name: &str) -> Vec<String> {
    let begin = format!("chi-clickhouse-{name}-clickhouse-");
    let objects = stage.cluster.objects().into_iter();
    let names = objects
        .filter(|object| object["kind"] == "Pod")
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with(&begin)).collect()
}
