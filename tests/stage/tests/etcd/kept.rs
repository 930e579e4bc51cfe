//! Backups that other versions have written: restored, looked at and removed by this one, from the Backup and the bucket
//! alone.

use super::*;

/// The versions of the metadata that are kept: of the first controller, and of this one.
const VERSIONS: [&str; 2] = ["v0", "v1"];

/// A tenant's etcd and a kept Backup of it. Nothing of the operator's is there but the cluster.
async fn kept(version: &str) -> Stage {
    let stage = platform();
    let kept = Kept::of("etcd", version).unwrap();
    stage.put_kept(&kept, TENANT).await.unwrap();
    assert!(snapshots(&stage).is_empty());
    stage
}

#[tokio::test]
async fn what_this_version_writes_is_kept() {
    let mut stage = platform();
    // The names of a job's objects hang on its UID.
    stage
        .cluster
        .put(json!({
            "apiVersion": API,
            "kind": "BackupJob",
            "metadata": {
                "name": "ad-hoc",
                "namespace": TENANT,
                "uid": "0b1c6a4e-5d0f-4c57-9f5a-3f6a1a0c2e11",
            },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Etcd", "name": "etcd" },
            },
        }))
        .unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    stage
        .is_as_kept("etcd", "v1", TENANT, "ad-hoc")
        .await
        .unwrap();
}

#[tokio::test]
async fn every_version_is_restored() {
    for version in VERSIONS {
        let mut stage = kept(version).await;
        let key = stage.storage.keys()[0].clone();
        order_restore(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        assert_eq!(restores(&mut stage, &operator).await, RESTORED, "{version}");
        let s3 = cluster(&stage)["spec"]["bootstrap"]["restore"]["source"]["s3"].clone();
        assert_eq!(s3["key"], key.as_str(), "{version}");
        assert_eq!(s3["bucket"], "cozy-backups", "{version}");
        assert_eq!(
            s3["credentialsSecretRef"]["name"], "cozy-backups-creds",
            "{version}"
        );
    }
}

#[tokio::test]
async fn every_version_is_looked_at() {
    for version in VERSIONS {
        let mut stage = kept(version).await;
        let said = looked_at(&mut stage).await;
        assert!(said.starts_with("True Available: "), "{version}: {said}");
    }
}

#[tokio::test]
async fn every_version_is_removed_with_what_is_stored() {
    for version in VERSIONS {
        let mut stage = kept(version).await;
        // Old ones are held when they are first seen.
        stage.runner.settle().await.unwrap();
        stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
        until_gone(&mut stage).await;
        assert_eq!(
            notes(&stage, "LeftBehind"),
            Vec::<String>::new(),
            "{version}"
        );
        assert_eq!(stage.storage.keys(), Vec::<String>::new(), "{version}");
    }
}
