//! What cannot be undone leaves one line in the log: what, of what, for which job, by which component.

use super::*;

#[tokio::test]
async fn a_deletion_and_a_purge_leave_one_line_each() {
    let log = Log::capture();
    let script = json!([
        { "delete": ["v1", "ConfigMap", "<namespace>", "ours"] },
        { "delete": ["v1", "ConfigMap", "<namespace>", "gone"] },
        { "delete-all": { "target": ["v1", "ConfigMap", "<namespace>", ""], "labels": [["app", "theirs"]] } },
        { "purge": "<prefix>/old" },
    ]);
    let mut stage = scripted(&script);
    stage
        .cluster
        .put(config_map(TENANT, "ours", &json!({})))
        .unwrap();
    stage
        .cluster
        .put(config_map(TENANT, "too", &json!({})))
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Succeeded BackupCompleted: Backup ad-hoc is complete"
    );
    assert_eq!(
        log.audit(),
        [
            "deleted ConfigMap tenant-acme/ours by BackupJob tenant-acme/ad-hoc",
            "deleted ConfigMap tenant-acme/too by BackupJob tenant-acme/ad-hoc",
            "purged s3://cozy-backups/tenant-acme/orders-db/old by BackupJob tenant-acme/ad-hoc",
        ]
    );
}

#[tokio::test]
async fn a_plan_that_is_refused_leaves_no_line() {
    let log = Log::capture();
    let script = json!([
        { "delete": ["v1", "ConfigMap", "<namespace>", "ours"] },
        { "delete": ["v1", "ConfigMap", "tenant-other", "theirs"] },
    ]);
    let mut stage = scripted(&script);
    stage
        .cluster
        .put(config_map(TENANT, "ours", &json!({})))
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(log.audit(), Vec::<String>::new());
    assert!(read(&stage, "ConfigMap", Some(TENANT), "ours").is_some());
}

#[tokio::test]
async fn a_restore_and_a_removal_leave_one_line_each() {
    let log = Log::capture();
    let script = json!([{ "succeed": {
        "artifact": "s3://<bucket>/<prefix>/base", "metadata": [], "resources": null } }]);
    let wait = json!([{ "get": ["v1", "ConfigMap", "<namespace>", "go"] },
        { "unless-read": [{ "wait": { "reason": "NotYet", "message": "waits" } }] }]);
    let mut stage = stage(&json!({ "script": script.to_string(), "restore": wait.to_string() }));
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(log.audit(), Vec::<String>::new(), "it has not ended");

    stage
        .cluster
        .put(config_map(TENANT, "go", &json!({})))
        .unwrap();
    stage.runner.settle().await.unwrap();
    stage.restart();
    stage.runner.settle().await.unwrap();
    let restored = "restored Postgres tenant-acme/orders-db by RestoreJob tenant-acme/back";
    assert_eq!(log.audit(), [restored]);

    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    let removed =
        "removed s3://cozy-backups/tenant-acme/orders-db/base by Backup tenant-acme/ad-hoc";
    assert_eq!(log.audit(), [restored, removed]);
}

#[tokio::test]
async fn a_restore_that_fails_leaves_a_line_too() {
    let log = Log::capture();
    let fail = json!([{ "event": { "reason": "Began", "message": "x" } }, { "fail": { "reason": "Broken", "message": "x" } }]);
    let mut stage = stage(&json!({ "restore": fail.to_string() }));
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    to_the_end(&mut stage).await;
    assert_eq!(
        log.audit(),
        ["gave up restoring Postgres tenant-acme/orders-db by RestoreJob tenant-acme/back"]
    );
}
