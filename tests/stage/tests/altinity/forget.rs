//! The removal of a Backup, with its archives.

use super::*;

// TestBackupCleanup_Altinity_DoesNotFallThroughToVelero, and defect 10 of the sheet: archives stayed for ever.
#[tokio::test]
async fn the_archives_go_with_the_backup_and_nothing_else_does() {
    let mut stage = stage_of((2, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "first").await;
    stage.cluster.advance(60);
    backed_up(&mut stage, &around, "second").await;
    let kept = archive(&stage, "second");
    forgotten(&mut stage, &around, "first").await;
    let mut left = archives(&stage, FOLDER);
    left.sort();
    assert_eq!(left, [kept.clone(), format!("{kept}-shard1")]);
    assert!(stage.storage.keys().iter().all(|key| key.contains(&kept)));
}

#[tokio::test]
async fn the_bucket_is_enough_when_the_application_is_gone() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
    gone(&stage).await;
    forgotten(&mut stage, &around, "ad-hoc").await;
    assert!(stage.storage.keys().is_empty());
    assert!(jobs(&stage).is_empty());
}

#[tokio::test]
async fn a_backup_that_retains_its_data_leaves_it() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let mut backup = stage.read("Backup", TENANT, "ad-hoc");
    backup["spec"]["deletionPolicy"] = json!("Retain");
    stage.cluster.put(backup).unwrap();
    forgotten(&mut stage, &around, "ad-hoc").await;
    assert_eq!(archives(&stage, FOLDER).len(), 1);
}

#[tokio::test]
async fn a_storage_of_the_applications_own_is_cleared_by_its_clickhouse_backup() {
    let mut stage = stage();
    own_storage(&stage, "events").await;
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let name = archive(&stage, "ad-hoc");
    forgotten(&mut stage, &around, "ad-hoc").await;
    let told = around.told();
    assert!(
        told.last()
            .unwrap()
            .ends_with(&format!("|delete remote {name}")),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_nobody_can_reach_any_more_is_told_for_half_an_hour_and_then_the_backup_goes() {
    let mut stage = stage();
    own_storage(&stage, "events").await;
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    gone(&stage).await;
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.runner.settle().await.unwrap();
    let conditions = stage.read("Backup", TENANT, "ad-hoc")["status"]["conditions"].to_string();
    assert!(conditions.contains("ArchiveOutOfReach"), "{conditions}");
    assert!(
        conditions.contains("deletionPolicy to Retain"),
        "{conditions}"
    );
    for _ in 0..8 {
        stage.cluster.advance(5 * 60);
        stage.runner.settle().await.unwrap();
    }
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
}

#[tokio::test]
async fn a_backup_that_was_led_elsewhere_removes_nothing() {
    for (member, value) in [
        ("path", "tenant-rival/clickhouse-events"),
        ("path", "tenant-acme/clickhouse-events/../clickhouse-other"),
        ("archive", "../clickhouse-other/a"),
        ("archive", ""),
        ("shards", "0"),
    ] {
        let mut stage = stage();
        let around = play(&stage, AltinityFate::Completes);
        backed_up(&mut stage, &around, "ad-hoc").await;
        for folder in [
            "tenant-rival/clickhouse-events/a",
            "tenant-acme/clickhouse-other/a",
        ] {
            put_archive(&stage, folder);
        }
        let mut backup = stage.read("Backup", TENANT, "ad-hoc");
        backup["spec"]["driverMetadata"][format!("{METADATA}/{member}")] = json!(value);
        if member == "archive" && value.is_empty() {
            backup["status"].as_object_mut().unwrap().remove("artifact");
        }
        stage.cluster.put(backup).unwrap();
        stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
        for _ in 0..8 {
            stage.runner.settle().await.unwrap();
            stage.cluster.advance(5 * 60);
        }
        assert_eq!(
            archives(&stage, "tenant-rival/clickhouse-events"),
            ["a"],
            "{member} {value}"
        );
        assert_eq!(
            archives(&stage, "tenant-acme/clickhouse-other"),
            ["a"],
            "{member} {value}"
        );
    }
}

/// The application, its release, its installation and its Pods.
pub(crate) async fn gone(stage: &Stage) {
    for (api_version, kind, name) in [
        ("apps.cozystack.io/v1alpha1", "ClickHouse", "events"),
        (
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "clickhouse-events",
        ),
        (INSTALLATION, "ClickHouseInstallation", "clickhouse-events"),
    ] {
        stage
            .delete_any(api_version, kind, Some(TENANT), name)
            .await
            .unwrap();
    }
    for pod in clickhouse_pods(stage, "events") {
        stage
            .delete_any("v1", "Pod", Some(TENANT), &pod)
            .await
            .unwrap();
    }
}
