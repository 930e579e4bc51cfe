//! Etcd.

use serde_json::{Value, json};
use stage::{Bucket as _, EtcdFate, EtcdOperator, Workplace};

use crate::{
    bucket::bucket,
    cluster::{Played, Scene},
    installed::Alone,
};

const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";
const CLUSTER: (&str, &str, &str) = (OPERATOR, "EtcdCluster", "etcd");
const RELEASE: (&str, &str, &str) = ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "etcd");

/// Two tenants' etcds: a backup, its restore into either, what is called off, what is refused, and the end of the Backup.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    let own = scene.namespace().to_owned();
    etcd(&scene, &own, &json!({})).await;
    let operator = operator(&scene, &own, EtcdFate::Completes);

    scene.backup_job_of("nightly", "Etcd", "etcd").await;
    let job = scene.ended("BackupJob", "nightly").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    // From here on the Backup and the bucket have to do.
    let snapshot = scene.list(OPERATOR, "EtcdSnapshot").await;
    let snapshot = snapshot[0]["metadata"]["name"].as_str().unwrap().to_owned();
    scene.delete_in(OPERATOR, "EtcdSnapshot", &snapshot).await;
    scene.is_available("nightly").await;

    let before = uid(&scene, &own).await;
    restored(&scene, "in-place", &json!({})).await;
    assert_ne!(uid(&scene, &own).await, before);
    is_from(&scene, &own, &snapshot).await;

    let other = scene.other_namespace().await;
    etcd(&scene, &other, &json!({})).await;
    let beside = operator_in(&scene, &other);
    restored(&scene, "across", &json!({ "targetNamespace": other })).await;
    is_from(&scene, &other, &snapshot).await;
    drop(beside);

    is_given_back(&scene, &own, operator).await;
    is_refused_by_the_operators_rules(&scene).await;
    is_forgotten(&scene, &own).await;
}

/// An etcd with its Helm release, and other storage where that is wanted.
async fn etcd(scene: &Scene, namespace: &str, storage: &Value) {
    let mut objects = stage::etcd_objects(namespace, "etcd").unwrap();
    for object in &mut objects {
        if object["kind"] == "EtcdCluster" {
            for (field, value) in storage.as_object().unwrap() {
                object["spec"]["storage"][field] = value.clone();
            }
        }
    }
    scene.put_with_status(objects).await;
}

fn operator(scene: &Scene, namespace: &str, fate: EtcdFate) -> Played {
    let place = Workplace::new(bucket()).of_namespace(namespace);
    scene.play_in(&[namespace], EtcdOperator::at(place, fate))
}

fn operator_in(scene: &Scene, namespace: &str) -> Played {
    operator(scene, namespace, EtcdFate::Completes)
}

async fn uid(scene: &Scene, namespace: &str) -> Value {
    let found = scene.until_in(namespace, CLUSTER, |_| true).await;
    found["metadata"]["uid"].clone()
}

async fn restore(scene: &Scene, name: &str, options: &Value) {
    let spec = json!({ "backupRef": { "name": "nightly" }, "options": options });
    scene.job("RestoreJob", name, &spec).await;
}

/// Restores with options, to a good end.
async fn restored(scene: &Scene, name: &str, options: &Value) {
    restore(scene, name, options).await;
    let job = scene.ended("RestoreJob", name).await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
}

/// The cluster of a namespace came up from the snapshot, and its release goes on.
async fn is_from(scene: &Scene, namespace: &str, snapshot: &str) {
    let cluster = scene.until_in(namespace, CLUSTER, |_| true).await;
    let source = &cluster["spec"]["bootstrap"]["restore"]["source"]["s3"];
    let key = source["key"].as_str().unwrap();
    assert!(key.ends_with(&format!("/{snapshot}.db")), "{cluster}");
    let goes_on = |release: &Value| release["spec"]["suspend"] != true;
    scene.until_in(namespace, RELEASE, goes_on).await;
}

/// A restore that is deleted while the cluster is gone gives cluster and release back.
async fn is_given_back(scene: &Scene, own: &str, played: Played) {
    drop(played);
    let staying = operator(scene, own, EtcdFate::MembersStay);
    restore(scene, "called-off", &json!({})).await;
    let is_purging = |job: &Value| {
        let message = job["status"]["message"].as_str().unwrap_or_default();
        message.contains("waiting until these are gone: etcd-")
    };
    scene.until("RestoreJob", "called-off", is_purging).await;
    scene.delete("RestoreJob", "called-off").await;
    drop(staying);
    let _operator = operator_in(scene, own);
    scene.gone("RestoreJob", "called-off").await;
    let is_as_it_was = |cluster: &Value| cluster["spec"].get("bootstrap").is_none();
    scene.until_in(own, CLUSTER, is_as_it_was).await;
    let goes_on = |release: &Value| release["spec"]["suspend"] != true;
    scene.until_in(own, RELEASE, goes_on).await;
}

/// A cluster that keeps its data in memory cannot come up from a snapshot, which only the operator's definition knows.
async fn is_refused_by_the_operators_rules(scene: &Scene) {
    if controlplane::operator_crds().unwrap().is_empty() {
        return;
    }
    let third = scene.other_namespace().await;
    etcd(scene, &third, &json!({ "medium": "Memory" })).await;
    let before = uid(scene, &third).await;
    restore(scene, "in-memory", &json!({ "targetNamespace": third })).await;
    let job = scene.ended("RestoreJob", "in-memory").await;
    let message = job["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("EtcdClusterRefused: the cluster was left alone"),
        "{job}"
    );
    assert_eq!(uid(scene, &third).await, before);
}

/// The Backup goes with its data.
async fn is_forgotten(scene: &Scene, own: &str) {
    scene.delete("Backup", "nightly").await;
    scene.gone("Backup", "nightly").await;
    let folder = format!("{own}/etcd/");
    let left = bucket().keys().await;
    assert!(!left.iter().any(|key| key.starts_with(&folder)), "{left:?}");
}
