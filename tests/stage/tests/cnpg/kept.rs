//! Backups of the first controller and of this version, which every later version restores, checks and forgets. The
//! operator's own objects are gone in all of it.

use serde_json::{Value, json};
use stage::{Fate, Kept, Stage};

use crate::world::*;

/// Puts a kept Backup, after the host has started.
async fn kept(version: &str) -> (Stage, String) {
    let mut stage = stage();
    let kept = Kept::of("cnpg", version).unwrap();
    stage.put_kept(&kept, TENANT).await.unwrap();
    stage.runner.settle().await.unwrap();
    (stage, kept.name().to_owned())
}

#[tokio::test]
async fn what_is_written_today_is_what_was_written_before() {
    let mut stage = stage();
    stage
        .cluster
        .put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "BackupJob",
            // Names of objects follow from it.
            "metadata": {
                "name": "nightly",
                "namespace": TENANT,
                "uid": "0b7a4c52-3f0e-4b6d-9a55-2f6f4d1f7c01",
            },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            },
        }))
        .unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    stage
        .is_as_kept("cnpg", "v1", TENANT, "nightly")
        .await
        .unwrap();
}

// TestMarshalUnmarshalCNPGBackupSnapshot_BackwardCompat
#[tokio::test]
async fn every_kept_backup_is_restored() {
    for (version, id) in [("v0", "20260820T030007"), ("v1", "20261125T120140")] {
        let (mut stage, name) = kept(version).await;
        stage
            .restore_job(TENANT, "back", &name, &nothing())
            .unwrap();
        let operator = operator(&stage, Fate::Completes);
        let said = play(&mut stage, &operator, "RestoreJob", "back").await;
        assert!(said.starts_with("Succeeded"), "{version}: {said}");
        let from = recovered_from(&stage, CLUSTER);
        assert!(from.ends_with(&format!("/base/{id}")), "{version}: {from}");
        // Old Backups hold passwords; they go nowhere.
        let users = application(&stage)["spec"]["users"].clone();
        assert_eq!(users["orders"]["password"], "a-password", "{version}");
    }
}

#[tokio::test]
async fn every_kept_backup_is_found_to_be_there() {
    for version in ["v0", "v1"] {
        let (mut stage, name) = kept(version).await;
        change(&stage, backup(&stage, &name), |backup| {
            backup["metadata"]["annotations"] =
                json!({ "backups.cozystack.io/check-requested": "now" });
        });
        stage.runner.settle().await.unwrap();
        let status = backup(&stage, &name)["status"].clone();
        let conditions = status["conditions"].as_array().unwrap().clone();
        let is_available = |condition: &&Value| condition["type"] == "Available";
        let available = conditions.iter().find(is_available).unwrap();
        assert_eq!(available["status"], "True", "{version}: {available}");
        assert!(
            status["artifact"]["sizeBytes"].as_u64().unwrap() > 0,
            "{version}"
        );
    }
}

#[tokio::test]
async fn every_kept_backup_is_forgotten() {
    for version in ["v0", "v1"] {
        let (mut stage, name) = kept(version).await;
        stage.delete("Backup", TENANT, &name).await.unwrap();
        for _ in 0..5 {
            stage.runner.settle().await.unwrap();
            stage.cluster.advance(60);
        }
        assert_eq!(backup(&stage, &name), Value::Null, "{version}");
        assert_eq!(stage.storage.keys(), Vec::<String>::new(), "{version}");
    }
}

/// Of an old Backup whose base backup is gone another one of the archive is not restored in its place.
#[tokio::test]
async fn an_old_backup_whose_base_backup_is_gone_is_not_taken_for_another() {
    let (mut stage, name) = kept("v0").await;
    for key in stage.storage.keys() {
        if key.contains("/base/") {
            stage.storage.remove(&key);
        }
    }
    let other = "tenant-acme/orders-db/tenant-acme-orders-db/base/20260821T030007/backup.info";
    stage.storage.put(other, 1, 1);
    stage
        .restore_job(TENANT, "back", &name, &nothing())
        .unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert!(
        said.starts_with("Failed RestoreFailed: BaseBackupGone"),
        "{said}"
    );
}
