//! What is waited for before anything is touched: WAL that the restore needs.

use serde_json::json;
use stage::{Fate, Stage};

use crate::world::*;

/// The last WAL file of the Backup `ad-hoc`.
fn last_wal(stage: &Stage) -> String {
    let metadata = backup(stage, "ad-hoc")["spec"]["driverMetadata"].clone();
    let name = metadata["cnpg.io/end-wal"].as_str().unwrap();
    format!("{ARCHIVE}/wals/0000000100000000/{name}.gz")
}

#[tokio::test]
async fn wal_that_is_not_archived_yet_is_waited_for() {
    let mut stage = backed_up().await;
    let before = (cluster(&stage), release(&stage));
    let wal = last_wal(&stage);
    stage.storage.remove(&wal);
    restore(&stage, &nothing());
    stage.runner.settle().await.unwrap();
    let missing =
        "WAL file 000000010000000000000003, which the base backup needs, is not in the archive";
    assert_eq!(
        said(&stage),
        format!("Pending Waiting: WaitingForArchive: {missing}")
    );
    assert_eq!(
        condition(&stage, "WALArchiveReady"),
        format!("False WaitingForArchive: {missing}")
    );
    assert_eq!((cluster(&stage), release(&stage)), before);
    stage.storage.put(&wal, 65_536, 1);
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert_eq!(said, RESTORED);
}

// TestEffectiveWALArchiveDeadline
#[tokio::test]
async fn it_is_waited_for_as_long_as_was_asked() {
    for (options, deadline) in [
        (nothing(), 180),
        (json!({ "walArchiveTimeoutSeconds": 600 }), 600),
        (json!({ "walArchiveTimeoutSeconds": -1 }), 180),
    ] {
        let mut stage = backed_up().await;
        let before = (cluster(&stage), release(&stage));
        stage.storage.remove(&last_wal(&stage));
        let began = stage.cluster.now();
        let said = restored(&mut stage, &options, Fate::Completes).await;
        assert!(
            said.starts_with("Failed RestoreFailed: WALNotArchived: "),
            "{said}"
        );
        assert!(said.contains("walArchiveTimeoutSeconds"), "{said}");
        let waited = stage.cluster.now() - began;
        assert!((deadline..deadline + 60).contains(&waited), "{waited}");
        assert_eq!((cluster(&stage), release(&stage)), before);
    }
}

// TestCNPGBackupWALArchived: running, failed even with endWal, completed without endWal.
#[tokio::test]
async fn the_operators_own_word_counts_where_it_has_one() {
    for (status, word) in [
        (
            json!({ "phase": "running" }),
            "is \"running\", not completed",
        ),
        (
            json!({ "phase": "failed", "endWal": "x" }),
            "is \"failed\", not completed",
        ),
        (
            json!({ "phase": "completed", "backupId": "x" }),
            "names no last WAL file",
        ),
    ] {
        let mut stage = backed_up().await;
        change(&stage, backup(&stage, "ad-hoc"), |backup| {
            let metadata = &mut backup["spec"]["driverMetadata"];
            metadata.as_object_mut().unwrap().remove("cnpg.io/end-wal");
        });
        change(&stage, (*orders(&stage)[0]).clone(), |order| {
            order["status"] = status
        });
        let before = (cluster(&stage), release(&stage));
        let said = restored(&mut stage, &nothing(), Fate::Stalls).await;
        assert!(said.contains(word), "{said}");
        assert_eq!((cluster(&stage), release(&stage)), before);
    }
}

/// The rest of the source's WAL would be lost with its volumes, and the moment with it.
#[tokio::test]
async fn a_moment_behind_the_archive_is_refused_before_anything_is_touched() {
    let mut stage = backed_up().await;
    let before = (cluster(&stage), release(&stage));
    stage.cluster.advance(600);
    let options = json!({ "recoveryTime": now(&stage).to_string() });
    stage.cluster.advance(60);
    let said = restored(&mut stage, &options, Fate::Completes).await;
    assert!(
        said.starts_with("Failed RestoreFailed: RecoveryTargetUnreachable: recoveryTime "),
        "{said}"
    );
    assert!(said.contains("past the latest WAL archived"), "{said}");
    assert_eq!((cluster(&stage), release(&stage)), before);
}

#[tokio::test]
async fn a_moment_that_the_archive_comes_to_reach_is_restored() {
    let mut stage = backed_up().await;
    stage.cluster.advance(600);
    let options = json!({ "recoveryTime": now(&stage).to_string() });
    restore(&stage, &options);
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 3).await;
    assert!(said(&stage).starts_with("Pending Waiting: WaitingForArchive"));
    archive_wal(&stage, ARCHIVE, 7);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert_eq!(said, RESTORED);
}

/// Many pages of WAL between the Backup and the moment.
#[tokio::test]
async fn a_moment_far_behind_the_backup_is_found() {
    let mut stage = backed_up().await;
    for segment in 4..255 {
        archive_wal(&stage, ARCHIVE, segment);
    }
    for log in 1..10_u32 {
        for segment in 0..255_u32 {
            let key = format!("{ARCHIVE}/wals/00000001{log:08X}/00000001{log:08X}{segment:08X}.gz");
            stage
                .storage
                .put(&key, 1, u64::try_from(stage.cluster.now()).unwrap());
        }
    }
    stage.cluster.advance(3600);
    let options = json!({ "recoveryTime": now(&stage).to_string() });
    let key = format!("{ARCHIVE}/wals/000000010000000A/000000010000000A00000000.gz");
    stage
        .storage
        .put(&key, 1, u64::try_from(stage.cluster.now()).unwrap());
    let said = restored(&mut stage, &options, Fate::Completes).await;
    assert_eq!(said, RESTORED);
}
