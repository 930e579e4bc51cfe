//! What becomes of objects whose owners go.

use backup_engine::cluster::memory::MemoryCluster;
use backup_sandbox::contract::Propagation;
use serde_json::{Value, json};

use crate::story::*;

/// An owner, its child and its grandchild.
async fn family(cluster: &MemoryCluster, block: bool) -> Value {
    let owner = cluster.created(widget("owner", json!({}))).await;
    let child = with(
        note("child", json!(1)),
        json!({"ownerReferences": owned_by(&owner, block)}),
    );
    let child = cluster.created(child).await;
    let grandchild = with(
        note("grandchild", json!(2)),
        json!({"ownerReferences": owned_by(&child, block)}),
    );
    cluster.created(grandchild).await;
    owner
}

fn names(cluster: &MemoryCluster) -> Vec<String> {
    let notes_and_widgets = cluster
        .objects()
        .into_iter()
        .filter(|object| object["apiVersion"] == "example.com/v1");
    notes_and_widgets
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    let cluster = cluster();
    family(&cluster, false).await;
    cluster
        .deleted(&the("Widget", "owner"), Some(Propagation::Background))
        .await;
    assert!(names(&cluster).is_empty());
}

#[tokio::test]
async fn orphans_lose_the_reference_and_stay() {
    let cluster = cluster();
    family(&cluster, false).await;
    cluster
        .deleted(&the("Widget", "owner"), Some(Propagation::Orphan))
        .await;
    assert_eq!(names(&cluster), ["child", "grandchild"]);
    assert!(
        cluster.found(&the("Note", "child")).await.unwrap()["metadata"]
            .get("ownerReferences")
            .is_none()
    );
}

#[tokio::test]
async fn in_the_foreground_an_owner_waits_for_those_that_block_it() {
    let cluster = cluster();
    family(&cluster, true).await;
    let patch = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    cluster.merged(BOB, &the("Note", "grandchild"), patch).await;
    cluster
        .deleted(&the("Widget", "owner"), Some(Propagation::Foreground))
        .await;
    assert_eq!(names(&cluster), ["child", "grandchild", "owner"]);
    let owner = cluster.found(&the("Widget", "owner")).await.unwrap();
    assert_eq!(
        owner["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    cluster
        .merged(
            BOB,
            &the("Note", "grandchild"),
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    assert!(names(&cluster).is_empty());
}

#[tokio::test]
async fn who_is_owned_twice_stays_until_both_are_gone() {
    let cluster = cluster();
    let first = cluster.created(widget("first", json!({}))).await;
    let second = cluster.created(widget("second", json!({}))).await;
    let mut owners = owned_by(&first, false);
    owners
        .as_array_mut()
        .unwrap()
        .push(owned_by(&second, false)[0].clone());
    cluster
        .created(with(
            note("child", json!(1)),
            json!({"ownerReferences": owners}),
        ))
        .await;
    cluster.deleted(&the("Widget", "first"), None).await;
    let child = cluster.found(&the("Note", "child")).await.unwrap();
    assert_eq!(
        child["metadata"]["ownerReferences"],
        owned_by(&second, false)
    );
    cluster.deleted(&the("Widget", "second"), None).await;
    assert!(names(&cluster).is_empty());
}

#[tokio::test]
async fn an_owner_of_the_same_name_but_another_uid_does_not_count() {
    let cluster = cluster();
    let owner = cluster.created(widget("owner", json!({}))).await;
    cluster.deleted(&the("Widget", "owner"), None).await;
    cluster.created(widget("owner", json!({}))).await;
    cluster
        .created(with(
            note("child", json!(1)),
            json!({"ownerReferences": owned_by(&owner, false)}),
        ))
        .await;
    assert_eq!(names(&cluster), ["owner"]);
}

#[tokio::test]
async fn an_owner_of_an_unknown_kind_is_left_in_doubt() {
    let cluster = cluster();
    let stranger = json!({"apiVersion": "other/v1", "kind": "Stranger", "metadata": {"name": "s", "uid": "u"}});
    cluster
        .created(with(
            note("child", json!(1)),
            json!({"ownerReferences": owned_by(&stranger, false)}),
        ))
        .await;
    cluster.collect_garbage();
    assert_eq!(names(&cluster), ["child"]);
}

#[tokio::test]
async fn garbage_waits_when_told_to() {
    let cluster = cluster();
    family(&cluster, false).await;
    cluster.defer_gc(true);
    cluster.deleted(&the("Widget", "owner"), None).await;
    assert_eq!(names(&cluster), ["child", "grandchild"]);
    cluster.collect_garbage();
    assert!(names(&cluster).is_empty());
}
