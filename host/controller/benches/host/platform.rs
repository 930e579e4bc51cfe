#![allow(dead_code, reason = "the benchmark and a test use different parts")]
//! A platform on a control plane, for measurements: tenants by the dozen, and an operator that is never slow.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use backup_engine::cluster::{Caller, Cluster as _, DeleteOptions, Part};
use backup_sandbox::contract::Selector;
use backupstrategy_controller::RealCluster;
use controlplane::ControlPlane;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{
        WatchStreamExt as _, watcher,
        watcher::{Config, Event},
    },
};
use serde_json::{Value, json};
use stage::Stage;
use strategyctl::{HostAccount, installation};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

use crate::host::HostProcess;

const API: &str = "backups.cozystack.io/v1alpha1";
/// The namespace of the host.
const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// So many requests of the benchmark's own are under way at a time.
const AT_ONCE: usize = 32;

/// A job, or an operator's object: namespace and name.
pub type Named = (String, String);

/// What the operator was asked for.
pub struct Order {
    /// The operator's object.
    object: Value,
    /// The job that it is for.
    pub job: Named,
}

/// An operator that plays until it is dropped.
pub struct Played(JoinHandle<()>);

impl Drop for Played {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The platform, with a strategy that creates one operator object.
pub struct Platform {
    plane: &'static ControlPlane,
    client: Client,
    cluster: RealCluster,
    /// The host's.
    kubeconfig: PathBuf,
}

/// The host's kinds, and stand-ins for those of operators.
pub fn definitions() -> Vec<Value> {
    let own = backup_api::definitions();
    let own = own.iter().map(|crd| serde_json::to_value(crd).unwrap());
    own.chain(stage::kinds().iter().map(stage::crd)).collect()
}

/// The folder with the fixtures that `cargo xtask bundle` builds.
fn fixtures() -> PathBuf {
    stage::bundle().unwrap().join("../fixtures")
}

impl Platform {
    /// The platform on a control plane. What it puts there stays.
    pub async fn on(plane: &'static ControlPlane) -> Self {
        let client = plane.client().await.unwrap();
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HOST_NAMESPACE } });
        plane.apply(&[namespace]).await.unwrap();
        let strategy = Stage::from_folder(&fixtures(), "one.wasm").unwrap();
        let host = HostAccount::default();
        let installed = installation(&strategy, "one.wasm", &host).unwrap();
        plane.apply(&installed).await.unwrap();
        let objects =
            stage::platform_objects("access-of-the-bench", "secret-of-the-bench").unwrap();
        let secret = objects
            .into_iter()
            .find(|object| object["kind"] == "Secret");
        plane
            .apply(&[secret.unwrap(), strategy_object(), class()])
            .await
            .unwrap();
        Self {
            cluster: RealCluster::new(client.clone()),
            kubeconfig: plane.kubeconfig(),
            plane,
            client,
        }
    }

    /// The same with the host under another account than the administrator's.
    pub fn with_host(self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, ..self }
    }

    /// Starts the host, and waits until its plugin serves.
    pub async fn start_host(&self) -> HostProcess {
        HostProcess::start_with(&self.kubeconfig, &fixtures())
    }

    /// The same with the plugins of another folder.
    pub async fn start_host_with(&self, plugins: &Path) -> HostProcess {
        HostProcess::start_with(&self.kubeconfig, plugins)
    }

    /// The component of the plugin, with another version: the same number of letters.
    pub fn component(version: &str) -> Vec<u8> {
        let (old, new) = (
            r#""version": "0.1.0""#,
            format!(r#""version": "{version}""#),
        );
        let mut bytes = std::fs::read(fixtures().join("one.wasm")).unwrap();
        let mut places = bytes.windows(old.len());
        let at = places.position(|place| place == old.as_bytes()).unwrap();
        assert_eq!(old.len(), new.len());
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        bytes
    }

    /// Accepts any version of the plugin.
    pub async fn accept_any_digest(&self) {
        let patch = json!({ "spec": { "digest": null } });
        let target = backup_engine::reference(&json!({
            "apiVersion": API, "kind": "StrategyPlugin", "metadata": { "name": "one" },
        }));
        let host = Caller::host();
        let merged = self
            .cluster
            .merge(&host, "bench", &target, &patch, Part::Main);
        merged.await.unwrap();
    }

    /// Waits until a version of the plugin serves, and gives back its digest.
    pub async fn serves(&self, version: &str) -> String {
        let mut plugins = self.watch(API, "StrategyPlugin");
        loop {
            let plugin = plugins.recv().await.unwrap();
            let serving = &plugin["status"]["serving"];
            if plugin["metadata"]["name"] == "one" && serving["version"] == version {
                return serving["digest"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The digests that a namespace's jobs have noted, and those of its Backups, by name.
    pub async fn digests_in(&self, namespace: &str) -> BTreeMap<String, [String; 2]> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut digests: BTreeMap<String, [String; 2]> = BTreeMap::new();
        for job in self.list(API, "BackupJob", namespace).await {
            let noted = text(&job["status"]["strategy"]["plugin"]["digest"]);
            digests.entry(named(&job).1).or_default()[0] = noted;
        }
        for backup in self.list(API, "Backup", namespace).await {
            let made_by = text(&backup["spec"]["plugin"]["digest"]);
            digests.entry(named(&backup).1).or_default()[1] = made_by;
        }
        digests
    }

    /// Starts one of several hosts, and waits until its plugin serves.
    pub fn start_replica(&self, flags: &[&str]) -> HostProcess {
        HostProcess::start_as(&self.plane.kubeconfig(), &fixtures(), flags)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    /// Puts objects as an administrator does.
    pub async fn apply(&self, objects: &[Value]) {
        self.plane.apply(objects).await.unwrap();
    }

    /// The StrategyPlugins that there are.
    pub async fn plugins(&self) -> Vec<Value> {
        self.list(API, "StrategyPlugin", "").await
    }

    /// Removes StrategyPlugins.
    pub async fn remove_plugins(&self, plugins: &[Value]) {
        for plugin in plugins {
            let target = backup_engine::reference(plugin);
            let options = DeleteOptions::default();
            self.cluster
                .delete(&Caller::host(), &target, &options)
                .await
                .unwrap();
        }
    }

    /// A new tenant with so many databases. Gives back its namespace.
    pub async fn tenant(&self, databases: usize) -> String {
        let name = self.plane.namespace("tenant").await.unwrap();
        let database = |index| {
            json!({
                "apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Postgres",
                "metadata": { "name": format!("db-{index}"), "namespace": name },
                "spec": { "size": "10Gi" },
            })
        };
        self.put((0..databases).map(database).collect()).await;
        name
    }

    async fn put(&self, objects: Vec<Value>) {
        stream::iter(objects)
            .map(async |object| {
                let host = Caller::host();
                self.cluster.create(&host, "bench", &object, false).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
    }

    /// A BackupJob.
    pub async fn job(&self, namespace: &str, database: &str, name: &str) -> Named {
        self.put(vec![job_of(namespace, database, name)]).await;
        (namespace.to_owned(), name.to_owned())
    }

    /// A BackupJob of each of so many databases in each namespace.
    pub async fn jobs(&self, namespaces: &[String], each: usize) -> Vec<Named> {
        let all = namespaces.iter().flat_map(|namespace| {
            (0..each).map(move |index| {
                job_of(namespace, &format!("db-{index}"), &format!("job-{index}"))
            })
        });
        let all: Vec<Value> = all.collect();
        let names = all.iter().map(named).collect();
        self.put(all).await;
        names
    }

    /// Waits until jobs have ended, and sees that they ended well.
    pub async fn ended(&self, jobs: &[Named]) {
        let mut left: BTreeSet<&Named> = jobs.iter().collect();
        let mut jobs = self.watch(API, "BackupJob");
        while !left.is_empty() {
            let job = jobs.recv().await.unwrap();
            match job["status"]["phase"].as_str() {
                Some("Succeeded") => {
                    left.remove(&named(&job));
                }
                Some("Failed") => panic!("{job}"),
                _ => {}
            }
        }
    }

    /// The jobs that end from now on.
    pub fn ends(&self) -> UnboundedReceiver<Named> {
        let (send, receive) = unbounded_channel();
        let mut jobs = self.watch(API, "BackupJob");
        tokio::spawn(async move {
            let mut ended = BTreeSet::new();
            while let Some(job) = jobs.recv().await {
                let has_ended = matches!(
                    job["status"]["phase"].as_str(),
                    Some("Succeeded" | "Failed")
                );
                if has_ended && ended.insert(named(&job)) && send.send(named(&job)).is_err() {
                    return;
                }
            }
        });
        receive
    }

    /// What the operator is asked for from now on.
    pub fn orders(&self) -> UnboundedReceiver<Order> {
        let (send, receive) = unbounded_channel();
        let mut objects = self.watch("postgresql.cnpg.io/v1", "Backup");
        tokio::spawn(async move {
            let mut known = BTreeSet::new();
            while let Some(object) = objects.recv().await {
                let labels = &object["metadata"]["labels"];
                let label = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
                let job = (
                    label("backups.cozystack.io/owned-by.BackupJobNamespace"),
                    label("backups.cozystack.io/owned-by.BackupJobName"),
                );
                let is_done = object["status"]["phase"].is_string();
                if !is_done
                    && known.insert(named(&object))
                    && send.send(Order { object, job }).is_err()
                {
                    return;
                }
            }
        });
        receive
    }

    /// Does what was asked for.
    pub async fn complete(&self, order: &Order) {
        complete(&self.cluster, &order.object).await;
    }

    /// Lets the operator do at once what it is asked for.
    pub fn play(&self) -> Played {
        let mut orders = self.orders();
        let cluster = self.cluster.clone();
        Played(tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                let cluster = cluster.clone();
                tokio::spawn(async move { complete(&cluster, &order.object).await });
            }
        }))
    }

    /// The operator's objects of a namespace, by name.
    pub async fn orders_in(&self, namespace: &str) -> Vec<String> {
        let orders = self
            .list("postgresql.cnpg.io/v1", "Backup", namespace)
            .await;
        orders.iter().map(|order| named(order).1).collect()
    }

    /// How many Backups a namespace has.
    pub async fn backups_in(&self, namespace: &str) -> usize {
        self.list(API, "Backup", namespace).await.len()
    }

    async fn list(&self, api_version: &str, kind: &str, namespace: &str) -> Vec<Value> {
        let matching = Selector {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            labels: vec![],
        };
        self.cluster.list(&Caller::host(), &matching).await.unwrap()
    }

    /// What the host has asked the API server, Events apart, each as `verb path as user`.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.plane.audit().unwrap();
        let by_host = entries.iter().filter(|entry| {
            entry.user_agent.starts_with("backupstrategy-controller")
                && entry.verb != "watch"
                && entry.resource != "events"
                // The benchmark and its operator ask through the same client.
                && !entry.uri.contains("fieldManager=bench")
                && !entry.uri.contains("fieldManager=operator")
        });
        by_host
            .map(|entry| {
                let user = entry.impersonated.as_deref().unwrap_or("the host");
                format!("{} {} as {user}", entry.verb, entry.uri)
            })
            .collect()
    }

    /// Puts so many finished BackupJobs and their Backups.
    pub async fn finished(&self, count: usize) {
        let namespace = self.tenant(0).await;
        let host = Caller::host();
        stream::iter(0..count)
            .map(async |index| {
                let name = format!("done-{index}");
                let job = job_of(&namespace, "db", &name);
                self.cluster
                    .create(&host, "bench", &job, false)
                    .await
                    .unwrap();
                self.set_status(&job, &job_status(&name)).await;
                let backup = backup_of(&namespace, &name);
                self.cluster
                    .create(&host, "bench", &backup, false)
                    .await
                    .unwrap();
                self.set_status(&backup, &backup_status(&namespace)).await;
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    async fn set_status(&self, object: &Value, status: &Value) {
        set_status(&self.cluster, object, status).await;
    }

    fn watch(&self, api_version: &str, kind: &str) -> UnboundedReceiver<Value> {
        let (send, receive) = unbounded_channel();
        let (group, version) = api_version.split_once('/').unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    let mut object = serde_json::to_value(object).unwrap();
                    object["apiVersion"] =
                        json!(format!("{}/{}", resource.group, resource.version));
                    object["kind"] = json!(resource.kind);
                    if send.send(object).is_err() {
                        return;
                    }
                }
            }
        });
        receive
    }
}

async fn complete(cluster: &RealCluster, order: &Value) {
    set_status(cluster, order, &json!({ "phase": "completed" })).await;
}

async fn set_status(cluster: &RealCluster, object: &Value, status: &Value) {
    let patch = json!({ "status": status });
    let target = backup_engine::reference(object);
    cluster
        .merge(&Caller::host(), "operator", &target, &patch, Part::Status)
        .await
        .unwrap();
}

fn named(object: &Value) -> Named {
    let text = |member: &str| {
        object["metadata"][member]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

fn strategy_object() -> Value {
    json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "One",
        "metadata": { "name": "cozy-default-one" }, "spec": {},
    })
}

fn class() -> Value {
    json!({
        "apiVersion": API, "kind": "BackupClass", "metadata": { "name": "cozy-default" },
        "spec": { "strategies": [{
            "application": { "kind": "Postgres" },
            "strategyRef": { "kind": "One", "name": "cozy-default-one" },
        }] },
    })
}

fn job_of(namespace: &str, database: &str, name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "BackupJob", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": { "kind": "Postgres", "name": database },
        },
    })
}

/// As large as the host writes it.
fn job_status(name: &str) -> Value {
    json!({
        "phase": "Succeeded", "startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T00:01:00Z",
        "message": format!("Backup {name} is complete"), "observedGeneration": 1, "backupRef": { "name": name },
        "strategy": {
            "plugin": { "name": "one", "version": "0.1.0", "digest": format!("sha256:{}", "0".repeat(64)) },
            "strategyRef": { "kind": "One", "name": "cozy-default-one" },
            "applicationRef": { "kind": "Postgres", "name": "db" },
        },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "BackupCompleted", "observedGeneration": 1,
            "message": format!("Backup {name} is complete"), "lastTransitionTime": "2026-01-01T00:01:00Z",
        }],
    })
}

fn backup_of(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": {
            "name": name, "namespace": namespace, "finalizers": ["backups.cozystack.io/cleanup"],
            "labels": { "backups.cozystack.io/owned-by.UID": "0", "backups.cozystack.io/owned-by.BackupJobName": name },
        },
        "spec": {
            "applicationRef": { "kind": "Postgres", "name": "db" },
            "strategyRef": { "kind": "One", "name": "cozy-default-one" },
            "takenAt": "2026-01-01T00:01:00Z", "backupClassName": "cozy-default",
            "driverMetadata": { "order": name },
            "plugin": { "name": "one", "version": "0.1.0", "digest": format!("sha256:{}", "0".repeat(64)) },
            "storage": { "endpoint": "https://s3.cozy.example", "bucket": "cozy-backups" },
        },
    })
}

fn backup_status(namespace: &str) -> Value {
    json!({
        "phase": "Ready",
        "artifact": { "uri": format!("s3://cozy-backups/{namespace}/db/"), "sizeBytes": 4096 },
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "BackupCompleted",
            "message": "the backup is complete", "lastTransitionTime": "2026-01-01T00:01:00Z",
        }],
    })
}

/// The resident memory of the host, in MiB.
pub fn resident(host: &HostProcess) -> f64 {
    let process: Arc<_> = host.process();
    let id = process.lock().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024.0
}
