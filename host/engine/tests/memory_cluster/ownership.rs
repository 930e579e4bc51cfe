//! Writes that are no apply own what they change.

use backup_engine::cluster::{ApiReason, Cluster, Part};
use serde_json::json;

use crate::story::*;

#[tokio::test]
async fn a_merge_patch_takes_a_field_from_an_applier() {
    let cluster = cluster();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3, "code": "x"})))
        .await;
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": 5}}))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"code": "x"})))
        .await;
    assert_eq!(applied["spec"]["size"], 5);
}

#[tokio::test]
async fn a_merge_patch_that_sets_what_is_there_takes_nothing() {
    let cluster = cluster();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3, "code": "x"})))
        .await;
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": 3}}))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"code": "x"})))
        .await;
    assert!(applied["spec"].get("size").is_none());
}

#[tokio::test]
async fn an_applier_does_not_remove_what_a_creator_of_its_name_wrote() {
    let cluster = cluster();
    cluster
        .created(widget("a", json!({"size": 3, "code": "x"})))
        .await;
    cluster
        .applied(ALICE, widget("a", json!({"size": 3})))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"colour": "red"})))
        .await;
    assert_eq!(
        applied["spec"],
        json!({"size": 3, "code": "x", "colour": "red", "mode": "slow"})
    );
}

#[tokio::test]
async fn a_removed_field_belongs_to_nobody() {
    let cluster = cluster();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3, "code": "x"})))
        .await;
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": null}}))
        .await;
    cluster
        .merged("carol", &the("Widget", "a"), json!({"spec": {"size": 4}}))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"code": "x"})))
        .await;
    assert_eq!(applied["spec"]["size"], 4);
}

#[tokio::test]
async fn what_was_put_counts_as_written_by_somebody_else() {
    let cluster = cluster();
    cluster.put(widget("a", json!({"size": 3}))).unwrap();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3})))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"code": "x"})))
        .await;
    assert_eq!(applied["spec"]["size"], 3);
}

#[tokio::test]
async fn what_an_applier_empties_and_still_names_becomes_null() {
    let cluster = cluster();
    cluster
        .applied(ALICE, note("a", json!({"outer": {"x": 1}, "other": 1})))
        .await;
    let applied = cluster
        .applied(ALICE, note("a", json!({"outer": {}, "other": 1})))
        .await;
    assert_eq!(applied["content"], json!({"outer": null, "other": 1}));
    // Where a schema says what there may be, null is refused.
    let full = widget("a", json!({"map": {"k": "v"}}));
    cluster.applied(ALICE, full).await;
    let emptied = widget("a", json!({"map": {}}));
    let refused = cluster.apply(&host(), ALICE, &emptied, Part::Main).await;
    assert_eq!(reason(refused.clone()), Some(ApiReason::Invalid));
    assert_eq!(
        message(refused),
        "Widget.example.com \"a\" is invalid: spec.map: Invalid value: \"null\": spec.map in body must be of \
         type object: \"null\""
    );
}

#[tokio::test]
async fn a_value_of_another_type_throws_the_books_away_even_where_it_does_not_count() {
    let cluster = cluster();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3})))
        .await;
    // The main part leaves the status alone, and with it the mistake.
    let patch = json!({"status": {"count": "many"}});
    cluster.merged(BOB, &the("Widget", "a"), patch).await;
    let books = cluster.managed_fields("example.com/v1", "Widget", Some("team"), "a");
    assert_eq!(books, Some(json!([])));
    let applied = cluster.applied(ALICE, widget("a", json!({}))).await;
    assert_eq!(applied["spec"]["size"], 3);
}

#[tokio::test]
async fn a_write_that_only_reorders_the_books_is_stored_all_the_same() {
    let cluster = cluster();
    let mut alices = widget("a", json!({"size": 3}));
    alices["status"] = json!({"phase": "X"});
    cluster.applied(ALICE, alices.clone()).await;
    cluster.advance(1);
    cluster
        .applied(BOB, widget("a", json!({"code": "x"})))
        .await;
    let before = cluster.revision();
    cluster
        .applied(BOB, widget("a", json!({"code": "x"})))
        .await;
    assert_eq!(cluster.revision(), before);
    // The status in it is left aside, but makes it a write, and Alice's entry the youngest.
    cluster.advance(1);
    cluster.applied(ALICE, alices).await;
    assert_eq!(cluster.revision(), before + 1);
}
