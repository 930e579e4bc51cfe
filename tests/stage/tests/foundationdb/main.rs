//! FoundationDB applications, with the FoundationDB strategy as the real component.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod abort;
mod backup;
mod check;
mod crashes;
mod forget;
mod gates;
mod kept;
mod restore;
mod settings;
mod streams;

use std::sync::Arc;

use backup_engine::cluster::{Caller, Cluster as _, Part};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{FoundationDbFate, FoundationDbOperator, Operator as _, Stage};

const TENANT: &str = "tenant-acme";
const OPERATOR: &str = "apps.foundationdb.org/v1beta2";
const COMPLETED: &str = "Succeeded BackupCompleted: Backup ad-hoc is complete";
const RESTORED: &str = "Succeeded RestoreCompleted: Backup ad-hoc is restored";

/// A platform with the plugin, and a tenant with a database `fdb`.
struct World {
    stage: Stage,
    operator: FoundationDbOperator,
}

impl World {
    fn new() -> Self {
        Self::of_fate(FoundationDbFate::Completes)
    }

    fn of_fate(fate: FoundationDbFate) -> Self {
        let stage = Stage::of("foundationdb", TENANT).unwrap();
        stage.foundationdb(TENANT, "fdb").unwrap();
        let operator = FoundationDbOperator::new(Arc::clone(&stage.storage), fate);
        Self { stage, operator }
    }

    /// The same with a Backup `ad-hoc` of the database.
    async fn with_backup() -> Self {
        let mut world = Self::new();
        assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
        world
    }

    /// From now on it goes otherwise.
    fn turns(&mut self, fate: FoundationDbFate) {
        self.operator = FoundationDbOperator::new(Arc::clone(&self.stage.storage), fate);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.stage.cluster.now()).unwrap()
    }

    /// Some seconds later the operator looks.
    async fn turn(&self) {
        self.stage.cluster.advance(20);
        self.operator
            .step(&self.stage.cluster, self.now())
            .await
            .unwrap();
    }

    /// Host and operator take turns until the job ends.
    async fn play(&mut self, kind: &str, job: &str) -> String {
        for _ in 0..500 {
            self.stage.runner.settle().await.unwrap();
            let said = self.stage.said(kind, TENANT, job);
            if said.starts_with("Succeeded") || said.starts_with("Failed") {
                return said;
            }
            self.turn().await;
        }
        panic!(
            "the job did not end; it says {}",
            self.stage.said(kind, TENANT, job)
        );
    }

    /// Host and operator take some turns.
    async fn turns_pass(&mut self, turns: usize) {
        for _ in 0..turns {
            self.stage.runner.settle().await.unwrap();
            self.turn().await;
        }
        self.stage.runner.settle().await.unwrap();
    }

    fn order(&self, job: &str) {
        self.stage
            .backup_job_of(TENANT, job, "FoundationDB", "fdb")
            .unwrap();
    }

    async fn back_up(&mut self, job: &str) -> String {
        self.order(job);
        self.play("BackupJob", job).await
    }

    async fn restore(&mut self, options: &Value) -> String {
        self.stage
            .restore_job(TENANT, "back", "ad-hoc", options)
            .unwrap();
        self.play("RestoreJob", "back").await
    }

    fn job(&self, job: &str) -> String {
        self.stage.job(TENANT, job)
    }

    fn backup(&self, name: &str) -> Value {
        self.stage.read("Backup", TENANT, name)
    }

    fn metadata(&self, name: &str, key: &str) -> Value {
        let backup = self.backup(name);
        backup["spec"]["driverMetadata"][format!("apps.foundationdb.org/{key}")].clone()
    }

    /// The name of a Backup in the bucket.
    fn blob_name(&self, name: &str) -> String {
        let name = self.metadata(name, "blob-backup-name");
        name.as_str().unwrap().to_owned()
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        let objects = self.stage.cluster.objects().into_iter();
        objects
            .filter(|object| object["kind"] == kind)
            .map(|object| (*object).clone())
            .collect()
    }

    /// The operator's backups.
    fn orders(&self) -> Vec<Value> {
        self.of_kind("FoundationDBBackup")
    }

    fn cluster(&self, application: &str) -> Value {
        let name = format!("foundationdb-{application}");
        let found = self
            .stage
            .cluster
            .read(OPERATOR, "FoundationDBCluster", Some(TENANT), &name);
        found.unwrap_or_default()
    }

    /// Changes the database's FoundationDBCluster.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut cluster = self.cluster("fdb");
        change(&mut cluster);
        self.stage.cluster.put(cluster).unwrap();
    }

    /// Changes what somebody asks of an object, as that somebody.
    async fn patch(&self, object: &Value, patch: &Value) {
        let target = backup_engine::reference(object);
        self.stage
            .cluster
            .merge(&Caller::host(), "somebody", &target, patch, Part::Main)
            .await
            .unwrap();
    }

    /// Changes the default strategy.
    fn settings(&self, change: impl FnOnce(&mut Value)) {
        let api_version = "strategy.backups.cozystack.io/v1alpha1";
        let name = "cozy-default-foundationdb";
        let read = self
            .stage
            .cluster
            .read(api_version, "FoundationDB", None, name);
        let mut strategy = read.unwrap();
        change(&mut strategy["spec"]["template"]);
        self.stage.cluster.put(strategy).unwrap();
    }

    /// Sets the parameters of the default class.
    fn parameters(&self, parameters: &Value) {
        let api_version = "backups.cozystack.io/v1alpha1";
        let read = self
            .stage
            .cluster
            .read(api_version, "BackupClass", None, "cozy-default");
        let mut class = read.unwrap();
        class["spec"]["strategies"][0]["parameters"] = parameters.clone();
        self.stage.cluster.put(class).unwrap();
    }

    fn is_suspended(&self) -> bool {
        let name = "foundationdb-fdb";
        let read = self.stage.cluster.read(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            Some(TENANT),
            name,
        );
        read.unwrap()["spec"]["suspend"] == true
    }

    /// Puts a FoundationDBBackup of the cluster that no job has made, or the first controller.
    fn put_order(&self, name: &str, labels: &Value, spec: &Value) {
        let mut spec = spec.clone();
        spec["clusterName"] = "foundationdb-fdb".into();
        spec["version"] = "7.3.63".into();
        self.stage
            .cluster
            .put(json!({
                "apiVersion": OPERATOR,
                "kind": "FoundationDBBackup",
                "metadata": { "name": name, "namespace": TENANT, "labels": labels },
                "spec": spec,
            }))
            .unwrap();
    }
}

/// The labels that the first controller put on what it made for a job.
fn labels_of_the_first_controller(job: &str) -> Value {
    json!({
        "backups.cozystack.io/owned-by.BackupJobName": job,
        "backups.cozystack.io/owned-by.BackupJobNamespace": TENANT,
        "backups.cozystack.io/foundationdb-cluster": "foundationdb-fdb",
    })
}
