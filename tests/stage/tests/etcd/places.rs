//! Where a Backup's snapshot is looked for: the document that it keeps, its metadata, the artifact.

use super::*;

/// Restores, and gives back from where.
async fn restored_from(stage: &mut Stage) -> Value {
    order_restore(stage);
    let operator = operator(stage, EtcdFate::Completes);
    assert_eq!(restores(stage, &operator).await, RESTORED);
    cluster(stage)["spec"]["bootstrap"]["restore"]["source"]["s3"].clone()
}

/// The key of the snapshot that is stored.
fn stored(stage: &Stage) -> String {
    stage.storage.keys()[0].clone()
}

// TestResolveEtcdRestoreDestination_PrefersSnapshot
#[tokio::test]
async fn the_document_that_was_kept_wins_over_the_metadata() {
    let mut stage = backed_up_as(|backup| {
        backup["spec"]["driverMetadata"]["etcd.aenix.io/region"] = "elsewhere".into();
        backup["spec"]["driverMetadata"]["etcd.aenix.io/bucket"] = "other".into();
    })
    .await;
    let s3 = restored_from(&mut stage).await;
    assert_eq!(
        (&s3["region"], &s3["bucket"]),
        (&json!("eu-1"), &json!("cozy-backups"))
    );
}

// TestResolveEtcdRestoreDestination_FallsBackToDriverMetadata, TestResolveEtcdRestoreDestination_FullS3KeyForRestore,
// TestResolveEtcdRestoreDestination_ForcePathStyleNilRoundTrip
#[tokio::test]
async fn without_a_document_the_metadata_says_where_it_lies() {
    for style in [None, Some("true"), Some("false")] {
        let mut stage = backed_up_as(|backup| {
            let metadata = backup["spec"]["driverMetadata"].as_object_mut().unwrap();
            metadata.remove("etcd.aenix.io/force-path-style");
            metadata.remove("etcd.aenix.io/region");
            if let Some(style) = style {
                metadata.insert("etcd.aenix.io/force-path-style".to_owned(), json!(style));
            }
            backup["status"] = json!({ "phase": "Ready" });
        })
        .await;
        let key = stored(&stage);
        let s3 = restored_from(&mut stage).await;
        assert_eq!(s3["key"], key.as_str(), "put together of folder and name");
        assert_eq!(
            s3.get("forcePathStyle"),
            style.map(|style| json!(style == "true")).as_ref()
        );
        assert!(s3.get("region").is_none());
    }
}

// TestEtcdBackupSnapshot_MalformedJSONIsRecoverable
#[tokio::test]
async fn a_document_that_cannot_be_read_is_passed_over_and_told() {
    let mut stage = backed_up_as(|backup| {
        backup["status"]["underlyingResources"] = json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "EtcdBackupSnapshot",
            "destination": { "s3": "not a place" },
        });
    })
    .await;
    let key = stored(&stage);
    assert_eq!(restored_from(&mut stage).await["key"], key.as_str());
    assert_eq!(notes(&stage, "MalformedSnapshot").len(), 1);
}

/// Agents of the operator before 0.5 added to the file's name.
// TestResolveEtcdRestoreDestination_PrefersArtifactURIForRevSuffix
#[tokio::test]
async fn the_file_is_the_one_that_the_artifact_names() {
    let key = "tenant-acme/etcd/old-rev2.db";
    let mut stage = backed_up_as(|backup| {
        backup["status"]["artifact"]["uri"] = format!("s3://cozy-backups/{key}").into();
    })
    .await;
    stage.storage.put(key, 20_512, 1);
    assert_eq!(restored_from(&mut stage).await["key"], key);
}

// TestResolveEtcdRestoreDestination_FallsBackWhenArtifactBucketMismatches, TestS3KeyFromArtifactURI,
// TestBuildEtcdRestoreS3Key: their other cases are with the strategy.
#[tokio::test]
async fn an_artifact_in_another_bucket_does_not_name_the_file() {
    let mut stage = backed_up_as(|backup| {
        backup["status"]["artifact"]["uri"] = "s3://other/tenant-acme/etcd/old-rev2.db".into();
    })
    .await;
    let key = stored(&stage);
    let s3 = restored_from(&mut stage).await;
    assert_eq!(
        (&s3["bucket"], &s3["key"]),
        (&json!("cozy-backups"), &json!(key))
    );
}
