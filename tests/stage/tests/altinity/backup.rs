//! The way of a BackupJob.

use super::*;

// TestReconcileAltinity_CreatesBatchJob
#[tokio::test]
async fn a_job_of_kubernetes_is_made_once_with_an_archive_that_is_named_beforehand() {
    let mut stage = stage();
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let made = jobs(&stage);
    assert_eq!(made.len(), 1);
    let job = &made[0];
    assert_eq!(
        job["metadata"]["labels"][format!("{METADATA}/mode")],
        "backup"
    );
    let labels = &job["metadata"]["labels"];
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobNamespace"],
        TENANT
    );
    assert_eq!(job["spec"]["backoffLimit"], 2);
    let archive = text_of(job, "BACKUP_ARCHIVE");
    assert!(
        archive.starts_with("clickhouse-events-20261125T120000Z-"),
        "{archive}"
    );
    assert!(text_of(job, "STEPS").contains(&format!(" {archive}")));
    assert!(
        stage.job(TENANT, "ad-hoc").starts_with("Running"),
        "{}",
        stage.job(TENANT, "ad-hoc")
    );
    assert!(stage.read("BackupJob", TENANT, "ad-hoc")["status"]["startedAt"].is_string());

    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(jobs(&stage).len(), 1);
}

// TestReconcileAltinity_RenderedBackupJobOwnedByBackupJob
#[tokio::test]
async fn the_job_of_kubernetes_goes_with_the_backup_job() {
    let mut stage = stage();
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let owner = jobs(&stage)[0]["metadata"]["ownerReferences"][0].clone();
    let job = stage.read("BackupJob", TENANT, "ad-hoc");
    assert_eq!(owner["kind"], "BackupJob");
    assert_eq!(owner["name"], "ad-hoc");
    assert_eq!(owner["uid"], job["metadata"]["uid"]);
    assert_eq!(owner["controller"], true);
}

// TestReconcileAltinity_CompletesAndCreatesBackup
#[tokio::test]
async fn an_archive_that_is_whole_becomes_a_backup_that_says_where_it_is() {
    let mut stage = stage();
    parameters(&stage, &json!({ "deadlineSeconds": "3600" }));
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert_eq!(said, "Succeeded BackupCompleted: Backup ad-hoc is complete");
    let name = archive(&stage, "ad-hoc");
    assert_eq!(archives(&stage, FOLDER), std::slice::from_ref(&name));
    let job = stage.read("BackupJob", TENANT, "ad-hoc");
    assert_eq!(job["status"]["backupRef"]["name"], "ad-hoc");
    assert!(job["status"]["completedAt"].is_string());
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(backup["spec"]["strategyRef"]["kind"], "Altinity");
    assert_eq!(
        backup["spec"]["driverMetadata"][format!("{METADATA}/parameter/deadlineSeconds")],
        "3600"
    );
    assert_eq!(
        backup["spec"]["driverMetadata"][format!("{METADATA}/path")],
        FOLDER
    );
    assert_eq!(
        backup["status"]["artifact"]["uri"],
        format!("s3://cozy-backups/{FOLDER}/{name}")
    );
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 5_632);
    assert_eq!(backup["status"]["phase"], "Ready");
    let told = around.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].contains("|list ")
            && told[1].contains("|create_remote ")
            && told[2].contains("|delete local ")
    );
}

// Defect 5 of the sheet: the copy of the credentials has the endpoint without its scheme, and S3 clients refuse that.
#[tokio::test]
async fn the_endpoint_is_told_with_its_scheme() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    for told in around.told() {
        let says = told.contains(" --env=S3_ENDPOINT=https://s3.cozy.example ");
        assert!(says || told.contains("|delete local "), "{told}");
    }
}

// TestReconcileAltinity_FailsOnJobFailed
#[tokio::test]
async fn the_error_of_clickhouse_backup_is_told_to_the_tenant() {
    let mut stage = stage();
    let why = "code: 210, message: Connection refused (localhost:9000)";
    let fate = AltinityFate::CommandFails("create_remote".to_owned(), why.to_owned());
    let around = play(&stage, fate);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert_eq!(
        said,
        format!(
            "Failed BackupFailed: OperationFailed: create_remote at chi-clickhouse-events-clickhouse-0-0: {why}"
        )
    );
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
}

#[tokio::test]
async fn each_shard_writes_an_archive() {
    let mut stage = stage_of((3, 2));
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let name = archive(&stage, "ad-hoc");
    let expected = [
        name.clone(),
        format!("{name}-shard1"),
        format!("{name}-shard2"),
    ];
    let mut found = archives(&stage, FOLDER);
    found.sort();
    assert_eq!(found, expected);
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["spec"]["driverMetadata"][format!("{METADATA}/shards")],
        "3"
    );
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 3 * 5_632);
    let written = around
        .told()
        .into_iter()
        .filter(|told| told.contains("|create_remote"));
    let hosts: Vec<String> = written
        .map(|told| told.split('|').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        hosts,
        [0, 1, 2].map(|shard| format!("{TENANT}/chi-clickhouse-events-clickhouse-{shard}-0"))
    );
}

#[tokio::test]
async fn a_job_that_says_it_is_done_and_has_written_half_has_failed() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::WritesHalf);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: ArchiveMissing: clickhouse-backup is done, but tenant-acme/clickhouse-events/"),
        "{said}"
    );
    assert!(
        stage.storage.keys().is_empty(),
        "what was written is removed"
    );
}

#[tokio::test]
async fn pods_that_are_lost_without_a_word_are_told_in_the_words_of_kubernetes() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::PodsLost);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: ClientFailed: Job has reached the specified backoff limit"
    );
}

#[tokio::test]
async fn a_clickhouse_backup_that_does_not_answer_is_named() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Unreachable);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: SidecarUnreachable: list at chi-clickhouse-events-clickhouse-0-0: HTTP 000"
    );
}

#[tokio::test]
async fn a_pod_that_cannot_start_is_told_long_before_the_deadline() {
    let mut stage = stage();
    let why = "secret \"clickhouse-events-backup-api-auth\" not found";
    let around = play(&stage, AltinityFate::PodStuck(why.to_owned()));
    let start = stage.cluster.now();
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: ClientStuck: the Pod of Job "),
        "{said}"
    );
    assert!(said.contains(why), "{said}");
    // Ten minutes for it, and some for what is undone.
    assert!((stage.cluster.now() - start) / 60 < 30);
}

#[tokio::test]
async fn a_run_has_an_end_though_nobody_says_anything() {
    let mut stage = stage();
    parameters(&stage, &json!({ "deadlineSeconds": "1200" }));
    let around = play(&stage, AltinityFate::Stalls);
    let start = stage.cluster.now();
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.starts_with(
            "Failed BackupFailed: BackupRunning: clickhouse-backup writes the archive (Job "
        ),
        "{said}"
    );
    let minutes = (stage.cluster.now() - start) / 60;
    assert!((25..50).contains(&minutes), "{minutes} minutes");
}

#[tokio::test]
async fn a_clickhouse_without_clickhouse_backup_is_told_what_to_set() {
    let mut stage = stage();
    for name in clickhouse_pods(&stage, "events") {
        let mut pod = stage
            .cluster
            .read("v1", "Pod", Some(TENANT), &name)
            .unwrap();
        pod["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .truncate(1);
        stage.cluster.put(pod).unwrap();
    }
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.ends_with(
            "set spec.backup.enabled and spec.backup.useSystemBucket of ClickHouse events to true"
        ),
        "{said}"
    );
    assert!(jobs(&stage).is_empty());
}

#[tokio::test]
async fn a_clickhouse_that_is_not_complete_is_waited_for() {
    let mut stage = stage_of((2, 1));
    let missing = "chi-clickhouse-events-clickhouse-1-0-0";
    stage
        .delete_any("v1", "Pod", Some(TENANT), missing)
        .await
        .unwrap();
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        format!("Pending Waiting: ClickHouseNotReady: Pod {TENANT}/{missing} is not ready")
    );
    let around = play(&stage, AltinityFate::Completes);
    let said = ended(&mut stage, &around, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn an_application_without_an_installation_ends_the_job_after_half_an_hour() {
    let mut stage = stage();
    stage
        .delete_any(
            INSTALLATION,
            "ClickHouseInstallation",
            Some(TENANT),
            "clickhouse-events",
        )
        .await
        .unwrap();
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert!(stage.job(TENANT, "ad-hoc").starts_with("Pending"));
    stage.cluster.advance(30 * 60 + 1);
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: ClickHouseNotReady: "),
        "{said}"
    );
}

// Defect 9 of the sheet: a Job that was left under the name was taken for this run's.
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_writes_a_new_archive() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    let mut names = vec![];
    for _ in 0..2 {
        let said = backed_up(&mut stage, &around, "ad-hoc").await;
        assert!(said.starts_with("Succeeded"), "{said}");
        names.push(archive(&stage, "ad-hoc"));
        stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
        forgotten(&mut stage, &around, "ad-hoc").await;
    }
    assert_ne!(names[0], names[1]);
    assert!(jobs(&stage).is_empty());
}

// Defect 9 of the sheet: a tenant who may create Jobs could make a backup succeed.
#[tokio::test]
async fn a_job_that_somebody_else_put_under_the_name_is_not_believed() {
    let mut stage = stage();
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let name = jobs(&stage)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    stage
        .delete_any("batch/v1", "Job", Some(TENANT), &name)
        .await
        .unwrap();
    let forged = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": TENANT },
        "status": { "conditions": [{ "type": "Complete", "status": "True" }] },
    });
    stage.cluster.put(forged).unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.contains("ForeignJob") && said.contains("is not this job's"),
        "{said}"
    );
}

// Defect 11 of the sheet: the name of the job and `-backup` did not fit.
#[tokio::test]
async fn a_job_with_a_long_name_is_backed_up() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    let name = format!("nightly-{}", "n".repeat(55));
    let said = backed_up(&mut stage, &around, &name).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let job = &jobs(&stage)[0];
    assert!(job["metadata"]["name"].as_str().unwrap().len() <= 63);
}

#[tokio::test]
async fn a_storage_of_the_applications_own_is_left_as_the_chart_has_set_it() {
    let mut stage = stage();
    own_storage(&stage, "events").await;
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(stage.storage.keys().is_empty());
    let told = around.told();
    assert!(
        told[1].contains("|create_remote clickhouse-events-"),
        "{}",
        told[1]
    );
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    let name = archive(&stage, "ad-hoc");
    assert_eq!(
        backup["status"]["artifact"]["uri"],
        format!("clickhouse-backup://clickhouse-events/{name}")
    );
    assert!(
        backup["spec"]["driverMetadata"]
            .get(format!("{METADATA}/bucket"))
            .is_none()
    );
}

/// A variable of a Job's container.
pub(crate) fn text_of(job: &Value, name: &str) -> String {
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let variable = env
        .iter()
        .find(|variable| variable["name"] == name)
        .unwrap();
    variable["value"].as_str().unwrap_or_default().to_owned()
}
