//! Deleting, finalizers, namespaces.

use backup_engine::cluster::{ApiReason, Cluster, DeleteOptions, Part};
use serde_json::json;

use crate::story::*;

#[tokio::test]
async fn an_object_without_finalizers_is_gone_at_once() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    cluster.deleted(&the("Widget", "a"), None).await;
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
    let again = cluster
        .delete(&host(), &the("Widget", "a"), &DeleteOptions::default())
        .await;
    assert_eq!(message(again), "widgets.example.com \"a\" not found");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_removed() {
    let cluster = cluster();
    let finalizers = json!({"finalizers": ["example.com/a", "example.com/b"]});
    cluster
        .created(with(widget("a", json!({})), finalizers))
        .await;
    cluster.deleted(&the("Widget", "a"), None).await;
    let held = cluster.found(&the("Widget", "a")).await.unwrap();
    assert_eq!(
        held["metadata"]["deletionTimestamp"],
        "2023-11-14T22:13:20Z"
    );
    assert_eq!(held["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(held["metadata"]["generation"], 2);

    cluster.advance(60);
    let before = cluster.revision();
    cluster.deleted(&the("Widget", "a"), None).await;
    assert_eq!(cluster.revision(), before);

    let patch = json!({"metadata": {"finalizers": ["example.com/b"]}});
    cluster.merged(BOB, &the("Widget", "a"), patch).await;
    cluster
        .merged(
            BOB,
            &the("Widget", "a"),
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
}

#[tokio::test]
async fn an_object_on_its_way_out_takes_no_new_finalizers_and_keeps_its_name() {
    let cluster = cluster();
    cluster
        .created(with(
            widget("a", json!({})),
            json!({"finalizers": ["example.com/a"]}),
        ))
        .await;
    cluster.deleted(&the("Widget", "a"), None).await;
    let patch = json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}});
    let answer = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &patch, Part::Main)
        .await;
    assert_eq!(
        message(answer),
        "Widget.example.com \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if \
         the object is being deleted, found new finalizers []string{\"example.com/b\"}"
    );
    let again = cluster
        .create(&host(), ALICE, &widget("a", json!({})), false)
        .await;
    assert_eq!(
        message(again),
        "object is being deleted: widgets.example.com \"a\" already exists"
    );
    let revived = json!({"metadata": {"deletionTimestamp": null}});
    let merged = cluster.merged(BOB, &the("Widget", "a"), revived).await;
    assert_eq!(
        merged["metadata"]["deletionTimestamp"],
        "2023-11-14T22:13:20Z"
    );
}

#[tokio::test]
async fn preconditions_protect_another_object() {
    let cluster = cluster();
    let created = cluster.created(widget("a", json!({}))).await;
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let options = DeleteOptions {
        uid: Some("other".to_owned()),
        ..DeleteOptions::default()
    };
    let answer = cluster.delete(&host(), &the("Widget", "a"), &options).await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::Conflict));
    assert_eq!(
        message(answer),
        format!(
            "Operation cannot be fulfilled on Widget.example.com \"a\": the UID in the precondition (other) does \
             not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    let options = DeleteOptions {
        resource_version: Some("1".to_owned()),
        ..DeleteOptions::default()
    };
    let answer = cluster.delete(&host(), &the("Widget", "a"), &options).await;
    assert_eq!(reason(answer), Some(ApiReason::Conflict));
    let options = DeleteOptions {
        uid: Some(uid.to_owned()),
        ..DeleteOptions::default()
    };
    cluster
        .delete(&host(), &the("Widget", "a"), &options)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_applier_lets_go_by_leaving_its_finalizer_out() {
    let cluster = cluster();
    cluster
        .applied(
            ALICE,
            with(
                widget("a", json!({})),
                json!({"finalizers": ["example.com/a"]}),
            ),
        )
        .await;
    cluster.deleted(&the("Widget", "a"), None).await;
    cluster.applied(ALICE, widget("a", json!({}))).await;
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
}

#[tokio::test]
async fn a_namespace_takes_what_is_in_it_along_and_waits_for_it() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    let held = with(
        widget("held", json!({})),
        json!({"finalizers": ["example.com/hold"]}),
    );
    cluster.created(held).await;
    let team =
        object_ref(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}));
    cluster.deleted(&team, None).await;
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
    assert_eq!(
        cluster.found(&team).await.unwrap()["status"]["phase"],
        "Terminating"
    );
    assert!(
        cluster.found(&the("Widget", "held")).await.unwrap()["metadata"]["deletionTimestamp"]
            .is_string()
    );
    cluster
        .merged(
            BOB,
            &the("Widget", "held"),
            json!({"metadata": {"finalizers": []}}),
        )
        .await;
    assert!(cluster.found(&the("Widget", "held")).await.is_none());
    assert!(cluster.found(&team).await.is_none());
}

#[tokio::test]
async fn a_version_as_precondition_is_lost_where_the_delete_takes_off_the_last_finalizer() {
    let cluster = cluster();
    cluster
        .created(with(
            widget("a", json!({})),
            json!({"finalizers": ["orphan"]}),
        ))
        .await;
    let version = cluster.revision().to_string();
    let options = DeleteOptions {
        resource_version: Some(version),
        propagation: Some(backup_sandbox::contract::Propagation::Background),
        ..DeleteOptions::default()
    };
    let answer = cluster.delete(&host(), &the("Widget", "a"), &options).await;
    assert_eq!(reason(answer), Some(ApiReason::Conflict));
}
