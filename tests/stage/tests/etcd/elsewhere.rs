//! A restore into the etcd of another namespace. There is one in each, always by the same name.

use super::*;

const OTHER: &str = "tenant-other";

/// Two tenants with an etcd each, and a Backup of the first one's. The policy that lets authors restore into other
/// namespaces has been there for a minute.
async fn two_tenants() -> Stage {
    let stage = backed_up().await;
    stage.namespace(OTHER).unwrap();
    stage.etcd(OTHER, "etcd").unwrap();
    stage.restore_policy().unwrap();
    stage.cluster.advance(60);
    stage
}

fn across(stage: &Stage) {
    stage
        .restore_job(
            TENANT,
            "back",
            "ad-hoc",
            &json!({ "targetNamespace": OTHER }),
        )
        .unwrap();
}

fn cluster_of(stage: &Stage, namespace: &str) -> Value {
    let found = stage
        .cluster
        .read(OPERATOR, "EtcdCluster", Some(namespace), "etcd");
    found.unwrap_or_default()
}

fn release_of(stage: &Stage, namespace: &str) -> Value {
    let kind = "HelmRelease";
    let version = "helm.toolkit.fluxcd.io/v2";
    let found = stage.cluster.read(version, kind, Some(namespace), "etcd");
    found.unwrap_or_default()
}

#[tokio::test]
async fn another_namespaces_etcd_comes_up_from_the_snapshot_and_ones_own_is_left_alone() {
    let mut stage = two_tenants().await;
    let own = (cluster_of(&stage, TENANT), release_of(&stage, TENANT));
    let before = cluster_of(&stage, OTHER);
    let key = stage.storage.keys()[0].clone();
    across(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    let after = cluster_of(&stage, OTHER);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    let s3 = &after["spec"]["bootstrap"]["restore"]["source"]["s3"];
    assert_eq!(s3["key"], key.as_str());
    assert_ne!(release_of(&stage, OTHER)["spec"]["suspend"], true);
    let secret = stage
        .cluster
        .read("v1", "Secret", Some(OTHER), "cozy-backups-creds");
    assert!(secret.is_some(), "it names the Secret of its own namespace");
    assert_eq!(
        (cluster_of(&stage, TENANT), release_of(&stage, TENANT)),
        own
    );
}

#[tokio::test]
async fn a_snapshot_that_is_gone_is_noticed_before_the_other_etcd_is_deleted() {
    let mut stage = two_tenants().await;
    let before = cluster_of(&stage, OTHER);
    for key in stage.storage.keys() {
        stage.storage.remove(&key);
    }
    across(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: SnapshotGone: "),
        "{said}"
    );
    assert_eq!(cluster_of(&stage, OTHER), before);
}

#[tokio::test]
async fn a_job_that_is_deleted_midway_gives_the_other_etcd_back() {
    let mut stage = two_tenants().await;
    let before = cluster_of(&stage, OTHER);
    across(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        if cluster_of(&stage, OTHER).is_null() {
            break;
        }
        turn(&stage, &operator).await;
    }
    assert_eq!(release_of(&stage, OTHER)["spec"]["suspend"], true);
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
    }
    let after = cluster_of(&stage, OTHER);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["spec"], before["spec"]);
    assert_ne!(release_of(&stage, OTHER)["spec"]["suspend"], true);
}

#[tokio::test]
async fn a_namespace_without_an_etcd_is_told_what_to_do() {
    let mut stage = backed_up().await;
    stage.namespace(OTHER).unwrap();
    stage.restore_policy().unwrap();
    stage.cluster.advance(60);
    across(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: EtcdClusterNotFound: there is no EtcdCluster tenant-other/etcd to restore into; create \
         the application, then restore into it"
    );
}
