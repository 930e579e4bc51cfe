//! Backups that no Plan covers go by their class's retention policy.

use super::*;

/// A guest's stage whose class keeps Backups for 30 days.
fn thirty_days() -> Stage {
    let stage = guest(Guest::default());
    let mut class = stage
        .cluster
        .read(API, "BackupClass", None, "cozy-default")
        .unwrap();
    class["spec"]["retentionPolicy"] = json!({ "maxAge": "30d" });
    stage.cluster.put(class).unwrap();
    stage
}

/// Puts a Backup that was taken so many days before now.
fn taken(stage: &Stage, name: &str, days_ago: i64, change: impl FnOnce(&mut Value)) {
    let at = Timestamp::from_second(stage.cluster.now() - days_ago * DAY).unwrap();
    put(stage, name, |backup| {
        backup["spec"]["takenAt"] = json!(at.to_string());
        change(backup);
    });
}

fn names(stage: &Stage) -> Vec<String> {
    let objects = stage.cluster.objects().into_iter();
    let mut names: Vec<String> = objects
        .filter(|object| object["kind"] == "Backup" && object["apiVersion"] == API)
        .map(|backup| backup["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_ad_hoc_backup_goes_after_thirty_days_and_the_last_good_one_stays() {
    let mut stage = thirty_days();
    // `mine` is far older than 30 days.
    taken(&stage, "newer", 5, |_| {});
    taken(&stage, "newest", 1, |_| {});
    stage.restart();
    pass_time(&mut stage, DAY).await;
    assert_eq!(names(&stage), ["newer", "newest"]);
    assert_eq!(
        events(&stage, "BackupRemoved"),
        ["Normal: no rule of BackupClass cozy-default keeps the Backup, and no Plan covers it"]
    );
    pass_time(&mut stage, 60 * DAY).await;
    assert_eq!(names(&stage), ["newest"], "the last good one stays");
}

#[tokio::test]
async fn the_newest_counts_for_each_application() {
    let mut stage = thirty_days();
    taken(&stage, "of-another", 100, |backup| {
        backup["spec"]["applicationRef"]["name"] = json!("else");
    });
    stage.restart();
    pass_time(&mut stage, DAY).await;
    assert_eq!(names(&stage), ["mine", "of-another"]);
}

#[tokio::test]
async fn a_backup_of_a_plan_is_the_plans_business_while_there_is_the_plan() {
    let mut stage = thirty_days();
    taken(&stage, "newest", 1, |_| {});
    taken(&stage, "nightly-1", 90, |backup| {
        backup["spec"]["planRef"] = json!({ "name": "nightly" });
    });
    let plan = json!({
        "apiVersion": API, "kind": "Plan",
        "metadata": { "name": "nightly", "namespace": TENANT },
        "spec": {
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            "backupClassName": "cozy-default", "suspend": true,
            "schedule": { "cron": "0 3 * * *" },
        },
    });
    stage.cluster.put(plan).unwrap();
    stage.restart();
    pass_time(&mut stage, DAY).await;
    assert_eq!(names(&stage), ["newest", "nightly-1"]);
    stage.delete("Plan", TENANT, "nightly").await.unwrap();
    pass_time(&mut stage, 2 * DAY).await;
    assert_eq!(names(&stage), ["newest"], "nobody covers it any more");
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_removes_nothing() {
    let mut stage = thirty_days();
    let mut class = stage
        .cluster
        .read(API, "BackupClass", None, "cozy-default")
        .unwrap();
    class["spec"]["retentionPolicy"] = json!({ "maxAge": "99999999999999999999w" });
    stage.cluster.put(class).unwrap();
    taken(&stage, "newest", 1, |_| {});
    stage.restart();
    pass_time(&mut stage, 2 * DAY).await;
    assert_eq!(names(&stage), ["mine", "newest"]);
}
