//! What cannot be restored is said before anything is touched.

use backup_engine::cluster::{ApiError, ApiReason, memory::Verdict};

use super::*;

#[tokio::test]
async fn a_refused_dry_run_leaves_the_old_cluster_untouched() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    stage.cluster.set_interceptor(|operation: &Operation| {
        if operation.dry_run && operation.kind == "EtcdCluster" {
            let error = ApiError::new(
                ApiReason::Invalid,
                "spec.bootstrap.restore is unsupported with spec.storage.medium=Memory",
            );
            return Verdict::Fail(error);
        }
        Verdict::Pass
    });
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: EtcdClusterRefused: the cluster was left alone, since it could not be created again \
         from the snapshot: spec.bootstrap.restore is unsupported with spec.storage.medium=Memory"
    );
    assert_eq!(cluster(&stage), before);
    assert_eq!(of_kind(&stage, "PersistentVolumeClaim").len(), 3);
    assert!(!is_suspended(&stage));
}

// TestReconcileEtcdRestore_OversizedSpecFailsFastBeforePurge, TestReconcileEtcdRestore_EmptySpecFailsBeforePurge,
// TestReconcileEtcdRestore_MissingClusterWithoutCaptureIsTerminal, TestEtcdBackupSnapshot_UnrecognisedKindIsTerminal,
// TestResolveEtcdRestoreDestination_MissingEverythingFails
#[tokio::test]
async fn what_is_not_in_order_is_said_before_anything_is_touched() {
    type Spoil = fn(&Stage);
    let cases: [(&str, Spoil); 7] = [
        ("SnapshotGone: ", |stage| {
            for key in stage.storage.keys() {
                stage.storage.remove(&key);
            }
        }),
        ("EtcdClusterNotFound: ", |stage| {
            change(stage, |cluster| {
                cluster["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z".into();
                cluster["metadata"]["finalizers"] = json!(["somebody/else"]);
            })
        }),
        ("NothingToCapture: ", |stage| {
            change(stage, |cluster| cluster["spec"] = json!({}))
        }),
        ("EtcdClusterPaused: ", |stage| {
            change(stage, |cluster| cluster["spec"]["replicas"] = 0.into())
        }),
        ("TooLargeToCapture: ", |stage| {
            change(stage, |cluster| {
                cluster["spec"]["padding"] = "x".repeat(70_000).into()
            })
        }),
        ("UnrecognisedSnapshot: ", |stage| {
            let mut backup = stage.read("Backup", TENANT, "ad-hoc");
            backup["status"]["underlyingResources"]["kind"] = "Other".into();
            stage.cluster.put(backup).unwrap();
        }),
        ("MetadataMissing: ", |stage| {
            let mut backup = stage.read("Backup", TENANT, "ad-hoc");
            backup["status"]["underlyingResources"] = Value::Null;
            backup["spec"]["driverMetadata"] = json!({});
            stage.cluster.put(backup).unwrap();
        }),
    ];
    for (reason, spoil) in cases {
        let mut stage = backed_up().await;
        spoil(&stage);
        let before = (cluster(&stage), release(&stage));
        order_restore(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        let said = restores(&mut stage, &operator).await;
        assert!(
            said.starts_with(&format!("Failed RestoreFailed: {reason}")),
            "{said}"
        );
        assert_eq!((cluster(&stage), release(&stage)), before, "{reason}");
    }
}

// TestReconcileEtcdRestore_RejectsToCopy, TestReconcileEtcdRestore_RejectsForeignTargetAPIGroup
#[tokio::test]
async fn a_restore_into_another_application_of_the_namespace_is_refused() {
    for (target, reason) in [
        (json!({ "kind": "Etcd", "name": "copy" }), "to-copy"),
        (
            json!({ "apiGroup": "apps.example.org", "kind": "Etcd", "name": "etcd" }),
            "apps.example.org",
        ),
        (json!({ "kind": "Postgres", "name": "etcd" }), "Postgres"),
    ] {
        let mut stage = backed_up().await;
        let before = cluster(&stage);
        stage
            .cluster
            .put(json!({
                "apiVersion": API,
                "kind": "RestoreJob",
                "metadata": { "name": "back", "namespace": TENANT },
                "spec": { "backupRef": { "name": "ad-hoc" }, "targetApplicationRef": target },
            }))
            .unwrap();
        let operator = operator(&stage, EtcdFate::Completes);
        let said = restores(&mut stage, &operator).await;
        assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
        assert!(said.contains(reason), "{said}");
        assert_eq!(cluster(&stage), before);
    }
}

/// Defect 13: a Backup of an application by another name is of the namespace's one etcd.
#[tokio::test]
async fn a_backup_by_another_name_is_restored_only_into_the_etcd_that_it_is_of() {
    let mut stage =
        backed_up_as(|backup| backup["spec"]["applicationRef"]["name"] = "second".into()).await;
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: ToCopyUnsupported: "),
        "{said}"
    );
    assert!(!is_suspended(&stage));
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    stage
        .restore_job_to(TENANT, "back", "ad-hoc", ("Etcd", "etcd"), &json!({}))
        .unwrap();
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
}

// TestParseEtcdRestoreOptions
#[tokio::test]
async fn an_option_of_a_wrong_type_is_named() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    let options = json!({ "restoreTimeoutSeconds": "soon" });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
    assert!(said.contains("restoreTimeoutSeconds"), "{said}");
    assert_eq!(cluster(&stage), before);
}

#[tokio::test]
async fn a_private_certificate_authority_is_refused_before_the_cluster_is_deleted() {
    let mut stage = privately_certified();
    let kept = Kept::of("etcd", "v1").unwrap();
    stage.put_kept(&kept, TENANT).await.unwrap();
    let before = (cluster(&stage), release(&stage));
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: PrivateCAUnsupported: "),
        "{said}"
    );
    assert_eq!((cluster(&stage), release(&stage)), before);
}
