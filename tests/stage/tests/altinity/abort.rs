//! What is undone of a job that came to nothing.

use super::*;

/// A backup that is under way: clickhouse-backup is told, and the job has not heard of it.
async fn under_way(stage: &mut Stage, around: &ClickHouse, turns: usize) {
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    for _ in 0..turns {
        stage.runner.settle().await.unwrap();
        turn(stage, around).await;
    }
}

/// The BackupJob is deleted, and is gone.
async fn deleted(stage: &mut Stage, around: &ClickHouse, kind: &str, job: &str) {
    stage.delete(kind, TENANT, job).await.unwrap();
    for _ in 0..100 {
        stage.runner.settle().await.unwrap();
        if stage.read(kind, TENANT, job).is_null() {
            return;
        }
        turn(stage, around).await;
    }
    panic!("the job stays: {}", stage.said(kind, TENANT, job));
}

// Section 7 of the sheet: what was begun ran on in clickhouse-backup.
#[tokio::test]
async fn a_backup_job_that_is_deleted_stops_what_it_began_and_takes_what_was_written() {
    for turns in 0..4 {
        let mut stage = stage();
        let around = play(&stage, AltinityFate::Completes);
        under_way(&mut stage, &around, turns).await;
        deleted(&mut stage, &around, "BackupJob", "ad-hoc").await;
        assert!(stage.storage.keys().is_empty(), "after {turns} turns");
        stage.runner.settle().await.unwrap();
        assert!(jobs(&stage).is_empty(), "after {turns} turns");
        if turns == 3 {
            let told = around.told();
            assert!(
                told.iter()
                    .any(|told| told.contains("|kill create_remote ")),
                "{told:?}"
            );
            assert!(told.last().unwrap().contains("|delete local "), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_backup_that_failed_leaves_nothing_beside_clickhouse_and_in_the_bucket() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::WritesHalf);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Failed"), "{said}");
    assert!(stage.storage.keys().is_empty());
    let told = around.told();
    assert!(
        told.last()
            .unwrap()
            .contains("|delete local clickhouse-events-"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_was_written_goes_though_nothing_can_be_told_to_clickhouse_backup_any_more() {
    for fate in [
        AltinityFate::Stalls,
        AltinityFate::PodStuck("no such image".to_owned()),
    ] {
        let mut stage = stage();
        let around = play(&stage, AltinityFate::WritesHalf);
        under_way(&mut stage, &around, 3).await;
        assert!(!stage.storage.keys().is_empty());
        let silent = play(&stage, fate);
        let said = ended(&mut stage, &silent, "BackupJob", "ad-hoc").await;
        assert!(
            said.starts_with("Failed BackupFailed: ArchiveMissing: "),
            "{said}"
        );
        assert!(stage.storage.keys().is_empty());
    }
}

#[tokio::test]
async fn a_restore_that_is_deleted_is_stopped_and_keeps_the_archive() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let stalled = play(&stage, AltinityFate::Stalls);
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    for _ in 0..3 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &stalled).await;
    }
    deleted(&mut stage, &around, "RestoreJob", "back").await;
    assert_eq!(archives(&stage, FOLDER).len(), 1);
    let told = around.told();
    assert!(
        told.iter().any(|told| told.contains("|kill restore ")),
        "{told:?}"
    );
    assert!(
        !told.iter().any(|told| told.contains("|delete remote ")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_job_whose_application_is_gone_is_undone_all_the_same() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    under_way(&mut stage, &around, 3).await;
    assert_eq!(archives(&stage, FOLDER).len(), 1);
    forget::gone(&stage).await;
    deleted(&mut stage, &around, "BackupJob", "ad-hoc").await;
    assert!(stage.storage.keys().is_empty());
}

#[tokio::test]
async fn what_is_undone_has_an_end_though_clickhouse_backup_is_silent() {
    let mut stage = stage();
    parameters(&stage, &json!({ "deadlineSeconds": "60" }));
    let around = play(&stage, AltinityFate::Stalls);
    let start = stage.cluster.now();
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Failed"), "{said}");
    assert!((stage.cluster.now() - start) / 60 < 60);
}
