//! What is refused.

use backup_engine::cluster::{ApiReason, Cluster, Part};
use serde_json::{Value, json};

use crate::story::*;

async fn refusal(object: Value) -> String {
    let answer = cluster().create(&host(), ALICE, &object, false).await;
    assert_eq!(
        reason(answer.clone()),
        Some(ApiReason::Invalid),
        "{answer:?}"
    );
    message(answer)
}

#[tokio::test]
async fn a_value_outside_the_schema_is_invalid_in_the_servers_words() {
    let start = "Widget.example.com \"a\" is invalid: ";
    for (spec, words) in [
        (
            json!({"size": 0}),
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ),
        (
            json!({"size": 11}),
            "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10",
        ),
        (
            json!({"size": "x"}),
            "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        ),
        (
            json!({"colour": "green"}),
            "spec.colour: Unsupported value: \"green\": supported values: \"red\", \"blue\"",
        ),
        (
            json!({"code": "AB"}),
            "spec.code: Invalid value: \"AB\": spec.code in body should match '^[a-z]+$'",
        ),
        (
            json!({"code": "abcdef"}),
            "spec.code: Too long: may not be more than 5 bytes",
        ),
        (
            json!({"parts": [{"weight": 1}]}),
            "spec.parts[0].name: Required value",
        ),
        (
            json!({"tags": ["a", "a"]}),
            "spec.tags[1]: Duplicate value: \"a\"",
        ),
        (
            json!({"parts": [{"name": "a"}, {"name": "a"}]}),
            "spec.parts[1]: Duplicate value: {\"name\":\"a\"}",
        ),
    ] {
        assert_eq!(refusal(widget("a", spec)).await, format!("{start}{words}"));
    }
}

#[tokio::test]
async fn several_problems_are_told_together() {
    let text = refusal(widget("a", json!({"size": 0, "code": "A"}))).await;
    assert!(
        text.starts_with("Widget.example.com \"a\" is invalid: [spec."),
        "{text}"
    );
    assert!(text.ends_with(']'));
}

#[tokio::test]
async fn names_labels_and_finalizers_have_their_forms() {
    let text = refusal(widget("A_b", json!({}))).await;
    assert!(
        text.contains("metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must"),
        "{text}"
    );
    let long = "x".repeat(64);
    let text = refusal(with(widget("a", json!({})), json!({"labels": {"l": long}}))).await;
    assert!(text.contains(": must be no more than 63 bytes"), "{text}");
    let text = refusal(with(
        widget("a", json!({})),
        json!({"labels": {"a b": "c"}}),
    ))
    .await;
    assert!(
        text.contains("metadata.labels: Invalid value: \"a b\": name part must consist of"),
        "{text}"
    );
    let text = refusal(with(widget("a", json!({})), json!({"finalizers": ["a b"]}))).await;
    assert!(
        text.contains("metadata.finalizers: Invalid value: \"a b\": name part"),
        "{text}"
    );
}

#[tokio::test]
async fn metadata_of_another_type_is_a_bad_request() {
    let object = with(widget("a", json!({})), json!({"labels": {"a": 1}}));
    let answer = cluster().create(&host(), ALICE, &object, false).await;
    assert_eq!(reason(answer), Some(ApiReason::BadRequest));
}

#[tokio::test]
async fn a_namespace_must_be_there_and_stay() {
    let cluster = cluster();
    let elsewhere = with(widget("a", json!({})), json!({"namespace": "nowhere"}));
    let answer = cluster.create(&host(), ALICE, &elsewhere, false).await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::NotFound));
    assert_eq!(message(answer), "namespaces \"nowhere\" not found");
    let answer = cluster.apply(&host(), ALICE, &elsewhere, Part::Main).await;
    assert_eq!(reason(answer), Some(ApiReason::NotFound));

    let held = cluster
        .created(with(
            widget("held", json!({})),
            json!({"finalizers": ["example.com/hold"]}),
        ))
        .await;
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    cluster.deleted(&object_ref(&team), None).await;
    let late = cluster
        .create(&host(), ALICE, &widget("b", json!({})), false)
        .await;
    assert_eq!(reason(late.clone()), Some(ApiReason::Forbidden));
    assert_eq!(
        message(late),
        "widgets.example.com \"b\" is forbidden: unable to create new content in namespace team because it is \
         being terminated"
    );
    cluster
        .merged(BOB, &object_ref(&held), json!({"spec": {"size": 2}}))
        .await;
}

#[tokio::test]
async fn an_old_problem_is_not_held_against_a_change_elsewhere() {
    let cluster = cluster();
    cluster.put(widget("a", json!({"size": 99}))).unwrap();
    let merged = cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"mode": "fast"}}))
        .await;
    assert_eq!(merged["spec"]["size"], 99);
    let worse = cluster
        .merge(
            &host(),
            BOB,
            &the("Widget", "a"),
            &json!({"spec": {"size": 98}}),
            Part::Main,
        )
        .await;
    assert_eq!(reason(worse), Some(ApiReason::Invalid));
}

#[tokio::test]
async fn a_status_is_checked_too() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    let patch = json!({"status": {"count": "many"}});
    let answer = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &patch, Part::Status)
        .await;
    assert_eq!(
        message(answer),
        "Widget.example.com \"a\" is invalid: status.count: Invalid value: \"string\": count in body must be of \
         type integer: \"string\""
    );
}

#[tokio::test]
async fn only_one_owner_controls() {
    let owner = |name: &str| {
        json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "name": name, "uid": name, "controller": true,
        })
    };
    let text = refusal(with(
        widget("a", json!({})),
        json!({"ownerReferences": [owner("x"), owner("y")]}),
    ))
    .await;
    assert!(
        text.contains("Only one reference can have Controller set to true"),
        "{text}"
    );
}
