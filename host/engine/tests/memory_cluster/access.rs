//! Who may, and what is made to fail.

use std::sync::atomic::{AtomicBool, Ordering};

use backup_engine::cluster::{
    Account, ApiError, ApiReason, Cluster, Part,
    memory::{Verb, Verdict},
};
use serde_json::json;

use crate::story::*;

#[tokio::test]
async fn the_policy_refuses_in_the_authorizers_words() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    cluster.set_policy(|operation| operation.account == Account::Host);
    let target = the("Widget", "a");
    let answer = cluster.get(&strategy(), &target).await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::Forbidden));
    assert_eq!(
        message(answer),
        "widgets.example.com \"a\" is forbidden: User \"system:serviceaccount:system:cnpg\" cannot get resource \
         \"widgets\" in API group \"example.com\" in the namespace \"team\""
    );
    let answer = cluster
        .merge(&strategy(), BOB, &target, &json!({}), Part::Status)
        .await;
    assert!(message(answer).contains("cannot patch resource \"widgets/status\" in API group"));
    let answer = cluster
        .create(&strategy(), BOB, &widget("b", json!({})), false)
        .await;
    assert!(message(answer).starts_with("widgets.example.com is forbidden: User"));
    assert!(cluster.get(&host(), &target).await.unwrap().is_some());
}

#[tokio::test]
async fn applying_something_new_also_needs_the_right_to_create() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    cluster.set_policy(|operation| operation.verb != Verb::Create);
    cluster
        .applied(ALICE, widget("a", json!({"size": 2})))
        .await;
    let answer = cluster
        .apply(&host(), ALICE, &widget("b", json!({})), Part::Main)
        .await;
    assert!(message(answer).contains("cannot create resource \"widgets\""));
}

#[tokio::test]
async fn a_failure_keeps_the_request_away_and_a_lost_answer_does_not() {
    let cluster = cluster();
    let broken = ApiError::new(ApiReason::Unavailable, "connection reset");
    let verdict = Verdict::Fail(broken.clone());
    cluster.set_interceptor(move |operation| {
        if operation.writes() {
            verdict.clone()
        } else {
            Verdict::Pass
        }
    });
    assert!(
        cluster
            .create(&host(), ALICE, &widget("a", json!({})), false)
            .await
            .is_err()
    );
    assert!(cluster.found(&the("Widget", "a")).await.is_none());

    let verdict = Verdict::PassThenFail(broken.clone());
    cluster.set_interceptor(move |operation| {
        if operation.writes() {
            verdict.clone()
        } else {
            Verdict::Pass
        }
    });
    assert_eq!(
        cluster
            .create(&host(), ALICE, &widget("a", json!({})), false)
            .await
            .unwrap_err(),
        broken
    );
    assert!(cluster.found(&the("Widget", "a")).await.is_some());
    cluster.clear_interceptor();
    cluster.created(widget("b", json!({}))).await;
}

#[tokio::test]
async fn somebody_can_come_in_between() {
    let cluster = cluster();
    let created = cluster.created(widget("a", json!({"size": 1}))).await;
    let (rival, done) = (cluster.clone(), AtomicBool::new(false));
    cluster.set_interceptor(move |_| {
        if !done.swap(true, Ordering::SeqCst) {
            rival.put(widget("a", json!({"size": 7}))).unwrap();
        }
        Verdict::Pass
    });
    let version = &created["metadata"]["resourceVersion"];
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"size": 2}});
    let answer = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &patch, Part::Main)
        .await;
    assert_eq!(reason(answer), Some(ApiReason::Conflict));
}

#[tokio::test]
async fn every_request_is_on_record() {
    let cluster = cluster();
    cluster
        .create(&host(), ALICE, &widget("a", json!({})), true)
        .await
        .unwrap();
    cluster.reported_in_vain().await;
    let requests = cluster.take_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[0].verb, requests[0].dry_run),
        (Verb::Create, true)
    );
    assert_eq!(
        (requests[1].verb, requests[1].part),
        (Verb::Merge, Part::Status)
    );
    assert_eq!(requests[1].namespace.as_deref(), Some("team"));
    assert_eq!(requests[1].name.as_deref(), Some("a"));
    assert!(cluster.requests().is_empty());
}

trait InVain {
    async fn reported_in_vain(&self);
}

impl InVain for backup_engine::cluster::memory::MemoryCluster {
    async fn reported_in_vain(&self) {
        let answer = self
            .merge(
                &strategy(),
                BOB,
                &the("Widget", "a"),
                &json!({}),
                Part::Status,
            )
            .await;
        assert_eq!(reason(answer), Some(ApiReason::NotFound));
    }
}
