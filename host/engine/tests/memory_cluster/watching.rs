//! Following what happens.

use backup_engine::cluster::memory::{ChangeKind, Lagged};
use serde_json::json;

use crate::story::*;

#[tokio::test]
async fn changes_come_in_order_with_what_was_before() {
    let cluster = cluster();
    let mut changes = cluster.changes();
    cluster.created(widget("a", json!({"size": 1}))).await;
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": 2}}))
        .await;
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": 2}}))
        .await;
    cluster.deleted(&the("Widget", "a"), None).await;

    let added = changes.next().await.unwrap().unwrap();
    assert_eq!(added.kind, ChangeKind::Added);
    assert!(added.previous.is_none());
    let modified = changes.next().await.unwrap().unwrap();
    assert_eq!(modified.kind, ChangeKind::Modified);
    assert_eq!(modified.previous.unwrap()["spec"]["size"], 1);
    assert_eq!(modified.object["spec"]["size"], 2);
    let deleted = changes.next().await.unwrap().unwrap();
    assert_eq!(deleted.kind, ChangeKind::Deleted);
    assert_eq!(deleted.revision, cluster.revision());
    assert_eq!(
        deleted.object["metadata"]["resourceVersion"],
        cluster.revision().to_string()
    );
    assert!(changes.try_next().unwrap().is_none());
}

#[tokio::test]
async fn one_can_wait_for_a_revision() {
    let cluster = cluster();
    let before = cluster.revision();
    let waiting = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.changed(before).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    cluster.created(widget("a", json!({}))).await;
    assert_eq!(waiting.await.unwrap(), before + 1);
}

#[tokio::test]
async fn who_is_too_slow_is_told() {
    let cluster = cluster();
    let mut changes = cluster.changes();
    for round in 0..5000 {
        cluster.put(note("a", json!(round))).unwrap();
    }
    assert_eq!(
        changes.next().await.unwrap_err(),
        Lagged {
            missed: 5000 - 4096
        }
    );
    assert_eq!(
        changes.next().await.unwrap().unwrap().object["content"],
        5000 - 4096
    );
}

#[tokio::test]
async fn two_clusters_with_one_story_are_the_same() {
    let mut told = Vec::new();
    for _ in 0..2 {
        let cluster = cluster();
        cluster.created(widget("a", json!({"size": 1}))).await;
        cluster.applied(BOB, widget("b", json!({"size": 2}))).await;
        told.push(cluster.objects());
    }
    assert_eq!(told[0], told[1]);
}
