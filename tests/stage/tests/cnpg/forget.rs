//! Removals: the base backup, the operator's object, and WAL that nothing needs any more.

use serde_json::{Value, json};
use stage::{Fate, Stage};

use crate::world::*;

/// Deletes a Backup and waits until it is gone.
async fn forget(stage: &mut Stage, name: &str) {
    stage.runner.settle().await.unwrap();
    stage.delete("Backup", TENANT, name).await.unwrap();
    for _ in 0..200 {
        stage.runner.settle().await.unwrap();
        if backup(stage, name).is_null() {
            return;
        }
        stage.cluster.advance(60);
    }
    panic!("{}", backup(stage, name));
}

fn bases(stage: &Stage) -> Vec<String> {
    let keys = stage.storage.keys().into_iter();
    keys.filter(|key| key.ends_with("/backup.info")).collect()
}

fn wals(stage: &Stage) -> usize {
    let keys = stage.storage.keys().into_iter();
    keys.filter(|key| key.contains("/wals/")).count()
}

// TestBackupCleanup_CNPG_DeletesUnderlyingCNPGBackup
#[tokio::test]
async fn a_removal_takes_the_base_backup_and_the_operators_object() {
    let mut stage = backed_up().await;
    back_up(&mut stage, "later").await;
    let gone = base_of(&stage, "ad-hoc");
    stage.storage.put(
        "tenant-rival/orders-db/x/base/20260101T000000/backup.info",
        1,
        1,
    );
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(orders(&stage).len(), 1);
    assert_eq!(bases(&stage).len(), 2);
    assert!(bases(&stage).iter().all(|key| !key.contains(&gone)));
    // What the later one needs is there.
    assert_eq!(wals(&stage), 2);
    assert_eq!(events(&stage, "LeftBehind"), 0);
}

#[tokio::test]
async fn wal_stays_as_long_as_the_cluster_writes_it() {
    let mut stage = backed_up().await;
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(bases(&stage).len(), 0);
    assert_eq!(wals(&stage), 1);
}

#[tokio::test]
async fn the_last_backup_of_an_archive_that_nobody_writes_takes_all_of_it() {
    let mut stage = backed_up().await;
    let found = cluster(&stage);
    change(&stage, release(&stage), |release| {
        release["spec"]["suspend"] = json!(true)
    });
    remove(&stage, &found).await;
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

/// The same where the Cluster was restored and archives elsewhere now.
#[tokio::test]
async fn an_archive_that_a_cluster_was_restored_from_goes_with_its_last_backup() {
    let mut stage = backed_up().await;
    assert_eq!(
        restored(&mut stage, &nothing(), Fate::Completes).await,
        RESTORED
    );
    back_up(&mut stage, "after").await;
    forget(&mut stage, "ad-hoc").await;
    let keys = stage.storage.keys();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(
        keys.iter()
            .all(|key| !key.starts_with(&format!("{ARCHIVE}/"))),
        "{keys:?}"
    );
}

/// Defect 21: retention and Backups knew nothing of each other.
#[tokio::test]
async fn a_backup_that_retention_has_removed_is_forgotten_quietly() {
    let mut stage = backed_up().await;
    without_orders(&stage).await;
    for key in stage.storage.keys() {
        stage.storage.remove(&key);
    }
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(events(&stage, "LeftBehind"), 0);
}

// TestBackupCleanup_CNPG_NoMetadataIsNoOp
#[tokio::test]
async fn a_backup_that_does_not_say_where_it_lies_touches_nothing() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["spec"]["driverMetadata"] = json!({});
    });
    let keys = stage.storage.keys();
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), keys);
    assert_eq!(orders(&stage).len(), 1);
    assert_eq!(events(&stage, "LeftBehind"), 1);
}

#[tokio::test]
async fn what_lies_elsewhere_is_left_and_said() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["spec"]["driverMetadata"]["cnpg.io/endpoint-url"] = json!("https://other.example");
    });
    let keys = stage.storage.keys();
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), keys);
    assert_eq!(orders(&stage).len(), 0, "the operator's object is in reach");
    assert_eq!(events(&stage, "LeftBehind"), 1);
}

#[tokio::test]
async fn an_application_that_is_gone_does_not_keep_its_backups() {
    let mut stage = backed_up().await;
    for found in [cluster(&stage), release(&stage), application(&stage)] {
        remove(&stage, &found).await;
    }
    forget(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_or_an_id_that_leads_elsewhere_removes_nothing() {
    for (key, value) in [
        ("cnpg.io/backup-id", "../../orders-db"),
        ("cnpg.io/backup-name", "../other"),
        ("cnpg.io/server-name", "../../tenant-rival"),
        (
            "cnpg.io/destination-path",
            "s3://cozy-backups/tenant-rival/",
        ),
    ] {
        let mut stage = backed_up().await;
        stage.storage.put(
            "tenant-rival/orders-db/base/20260101T000000/backup.info",
            1,
            1,
        );
        let keys = stage.storage.keys();
        change(&stage, backup(&stage, "ad-hoc"), |backup| {
            backup["spec"]["driverMetadata"][key] = Value::from(value);
        });
        forget(&mut stage, "ad-hoc").await;
        assert_eq!(stage.storage.keys(), keys, "{key}");
        assert_eq!(events(&stage, "LeftBehind"), 1, "{key}");
    }
}
