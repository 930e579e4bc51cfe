//! Copies follow the source, and are mended.

use backup_engine::cluster::memory::Operation;

use super::*;

fn rotate(stage: &Stage) {
    source(stage, "AK2-of-the-platform", "SK2-of-the-platform");
}

// Defect 15 of the reference: only a job refreshed the copy, so WAL archiving stopped with a rotated key.
#[tokio::test]
async fn rotated_keys_reach_every_copy_at_once() {
    let mut stage = backed_up().await;
    rotate(&stage);
    stage.runner.settle().await.unwrap();
    for tenant in [TENANT, OTHER] {
        let values = values(&stage, tenant);
        assert_eq!(values["accessKey"], "AK2-of-the-platform");
        assert_eq!(values["AWS_SECRET_ACCESS_KEY"], "SK2-of-the-platform");
        assert!(values["cloud"].contains("aws_access_key_id=AK2-of-the-platform\n"));
    }
}

#[tokio::test]
async fn a_host_that_starts_refreshes_what_was_rotated_without_it() {
    let mut stage = backed_up().await;
    rotate(&stage);
    stage.restart();
    stage.runner.settle().await.unwrap();
    for tenant in [TENANT, OTHER] {
        assert_eq!(access_key(&stage, tenant), "AK2-of-the-platform");
    }
}

#[tokio::test]
async fn copies_that_are_in_order_are_not_written() {
    let mut stage = backed_up().await;
    // A change of the source that changes nothing of what is copied.
    source(&stage, " AK1-of-the-platform\n", "SK1-of-the-platform");
    let revision = stage.cluster.revision();
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 600).await;
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.cluster.revision(), revision);
}

#[tokio::test]
async fn a_damaged_copy_is_mended_at_once() {
    let mut stage = backed_up().await;
    let whole = copy(&stage, TENANT).unwrap();
    let mut damaged = whole.clone();
    damaged["data"]["accessKey"] = json!(BASE64.encode(b"nobody's"));
    damaged["data"].as_object_mut().unwrap().remove("cloud");
    // No private authority is configured, and these bytes are no text.
    damaged["data"]["ca.crt"] = json!(BASE64.encode(&[0xff, 0xfe]));
    damaged["data"]["mine"] = json!(BASE64.encode(b"kept"));
    stage.cluster.put(damaged).unwrap();
    stage.runner.settle().await.unwrap();
    let mut mended = copy(&stage, TENANT).unwrap();
    let mine = mended["data"].as_object_mut().unwrap().remove("mine");
    assert_eq!(mine, Some(json!(BASE64.encode(b"kept"))));
    assert_eq!(mended["data"], whole["data"]);
}

#[tokio::test]
async fn a_copy_that_is_immutable_is_replaced() {
    let mut stage = backed_up().await;
    let mut sealed = copy(&stage, TENANT).unwrap();
    sealed["immutable"] = json!(true);
    stage.cluster.put(sealed.clone()).unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        copy(&stage, TENANT).unwrap()["immutable"],
        true,
        "it is in order"
    );
    rotate(&stage);
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, TENANT), "AK2-of-the-platform");
    assert_ne!(
        copy(&stage, TENANT).unwrap()["metadata"]["uid"],
        sealed["metadata"]["uid"]
    );
}

#[tokio::test]
async fn a_copy_that_is_taken_away_comes_back_while_it_is_needed() {
    let mut stage = backed_up().await;
    delete_secret(&stage, TENANT, COPY).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");

    stage.delete("Backup", TENANT, "first").await.unwrap();
    stage.runner.settle().await.unwrap();
    delete_secret(&stage, TENANT, COPY).await;
    pass(&mut stage, 600).await;
    assert_eq!(copy(&stage, TENANT), None, "nobody needs it any more");
}

#[tokio::test]
async fn what_fails_in_one_namespace_keeps_no_other_waiting() {
    let mut stage = backed_up().await;
    stage.cluster.set_policy(|operation: &Operation| {
        operation.namespace.as_deref() != Some(TENANT) || !operation.writes()
    });
    rotate(&stage);
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");
    assert_eq!(access_key(&stage, OTHER), "AK2-of-the-platform");
    assert_eq!(failures(&stage, TENANT, "APIError"), 1);
    assert_eq!(failures(&stage, OTHER, "APIError"), 0);

    stage.cluster.clear_policy();
    tick(&mut stage).await;
    assert_eq!(access_key(&stage, TENANT), "AK2-of-the-platform");
}

#[tokio::test]
async fn a_source_that_is_gone_or_of_no_use_leaves_the_copies_as_they_are() {
    let mut stage = backed_up().await;
    let before = copy(&stage, TENANT);
    let (namespace, name) = SOURCE;
    delete_secret(&stage, namespace, name).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(failures(&stage, TENANT, "SourceSecretMissing"), 1);
    put_secret(
        &stage,
        namespace,
        name,
        &json!({}),
        &json!({ "accessKey": "AK2" }),
    );
    stage.runner.settle().await.unwrap();
    assert_eq!(failures(&stage, TENANT, "SourceSecretMalformed"), 1);
    assert_eq!(copy(&stage, TENANT), before);
    rotate(&stage);
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, TENANT), "AK2-of-the-platform");
}

#[tokio::test]
async fn whoever_changes_a_copy_in_between_is_not_overwritten_unseen() {
    use backup_engine::cluster::memory::{Verb, Verdict};
    let mut stage = backed_up().await;
    let rival = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.verb == Verb::Merge && operation.namespace.as_deref() == Some(TENANT) {
            rival.clear_interceptor();
            let mut taken = rival.read("v1", "Secret", Some(TENANT), COPY).unwrap();
            taken["metadata"]["labels"] = json!({});
            rival.put(taken).unwrap();
        }
        Verdict::Pass
    });
    rotate(&stage);
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 120).await;
    assert_eq!(access_key(&stage, TENANT), "AK1-of-the-platform");
    assert_eq!(access_key(&stage, OTHER), "AK2-of-the-platform");
}
