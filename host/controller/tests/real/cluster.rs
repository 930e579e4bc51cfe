//! A platform and a tenant on the shared control plane.

use std::{
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::s3::S3;
use backup_api::names::CHECK_REQUESTED;
use backup_engine::cluster::{ApiError, Caller, Cluster, DeleteOptions, Part};
use backup_sandbox::contract::{ObjectRef, Selector};
use backupstrategy_controller::RealCluster;
use controlplane::{AuditEntry, resource};
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use stage::{Cnpg, EtcdFate, EtcdOperator, Fate, Operator, Workplace};
use tokio::task::JoinHandle;

use crate::{
    bucket::bucket,
    installed::{Alone, Ground},
};

/// Longer than anything here takes on a slow machine. A bound for what hangs, not a measure.
pub const BOUND: Duration = Duration::from_secs(60);

pub const API: &str = "backups.cozystack.io/v1alpha1";

/// A tenant with a database. What it leaves behind is removed with the control plane.
pub struct Scene {
    ground: &'static Ground,
    client: Client,
    cluster: RealCluster,
    namespace: String,
}

/// An operator that plays until it is dropped.
pub struct Played(JoinHandle<()>);

impl Drop for Played {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The kinds of the host's chart, and the operators'.
pub fn definitions() -> Vec<Value> {
    let mut definitions = charts::HOST.definitions().unwrap();
    definitions.extend(operators());
    definitions
}

/// The operators' kinds: their real definitions where somebody has put them, else stand-ins.
pub fn operators() -> Vec<Value> {
    let real = controlplane::operator_crds().unwrap();
    let kinds = stage::kinds().iter().map(stage::crd);
    kinds.map(|stand_in| real_or(&real, stand_in)).collect()
}

/// The real definition of the same kind, where there is one.
pub fn real_or(real: &[Value], stand_in: Value) -> Value {
    let name = &stand_in["metadata"]["name"];
    let found = real.iter().find(|crd| crd["metadata"]["name"] == *name);
    found.cloned().unwrap_or(stand_in)
}

/// Velero's kind of a place for backups, with a schema that lets everything through.
pub fn location_kind() -> Value {
    stage::crd(&stage::Kind {
        group: "velero.io",
        version: "v1",
        kind: "BackupStorageLocation",
        plural: "backupstoragelocations",
    })
}

impl Scene {
    /// A platform with the CNPG plugin and storage that answers, and a new tenant with a database.
    pub async fn new(alone: &Alone) -> Self {
        let scene = Self::with_storage(alone).await;
        let s3 = s3();
        let platform = stage::platform_objects(&s3.access_key, &s3.secret_key);
        scene.put_beside_storage(platform.unwrap()).await;
        let database = stage::postgres_objects(&scene.namespace, "orders-db", "a-password");
        scene.put_with_status(database.unwrap()).await;
        scene
    }

    /// What the chart installs, and a new tenant's namespace.
    pub async fn empty(alone: &Alone) -> Self {
        let ground = alone.ground;
        let client = ground.plane.client().await.unwrap();
        Self {
            ground,
            cluster: RealCluster::new(client.clone()),
            namespace: ground.plane.namespace("tenant-acme").await.unwrap(),
            client,
        }
    }

    /// Puts objects, and what operators say of them.
    pub async fn put_with_status(&self, objects: Vec<Value>) {
        self.ground.plane.apply(&objects).await.unwrap();
        for object in objects
            .iter()
            .filter(|object| object.get("status").is_some())
        {
            let status = json!({ "status": object["status"] });
            let target = backup_engine::reference(object);
            let host = Caller::host();
            self.cluster
                .merge(&host, "operator", &target, &status, Part::Status)
                .await
                .unwrap();
        }
    }

    /// A platform with the Etcd plugin and storage that answers, and a new tenant with an etcd that has come up.
    pub async fn with_etcd(alone: &Alone) -> (Self, Played) {
        let scene = Self::with_storage(alone).await;
        let s3 = s3();
        let platform = stage::platform_etcd_objects(&s3.access_key, &s3.secret_key);
        scene.put_beside_storage(platform.unwrap()).await;
        scene
            .put_with_status(stage::etcd_objects(&scene.namespace, "etcd").unwrap())
            .await;
        // Behind them: a release without its cluster would make the operator, which plays Helm as well, install one.
        let operator = scene.play_etcd();
        (scene, operator)
    }

    /// Puts a platform's objects but for the Secret of its storage: the one that is there is of a storage that answers.
    pub async fn put_beside_storage(&self, mut platform: Vec<Value>) {
        platform.retain(|object| object["kind"] != "Secret");
        self.ground.plane.apply(&platform).await.unwrap();
    }

    /// A platform with storage that answers and nothing else, and a new tenant.
    pub async fn with_storage(alone: &Alone) -> Self {
        let scene = Self::empty(alone).await;
        let s3 = s3();
        let objects = stage::platform_objects(&s3.access_key, &s3.secret_key).unwrap();
        let mut secrets = objects
            .into_iter()
            .filter(|object| object["kind"] == "Secret");
        let mut secret = secrets.next().unwrap();
        secret["stringData"]["endpoint"] = json!(s3.endpoint);
        secret["stringData"]["bucketName"] = json!(s3.bucket);
        scene.put(secret).await;
        scene
    }

    /// Lets the etcd operator play.
    fn play_etcd(&self) -> Played {
        let place = Workplace::new(bucket()).of_namespace(&self.namespace);
        self.play(EtcdOperator::at(place, EtcdFate::Completes))
    }

    /// Lets an operator play: it makes a step whenever one of its objects in this tenant changes.
    pub fn play(&self, operator: impl Operator + 'static) -> Played {
        self.play_in(&[&self.namespace], operator)
    }

    /// The same with an eye on other namespaces.
    pub fn play_in<O: Operator + 'static>(&self, namespaces: &[&str], operator: O) -> Played {
        play_in(&self.client, namespaces, operator)
    }

    /// A job of the tenant's etcd.
    pub async fn etcd_backup_job(&self, name: &str) {
        self.job(
            "BackupJob",
            name,
            &json!({
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "Etcd", "name": "etcd" },
            }),
        )
        .await;
    }

    /// A restore of one of the tenant's Backups in place.
    pub async fn restore_job(&self, name: &str, backup: &str) {
        self.job(
            "RestoreJob",
            name,
            &json!({ "backupRef": { "name": backup } }),
        )
        .await;
    }

    /// A BackupJob of an application of a kind, by the default class.
    pub async fn backup_job_of(&self, name: &str, kind: &str, application: &str) {
        let application = json!({ "kind": kind, "name": application });
        let spec = json!({ "backupClassName": "cozy-default", "applicationRef": application });
        self.job("BackupJob", name, &spec).await;
    }

    /// A job of a kind.
    pub async fn job(&self, kind: &str, name: &str, spec: &Value) {
        let job = json!({
            "apiVersion": API, "kind": kind,
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": spec,
        });
        self.ground.plane.apply(&[job]).await.unwrap();
    }

    /// Has a Backup looked at: its data is there. Gives back the Backup as it is then.
    pub async fn is_available(&self, backup: &str) -> Value {
        let asked = json!({ "metadata": { "annotations": { CHECK_REQUESTED: "now" } } });
        self.merge("Backup", backup, &asked).await.unwrap();
        let answered = |backup: &Value| backup["status"]["lastCheckRequest"] == "now";
        let backup = self.until("Backup", backup, answered).await;
        let is_available =
            |condition: &Value| condition["type"] == "Available" && condition["status"] == "True";
        let conditions = backup["status"]["conditions"].as_array();
        assert!(
            conditions.into_iter().flatten().any(is_available),
            "{backup}"
        );
        backup
    }

    /// The tenant's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The kubeconfig of the host's own account.
    pub fn kubeconfig(&self) -> PathBuf {
        self.ground.host.kubeconfig.clone()
    }

    /// A client of the host's own account.
    pub async fn host_client(&self) -> Client {
        self.ground.host.client(&self.ground.plane).await
    }

    /// A client of the administrator's.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Lets CloudNativePG play.
    pub fn play_cnpg(&self, fate: Fate) -> Played {
        let place = Workplace::new(bucket()).of_namespace(&self.namespace);
        self.play(Cnpg::at(place, fate))
    }

    /// A BackupJob of the tenant's database.
    pub async fn backup_job(&self, name: &str) {
        self.job(
            "BackupJob",
            name,
            &json!({
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            }),
        )
        .await;
    }

    /// Waits until a StrategyPlugin serves.
    pub async fn plugin_is_ready(&self, name: &str) {
        let resource = resource(API, "StrategyPlugin");
        let api: Api<DynamicObject> = Api::all_with(self.client(), &resource);
        let is_ready = |plugin: &Value| {
            let conditions = plugin["status"]["conditions"].as_array();
            conditions
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        wait(api, name, is_ready).await;
    }

    /// Waits until an object of the tenant's is so.
    pub async fn until(&self, kind: &str, name: &str, so: impl Fn(&Value) -> bool) -> Value {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client(), &self.namespace, &resource(API, kind));
        wait(api, name, so).await
    }

    /// Waits until a job has ended and is let go.
    pub async fn ended(&self, kind: &str, name: &str) -> Value {
        self.until(kind, name, |job| {
            matches!(
                job["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            )
        })
        .await
    }

    /// Waits until an object of the tenant's is gone.
    pub async fn gone(&self, kind: &str, name: &str) {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client(), &self.namespace, &resource(API, kind));
        vanished(api, name).await;
    }

    /// The requests that the host made for a job of this tenant.
    pub fn requests_of_the_host(&self, job: &str) -> usize {
        let purpose = format!("{}/{job}", self.namespace);
        let path = format!("/namespaces/{}/", self.namespace);
        let entries = self.ground.plane.audit().unwrap();
        let by_host = entries
            .iter()
            .filter(|entry| entry.user_agent.starts_with("backupstrategy-controller"));
        by_host
            .filter(|entry| {
                entry.user_agent.contains(&purpose)
                    || (entry.uri.contains(&path) && entry.uri.contains(job))
            })
            .count()
    }

    /// How many requests there were so far.
    pub fn requests(&self) -> usize {
        self.ground.plane.audit().unwrap().len()
    }

    /// What was refused to the host, or to a strategy that it acted for, from one request on.
    pub fn refusals_since(&self, first: usize) -> Vec<AuditEntry> {
        let entries = self.ground.plane.audit().unwrap().into_iter().skip(first);
        entries
            .filter(|entry| entry.user == self.ground.host.user && entry.code == Some(403))
            .collect()
    }

    /// An object.
    pub async fn put(&self, object: Value) {
        self.ground.plane.apply(&[object]).await.unwrap();
    }

    /// Something that is nobody's business.
    pub async fn put_unrelated(&self, index: usize) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "unrelated-{index}-{}",
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": self.namespace },
        });
        self.ground.plane.apply(&[object]).await.unwrap();
    }

    /// An object of the tenant's.
    pub async fn read(&self, api_version: &str, kind: &str, name: &str) -> Option<Value> {
        self.cluster
            .get(&Caller::host(), &self.target(api_version, kind, name))
            .await
            .unwrap()
    }

    /// The tenant's objects of a kind.
    pub async fn list(&self, api_version: &str, kind: &str) -> Vec<Value> {
        let matching = Selector {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(self.namespace.clone()),
            labels: vec![],
        };
        self.cluster.list(&Caller::host(), &matching).await.unwrap()
    }

    /// Changes an object of the host's group.
    pub async fn merge(&self, kind: &str, name: &str, patch: &Value) -> Result<Value, ApiError> {
        let target = self.target(API, kind, name);
        self.cluster
            .merge(&Caller::host(), "test", &target, patch, Part::Main)
            .await
    }

    /// Changes an object of any group.
    pub async fn merge_as_it_is(&self, api_version: &str, kind: &str, name: &str, patch: &Value) {
        let target = self.target(api_version, kind, name);
        self.cluster
            .merge(&Caller::host(), "test", &target, patch, Part::Main)
            .await
            .unwrap();
    }

    /// Deletes an object of the host's group.
    pub async fn delete(&self, kind: &str, name: &str) {
        let target = self.target(API, kind, name);
        self.cluster
            .delete(&Caller::host(), &target, &DeleteOptions::default())
            .await
            .unwrap();
    }

    /// Waits until an object in a namespace is so: of this version and kind, and of this name.
    pub async fn until_in(
        &self,
        namespace: &str,
        (api_version, kind, name): (&str, &str, &str),
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        let resource = resource(api_version, kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &resource);
        wait(api, name, so).await
    }

    /// Deletes an object of the tenant's.
    pub async fn delete_in(&self, api_version: &str, kind: &str, name: &str) {
        let target = self.target(api_version, kind, name);
        self.cluster
            .delete(&Caller::host(), &target, &DeleteOptions::default())
            .await
            .unwrap();
    }

    /// The place where Velero keeps backups, from its chart. The kind is the real one where somebody has put that.
    pub async fn install_velero(&self) {
        let real = controlplane::operator_crds().unwrap();
        let definition = real_or(&real, location_kind());
        self.ground.plane.apply(&[definition]).await.unwrap();
        self.ground.has_location().await;
    }

    /// Takes the rights on a resource out of a ClusterRole. Gives back the rules that were there.
    pub async fn take_rights(&self, role: &str, plural: &str) -> Value {
        let target = cluster_role(role);
        let found = self
            .cluster
            .get(&Caller::host(), &target)
            .await
            .unwrap()
            .unwrap();
        let rules = found["rules"].clone();
        let others: Vec<Value> = rules
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["resources"][0] != plural)
            .cloned()
            .collect();
        self.give_rights(role, json!(others)).await;
        rules
    }

    /// Sets the rules of a ClusterRole.
    pub async fn give_rights(&self, role: &str, rules: Value) {
        let patch = json!({ "rules": rules });
        self.cluster
            .merge(
                &Caller::host(),
                "test",
                &cluster_role(role),
                &patch,
                Part::Main,
            )
            .await
            .unwrap();
    }

    fn target(&self, api_version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
        }
    }

    /// A new tenant beside this one.
    pub async fn other_namespace(&self) -> String {
        self.ground.plane.namespace("tenant-other").await.unwrap()
    }

    /// A user's client.
    pub async fn client_as(&self, user: &str) -> Client {
        let groups = ["system:authenticated"];
        self.ground.plane.client_as(user, &groups).await.unwrap()
    }
}

/// Lets an operator play in namespaces of a cluster: it makes a step whenever one of its objects there changes.
pub fn play_in<O: Operator + 'static>(client: &Client, namespaces: &[&str], operator: O) -> Played {
    let cluster = RealCluster::new(client.clone());
    let watches = namespaces.iter().flat_map(|namespace| {
        O::WATCHES.iter().map(move |(api_version, kind)| {
            Box::pin(changes_in(client, namespace, api_version, kind))
        })
    });
    let mut changes = futures::stream::select_all(watches);
    Played(tokio::spawn(async move {
        while changes.next().await.is_some() {
            // One step is enough for all that has changed by now.
            while let Some(Some(())) = changes.next().now_or_never() {}
            // What somebody else changed in between is looked at again at its own change.
            operator.step(&cluster, Timestamp::now()).await.ok();
        }
    }))
}

/// Told of every change of a kind in a namespace.
pub fn changes_in(
    client: &Client,
    namespace: &str,
    api_version: &str,
    kind: &str,
) -> impl futures::Stream<Item = ()> + Send + use<> {
    let resource = resource(api_version, kind);
    let api: Api<DynamicObject> = match kind {
        "PersistentVolume" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    // Without pauses a watch that fails would keep its thread to itself.
    watcher(api, watcher::Config::default())
        .default_backoff()
        .map(|_| ())
}

/// The storage of the run.
pub fn s3() -> &'static S3 {
    static S3: OnceLock<S3> = OnceLock::new();
    S3.get_or_init(|| S3::start().unwrap())
}

fn cluster_role(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}

/// Waits until an object is gone.
pub async fn vanished(api: Api<DynamicObject>, name: &str) {
    controlplane::until_gone(api, name).await.unwrap();
}

/// Waits until an object is so.
pub async fn wait(api: Api<DynamicObject>, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    controlplane::until(api, name, so).await.unwrap()
}
