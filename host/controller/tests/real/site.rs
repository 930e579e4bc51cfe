//! A platform of its own: an API server with the operators' kinds, on which an administrator installs the charts, and whoever
//! works there with kubectl.

use std::collections::BTreeSet;

use backup_engine::cluster::{Caller, Cluster as _, Part};
use backupstrategy_controller::RealCluster;
use charts::HOST;
use controlplane::{ControlPlane, Helm, Shell, resource};
use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::GroupVersionKind,
    discovery::pinned_kind,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use stage::Operator;

use crate::{
    cluster::{API, BOUND, Played, location_kind, operators, play_in, real_or, vanished, wait},
    installed::namespaces,
    kubelet::Pod,
};

/// A platform.
pub struct Site {
    /// The API server.
    pub plane: ControlPlane,
    /// Helm of the administrator's.
    pub helm: Helm,
    /// The administrator's terminal.
    pub admin: Shell,
    client: Client,
}

/// What Cozystack has beside the operators: the kinds by which it watches over what runs.
const BESIDE: [(&str, &str, &str, &str); 2] = [
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    (
        "monitoring.coreos.com",
        "v1",
        "PrometheusRule",
        "prometheusrules",
    ),
];

/// The kinds that are there before the host: the operators', with all that somebody has put there, and those beside.
fn kinds_before_the_host() -> Vec<Value> {
    let real = controlplane::operator_crds().unwrap();
    let mut kinds = operators();
    kinds.push(real_or(&real, location_kind()));
    kinds.extend(beside());
    kinds.extend(real);
    let mut names = BTreeSet::new();
    kinds.retain(|kind| names.insert(kind["metadata"]["name"].to_string()));
    kinds
}

fn beside() -> [Value; 2] {
    BESIDE.map(|(group, version, kind, plural)| {
        stage::crd(&stage::Kind {
            group,
            version,
            kind,
            plural,
        })
    })
}

impl Site {
    /// A platform without the host.
    pub async fn new() -> Self {
        Self::with(&kinds_before_the_host()).await
    }

    /// The same with stand-ins of the operators' kinds, which cost the API server a fraction.
    pub async fn light() -> Self {
        let mut kinds: Vec<Value> = stage::kinds().iter().map(stage::crd).collect();
        kinds.push(location_kind());
        kinds.extend(beside());
        Self::with(&kinds).await
    }

    async fn with(kinds: &[Value]) -> Self {
        let plane = ControlPlane::start(kinds).unwrap();
        plane.apply(&namespaces()).await.unwrap();
        Self {
            helm: Helm::of(&plane).unwrap(),
            admin: Shell::of(&plane).unwrap(),
            client: plane.client().await.unwrap(),
            plane,
        }
    }

    /// Starts a Pod of the Deployment that the chart has made.
    pub async fn pod(&self) -> Pod {
        let deployment = self
            .read(HOST.namespace, ("apps/v1", "Deployment", HOST.name))
            .await
            .unwrap();
        let token = self.plane.token(HOST.namespace, HOST.name).await.unwrap();
        let kubeconfig = self.plane.folder().join("host.kubeconfig");
        std::fs::write(&kubeconfig, self.plane.kubeconfig_with(&token)).unwrap();
        let spec = &deployment["spec"]["template"]["spec"];
        let mut mounted = vec![];
        for volume in Pod::config_maps(spec) {
            let target = ("v1", "ConfigMap", volume.as_str());
            mounted.push(self.read(HOST.namespace, target).await.unwrap());
        }
        Pod::start(spec, &mounted, &kubeconfig)
    }

    /// Waits until every plugin serves, as documentation tells to.
    pub fn plugins_are_ready(&self) {
        let waits = "kubectl wait --for=condition=Ready strategyplugin --all --timeout=60s";
        self.admin.run(waits).unwrap();
    }

    /// A tenant's namespace, and the terminal of one of its administrators.
    ///
    /// The roles are those that Cozystack aggregates: a tenant's administrator has what carries one of these labels.
    pub async fn tenant(&self, namespace: &str) -> Shell {
        let group = format!("{namespace}-admin");
        let mut objects = vec![
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        ];
        let roles: Api<DynamicObject> = Api::all_with(
            self.client.clone(),
            &resource("rbac.authorization.k8s.io/v1", "ClusterRole"),
        );
        for level in ["view", "use", "admin"] {
            let label = format!("rbac.cozystack.io/aggregate-to-tenant-{level}=true");
            let found = roles.list(&ListParams::default().labels(&label)).await;
            for role in found.unwrap().items {
                let role = role.metadata.name.unwrap();
                objects.push(json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                    "metadata": { "name": role, "namespace": namespace },
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role,
                    },
                    "subjects": [{
                        "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group,
                    }],
                }));
            }
        }
        self.plane.apply(&objects).await.unwrap();
        let user = format!("anna@{namespace}");
        let shell = Shell::with(&self.plane.kubeconfig_as(&user, &[&group])).unwrap();
        // The authorizer hears of a binding a moment after it is there.
        let asked = format!("kubectl --namespace {namespace} auth can-i create backupjobs");
        assert!((0..100).any(|_| shell.run(&asked).is_ok()));
        shell
    }

    /// Puts objects, and what operators say of them.
    pub async fn put(&self, objects: Vec<Value>) {
        self.plane.apply(&objects).await.unwrap();
        for object in objects
            .iter()
            .filter(|object| object.get("status").is_some())
        {
            self.says(object).await;
        }
    }

    /// Puts into an object's status what an object of the same name has there.
    pub async fn says(&self, object: &Value) {
        let status = json!({ "status": object["status"] });
        let target = backup_engine::reference(object);
        RealCluster::new(self.client.clone())
            .merge(&Caller::host(), "operator", &target, &status, Part::Status)
            .await
            .unwrap();
    }

    /// Lets an operator play in namespaces.
    pub fn play<O: Operator + 'static>(&self, namespaces: &[&str], operator: O) -> Played {
        play_in(&self.client, namespaces, operator)
    }

    /// A client of the administrator's.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An object: of this version and kind, and of this name. A namespace without a name is none.
    pub async fn read(&self, namespace: &str, target: (&str, &str, &str)) -> Option<Value> {
        let found = self
            .api(namespace, target)
            .await
            .get_opt(target.2)
            .await
            .unwrap();
        found.map(|found| serde_json::to_value(found).unwrap())
    }

    /// Waits until an object is so.
    pub async fn until(
        &self,
        namespace: &str,
        target: (&str, &str, &str),
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        wait(self.api(namespace, target).await, target.2, so).await
    }

    /// Waits until a job has ended.
    pub async fn ended(&self, namespace: &str, kind: &str, name: &str) -> Value {
        let is_final = |job: &Value| {
            let phase = job["status"]["phase"].as_str();
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        self.until(namespace, (API, kind, name), is_final).await
    }

    /// Restores a Backup in its place, at a time of the story, and gives back the job as it has ended.
    pub async fn restored(&self, namespace: &str, backup: &str, when: &str) -> Value {
        let job = format!("{backup}-{when}");
        let restore = json!({
            "apiVersion": API, "kind": "RestoreJob",
            "metadata": { "name": job, "namespace": namespace },
            "spec": { "backupRef": { "name": backup } },
        });
        self.plane.apply(&[restore]).await.unwrap();
        self.ended(namespace, "RestoreJob", &job).await
    }

    /// Waits until some object of a version, kind and namespace is so.
    pub async fn some(&self, of: (&str, &str, &str), so: impl Fn(&Value) -> bool) {
        let api = self.api(of.2, (of.0, of.1, "")).await;
        let mut last = Value::Null;
        let found = async {
            let objects = watcher(api, watcher::Config::default()).applied_objects();
            let mut objects = std::pin::pin!(objects);
            while let Some(object) = objects.next().await {
                let Ok(object) = object else { continue };
                last = serde_json::to_value(object).unwrap();
                if so(&last) {
                    break;
                }
            }
        };
        let waited = tokio::time::timeout(BOUND, found).await;
        assert!(waited.is_ok(), "none is as awaited; one is {last:#}");
    }

    /// Waits until an object is gone.
    pub async fn gone(&self, namespace: &str, target: (&str, &str, &str)) {
        vanished(self.api(namespace, target).await, target.2).await;
    }

    async fn api(
        &self,
        namespace: &str,
        (api_version, kind, _): (&str, &str, &str),
    ) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        // Not every plural is what one would guess.
        let (resource, _) = pinned_kind(&self.client, &kind).await.unwrap();
        match namespace {
            "" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }
}
