//! A platform with a tenant's MariaDB, and the operator.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{MariaDbFate, MariaDbOperator, Operator as _, Stage};

use crate::{API, OPERATOR, PASSWORD, TENANT};

/// Seconds between two steps of the operator.
const STEP: i64 = 20;

/// A stage and its operator.
pub struct Scene {
    pub stage: Stage,
    pub operator: MariaDbOperator,
}

impl Scene {
    /// A tenant with the application `orders`.
    pub fn new(fate: MariaDbFate) -> Self {
        let stage = Stage::of("mariadb", TENANT).unwrap();
        stage.mariadb(TENANT, "orders", PASSWORD).unwrap();
        let operator = MariaDbOperator::new(Arc::clone(&stage.storage), fate);
        Self { stage, operator }
    }

    /// The same with a Backup of it.
    pub async fn with_backup(name: &str) -> Self {
        let mut scene = Self::new(MariaDbFate::Completes);
        scene.backup(name).await;
        scene
    }

    /// The operator has another fate from now on.
    pub fn fate(&mut self, fate: MariaDbFate) {
        self.operator = self.operator.but(fate);
    }

    /// The host comes to rest, and the operator makes a step.
    pub async fn turn(&mut self) {
        self.stage.runner.settle().await.unwrap();
        self.step().await;
    }

    /// The operator makes a step.
    pub async fn step(&self) {
        self.stage.cluster.advance(STEP);
        let now = Timestamp::from_second(self.stage.cluster.now()).unwrap();
        self.operator.step(&self.stage.cluster, now).await.unwrap();
    }

    /// Some time passes.
    pub async fn pass(&mut self, seconds: i64) {
        self.stage.cluster.advance(seconds);
        self.stage.runner.settle().await.unwrap();
    }

    /// Host and operator take turns until a job has ended; what it says then.
    pub async fn play(&mut self, kind: &str, name: &str) -> String {
        for _ in 0..600 {
            self.stage.runner.settle().await.unwrap();
            let said = self.stage.said(kind, TENANT, name);
            if said.starts_with("Succeeded") || said.starts_with("Failed") {
                return said;
            }
            self.step().await;
        }
        panic!("it says {}", self.stage.said(kind, TENANT, name));
    }

    pub fn order_backup(&self, name: &str) {
        self.stage
            .backup_job_of(TENANT, name, "MariaDB", "orders")
            .unwrap();
    }

    /// What a BackupJob comes to.
    pub async fn backup_job(&mut self, name: &str) -> String {
        self.order_backup(name);
        self.play("BackupJob", name).await
    }

    /// A Backup of `orders`.
    pub async fn backup(&mut self, name: &str) -> Value {
        let said = self.backup_job(name).await;
        assert!(said.starts_with("Succeeded"), "{said}");
        self.stage.read("Backup", TENANT, name)
    }

    /// What a RestoreJob in place comes to.
    pub async fn restore_job(&mut self, backup: &str) -> String {
        self.stage
            .restore_job(TENANT, "back", backup, &json!({}))
            .unwrap();
        self.play("RestoreJob", "back").await
    }

    /// Deletes a Backup with what belongs to it, and plays on until it is gone.
    pub async fn forget(&mut self, backup: &str) {
        self.stage.delete("Backup", TENANT, backup).await.unwrap();
        for _ in 0..600 {
            self.stage.runner.settle().await.unwrap();
            if self.stage.read("Backup", TENANT, backup).is_null() {
                return;
            }
            self.step().await;
        }
        panic!("Backup {backup} does not go");
    }

    /// Has a Backup looked at, and gives back what it says of itself: `Available` in one line.
    pub async fn check(&mut self, backup: &str) -> String {
        self.stage.cluster.advance(1);
        let mut found = self.stage.read("Backup", TENANT, backup);
        let asked = self.stage.cluster.now().to_string();
        found["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = asked.into();
        self.stage.cluster.put(found).unwrap();
        self.stage.runner.settle().await.unwrap();
        let found = self.stage.read("Backup", TENANT, backup);
        let conditions = found["status"]["conditions"].as_array().unwrap().clone();
        let available = conditions
            .iter()
            .find(|condition| condition["type"] == "Available")
            .unwrap();
        let text = |field: &str| available[field].as_str().unwrap().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    /// The objects of a kind of the operator's.
    pub fn of_operator(&self, kind: &str) -> Vec<Arc<Value>> {
        let objects = self.stage.cluster.objects().into_iter();
        objects
            .filter(|object| object["kind"] == kind && object["apiVersion"] == OPERATOR)
            .collect()
    }

    /// The operator's Backups.
    pub fn dumps(&self) -> Vec<Arc<Value>> {
        self.of_operator("Backup")
    }

    /// The objects of a built-in kind.
    pub fn of_core(&self, kind: &str) -> Vec<Arc<Value>> {
        let objects = self.stage.cluster.objects().into_iter();
        objects
            .filter(|object| object["kind"] == kind && object["apiVersion"] == "v1")
            .collect()
    }

    pub fn keys(&self) -> Vec<String> {
        self.stage.storage.keys()
    }

    /// Sets the default strategy's template.
    pub fn template(&self, template: &Value) {
        self.stage
            .cluster
            .put(json!({
                "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
                "kind": "MariaDB",
                "metadata": { "name": "cozy-default-mariadb" },
                "spec": { "template": template },
            }))
            .unwrap();
    }

    /// Sets the parameters of the default class.
    pub fn parameters(&self, parameters: &Value) {
        let class = self
            .stage
            .cluster
            .read(API, "BackupClass", None, "cozy-default");
        let mut class = class.unwrap();
        class["spec"]["strategies"][0]["parameters"] = parameters.clone();
        self.stage.cluster.put(class).unwrap();
    }

    /// Changes a Backup, as somebody who may.
    pub fn change_backup(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut backup = self.stage.read("Backup", TENANT, name);
        change(&mut backup);
        self.stage.cluster.put(backup).unwrap();
    }

    /// Changes the MariaDB of an application.
    pub fn change_instance(&self, application: &str, change: impl FnOnce(&mut Value)) {
        let name = format!("mariadb-{application}");
        let read = self
            .stage
            .cluster
            .read(OPERATOR, "MariaDB", Some(TENANT), &name);
        let mut found = read.unwrap();
        change(&mut found);
        self.stage.cluster.put(found).unwrap();
    }

    /// Somebody deletes an object of the operator's.
    pub async fn delete(&self, kind: &str, name: &str) {
        let deleted = self
            .stage
            .delete_any(OPERATOR, kind, Some(TENANT), name)
            .await;
        deleted.unwrap();
    }

    /// Somebody deletes what is left of all dumps but the Backups and the bucket.
    pub async fn delete_all_of_operator(&self) {
        for kind in ["Backup", "Restore"] {
            for object in self.of_operator(kind) {
                let name = object["metadata"]["name"].as_str().unwrap();
                self.delete(kind, name).await;
            }
        }
    }

    /// Reasons of the Events on an object of the host's.
    pub fn events(&self, kind: &str, name: &str) -> Vec<String> {
        let objects = self.stage.cluster.objects().into_iter();
        let events = objects.filter(|object| object["kind"] == "Event");
        let about = events.filter(|event| {
            let regarding = &event["regarding"];
            regarding["name"] == name && regarding["kind"] == kind
        });
        about
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The key that a Backup gives its dump.
pub fn key_of(backup: &Value) -> String {
    let uri = backup["status"]["artifact"]["uri"].as_str().unwrap();
    uri.strip_prefix("s3://cozy-backups/").unwrap().to_owned()
}

/// An object without what differs from run to run or only machines read.
pub fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(member);
    }
    object
}
