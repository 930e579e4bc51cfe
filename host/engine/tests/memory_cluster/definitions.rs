//! CustomResourceDefinitions.

use backup_engine::cluster::{ApiReason, Cluster, Part};
use backup_sandbox::contract::ObjectRef;
use serde_json::{Value, json};

use crate::story::*;

fn definition_ref() -> ObjectRef {
    object_ref(&widget_definition())
}

#[tokio::test]
async fn a_definition_is_an_object_that_says_it_is_established() {
    let cluster = cluster();
    let definition = cluster.found(&definition_ref()).await.unwrap();
    let conditions: Vec<&Value> = definition["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert!(
        conditions
            .iter()
            .any(|c| c["type"] == "Established" && c["status"] == "True")
    );
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    assert!(cluster.serves("example.com/v1", "Widget").await.unwrap());
    assert!(!cluster.serves("example.com/v2", "Widget").await.unwrap());
}

#[tokio::test]
async fn a_definition_can_be_applied_like_any_object() {
    let cluster = cluster();
    let mut definition = widget_definition();
    definition["metadata"]["name"] = json!("gadgets.example.com");
    definition["spec"]["names"] = json!({"kind": "Gadget", "plural": "gadgets"});
    cluster.applied(ALICE, definition).await;
    assert!(cluster.serves("example.com/v1", "Gadget").await.unwrap());
    let mut gadget = widget("a", json!({"size": 3}));
    gadget["kind"] = json!("Gadget");
    assert_eq!(cluster.created(gadget).await["spec"]["mode"], "slow");
}

#[tokio::test]
async fn without_its_definition_a_kind_is_not_there_and_neither_are_its_objects() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    cluster.remove_crd("widgets.example.com").unwrap();
    assert!(!cluster.serves("example.com/v1", "Widget").await.unwrap());
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
    assert!(cluster.found(&definition_ref()).await.is_none());
    assert!(
        cluster
            .objects()
            .iter()
            .all(|object| object["kind"] != "Widget")
    );
    let answer = cluster
        .apply(&host(), ALICE, &widget("a", json!({})), Part::Main)
        .await;
    assert_eq!(reason(answer), Some(ApiReason::NotFound));
}

#[tokio::test]
async fn a_definition_waits_for_objects_that_are_held() {
    let cluster = cluster();
    cluster
        .created(with(
            widget("held", json!({})),
            json!({"finalizers": ["example.com/hold"]}),
        ))
        .await;
    cluster.remove_crd("widgets.example.com").unwrap();
    assert!(cluster.found(&definition_ref()).await.is_some());
    let late = cluster
        .create(&host(), ALICE, &widget("b", json!({})), false)
        .await;
    assert_eq!(reason(late), Some(ApiReason::MethodNotAllowed));
    cluster
        .merged(
            BOB,
            &the("Widget", "held"),
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    assert!(cluster.found(&definition_ref()).await.is_none());
    assert!(!cluster.serves("example.com/v1", "Widget").await.unwrap());
}

#[tokio::test]
async fn every_served_version_shows_the_same_objects() {
    let cluster = cluster();
    let mut definition = widget_definition();
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    cluster.install_crd(&definition).unwrap();
    cluster.created(widget("a", json!({"size": 3}))).await;
    let target = ObjectRef {
        api_version: "example.com/v2".to_owned(),
        ..the("Widget", "a")
    };
    let shown = cluster.found(&target).await.unwrap();
    assert_eq!(shown["apiVersion"], "example.com/v2");
    assert_eq!(shown["spec"]["size"], 3);
}
