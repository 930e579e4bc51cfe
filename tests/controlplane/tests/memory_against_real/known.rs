//! Answers that something depends on, one by one.

use backup_engine::cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part};
use serde_json::{Value, json};

use crate::{
    kinds::{Kind, definitions},
    pair::{Pair, Story, both, plain, plain_message},
};

const NO_UID: &str = "11111111-2222-3333-4444-555555555555";

async fn pair() -> Pair {
    Pair::new(controlplane::shared(&definitions()).unwrap(), true).await
}

/// The Widget `a`, with something laid over its metadata.
fn widget(pair: &Pair, metadata: Value, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": "a", "namespace": pair.namespace }, "spec": spec,
    });
    for (field, value) in metadata.as_object().unwrap() {
        object["metadata"][field] = value.clone();
    }
    object
}

fn refusal<T>(answer: Result<T, ApiError>) -> Option<(ApiReason, String)> {
    answer.err().map(|error| (error.reason, error.message))
}

fn reason(refusal: &Option<(ApiReason, String)>) -> Option<ApiReason> {
    refusal.as_ref().map(|(reason, _)| *reason)
}

#[tokio::test]
async fn applying_with_a_uid_never_creates() {
    let pair = pair().await;
    let object = widget(&pair, json!({ "uid": NO_UID }), json!({ "size": 1 }));
    let answer = both!(pair, |cluster| refusal(cluster.applies(&object).await));
    assert_eq!(reason(&answer), Some(ApiReason::Conflict));
    assert_eq!(pair.get_both(Kind::Widget, "a").await, Value::Null);
}

#[tokio::test]
async fn applying_with_another_uid_is_invalid() {
    let pair = pair().await;
    let first = widget(&pair, json!({}), json!({ "size": 1 }));
    let other = widget(&pair, json!({ "uid": NO_UID }), json!({ "size": 2 }));
    both!(pair, |cluster| plain(cluster.creates(&first).await));
    let answer = both!(pair, |cluster| refusal(cluster.applies(&other).await));
    assert_eq!(reason(&answer), Some(ApiReason::Invalid));
}

#[tokio::test]
async fn applying_with_a_version_that_is_past_is_a_conflict() {
    let pair = pair().await;
    let first = widget(&pair, json!({}), json!({ "size": 1 }));
    let stale = widget(
        &pair,
        json!({ "resourceVersion": "1" }),
        json!({ "size": 2 }),
    );
    both!(pair, |cluster| plain(cluster.creates(&first).await));
    let answer = both!(pair, |cluster| refusal(cluster.applies(&stale).await));
    assert_eq!(reason(&answer), Some(ApiReason::Conflict));
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_leaves_nothing() {
    let pair = pair().await;
    let host = Caller::host();
    let good = widget(&pair, json!({}), json!({ "size": 1 }));
    let bad = widget(&pair, json!({}), json!({ "size": 11 }));
    let made = both!(pair, |cluster| cluster
        .create(&host, "alice", &good, true)
        .await
        .map(plain));
    assert_eq!(made.unwrap()["spec"]["mode"], "slow");
    let refused = both!(pair, |cluster| refusal(
        cluster.create(&host, "alice", &bad, true).await
    ));
    assert_eq!(reason(&refused), Some(ApiReason::Invalid));
    assert_eq!(pair.get_both(Kind::Widget, "a").await, Value::Null);
}

#[tokio::test]
async fn deleting_another_object_of_the_name_is_a_conflict() {
    let pair = pair().await;
    let first = widget(&pair, json!({}), json!({ "size": 1 }));
    both!(pair, |cluster| plain(cluster.creates(&first).await));
    let target = pair.the(Kind::Widget, "a");
    let host = Caller::host();
    let options = DeleteOptions {
        uid: Some(NO_UID.to_owned()),
        ..DeleteOptions::default()
    };
    let refused = both!(pair, |cluster| cluster
        .delete(&host, &target, &options)
        .await
        .map_err(|error| error.reason));
    assert_eq!(refused, Err(ApiReason::Conflict));
}

#[tokio::test]
async fn the_status_of_an_absent_object_cannot_be_applied() {
    let pair = pair().await;
    let host = Caller::host();
    let mut object = widget(&pair, json!({}), json!({}));
    object["status"] = json!({ "phase": "Done" });
    let refused = both!(pair, |cluster| refusal(
        cluster.apply(&host, "alice", &object, Part::Status).await
    ));
    assert_eq!(reason(&refused), Some(ApiReason::NotFound));
}

#[tokio::test]
async fn a_field_that_the_schema_does_not_have_cannot_be_applied() {
    let pair = pair().await;
    let object = widget(&pair, json!({}), json!({ "size": 1, "misspelt": 1 }));
    let answer = both!(pair, |cluster| refusal(cluster.applies(&object).await));
    assert_eq!(reason(&answer), Some(ApiReason::Invalid));
}

#[tokio::test]
async fn fields_that_the_schema_does_not_have_cannot_be_created() {
    let pair = pair().await;
    let object = widget(
        &pair,
        json!({ "misspelt": "x" }),
        json!({ "parts": [{ "name": "a", "wieght": 1 }], "seize": { "a": 1 } }),
    );
    let host = Caller::host();
    let answer = both!(pair, |cluster| refusal(
        cluster.create(&host, "alice", &object, true).await
    ));
    let (reason, message) = answer.unwrap();
    assert_eq!(reason, ApiReason::BadRequest);
    let fields = r#"unknown field "metadata.misspelt", unknown field "spec.parts[0].wieght", unknown field "spec.seize""#;
    assert!(message.ends_with(fields), "{message}");
}

#[tokio::test]
async fn a_field_that_the_schema_does_not_have_cannot_be_merged() {
    let pair = pair().await;
    let first = widget(&pair, json!({}), json!({ "size": 1 }));
    both!(pair, |cluster| plain(cluster.creates(&first).await));
    let target = pair.the(Kind::Widget, "a");
    let host = Caller::host();
    for part in [Part::Main, Part::Status] {
        let patch = json!({ "status": { "fase": "Done" } });
        let answer = both!(pair, |cluster| refusal(
            cluster.merge(&host, "alice", &target, &patch, part).await
        )
        .map(|(reason, message)| (reason, plain_message(&message))));
        let (reason, message) = answer.unwrap();
        assert_eq!(reason, ApiReason::Invalid);
        assert!(
            message.ends_with(r#"strict decoding error: unknown field "status.fase""#),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_apply_that_lets_the_last_field_of_a_map_go_must_let_the_map_go_too() {
    let pair = pair().await;
    let full = widget(
        &pair,
        json!({}),
        json!({ "whole": { "k": "v" }, "map": { "k": "v" } }),
    );
    both!(pair, |cluster| plain(cluster.applies(&full).await.unwrap()));
    let empty = widget(&pair, json!({}), json!({ "map": {} }));
    let answer = both!(pair, |cluster| refusal(cluster.applies(&empty).await));
    assert_eq!(reason(&answer), Some(ApiReason::Invalid));
    let without = widget(&pair, json!({}), json!({ "size": 1 }));
    both!(pair, |cluster| plain(
        cluster.applies(&without).await.unwrap()
    ));
}

#[tokio::test]
async fn a_kind_that_nobody_has_defined_is_not_found() {
    let pair = pair().await;
    let mut object = widget(&pair, json!({}), json!({}));
    object["kind"] = "Unheard".into();
    let mut target = pair.the(Kind::Widget, "a");
    target.kind = "Unheard".to_owned();
    let host = Caller::host();
    assert_eq!(
        both!(pair, |cluster| cluster.get(&host, &target).await),
        Ok(None)
    );
    assert_eq!(
        both!(pair, |cluster| cluster
            .serves("example.com/v1", "Unheard")
            .await),
        Ok(false)
    );
    // The path of a kind that is not there cannot be told, so the words are the adapter's own.
    let refused = both!(pair, |cluster| cluster
        .applies(&object)
        .await
        .map_err(|error| error.reason));
    assert_eq!(refused, Err(ApiReason::NotFound));
}
