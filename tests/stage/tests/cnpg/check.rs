//! Whether a finished backup can still be restored.

use serde_json::{Value, json};
use stage::Stage;

use crate::world::*;

/// Asks for a look at the Backup `ad-hoc`, and gives back what it is found to be.
async fn check(stage: &mut Stage) -> String {
    stage.cluster.advance(60);
    let asked = stage.cluster.now().to_string();
    change(stage, backup(stage, "ad-hoc"), |backup| {
        backup["metadata"]["annotations"] =
            json!({ "backups.cozystack.io/check-requested": asked });
    });
    stage.runner.settle().await.unwrap();
    let status = backup(stage, "ad-hoc")["status"].clone();
    let conditions = status["conditions"].as_array().unwrap().clone();
    let available = conditions
        .into_iter()
        .find(|condition| condition["type"] == "Available")
        .unwrap();
    format!(
        "{} {}",
        available["status"].as_str().unwrap(),
        available["message"].as_str().unwrap()
    )
}

/// Takes away what has this in its key.
fn without(stage: &Stage, part: &str) {
    for key in stage.storage.keys() {
        if key.contains(part) {
            stage.storage.remove(&key);
        }
    }
}

#[tokio::test]
async fn a_backup_is_there_as_long_as_its_base_backup_and_wal_are() {
    let mut stage = backed_up().await;
    assert!(check(&mut stage).await.starts_with("True "));
    // Its operator's word is not asked for.
    without_orders(&stage).await;
    assert!(check(&mut stage).await.starts_with("True "));
}

#[tokio::test]
async fn a_base_backup_that_is_gone_or_cut_off_is_a_loss() {
    for part in ["/base/", "backup.info"] {
        let mut stage = backed_up().await;
        without(&stage, part);
        let said = check(&mut stage).await;
        assert!(said.starts_with("False "), "{said}");
        assert!(said.contains("BaseBackupGone"), "{said}");
    }
}

#[tokio::test]
async fn wal_that_is_gone_is_a_loss() {
    let mut stage = backed_up().await;
    without(&stage, "/wals/");
    let said = check(&mut stage).await;
    assert!(said.starts_with("False "), "{said}");
    assert!(said.contains("WALGone"), "{said}");
}

#[tokio::test]
async fn a_size_that_was_not_known_is_learnt() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        let artifact = backup["status"]["artifact"].as_object_mut().unwrap();
        artifact.remove("sizeBytes");
    });
    check(&mut stage).await;
    assert_eq!(
        backup(&stage, "ad-hoc")["status"]["artifact"]["sizeBytes"],
        4_195_508
    );
}

#[tokio::test]
async fn of_what_lies_elsewhere_the_operators_word_counts() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["spec"]["driverMetadata"]["cnpg.io/endpoint-url"] = json!("https://other.example");
    });
    assert!(check(&mut stage).await.starts_with("True "));
    without_orders(&stage).await;
    let said = check(&mut stage).await;
    assert!(said.starts_with("Unknown "), "{said}");
    assert!(said.contains("ArchiveOutOfSight"), "{said}");
    change(&stage, store(&stage, CLUSTER), |store| {
        store["status"] = json!({ "serverRecoveryWindow": {
            "tenant-acme-orders-db": { "firstRecoverabilityPoint": "2026-11-01T00:00:00Z" },
        } });
    });
    assert!(check(&mut stage).await.starts_with("True "));
}

#[tokio::test]
async fn a_backup_that_says_nothing_cannot_be_looked_at() {
    let mut stage = backed_up().await;
    change(&stage, backup(&stage, "ad-hoc"), |backup| {
        backup["spec"]["driverMetadata"] = Value::from(serde_json::Map::new());
    });
    let said = check(&mut stage).await;
    assert!(said.starts_with("Unknown "), "{said}");
    assert!(said.contains("MetadataMissing"), "{said}");
}
