//! The chart's own life on an API server that has nothing: install, upgrade, uninstall, and the same again.

use std::path::Path;

use charts::HOST;
use controlplane::{ControlPlane, Helm, resource};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::installed::namespaces;

const API: &str = "backups.cozystack.io/v1alpha1";

/// An object, whether or not its kind is namespaced.
async fn read(client: &Client, api_version: &str, kind: &str, name: &str) -> Option<Value> {
    let kind = resource(api_version, kind);
    let api: Api<DynamicObject> = match kind.kind.as_str() {
        "Deployment" | "ServiceAccount" | "Role" | "PodDisruptionBudget" | "Service" => {
            Api::namespaced_with(client.clone(), HOST.namespace, &kind)
        }
        _ => Api::all_with(client.clone(), &kind),
    };
    let found = api.get_opt(name).await.unwrap();
    found.map(|found| serde_json::to_value(found).unwrap())
}

/// A later version of the chart: another description of a kind, and one plugin less.
fn later(to: &Path) {
    copy(&HOST.folder(), to);
    let name = "plans.backups.cozystack.io";
    let mut definitions = HOST.definitions().unwrap().into_iter();
    let mut plans = definitions
        .find(|definition| definition["metadata"]["name"] == name)
        .unwrap();
    plans["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!("later");
    std::fs::write(to.join(format!("crds/{name}.yaml")), plans.to_string()).unwrap();
    std::fs::remove_file(to.join("templates/plugins/etcd.yaml")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_is_installed_upgraded_and_removed_and_no_backup_is_lost() {
    let plane = ControlPlane::start_without_controllers(&[bucket_definition()]).unwrap();
    let client = plane.client().await.unwrap();
    plane.apply(&namespaces()[..1]).await.unwrap();
    let helm = Helm::of(&plane).unwrap();
    let values = json!({
        "velero": { "bslEnabled": false },
        "extraPlugins": [
            { "name": "map", "configMap": "acme" },
            { "name": "image", "image": { "reference": "registry.example/acme:1" } },
            { "name": "claim", "persistentVolumeClaim": "acme" },
        ],
    });
    let external = json!({
        "velero": { "bslEnabled": false }, "backupStorage": { "provisionBucket": false },
    });
    let rbac = "rbac.authorization.k8s.io/v1";

    HOST.install(&helm, &values).unwrap();
    let cnpg = read(&client, API, "StrategyPlugin", "cnpg").await.unwrap();
    read(&client, API, "BackupClass", "cozy-default")
        .await
        .unwrap();
    has_default_strategies(&client).await;
    read(&client, "policy/v1", "PodDisruptionBudget", HOST.name)
        .await
        .unwrap();
    pods_are_restricted(&plane, &client).await;
    let bucket = bucket(&client).await;
    let backup = json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": { "name": "ad-hoc", "namespace": plane.namespace("tenant").await.unwrap() },
        "spec": {
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "kind": "CNPG", "name": "cozy-default-cnpg" },
            "takenAt": "2026-11-25T12:00:00Z",
        },
    });
    plane.apply(&[backup]).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    later(folder.path());
    HOST.upgrade_to(folder.path(), &helm, &external).unwrap();
    let definitions = "apiextensions.k8s.io/v1";
    let plans = read(
        &client,
        definitions,
        "CustomResourceDefinition",
        "plans.backups.cozystack.io",
    );
    let plans = plans.await.unwrap();
    let schema = &plans["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(
        schema["description"], "later",
        "an upgrade changes definitions"
    );
    let upgraded = read(&client, API, "StrategyPlugin", "cnpg").await.unwrap();
    assert_eq!(upgraded["metadata"]["uid"], cnpg["metadata"]["uid"]);
    assert_eq!(read(&client, API, "StrategyPlugin", "etcd").await, None);
    let role = "backups.cozystack.io:strategy-etcd";
    assert_eq!(read(&client, rbac, "ClusterRole", role).await, None);

    HOST.uninstall(&helm).unwrap();
    let role = "backups.cozystack.io:strategy-controller";
    assert_eq!(read(&client, rbac, "ClusterRole", role).await, None);
    assert_eq!(
        read(&client, "apps/v1", "Deployment", HOST.name).await,
        None
    );
    let backups: Api<DynamicObject> = Api::all_with(client.clone(), &resource(API, "Backup"));
    let kept = backups.list(&ListParams::default()).await.unwrap();
    assert_eq!(kept.items.len(), 1, "an uninstall loses no Backup");
    assert_eq!(
        self::bucket(&client).await,
        bucket,
        "nor the bucket, nor does the other mode"
    );

    HOST.install(&helm, &values).unwrap();
    read(&client, rbac, "ClusterRole", role).await.unwrap();
    let again = backups.list(&ListParams::default()).await.unwrap();
    assert_eq!(again.items[0].metadata.uid, kept.items[0].metadata.uid);
    assert_eq!(self::bucket(&client).await, bucket, "it is taken over");

    HOST.upgrade_to(folder.path(), &helm, &external).unwrap();
    HOST.uninstall(&helm).unwrap();
    assert_eq!(read(&client, rbac, "ClusterRole", role).await, None);
    let still = backups.list(&ListParams::default()).await.unwrap();
    assert_eq!(still.items[0].metadata.uid, kept.items[0].metadata.uid);
    assert_eq!(self::bucket(&client).await, bucket);
}

/// The definition of Buckets that the platform has before the chart.
fn bucket_definition() -> Value {
    let kinds = stage::kinds().iter();
    let mut buckets = kinds.filter(|kind| kind.kind == "Bucket");
    stage::crd(buckets.next().unwrap())
}

/// The UID of the platform's bucket, which is there.
async fn bucket(client: &Client) -> Option<String> {
    let kind = resource("apps.cozystack.io/v1alpha1", "Bucket");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), HOST.namespace, &kind);
    api.get("cozy-backups").await.unwrap().metadata.uid
}

/// The default strategies, which need no second installation: their kinds are there before them.
async fn has_default_strategies(client: &Client) {
    let group = "strategy.backups.cozystack.io";
    for (kind, plural, name) in [
        ("CNPG", "cnpgs", "cnpg"),
        ("MariaDB", "mariadbs", "mariadb"),
        ("Altinity", "altinities", "altinity"),
        ("Etcd", "etcds", "etcd"),
        ("FoundationDB", "foundationdbs", "foundationdb"),
        ("Velero", "veleroes", "velero-vminstance"),
        ("Velero", "veleroes", "velero-vmdisk"),
    ] {
        let kind = GroupVersionKind::gvk(group, "v1alpha1", kind);
        let kind = ApiResource::from_gvk_with_plural(&kind, plural);
        let strategies: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        strategies
            .get(&format!("cozy-default-{name}"))
            .await
            .unwrap();
    }
}

/// The Deployment's Pods are let in where the strictest level of PodSecurity is enforced.
async fn pods_are_restricted(plane: &ControlPlane, client: &Client) {
    let strict = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": "strict", "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
        },
    });
    plane.apply(&[strict]).await.unwrap();
    let deployment = read(client, "apps/v1", "Deployment", HOST.name)
        .await
        .unwrap();
    let pods: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "strict", &resource("v1", "Pod"));
    let tried = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod = |spec: &Value| {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "host" }, "spec": spec });
        serde_json::from_value::<DynamicObject>(pod).unwrap()
    };
    let mut spec = deployment["spec"]["template"]["spec"].clone();
    pods.create(&tried, &pod(&spec)).await.unwrap();
    spec["securityContext"]["runAsNonRoot"] = json!(false);
    let refused = pods.create(&tried, &pod(&spec)).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("violates PodSecurity"), "{error}");
}
