//! The walls on a real API server, attacked from inside by the strategy of `tests/fixtures/hostile`.
//!
//! Its ServiceAccount has every right that `strategyctl manifests` proposes for what its manifest asks for; what holds is
//! the host's walls.
//! `tests/stage/tests/walls` tries the same attacks in memory, with what the host logs.

use std::path::PathBuf;

use controlplane::resource;
use data_encoding::{BASE64, HEXLOWER};
use futures::{StreamExt as _, stream};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject},
};
use serde::Deserialize;
use serde_json::{Value, json};
use stage::Stage;
use strategyctl::{HostAccount, installation};

use crate::{
    cluster::{API, Scene, s3},
    host::HostProcess,
    installed::exclusively,
};

const OTHER: &str = "tenant-other";
const SYSTEM: &str = "cozy-operator";
const PASSWORD: &str = "P4ss_word-1x";

/// So many attacks are made at a time.
const AT_ONCE: usize = 16;

/// Shared with the component, which does what they say.
const ATTACKS: &str = include_str!("../../../../tests/fixtures/hostile/src/attacks.json");

#[derive(Deserialize)]
struct Attack {
    name: String,
    /// How the job's line begins: `Phase Reason: …`.
    says: String,
}

/// The folder with the fixtures that `cargo xtask bundle` builds.
fn fixtures() -> PathBuf {
    stage::bundle().unwrap().join("../fixtures")
}

/// What an administrator applies who does not look.
async fn install(scene: &Scene) {
    let strategy = Stage::from_folder(&fixtures(), "hostile.wasm").unwrap();
    let host = HostAccount::default();
    for mut object in installation(&strategy, "hostile.wasm", &host).unwrap() {
        if object["kind"] == "ClusterRole"
            && object["metadata"]["name"] == "backups.cozystack.io:strategy-hostile"
        {
            let rules = object["rules"].to_string();
            for closed in [
                "secrets",
                "clusterroles",
                "rolebindings",
                "serviceaccounts",
                "hostiles",
            ] {
                assert!(!rules.contains(closed), "{rules}");
            }
        }
        if object["kind"] == "StrategyPlugin" {
            object["spec"]["systemNamespaces"] = json!([SYSTEM]);
            object["spec"]["pods"] = json!({ "secrets": ["postgres-{application}-*"] });
        }
        scene.put(object).await;
    }
    let strategy = json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Hostile",
        "metadata": { "name": "hostile" }, "spec": {},
    });
    scene.put(strategy).await;
}

/// The objects that the attacks are after.
async fn put_victims(scene: &Scene) {
    let tenant = scene.namespace();
    for namespace in [OTHER, SYSTEM] {
        scene.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } })).await;
        let metadata =
            json!({ "name": "theirs", "namespace": namespace, "labels": { "app": "theirs" } });
        scene.put(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "x": "x" } })).await;
        let spec = json!({ "containers": [{ "name": "postgres", "image": "postgres" }] });
        scene
            .put(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }))
            .await;
    }
    let ours = json!({ "name": "ours", "namespace": tenant, "labels": { "app": "ours" } });
    scene.put(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": ours, "data": { "x": "x" } })).await;
    put_another_job(scene).await;
    put_another_backup(scene).await;
    for (name, namespace) in [("ours", tenant), ("theirs", OTHER)] {
        scene
            .put(json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
                "spec": {
                    "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"],
                    "hostPath": { "path": "/nowhere" },
                    "claimRef": { "namespace": namespace, "name": "data" },
                },
            }))
            .await;
    }
}

/// A job that is under way, and an object of its.
async fn put_another_job(scene: &Scene) {
    let metadata = json!({ "name": "other", "namespace": scene.namespace() });
    scene
        .put(json!({
            "apiVersion": API, "kind": "BackupJob", "metadata": metadata,
            "spec": { "backupClassName": "absent", "applicationRef": { "kind": "Postgres", "name": "other-db" } },
        }))
        .await;
    let job = scene.read(API, "BackupJob", "other").await.unwrap();
    let labels = json!({
        "of": "another-job",
        "backups.cozystack.io/owned-by.UID": job["metadata"]["uid"],
    });
    let metadata =
        json!({ "name": "of-another-job", "namespace": scene.namespace(), "labels": labels });
    scene.put(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "x": "x" } })).await;
}

/// A Backup whose data lies where one of the attacks purges.
async fn put_another_backup(scene: &Scene) {
    let (namespace, application) = (scene.namespace(), "purge-another-backup");
    let uri = format!("s3://{}/{namespace}/{application}/kept/data", s3().bucket);
    let backup = json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": { "name": "kept", "namespace": namespace, "finalizers": ["backups.cozystack.io/cleanup"] },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": application },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Hostile", "name": "hostile" },
            "takenAt": "2026-11-25T12:00:00Z",
        },
        "status": { "phase": "Ready", "artifact": { "uri": uri } },
    });
    scene.put_with_status(vec![backup]).await;
}

/// A database of its own, a class that names the attack, and a job.
async fn order(scene: &Scene, attack: &Attack) {
    let (name, namespace) = (&attack.name, scene.namespace());
    // How the strategy comes to know what it must not: the tenant has written it where it reads.
    scene
        .put(json!({
            "apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Postgres",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "users": { "orders": { "password": PASSWORD } }, "note": s3().secret_key },
        }))
        .await;
    scene
        .put(json!({
            "apiVersion": API, "kind": "BackupClass", "metadata": { "name": format!("hostile-{name}") },
            "spec": { "strategies": [{
                "application": { "kind": "Postgres" },
                "strategyRef": { "kind": "Hostile", "name": "hostile" },
                "parameters": { "attack": name },
            }] },
        }))
        .await;
    scene
        .put(json!({
            "apiVersion": API, "kind": "BackupJob", "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "backupClassName": format!("hostile-{name}"),
                "applicationRef": { "kind": "Postgres", "name": name },
            },
        }))
        .await;
}

/// `Phase Reason`, as the job says them.
fn said(job: &Value) -> String {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions
        .clone()
        .find(|condition| condition["type"] == "Ready");
    let reason = ready.map_or("", |ready| ready["reason"].as_str().unwrap_or_default());
    let phase = job["status"]["phase"].as_str().unwrap_or_default();
    format!("{phase} {reason}")
}

/// Whether the host has come to a decision: a job is not the first to come, or its class is not seen yet, until then.
fn is_decided(job: &Value) -> bool {
    let said = said(job);
    [
        "PlanRejected",
        "PluginError",
        "ActionRefused",
        "PermissionMissing",
        "BackupFailed",
        "BackupCompleted",
        "Running",
    ]
    .iter()
    .any(|reason| said.ends_with(reason))
}

/// All that attacks could have changed: the objects of the tenants and of the system, and the volumes.
async fn world(scene: &Scene) -> Vec<Value> {
    let kinds = [
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("v1", "PersistentVolume"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("batch/v1", "Job"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        (API, "Backup"),
    ];
    let namespaces = [scene.namespace(), OTHER, SYSTEM];
    let mut world = vec![];
    for (api_version, kind) in kinds {
        for object in all(scene, api_version, kind).await {
            let namespace = object["metadata"]["namespace"].as_str();
            let is_here = namespace.is_none_or(|namespace| namespaces.contains(&namespace));
            if is_here && object["metadata"]["name"] != "cozy-backups-creds" {
                world.push(object);
            }
        }
    }
    world
}

async fn all(scene: &Scene, api_version: &str, kind: &str) -> Vec<Value> {
    let api: Api<DynamicObject> = Api::all_with(scene.client(), &resource(api_version, kind));
    let found = api.list(&Default::default()).await.unwrap();
    found
        .items
        .iter()
        .map(|object| serde_json::to_value(object).unwrap())
        .collect()
}

/// Neither the platform's key nor the application's password stands where a tenant reads.
async fn nothing_is_known(scene: &Scene) {
    let mut shown = vec![];
    for (api_version, kind) in [
        (API, "BackupJob"),
        (API, "Backup"),
        ("events.k8s.io/v1", "Event"),
        ("v1", "ConfigMap"),
    ] {
        shown.extend(all(scene, api_version, kind).await);
    }
    for secret in [s3().secret_key.as_str(), PASSWORD] {
        let forms = [
            secret.to_owned(),
            BASE64.encode(secret.as_bytes()),
            HEXLOWER.encode(secret.as_bytes()),
        ];
        for form in forms.map(|form| form.to_lowercase()) {
            let shows = shown
                .iter()
                .find(|object| object.to_string().to_lowercase().contains(&form));
            assert_eq!(shows, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_from_inside_is_refused_and_changes_and_shows_nothing() {
    let alone = exclusively().await;
    let scene = Scene::with_storage(&alone).await;
    install(&scene).await;
    put_victims(&scene).await;
    let before = world(&scene).await;
    let host = HostProcess::start_with(&scene.kubeconfig(), &fixtures());
    scene.plugin_is_ready("hostile").await;

    let attacks: Vec<Attack> = serde_json::from_str(ATTACKS).unwrap();
    let attacked = stream::iter(&attacks).map(async |attack| {
        order(&scene, attack).await;
        let job = scene.until("BackupJob", &attack.name, is_decided).await;
        (attack, said(&job), job)
    });
    let attacked: Vec<_> = attacked.buffer_unordered(AT_ONCE).collect().await;
    let mut wrong = vec![];
    for (attack, said, job) in attacked {
        if !attack.says.starts_with(&format!("{said}: ")) {
            wrong.push(format!(
                "{}: {said}, not {}\n  {}",
                attack.name, attack.says, job["status"]["message"]
            ));
        }
    }
    nothing_is_known(&scene).await;
    let after = world(&scene).await;
    // What is tried again by the next host that runs would stand in the way of other tests.
    drop(host);
    let jobs = attacks.iter().map(|attack| attack.name.as_str());
    for job in jobs.chain(["other"]) {
        scene.delete("BackupJob", job).await;
    }
    let plugins: Api<DynamicObject> =
        Api::all_with(scene.client(), &resource(API, "StrategyPlugin"));
    plugins
        .delete("hostile", &DeleteParams::default())
        .await
        .unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(after, before);
}
