//! The life of a Backup on a real API server, which evaluates the rules of its definition.

use backup_engine::cluster::ApiReason;
use serde_json::json;

use crate::{cluster::Scene, host::HostProcess, installed::exclusively};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_cannot_be_changed_is_looked_at_and_goes_with_its_snapshot() {
    let alone = exclusively().await;
    let (scene, _operator) = Scene::with_etcd(&alone).await;
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("etcd").await;
    scene.etcd_backup_job("ad-hoc").await;
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");

    for change in [
        json!({ "takenAt": "2020-01-01T00:00:00Z" }),
        json!({ "backupClassName": null }),
        json!({ "planRef": { "name": "nightly" } }),
        json!({ "driverMetadata": { "etcd.aenix.io/bucket": "another" } }),
    ] {
        let refused = scene
            .merge("Backup", "ad-hoc", &json!({ "spec": change }))
            .await;
        let error = refused.unwrap_err();
        assert_eq!(error.reason, ApiReason::Invalid, "{error}");
        assert!(
            error.message.contains("a Backup cannot be changed"),
            "{error}"
        );
    }
    for policy in ["Retain", "Delete"] {
        let change = json!({ "spec": { "deletionPolicy": policy } });
        scene.merge("Backup", "ad-hoc", &change).await.unwrap();
    }

    let asked =
        json!({ "metadata": { "annotations": { "backups.cozystack.io/check-requested": "now" } } });
    scene.merge("Backup", "ad-hoc", &asked).await.unwrap();
    let looked = scene
        .until("Backup", "ad-hoc", |backup| {
            backup["status"]["lastCheckRequest"] == "now"
        })
        .await;
    assert_eq!(looked["status"]["conditions"][1]["type"], "Available");
    assert_eq!(
        looked["status"]["conditions"][1]["status"], "True",
        "{looked}"
    );

    scene.delete("Backup", "ad-hoc").await;
    scene.gone("Backup", "ad-hoc").await;
    let snapshots = scene
        .list("etcd-operator.cozystack.io/v1alpha2", "EtcdSnapshot")
        .await;
    assert_eq!(snapshots, Vec::<serde_json::Value>::new());
}
