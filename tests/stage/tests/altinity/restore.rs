//! Restores: exactly the archive of the Backup, in place, into another application, and into another tenant.

use super::{backup::text_of, *};

/// What was told that drops tables or writes data, by host.
fn restores(told: &[String]) -> Vec<&String> {
    told.iter()
        .filter(|told| told.contains("|restore"))
        .collect()
}

// TestReconcileAltinityRestore_TargetNamespaceIsRestoreJobNamespace, TestReconcileAltinityRestore_RenderedRestoreJobOwnedByRestoreJob
#[tokio::test]
async fn a_restore_in_place_is_a_job_of_kubernetes_that_goes_with_the_restore_job() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    let all = jobs(&stage);
    let job = all
        .iter()
        .find(|job| job["metadata"]["labels"][format!("{METADATA}/mode")] == "restore")
        .unwrap();
    assert_eq!(job["metadata"]["namespace"], TENANT);
    let restore = stage.read("RestoreJob", TENANT, "back");
    let owner = &job["metadata"]["ownerReferences"][0];
    assert_eq!(owner["kind"], "RestoreJob");
    assert_eq!(owner["uid"], restore["metadata"]["uid"]);
    assert_eq!(text_of(job, "BACKUP_MODE"), "restore");
    assert_eq!(text_of(job, "BACKUP_ARCHIVE"), archive(&stage, "ad-hoc"));
    let said = ended(&mut stage, &around, "RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded RestoreCompleted"), "{said}");
}

// Defect 1 of the sheet: every restore took the newest archive.
#[tokio::test]
async fn the_archive_of_the_backup_is_restored_though_there_are_newer_ones() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    for job in ["first", "second", "third"] {
        backed_up(&mut stage, &around, job).await;
        stage.cluster.advance(3600);
    }
    let said = restored(&mut stage, &around, "back", "second", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let wanted = archive(&stage, "second");
    let told = around.told();
    let told = restores(&told);
    assert!(
        !told.is_empty() && told.iter().all(|told| told.ends_with(&wanted)),
        "{told:?}"
    );
}

// Defect 6 of the sheet. A replicated table that one replica drops comes back from the others.
#[tokio::test]
async fn tables_are_made_in_all_replicas_at_once_and_data_goes_to_the_first_of_each_shard() {
    let mut stage = stage_of((2, 2));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let before = around.told().len();
    let said = restored(&mut stage, &around, "back", "ad-hoc", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let name = archive(&stage, "ad-hoc");
    let told: Vec<String> = around.told()[before..]
        .iter()
        .map(|told| without_storage(told))
        .collect();
    let host = |shard| format!("{TENANT}/chi-clickhouse-events-clickhouse-{shard}-0");
    let schema = "restore --env=RESTORE_SCHEMA_ON_CLUSTER=clickhouse --schema --rm";
    assert_eq!(
        told,
        [
            format!("{}|list remote", host(0)),
            format!("{}|list remote", host(1)),
            format!("{}|download {name}", host(0)),
            format!("{}|download {name}-shard1", host(1)),
            format!("{}|{schema} {name}", host(0)),
            format!("{}|{schema} {name}-shard1", host(1)),
            format!("{}|restore --data {name}", host(0)),
            format!("{}|restore --data {name}-shard1", host(1)),
            format!("{}|delete local {name}", host(0)),
            format!("{}|delete local {name}-shard1", host(1)),
        ]
    );
}

#[tokio::test]
async fn a_single_replica_restores_by_itself() {
    let mut stage = stage_of((1, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = restored(&mut stage, &around, "back", "ad-hoc", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let told = around.told();
    let told = restores(&told);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("|restore ") && told[0].contains(" --rm clickhouse-events-"),
        "{told:?}"
    );
}

// TestReconcileAltinityRestore_ExposesSourceApplicationRef, and defect 3 of the sheet: a copy could not work.
#[tokio::test]
async fn another_release_restores_from_the_folder_of_the_first() {
    let mut stage = stage_of((1, 1));
    stage.clickhouse(TENANT, "copy", (1, 1)).unwrap();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let before = around.told().len();
    let said = copied(&mut stage, &around, "to-copy", "ad-hoc", "copy").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    for told in &around.told()[before..] {
        assert!(
            told.starts_with(&format!("{TENANT}/chi-clickhouse-copy-clickhouse-0-0|")),
            "{told}"
        );
        assert!(
            told.contains("|delete local ") || told.contains(&format!(" --env=S3_PATH={FOLDER} ")),
            "{told}"
        );
    }
    assert_eq!(
        archives(&stage, FOLDER).len(),
        1,
        "the source keeps its archive"
    );
    assert!(archives(&stage, "tenant-acme/clickhouse-copy").is_empty());
}

// TestReconcileAltinityRestore_CreatesBatchJobInTargetNamespace
#[tokio::test]
async fn another_tenants_release_restores_in_its_own_namespace_and_leaves_no_job_there() {
    let other = "tenant-other";
    let mut stage = stage_of((1, 1));
    stage.namespace(other).unwrap();
    stage.clickhouse(other, "copy", (1, 1)).unwrap();
    stage.restore_policy().unwrap();
    stage.cluster.advance(60);
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let options = json!({ "targetNamespace": other });
    stage
        .restore_job_to(TENANT, "across", "ad-hoc", ("ClickHouse", "copy"), &options)
        .unwrap();
    let said = ended(&mut stage, &around, "RestoreJob", "across").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(
        around
            .told()
            .iter()
            .any(|told| told.starts_with("tenant-other/") && told.contains("|restore "))
    );
    stage.runner.settle().await.unwrap();
    assert!(
        jobs(&stage)
            .iter()
            .all(|job| job["metadata"]["namespace"] == TENANT)
    );
}

#[tokio::test]
async fn an_archive_that_is_gone_is_told_before_anything_is_dropped() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let last = format!("{FOLDER}/{}/metadata.json", archive(&stage, "ad-hoc"));
    stage.storage.remove(&last);
    let before = around.told().len();
    let said = restored(&mut stage, &around, "back", "ad-hoc", &json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: ArchiveGone: "),
        "{said}"
    );
    assert!(
        said.ends_with("is no longer a whole archive; nothing was touched"),
        "{said}"
    );
    assert_eq!(around.told().len(), before);
}

// The second shard's archive of another application cannot be looked at, but it is fetched first.
#[tokio::test]
async fn a_copy_drops_nothing_where_an_archive_of_one_shard_is_gone() {
    let mut stage = stage_of((2, 1));
    stage.clickhouse(TENANT, "copy", (2, 1)).unwrap();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    stage.storage.remove(&format!(
        "{FOLDER}/{}-shard1/metadata.json",
        archive(&stage, "ad-hoc")
    ));
    let said = copied(&mut stage, &around, "to-copy", "ad-hoc", "copy").await;
    assert!(
        said.starts_with("Failed RestoreFailed: OperationFailed: download at "),
        "{said}"
    );
    assert!(restores(&around.told()).is_empty());
}

#[tokio::test]
async fn a_release_with_another_number_of_shards_is_refused_with_what_to_set() {
    let mut stage = stage_of((2, 1));
    stage.clickhouse(TENANT, "copy", (1, 1)).unwrap();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = copied(&mut stage, &around, "to-copy", "ad-hoc", "copy").await;
    assert_eq!(
        said,
        "Failed RestoreFailed: ShardsDiffer: the backup is of 2 shards and ClickHouse copy has 1; set its spec.shards to 2 and restore again"
    );
}

#[tokio::test]
async fn a_restore_is_not_tried_where_the_other_release_has_another_storage() {
    let mut stage = stage_of((1, 1));
    stage.clickhouse(TENANT, "copy", (1, 1)).unwrap();
    own_storage(&stage, "copy").await;
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = copied(&mut stage, &around, "to-copy", "ad-hoc", "copy").await;
    assert!(
        said.starts_with("Failed RestoreFailed: StorageDiffers: "),
        "{said}"
    );
    assert!(
        said.ends_with("set its spec.backup.useSystemBucket to true"),
        "{said}"
    );
}

#[tokio::test]
async fn a_storage_of_ones_own_is_restored_from_too() {
    let mut stage = stage_of((1, 1));
    own_storage(&stage, "events").await;
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = restored(&mut stage, &around, "back", "ad-hoc", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn tables_and_a_time_can_be_asked_for() {
    let mut stage = stage_of((1, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let options = json!({ "tables": "shop.*,web.visits", "restoreTimeoutSeconds": 600 });
    let said = restored(&mut stage, &around, "back", "ad-hoc", &options).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let told = around.told();
    assert!(
        restores(&told)[0].contains(" --tables=shop.*,web.visits "),
        "{told:?}"
    );
    let all = jobs(&stage);
    let job = all
        .iter()
        .find(|job| text_of(job, "BACKUP_MODE") == "restore")
        .unwrap();
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 600);
}

#[tokio::test]
async fn an_option_that_could_be_another_command_is_refused() {
    let mut stage = stage_of((1, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let options = json!({ "tables": "a --rm\\n-host|delete remote b" });
    let said = restored(&mut stage, &around, "back", "ad-hoc", &options).await;
    assert!(
        said.starts_with("Failed RestoreFailed: ") && said.contains("tables"),
        "{said}"
    );
    assert!(restores(&around.told()).is_empty());
}

#[tokio::test]
async fn an_application_that_is_not_there_is_told() {
    let mut stage = stage_of((1, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = copied(&mut stage, &around, "to-copy", "ad-hoc", "nowhere").await;
    assert!(said.starts_with("Failed"), "{said}");
}

/// Without the words that say where the storage is.
fn without_storage(told: &str) -> String {
    let words = told
        .split(' ')
        .filter(|word| !word.starts_with("--env=S3_"));
    words.collect::<Vec<_>>().join(" ")
}
