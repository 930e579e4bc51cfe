//! Server-side apply.

use backup_engine::cluster::{ApiReason, Cluster, Part};
use serde_json::json;

use crate::story::*;

#[tokio::test]
async fn applying_creates_what_is_absent() {
    let cluster = cluster();
    let applied = cluster
        .applied(ALICE, widget("a", json!({"size": 3})))
        .await;
    assert_eq!(applied["spec"], json!({"size": 3, "mode": "slow"}));
    assert_eq!(applied["metadata"]["generation"], 1);
}

#[tokio::test]
async fn a_uid_never_creates_and_never_fits_another_object() {
    let cluster = cluster();
    let object = with(widget("a", json!({"size": 3})), json!({"uid": "u"}));
    let absent = cluster.apply(&host(), ALICE, &object, Part::Main).await;
    assert_eq!(reason(absent.clone()), Some(ApiReason::Conflict));
    assert_eq!(
        message(absent),
        "Operation cannot be fulfilled on widgets.example.com \"a\": uid mismatch: the provided object specified \
         uid u, and no existing object was found"
    );
    let created = cluster.created(widget("a", json!({"size": 1}))).await;
    let other = cluster.apply(&host(), ALICE, &object, Part::Main).await;
    assert_eq!(reason(other.clone()), Some(ApiReason::Invalid));
    assert_eq!(
        message(other),
        "Widget.example.com \"a\" is invalid: metadata.uid: Invalid value: \"u\": field is immutable"
    );
    let right = with(
        widget("a", json!({"size": 4})),
        json!({"uid": created["metadata"]["uid"]}),
    );
    assert_eq!(cluster.applied(ALICE, right).await["spec"]["size"], 4);
}

#[tokio::test]
async fn a_resource_version_guards_an_update_but_not_a_creation() {
    let cluster = cluster();
    let object = with(
        widget("a", json!({"size": 3})),
        json!({"resourceVersion": "77"}),
    );
    let created = cluster.applied(ALICE, object.clone()).await;
    assert_ne!(created["metadata"]["resourceVersion"], "77");
    let stale = cluster.apply(&host(), ALICE, &object, Part::Main).await;
    assert_eq!(reason(stale), Some(ApiReason::Conflict));
    let version = created["metadata"]["resourceVersion"].clone();
    let fresh = with(
        widget("a", json!({"size": 4})),
        json!({"resourceVersion": version}),
    );
    assert_eq!(cluster.applied(ALICE, fresh).await["spec"]["size"], 4);
}

#[tokio::test]
async fn a_field_that_is_left_out_is_removed_if_nobody_else_owns_it() {
    let cluster = cluster();
    cluster
        .applied(
            ALICE,
            widget("a", json!({"size": 3, "code": "x", "colour": "red"})),
        )
        .await;
    cluster
        .applied(BOB, widget("a", json!({"code": "x"})))
        .await;
    let applied = cluster
        .applied(ALICE, widget("a", json!({"size": 4})))
        .await;
    assert_eq!(
        applied["spec"],
        json!({"size": 4, "code": "x", "mode": "slow"})
    );
}

#[tokio::test]
async fn force_takes_a_field_over() {
    let cluster = cluster();
    cluster
        .applied(ALICE, widget("a", json!({"size": 3, "code": "x"})))
        .await;
    cluster.applied(BOB, widget("a", json!({"size": 5}))).await;
    // It is Bob's now, so Alice leaving it out does not remove it.
    let applied = cluster
        .applied(ALICE, widget("a", json!({"code": "x"})))
        .await;
    assert_eq!(applied["spec"]["size"], 5);
    let applied = cluster.applied(BOB, widget("a", json!({}))).await;
    assert!(applied["spec"].get("size").is_none());
}

#[tokio::test]
async fn what_others_wrote_stays() {
    let cluster = cluster();
    cluster
        .created(widget("a", json!({"size": 3, "map": {"x": "1"}})))
        .await;
    let applied = cluster
        .applied(BOB, widget("a", json!({"map": {"y": "2"}})))
        .await;
    assert_eq!(applied["spec"]["map"], json!({"x": "1", "y": "2"}));
    assert_eq!(applied["spec"]["size"], 3);
    let applied = cluster.applied(BOB, widget("a", json!({}))).await;
    assert_eq!(applied["spec"]["map"], json!({"x": "1"}));
}

#[tokio::test]
async fn lists_merge_as_the_schema_says() {
    let cluster = cluster();
    let first = json!({
        "tags": ["a", "b"], "list": ["a", "b"], "parts": [{"name": "p", "weight": 1}], "whole": {"x": "1"},
    });
    let second = json!({
        "tags": ["c", "b"], "list": ["c"], "parts": [{"name": "q"}, {"name": "p", "grade": "fine"}],
        "whole": {"y": "2"},
    });
    cluster.applied(ALICE, widget("a", first)).await;
    let applied = cluster.applied(BOB, widget("a", second)).await;
    let spec = &applied["spec"];
    assert_eq!(spec["tags"], json!(["a", "c", "b"]));
    assert_eq!(spec["list"], json!(["c"]));
    assert_eq!(spec["whole"], json!({"y": "2"}));
    assert_eq!(
        spec["parts"],
        json!([{"name": "q", "grade": "plain"}, {"name": "p", "weight": 1, "grade": "fine"}])
    );
    let applied = cluster.applied(BOB, widget("a", json!({}))).await;
    assert_eq!(applied["spec"]["tags"], json!(["a", "b"]));
    assert_eq!(
        applied["spec"]["parts"],
        json!([{"name": "p", "weight": 1, "grade": "plain"}])
    );
    assert!(applied["spec"].get("list").is_none());
}

#[tokio::test]
async fn without_a_schema_lists_are_one_value_and_maps_are_not() {
    let cluster = cluster();
    cluster
        .applied(ALICE, note("a", json!({"list": [1, 2], "map": {"x": 1}})))
        .await;
    let applied = cluster
        .applied(BOB, note("a", json!({"list": [3], "map": {"y": 2}})))
        .await;
    assert_eq!(
        applied["content"],
        json!({"list": [3], "map": {"x": 1, "y": 2}})
    );
}

#[tokio::test]
async fn finalizers_and_owners_merge_by_entry() {
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
    let applied = cluster
        .applied(
            BOB,
            with(
                widget("a", json!({})),
                json!({"finalizers": ["example.com/b"]}),
            ),
        )
        .await;
    assert_eq!(
        applied["metadata"]["finalizers"],
        json!(["example.com/a", "example.com/b"])
    );
    let applied = cluster.applied(ALICE, widget("a", json!({}))).await;
    assert_eq!(applied["metadata"]["finalizers"], json!(["example.com/b"]));
}

#[tokio::test]
async fn a_field_that_the_schema_does_not_know_is_an_error_and_not_pruned() {
    let cluster = cluster();
    let answer = cluster
        .apply(
            &host(),
            ALICE,
            &widget("a", json!({"bogus": 1})),
            Part::Main,
        )
        .await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::Invalid));
    assert_eq!(
        message(answer),
        "failed to create typed patch object (team/a; example.com/v1, Kind=Widget): .spec.bogus: field not \
         declared in schema"
    );
    let free = cluster
        .applied(ALICE, widget("a", json!({"free": {"bogus": [{"x": 1}]}})))
        .await;
    assert_eq!(free["spec"]["free"], json!({"bogus": [{"x": 1}]}));
}

#[tokio::test]
async fn the_status_part_applies_only_the_status_and_never_creates() {
    let cluster = cluster();
    let status = |phase: &str| {
        let mut object = widget("a", json!({"size": 9}));
        object["status"] =
            json!({"phase": phase, "conditions": [{"type": phase, "status": "True"}]});
        object
    };
    let absent = cluster
        .apply(&host(), ALICE, &status("X"), Part::Status)
        .await;
    assert_eq!(message(absent), "widgets.example.com \"a\" not found");
    cluster.created(widget("a", json!({"size": 3}))).await;
    cluster
        .apply(&host(), ALICE, &status("X"), Part::Status)
        .await
        .unwrap();
    let applied = cluster
        .apply(&host(), BOB, &status("Y"), Part::Status)
        .await
        .unwrap();
    assert_eq!(applied["spec"]["size"], 3);
    assert_eq!(applied["status"]["phase"], "Y");
    assert_eq!(applied["status"]["conditions"].as_array().unwrap().len(), 2);
    // The same manager's main part is another set of fields.
    let applied = cluster
        .applied(ALICE, widget("a", json!({"size": 4})))
        .await;
    assert_eq!(applied["status"]["conditions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn applying_the_same_again_changes_nothing() {
    let cluster = cluster();
    let object = widget("a", json!({"size": 3, "parts": [{"name": "p"}]}));
    let first = cluster.applied(ALICE, object.clone()).await;
    let second = cluster.applied(ALICE, object.clone()).await;
    assert_eq!(first, second);
    // A second owner is a change, though of nothing that is shown but the version.
    let third = cluster.applied(BOB, object).await;
    assert_ne!(
        third["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert_eq!(third["metadata"]["generation"], 1);
}
