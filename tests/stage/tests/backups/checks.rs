//! Whether the catalogue is true.

use super::*;

const HERE: &str = "True Available: the data was there when it was last looked";

/// Defect 14 of the reference: data went, and the Backup stayed Ready for ever.
#[tokio::test]
async fn a_backup_whose_data_is_lost_is_found_within_a_day() {
    let mut stage = etcd().await;
    pass_time(&mut stage, DAY).await;
    assert_eq!(available(&stage, "ad-hoc"), HERE);
    let key = stage.storage.keys()[0].clone();
    stage.storage.remove(&key);
    pass_time(&mut stage, DAY).await;
    assert_eq!(
        available(&stage, "ad-hoc"),
        format!("False Lost: SnapshotGone: s3://cozy-backups/{key} is no longer there")
    );
    assert_eq!(backup(&stage, "ad-hoc")["status"]["phase"], "Ready");
    pass_time(&mut stage, DAY).await;
    let said = events(&stage, "Lost");
    assert_eq!(said.len(), 1, "once, however often it is looked: {said:?}");
    assert!(said[0].starts_with("Warning: SnapshotGone: "), "{said:?}");

    // A restore from it is refused at once, in words that tell.
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.said("RestoreJob", TENANT, "back");
    assert!(
        said.starts_with(
            "Failed RestoreFailed: Backup ad-hoc cannot be restored any more: SnapshotGone: "
        ),
        "{said}"
    );

    // It came back, as out of somebody's cellar.
    stage.storage.put(&key, 20_512, 1);
    ask(&mut stage, "ad-hoc", "again").await;
    assert_eq!(available(&stage, "ad-hoc"), HERE);
    stage
        .restore_job(TENANT, "once-more", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.said("RestoreJob", TENANT, "once-more");
    assert!(said.starts_with("Running"), "{said}");
}

#[tokio::test]
async fn a_snapshot_that_was_cut_off_is_lost() {
    let mut stage = etcd().await;
    let key = stage.storage.keys()[0].clone();
    stage.storage.put(&key, 4_096, 1);
    ask(&mut stage, "ad-hoc", "now").await;
    assert_eq!(
        available(&stage, "ad-hoc"),
        format!(
            "False Lost: SnapshotChanged: s3://cozy-backups/{key} has 4096 bytes, and the snapshot that was taken had \
             20512: it was cut off or overwritten"
        )
    );
    // What the Backup says of itself stays what it was.
    assert_eq!(
        backup(&stage, "ad-hoc")["status"]["artifact"]["sizeBytes"],
        20_512
    );
}

#[tokio::test]
async fn a_look_is_taken_once_a_day_and_costs_nothing_in_between() {
    let mut stage = etcd().await;
    pass_time(&mut stage, DAY).await;
    let looked = backup(&stage, "ad-hoc")["status"]["lastCheckTime"].clone();
    let next = looked
        .as_str()
        .unwrap()
        .parse::<Timestamp>()
        .unwrap()
        .as_second()
        + DAY;
    drop(requests(&stage));
    let left = next - stage.cluster.now();
    pass_time(&mut stage, left - 1).await;
    assert_eq!(requests(&stage), Vec::<String>::new());
    pass_time(&mut stage, 1).await;
    let asked = requests(&stage);
    assert_eq!(
        asked
            .iter()
            .filter(|asked| !asked.starts_with("Get"))
            .collect::<Vec<_>>(),
        ["Apply Backup ad-hoc"],
        "{asked:?}"
    );
    assert!(asked.len() <= 5, "{asked:?}");
    let again = backup(&stage, "ad-hoc")["status"]["lastCheckTime"].clone();
    assert_ne!(again, looked);
}

#[tokio::test]
async fn a_host_that_starts_asks_nothing_about_ten_thousand_backups() {
    let mut stage = guest(Guest::default());
    for number in 0..10_000 {
        put(&stage, &format!("backup-{number}"), |_| {});
    }
    stage.restart();
    drop(requests(&stage));
    stage.runner.settle().await.unwrap();
    assert_eq!(requests(&stage), Vec::<String>::new());
    let (mut most, mut last) = (0, stage.cluster.now());
    for _ in 0..48 {
        pass_time(&mut stage, HOUR / 2).await;
        let looks = requests(&stage)
            .iter()
            .filter(|asked| asked.starts_with("Apply Backup"))
            .count();
        most = most.max(looks);
        last += looks as i64;
    }
    assert_eq!(
        last - stage.cluster.now() + DAY,
        10_001,
        "each is looked at once"
    );
    assert!(most < 300, "{most} in half an hour");
}

#[tokio::test]
async fn a_request_is_answered_once() {
    let mut stage = etcd().await;
    ask(&mut stage, "ad-hoc", "please").await;
    assert_eq!(available(&stage, "ad-hoc"), HERE);
    let status = backup(&stage, "ad-hoc")["status"].clone();
    assert_eq!(status["lastCheckRequest"], "please");
    stage.cluster.advance(10);
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(backup(&stage, "ad-hoc")["status"], status);
    ask(&mut stage, "ad-hoc", "once more").await;
    assert_ne!(backup(&stage, "ad-hoc")["status"], status);
}

#[tokio::test]
async fn a_request_is_answered_where_nothing_is_looked_at_by_itself() {
    let settings = backup_engine::Settings {
        check_interval: std::time::Duration::ZERO,
        ..backup_engine::Settings::default()
    };
    let mut stage = Stage::with_settings(settings).unwrap();
    stage.serve(&Stage::bundled("etcd.wasm").unwrap()).unwrap();
    stage.platform_etcd().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    back_up(&mut stage, "ad-hoc").await;
    pass_time(&mut stage, 2 * DAY).await;
    assert_eq!(available(&stage, "ad-hoc"), "");
    ask(&mut stage, "ad-hoc", "please").await;
    assert_eq!(available(&stage, "ad-hoc"), HERE);
}

/// Checks what is said of `mine` when it is asked after.
async fn said(mut stage: Stage) -> String {
    ask(&mut stage, "mine", "now").await;
    available(&stage, "mine")
}

#[tokio::test]
async fn every_verdict_has_its_words() {
    for (answer, expected) in [
        ("@lost", "False Lost: Gone: Gone"),
        ("@unknown", "Unknown NotChecked: Gone: Gone"),
        ("@later", "Unknown NotChecked: Gone: Gone"),
        ("@seen", HERE),
    ] {
        let body = format!("(return {answer})");
        assert_eq!(said(guest(answering().on("check", &body))).await, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_unknown() {
    let stage = guest(Guest::default());
    stage.strategies.withdraw("Guest");
    assert_eq!(
        said(stage).await,
        "Unknown NotChecked: PluginNotReady: no plugin serves strategies of kind Guest"
    );

    let stage = guest(Guest::default().on("check", "unreachable"));
    assert!(
        said(stage)
            .await
            .starts_with("Unknown NotChecked: PluginError: ")
    );

    let stage = guest_with(Guest::default(), SILENT);
    stage.storage.answers(false);
    assert!(
        said(stage)
            .await
            .starts_with("Unknown NotChecked: StorageUnreachable: ")
    );

    let stage = guest(Guest::default());
    put(&stage, "mine", |backup| {
        backup["spec"]["storage"]["endpoint"] = json!("https://old.example");
    });
    assert!(said(stage).await.starts_with(
        "Unknown StorageChanged: the Backup lies in bucket cozy-backups at https://old.example"
    ));

    let stage = etcd().await;
    stage
        .cluster
        .set_policy(|operation: &Operation| operation.kind != "HelmRelease");
    let mut stage = stage;
    ask(&mut stage, "ad-hoc", "now").await;
    assert_eq!(available(&stage, "ad-hoc"), HERE, "it reads no release");
}

#[tokio::test]
async fn a_failing_look_is_tried_again_with_growing_pauses_also_by_a_host_that_was_restarted() {
    let mut stage = guest(Guest::default());
    let serving = stage.strategies.serving("Guest").unwrap();
    stage.strategies.withdraw("Guest");
    let mut looks: Vec<i64> = vec![];
    while looks.len() < 5 {
        stage.restart();
        pass_time(&mut stage, 30).await;
        let last = backup(&stage, "mine")["status"]["lastCheckTime"].clone();
        let last = last
            .as_str()
            .map(|at| at.parse::<Timestamp>().unwrap().as_second());
        if last.is_some_and(|last| looks.last() != Some(&last)) {
            looks.extend(last);
        }
    }
    let pauses: Vec<i64> = looks.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(pauses, [60, 600, 3600, DAY - 60 - 600 - 3600]);
    assert_eq!(backup(&stage, "mine")["status"]["failedChecks"], 5);
    stage.strategies.serve((*serving).clone());
    ask(&mut stage, "mine", "now").await;
    assert_eq!(available(&stage, "mine"), HERE);
    assert_eq!(backup(&stage, "mine")["status"].get("failedChecks"), None);
}

#[tokio::test]
async fn where_the_strategy_does_not_answer_the_host_looks_itself() {
    let mut stage = guest_with(Guest::default(), SILENT);
    ask(&mut stage, "mine", "now").await;
    assert_eq!(available(&stage, "mine"), HERE);
    assert_eq!(
        backup(&stage, "mine")["status"]["artifact"]["sizeBytes"],
        1_234
    );
    stage.storage.remove("tenant-acme/orders-db/mine/data");
    stage.storage.remove("tenant-acme/orders-db/mine/wal");
    ask(&mut stage, "mine", "again").await;
    assert_eq!(
        available(&stage, "mine"),
        "False Lost: nothing lies at s3://cozy-backups/tenant-acme/orders-db/mine any more"
    );
}

#[tokio::test]
async fn where_nobody_can_tell_nothing_is_said() {
    for uri in [
        "https://elsewhere.example/mine",
        "s3://cozy-backups/tenant-other/orders-db/mine",
        "s3://cozy-backups/tenant-acme/orders-db/",
        "s3://cozy-backups/tenant-acme/orders-db/../x",
    ] {
        let mut stage = guest_with(Guest::default(), SILENT);
        put(&stage, "mine", |backup| {
            backup["status"]["artifact"]["uri"] = json!(uri);
        });
        ask(&mut stage, "mine", "now").await;
        assert_eq!(available(&stage, "mine"), "", "{uri}");
        let status = backup(&stage, "mine")["status"].clone();
        assert_eq!(status["lastCheckRequest"], "now");
        assert_eq!(status["artifact"].get("sizeBytes"), None);
        pass_time(&mut stage, 2 * DAY).await;
        assert_eq!(backup(&stage, "mine")["status"], status, "{uri}");
    }
}

#[tokio::test]
async fn a_look_can_say_more_of_the_artifact() {
    let mut stage = guest(answering().on("check", "(return @seen)"));
    put(&stage, "mine", |backup| {
        backup["status"]["artifact"]["sizeBytes"] = json!(1);
        backup["status"]["artifact"]["checksum"] = json!("sha256:00");
    });
    ask(&mut stage, "mine", "now").await;
    assert_eq!(
        backup(&stage, "mine")["status"]["artifact"],
        json!({
            "uri": "s3://cozy-backups/tenant-acme/orders-db/mine",
            "sizeBytes": 4_321,
            "checksum": "sha256:00",
        })
    );
}

#[tokio::test]
async fn a_look_writes_nothing_but_the_status_and_takes_no_lock() {
    let mut stage = etcd().await;
    // A job that runs holds the application; the tenant's copy of the credentials is gone.
    stage.etcd_backup_job(TENANT, "second", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    stage
        .delete_any("v1", "Secret", Some(TENANT), "cozy-backups-creds")
        .await
        .unwrap();
    stage.runner.settle().await.unwrap();
    drop(requests(&stage));
    ask(&mut stage, "ad-hoc", "now").await;
    assert_eq!(available(&stage, "ad-hoc"), HERE);
    let written: Vec<Operation> = stage
        .cluster
        .requests()
        .into_iter()
        .filter(Operation::writes)
        .collect();
    assert!(
        written
            .iter()
            .all(|operation| operation.kind == "Backup" || operation.purpose.contains("BackupJob")),
        "{written:?}"
    );
}

#[tokio::test]
async fn the_size_is_filled_in_when_the_backup_is_made() {
    let uri = b"s3://cozy-backups/tenant-acme/orders-db/b";
    let length = u32::try_from(uri.len()).unwrap();
    // Succeeded, with an artifact that has neither size nor checksum.
    let words = [
        1, 0, 0, 0, 0, 0, 1, 0, 1024, length, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let backs_up = || {
        Guest::default()
            .data("uri", uri)
            .words("made", &words)
            .on("backup", "(return @made)")
    };
    for (objects, expected) in [
        (0, None),
        (1, Some(7)),
        (2_500, Some(17_500)),
        (10_001, None),
    ] {
        let mut stage = guest(backs_up());
        for number in 0..objects {
            let key = format!("tenant-acme/orders-db/b/{number:05}");
            stage.storage.put(&key, 7, 1);
        }
        stage.backup_job(TENANT, "made", "orders-db").unwrap();
        stage.runner.settle().await.unwrap();
        assert!(
            stage.job(TENANT, "made").starts_with("Succeeded"),
            "{}",
            stage.job(TENANT, "made")
        );
        let artifact = backup(&stage, "made")["status"]["artifact"].clone();
        assert_eq!(
            artifact["sizeBytes"].as_i64(),
            expected,
            "{objects} objects"
        );
    }
    // A storage that does not answer is no reason to fail; the next look fills it in.
    let mut stage = guest(backs_up());
    stage.storage.put("tenant-acme/orders-db/b/1", 7, 1);
    stage.storage.answers(false);
    stage.backup_job(TENANT, "made", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert!(stage.job(TENANT, "made").starts_with("Succeeded"));
    assert_eq!(
        backup(&stage, "made")["status"]["artifact"].get("sizeBytes"),
        None
    );
    stage.storage.answers(true);
    ask(&mut stage, "made", "now").await;
    assert_eq!(backup(&stage, "made")["status"]["artifact"]["sizeBytes"], 7);
}
