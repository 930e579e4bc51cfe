//! What the controllers do: garbage is collected, namespaces end. In memory that happens within the request that
//! gives cause; a real cluster is watched until it has happened.

use backup_engine::cluster::Cluster as _;
use backup_sandbox::contract::{ObjectRef, Propagation};
use serde_json::{Value, json};

use crate::{
    kinds::{Kind, definitions},
    pair::{Pair, Story, plain},
    watched::Watched,
};

/// A pair of clusters, and eyes on the real one.
struct Scene {
    pair: Pair,
    watched: Watched,
}

impl Scene {
    async fn new() -> Self {
        let plane = controlplane::shared(&definitions()).unwrap();
        Self {
            pair: Pair::new(plane, true).await,
            watched: Watched::new(plane.client().await.unwrap()),
        }
    }

    fn config_map(&self, name: &str, metadata: &Value) -> Value {
        let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        object["metadata"]["namespace"] = self.pair.namespace.clone().into();
        object["metadata"]["name"] = name.into();
        object
    }

    /// A ConfigMap in both; `owners` are those that it belongs to, by name.
    async fn has(&self, name: &str, owners: &[&str], finalizers: &[&str]) {
        let owned = async |cluster: Side| {
            let mut references = vec![];
            for owner in owners {
                let target = self.pair.the(Kind::ConfigMap, owner);
                let uid = match cluster {
                    Side::Memory => self.pair.memory.get(&caller(), &target).await,
                    Side::Real => self.pair.real.get(&caller(), &target).await,
                };
                let uid = uid
                    .unwrap()
                    .map_or_else(|| NO_UID.into(), |owner| owner["metadata"]["uid"].clone());
                references.push(json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid,
                    "blockOwnerDeletion": true,
                }));
            }
            self.config_map(
                name,
                &json!({ "ownerReferences": references, "finalizers": finalizers }),
            )
        };
        self.pair.memory.creates(&owned(Side::Memory).await).await;
        self.pair.real.creates(&owned(Side::Real).await).await;
    }

    async fn deletes(&self, name: &str, propagation: Option<Propagation>) {
        let target = self.pair.the(Kind::ConfigMap, name);
        self.pair.memory.deletes(&target, propagation).await;
        self.pair.real.deletes(&target, propagation).await;
    }

    async fn lets_go(&self, name: &str) {
        let target = self.pair.the(Kind::ConfigMap, name);
        let patch = json!({ "metadata": { "finalizers": null } });
        self.pair.memory.merges(&target, patch.clone()).await;
        self.pair.real.merges(&target, patch).await;
    }

    /// What memory has now is what the real cluster comes to. Null when it is gone.
    async fn comes_to_the_same(&self, name: &str) -> Value {
        self.target_comes_to_the_same(&self.pair.the(Kind::ConfigMap, name))
            .await
    }

    async fn target_comes_to_the_same(&self, target: &ObjectRef) -> Value {
        let memory = self.pair.memory.get(&caller(), target).await.unwrap();
        let memory = memory.map(plain).unwrap_or_default();
        self.watched
            .until(target, &memory, |object| {
                object.map(plain).unwrap_or_default() == memory
            })
            .await;
        memory
    }
}

#[derive(Clone, Copy)]
enum Side {
    Memory,
    Real,
}

const NO_UID: &str = "11111111-2222-3333-4444-555555555555";

fn caller() -> backup_engine::cluster::Caller {
    backup_engine::cluster::Caller::host()
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    let scene = Scene::new().await;
    scene.has("owner", &[], &[]).await;
    scene.has("child", &["owner"], &[]).await;
    scene.has("grandchild", &["child"], &[]).await;
    scene.deletes("owner", None).await;
    for name in ["owner", "child", "grandchild"] {
        assert_eq!(scene.comes_to_the_same(name).await, Value::Null);
    }
}

#[tokio::test]
async fn orphans_lose_the_reference_and_stay() {
    let scene = Scene::new().await;
    scene.has("owner", &[], &[]).await;
    scene.has("child", &["owner"], &[]).await;
    scene.deletes("owner", Some(Propagation::Orphan)).await;
    assert_eq!(scene.comes_to_the_same("owner").await, Value::Null);
    let child = scene.comes_to_the_same("child").await;
    assert_eq!(child["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn in_the_foreground_an_owner_waits_for_those_that_block_it() {
    let scene = Scene::new().await;
    scene.has("owner", &[], &[]).await;
    scene.has("child", &["owner"], &["example.com/hold"]).await;
    scene.deletes("owner", Some(Propagation::Foreground)).await;
    let child = scene.comes_to_the_same("child").await;
    assert!(child["metadata"].get("deletionTimestamp").is_some());
    let owner = scene.comes_to_the_same("owner").await;
    assert_eq!(
        owner["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    scene.lets_go("child").await;
    assert_eq!(scene.comes_to_the_same("child").await, Value::Null);
    assert_eq!(scene.comes_to_the_same("owner").await, Value::Null);
}

#[tokio::test]
async fn who_is_owned_twice_stays_until_both_are_gone() {
    let scene = Scene::new().await;
    scene.has("first", &[], &[]).await;
    scene.has("second", &[], &[]).await;
    scene.has("child", &["first", "second"], &[]).await;
    scene.deletes("first", Some(Propagation::Background)).await;
    let child = scene.comes_to_the_same("child").await;
    assert_eq!(child["metadata"]["ownerReferences"][0]["name"], "second");
    scene.deletes("second", Some(Propagation::Background)).await;
    assert_eq!(scene.comes_to_the_same("child").await, Value::Null);
}

#[tokio::test]
async fn who_is_owned_by_nobody_that_ever_was_goes() {
    let scene = Scene::new().await;
    scene.has("child", &["absent"], &[]).await;
    assert_eq!(scene.comes_to_the_same("child").await, Value::Null);
}

#[tokio::test]
async fn a_namespace_waits_for_what_does_not_let_go() {
    let scene = Scene::new().await;
    scene.has("plain", &[], &[]).await;
    scene.has("held", &[], &["example.com/hold"]).await;
    let namespace = ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: scene.pair.namespace.clone(),
    };
    scene.pair.memory.deletes(&namespace, None).await;
    scene.pair.real.deletes(&namespace, None).await;
    assert_eq!(scene.comes_to_the_same("plain").await, Value::Null);
    let held = scene.comes_to_the_same("held").await;
    assert!(held["metadata"].get("deletionTimestamp").is_some());
    let late = scene.config_map("late", &json!({}));
    let memory = scene.pair.memory.applies(&late).await.unwrap_err();
    let real = scene.pair.real.applies(&late).await.unwrap_err();
    assert_eq!(memory, real);
    scene.lets_go("held").await;
    assert_eq!(scene.comes_to_the_same("held").await, Value::Null);
    assert_eq!(
        scene.target_comes_to_the_same(&namespace).await,
        Value::Null
    );
}
