//! Backups that were taken once: restored, checked and forgotten by this version, with everything else gone.

use stage::Kept;

use super::*;

const KEPT: &[&str] = &["v0", "v1"];

#[tokio::test]
async fn what_is_written_today_is_what_is_kept() {
    let mut stage = stage();
    parameters(&stage, &json!({ "deadlineSeconds": "3600" }));
    let around = play(&stage, AltinityFate::Completes);
    // A part of the archive's name comes out of it.
    let job = json!({
        "apiVersion": API, "kind": "BackupJob",
        "metadata": { "name": "nightly", "namespace": TENANT, "uid": "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0" },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "ClickHouse", "name": "events" },
        },
    });
    stage.cluster.put(job).unwrap();
    ended(&mut stage, &around, "BackupJob", "nightly").await;
    stage
        .is_as_kept("altinity", "v1", TENANT, "nightly")
        .await
        .unwrap();
}

/// A platform on which a kept Backup was put.
async fn with_kept(version: &str) -> (Stage, Kept) {
    let mut stage = stage_of((1, 1));
    let kept = Kept::of("altinity", version).unwrap();
    stage.put_kept(&kept, TENANT).await.unwrap();
    // What others have written before and after.
    put_archive(
        &stage,
        &format!("{FOLDER}/clickhouse-events-20200101T000000Z"),
    );
    put_archive(
        &stage,
        &format!("{FOLDER}/clickhouse-events-20301231T000000Z"),
    );
    // The host holds what it sees.
    stage.runner.settle().await.unwrap();
    (stage, kept)
}

/// The folder of the archive that is kept.
fn folder(kept: &Kept) -> String {
    let key = &kept
        .stored
        .iter()
        .find(|(key, _)| key.ends_with("/metadata.json"))
        .unwrap()
        .0;
    key.trim_end_matches("/metadata.json").to_owned()
}

#[tokio::test]
async fn each_kept_backup_is_restored_from_its_own_archive() {
    for version in KEPT {
        let (mut stage, kept) = with_kept(version).await;
        let around = play(&stage, AltinityFate::Completes);
        let said = restored(&mut stage, &around, "back", kept.name(), &json!({})).await;
        assert!(said.starts_with("Succeeded"), "{version}: {said}");
        let name = folder(&kept).rsplit('/').next().unwrap().to_owned();
        let told = around.told();
        let restores: Vec<_> = told
            .iter()
            .filter(|told| told.contains("|restore "))
            .collect();
        assert!(
            !restores.is_empty() && restores.iter().all(|told| told.ends_with(&name)),
            "{version}: {told:?}"
        );
    }
}

#[tokio::test]
async fn each_kept_backup_is_found_by_a_check_and_restored_into_another_release() {
    for version in KEPT {
        let (mut stage, kept) = with_kept(version).await;
        stage.clickhouse(TENANT, "copy", (1, 1)).unwrap();
        let said = check::checked(&mut stage, kept.name()).await;
        assert!(said.starts_with("True Available"), "{version}: {said}");
        let backup = stage.read("Backup", TENANT, kept.name());
        let uri = format!("s3://cozy-backups/{}", folder(&kept));
        assert_eq!(
            backup["status"]["artifact"]["uri"], uri,
            "{version}: {}",
            backup["status"]
        );
        let around = play(&stage, AltinityFate::Completes);
        let said = copied(&mut stage, &around, "to-copy", kept.name(), "copy").await;
        assert!(said.starts_with("Succeeded"), "{version}: {said}");
    }
}

#[tokio::test]
async fn each_kept_backup_is_forgotten_with_its_archive_and_no_other() {
    for version in KEPT {
        let (mut stage, kept) = with_kept(version).await;
        let around = play(&stage, AltinityFate::Completes);
        forgotten(&mut stage, &around, kept.name()).await;
        assert_eq!(
            archives(&stage, FOLDER),
            [
                "clickhouse-events-20200101T000000Z",
                "clickhouse-events-20301231T000000Z"
            ],
            "{version}"
        );
    }
}

// TestBackupParameters_RoundTrip
#[tokio::test]
async fn a_backup_of_the_first_controller_tells_its_parameters_and_no_archive() {
    let kept = Kept::of("altinity", "v0").unwrap();
    let metadata = kept.backup["spec"]["driverMetadata"].as_object().unwrap();
    assert!(
        metadata
            .keys()
            .all(|key| key.starts_with(&format!("{METADATA}/parameter/")))
    );
    let kept = Kept::of("altinity", "v1").unwrap();
    assert_eq!(
        kept.backup["spec"]["driverMetadata"][format!("{METADATA}/parameter/deadlineSeconds")],
        "3600"
    );
    assert_eq!(kept.backup["spec"]["parameters"]["deadlineSeconds"], "3600");
}

// Defects 1 and 2 of the sheet: the newest with the prefix, whichever that was.
#[tokio::test]
async fn a_backup_of_the_first_controller_without_an_archive_near_it_takes_no_other() {
    let stage_with = |folders: &[&str]| {
        let stage = stage_of((1, 1));
        for folder in folders {
            put_archive(&stage, folder);
        }
        stage
    };
    // Begun a day too early, after the Backup was written, by a neighbour, or by this strategy.
    let mut stage = stage_with(&[
        "tenant-acme/clickhouse-events/clickhouse-events-20260819T000000Z",
        "tenant-acme/clickhouse-events/clickhouse-events-20260821T235959Z",
        "tenant-acme/clickhouse-events/clickhouse-events-old-20260821T005959Z",
        "tenant-acme/clickhouse-events/clickhouse-events-20260821T005959Z-0f1e2d3c",
    ]);
    let kept = Kept::of("altinity", "v0").unwrap();
    let backup = Kept {
        stored: vec![],
        ..kept
    };
    stage.put_kept(&backup, TENANT).await.unwrap();
    let around = play(&stage, AltinityFate::Completes);
    let said = restored(&mut stage, &around, "back", backup.name(), &json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: ArchiveUnknown: "),
        "{said}"
    );
    assert!(around.told().is_empty());
}
