//! System namespaces have a copy at all times.

use super::*;

fn settings(namespaces: &[&str]) -> StorageSettings {
    StorageSettings {
        system_namespaces: namespaces.iter().map(ToString::to_string).collect(),
        ..StorageSettings::default()
    }
}

#[tokio::test]
async fn a_system_namespace_has_a_copy_from_the_first_moment_on_and_keeps_it() {
    let mut stage = platform(settings(&["cozy-velero", "cozy-fdb"]));
    for namespace in ["cozy-velero", "cozy-fdb"] {
        stage.namespace(namespace).unwrap();
    }
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 24 * 3600).await;
    for namespace in ["cozy-velero", "cozy-fdb"] {
        assert_eq!(access_key(&stage, namespace), "AK1-of-the-platform");
    }
    assert_eq!(
        copy(&stage, TENANT),
        None,
        "a tenant has one when a job needs it"
    );
    delete_secret(&stage, "cozy-velero", COPY).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, "cozy-velero"), "AK1-of-the-platform");
}

#[tokio::test]
async fn a_system_namespace_that_is_missing_keeps_no_other_waiting() {
    let mut stage = platform(settings(&["cozy-absent", "cozy-velero"]));
    stage.namespace("cozy-velero").unwrap();
    stage.runner.settle().await.unwrap();
    tick(&mut stage).await;
    assert_eq!(access_key(&stage, "cozy-velero"), "AK1-of-the-platform");
    assert!(failures(&stage, "cozy-absent", "NamespaceMissing") >= 1);
    assert_eq!(
        failures(&stage, "cozy-absent", "APIError"),
        0,
        "what is not installed is no trouble"
    );
    stage.namespace("cozy-absent").unwrap();
    tick(&mut stage).await;
    assert_eq!(access_key(&stage, "cozy-absent"), "AK1-of-the-platform");
}

#[tokio::test]
async fn each_tick_counts_what_is_in_order_and_what_is_not() {
    let mut stage = platform(settings(&["cozy-velero"]));
    stage.namespace("cozy-velero").unwrap();
    stage.runner.settle().await.unwrap();
    let successes = |stage: &Stage| stage.runner.host().projections().successes();
    let [(namespace, before)] = successes(&stage).try_into().unwrap();
    assert_eq!(namespace, "cozy-velero");
    tick(&mut stage).await;
    assert_eq!(successes(&stage), [("cozy-velero".to_owned(), before + 1)]);
    let (namespace, name) = SOURCE;
    delete_secret(&stage, namespace, name).await;
    stage.runner.settle().await.unwrap();
    tick(&mut stage).await;
    assert_eq!(failures(&stage, "cozy-velero", "SourceSecretMissing"), 2);
    assert_eq!(successes(&stage), [("cozy-velero".to_owned(), before + 1)]);
}

#[tokio::test]
async fn a_source_that_comes_late_is_projected_when_it_comes() {
    let mut stage = platform(settings(&["cozy-velero"]));
    stage.namespace("cozy-velero").unwrap();
    let (namespace, name) = SOURCE;
    delete_secret(&stage, namespace, name).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(copy(&stage, "cozy-velero"), None);
    source(&stage, "AK1-of-the-platform", "SK1-of-the-platform");
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, "cozy-velero"), "AK1-of-the-platform");
}
