//! A tenant with a database, its operator, and words for what the cluster shows.

use std::sync::Arc;

use backup_engine::cluster::{Caller, Cluster as _, DeleteOptions};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Cnpg, Fate, Operator as _, Stage};

pub const TENANT: &str = "tenant-acme";
pub const CLUSTER: &str = "postgres-orders-db";
pub const OPERATOR: &str = "postgresql.cnpg.io/v1";
pub const STORES: &str = "barmancloud.cnpg.io/v1";
pub const APPS: &str = "apps.cozystack.io/v1alpha1";
pub const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub const ARCHIVE: &str = "tenant-acme/orders-db/tenant-acme-orders-db";
pub const RESTORED: &str = "Succeeded RestoreCompleted: Backup ad-hoc is restored";

/// A platform with the strategy, and a tenant with a database.
pub fn stage() -> Stage {
    let stage = Stage::of("cnpg", TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

/// The same with a Backup, `ad-hoc`.
pub async fn backed_up() -> Stage {
    let mut stage = stage();
    back_up(&mut stage, "ad-hoc").await;
    stage
}

/// A Backup of the database.
pub async fn back_up(stage: &mut Stage, name: &str) {
    stage.backup_job(TENANT, name, "orders-db").unwrap();
    let operator = operator(stage, Fate::Completes);
    let said = play(stage, &operator, "BackupJob", name).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

pub fn operator(stage: &Stage, fate: Fate) -> Cnpg {
    Cnpg::new(Arc::clone(&stage.storage), fate)
}

pub fn now(stage: &Stage) -> Timestamp {
    Timestamp::from_second(stage.cluster.now()).unwrap()
}

pub async fn turn(stage: &Stage, operator: &Cnpg) {
    stage.cluster.advance(20);
    operator.step(&stage.cluster, now(stage)).await.unwrap();
}

/// Host and operator take so many turns.
pub async fn turns(stage: &mut Stage, operator: &Cnpg, count: usize) {
    for _ in 0..count {
        stage.runner.settle().await.unwrap();
        turn(stage, operator).await;
    }
    stage.runner.settle().await.unwrap();
}

/// Host and operator take turns until a job ends.
pub async fn play(stage: &mut Stage, operator: &Cnpg, kind: &str, job: &str) -> String {
    for _ in 0..400 {
        stage.runner.settle().await.unwrap();
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        turn(stage, operator).await;
    }
    panic!(
        "the job did not end; it says {}",
        stage.said(kind, TENANT, job)
    );
}

/// Asks for a restore of the Backup `ad-hoc` in place, with options.
pub fn restore(stage: &Stage, options: &Value) {
    stage
        .restore_job(TENANT, "back", "ad-hoc", options)
        .unwrap();
}

/// The same, and what it comes to.
pub async fn restored(stage: &mut Stage, options: &Value, fate: Fate) -> String {
    restore(stage, options);
    let operator = operator(stage, fate);
    play(stage, &operator, "RestoreJob", "back").await
}

pub fn said(stage: &Stage) -> String {
    stage.said("RestoreJob", TENANT, "back")
}

/// An object of the tenant's; null when absent.
pub fn object(stage: &Stage, api_version: &str, kind: &str, name: &str) -> Value {
    let found = stage.cluster.read(api_version, kind, Some(TENANT), name);
    found.unwrap_or_default()
}

pub fn cluster(stage: &Stage) -> Value {
    object(stage, OPERATOR, "Cluster", CLUSTER)
}

pub fn store(stage: &Stage, name: &str) -> Value {
    object(stage, STORES, "ObjectStore", name)
}

pub fn application(stage: &Stage) -> Value {
    object(stage, APPS, "Postgres", "orders-db")
}

pub fn release(stage: &Stage) -> Value {
    object(stage, HELM, "HelmRelease", CLUSTER)
}

pub fn backup(stage: &Stage, name: &str) -> Value {
    stage.read("Backup", TENANT, name)
}

pub fn is_suspended(stage: &Stage) -> bool {
    release(stage)["spec"]["suspend"] == true
}

/// What Helm said last.
pub fn helm(stage: &Stage) -> String {
    let condition = release(stage)["status"]["conditions"][0].clone();
    format!(
        "{}: {}",
        condition["status"].as_str().unwrap(),
        condition["message"].as_str().unwrap()
    )
}

/// Changes an object by hand.
pub fn change(stage: &Stage, mut found: Value, change: impl FnOnce(&mut Value)) {
    change(&mut found);
    stage.cluster.put(found).unwrap();
}

/// The tenant's objects of a kind.
pub fn of_kind(stage: &Stage, api_version: &str, kind: &str) -> Vec<Arc<Value>> {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|object| object["apiVersion"] == api_version && object["kind"] == kind)
        .collect()
}

/// The operator's own Backups.
pub fn orders(stage: &Stage) -> Vec<Arc<Value>> {
    of_kind(stage, OPERATOR, "Backup")
}

pub fn volumes(stage: &Stage) -> Vec<Arc<Value>> {
    of_kind(stage, "v1", "PersistentVolumeClaim")
}

/// Deletes the operator's own Backups: a job needs none of them.
pub async fn without_orders(stage: &Stage) {
    for order in orders(stage) {
        remove(stage, &order).await;
    }
}

pub async fn remove(stage: &Stage, object: &Value) {
    let target = backup_engine::reference(object);
    let at_once = DeleteOptions::default();
    let host = Caller::host();
    let removed = stage.cluster.delete(&host, &target, &at_once);
    removed.await.unwrap();
}

/// The base backup that a Backup is of.
pub fn base_of(stage: &Stage, backup: &str) -> String {
    let backup = stage.read("Backup", TENANT, backup);
    let id = &backup["spec"]["driverMetadata"]["cnpg.io/backup-id"];
    id.as_str().unwrap().to_owned()
}

/// Where the data of a Cluster is from, as the played operator knows.
pub fn recovered_from(stage: &Stage, cluster: &str) -> String {
    let pod = object(stage, "v1", "Pod", &format!("{cluster}-1"));
    let from = &pod["metadata"]["annotations"]["stage/recovered-from"];
    from.as_str().unwrap_or_default().to_owned()
}

pub fn condition(stage: &Stage, kind: &str) -> String {
    let job = stage.read("RestoreJob", TENANT, "back");
    let conditions = job["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind);
    let text = |field: &str| {
        found
            .and_then(|found| found[field].as_str())
            .unwrap_or_default()
    };
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

pub fn events(stage: &Stage, reason: &str) -> usize {
    let objects = stage.cluster.objects().into_iter();
    objects
        .filter(|event| event["kind"] == "Event" && event["reason"] == reason)
        .count()
}

/// Later WAL is archived, now.
pub fn archive_wal(stage: &Stage, archive: &str, segment: u32) {
    let key = format!("{archive}/wals/0000000100000000/0000000100000000{segment:08X}.gz");
    let at = u64::try_from(stage.cluster.now()).unwrap();
    stage.storage.put(&key, 65_536, at);
}

/// Objects without what differs from run to run or only machines read.
pub fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(member);
    }
    object
}

/// A setting of the default strategy.
pub fn set(stage: &Stage, pointer: &str, value: Value) {
    let strategies = "strategy.backups.cozystack.io/v1alpha1";
    let found = stage
        .cluster
        .read(strategies, "CNPG", None, "cozy-default-cnpg")
        .unwrap();
    change(stage, found, |strategy| {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let template = &mut strategy["spec"]["template"];
        let parent = match parent {
            "" => template,
            parent => template.pointer_mut(parent).unwrap(),
        };
        parent[field] = value;
    });
}

/// Parameters of the default class.
pub fn parameters(stage: &Stage, parameters: Value) {
    let found = stage.cluster.read(
        "backups.cozystack.io/v1alpha1",
        "BackupClass",
        None,
        "cozy-default",
    );
    change(stage, found.unwrap(), |class| {
        class["spec"]["strategies"][0]["parameters"] = parameters;
    });
}

pub fn nothing() -> Value {
    json!({})
}
