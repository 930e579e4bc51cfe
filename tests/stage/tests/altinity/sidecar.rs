//! A clickhouse-backup that was started before the credentials were handed out, or changed.

use super::*;

// Defect 4 of the sheet: nobody recognised it, and nobody said what to do.
#[tokio::test]
async fn keys_that_the_storage_refuses_are_told_with_the_pods_to_restart() {
    let mut stage = stage_of((2, 1));
    let around = play(&stage, AltinityFate::KeysRefused);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Failed BackupFailed: SidecarOutdated: the storage refuses the credentials of clickhouse-backup"), "{said}");
    assert!(said.contains("api error InvalidAccessKeyId)"), "{said}");
    assert!(
        said.contains("it reads them when it starts (at 2026-11-25T11:00:00Z)"),
        "{said}"
    );
    assert!(
        said.contains("order the job anew: chi-clickhouse-events-clickhouse-0-0-0, chi-clickhouse-events-clickhouse-1-0-0."),
        "{said}"
    );
    assert!(said.contains("restartSidecar: WhenOutdated"), "{said}");
    assert!(
        !around
            .told()
            .iter()
            .any(|told| told.contains("|create_remote"))
    );
}

#[tokio::test]
async fn a_job_that_may_restarts_the_pods_one_by_one_and_tries_once_more() {
    let mut stage = stage_of((2, 1));
    parameters(&stage, &json!({ "restartSidecar": "WhenOutdated" }));
    let around = play(&stage, AltinityFate::KeysRefused);
    let before = uids(&stage);
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    let mut most_away = 0;
    let said = loop {
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            break said;
        }
        most_away = most_away.max(2 - clickhouse_pods(&stage, "events").len());
        turn(&stage, &around).await;
    };
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(most_away, 1, "one after the other");
    let after = uids(&stage);
    assert!(before.iter().all(|uid| !after.contains(uid)));
    assert_eq!(archives(&stage, FOLDER).len(), 2);
}

// Rotated keys: also of a restore, before anything is dropped.
#[tokio::test]
async fn a_restore_recognises_it_too() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let refused = play(&stage, AltinityFate::KeysRefused);
    let said = restored(&mut stage, &refused, "back", "ad-hoc", &json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: SidecarOutdated: "),
        "{said}"
    );
    assert!(
        !refused
            .told()
            .iter()
            .any(|told| told.contains("|restore") || told.contains("|download"))
    );
}

#[tokio::test]
async fn pods_are_not_restarted_twice() {
    let mut stage = stage_of((1, 1));
    parameters(&stage, &json!({ "restartSidecar": "WhenOutdated" }));
    let why = "api error AccessDenied: not you".to_owned();
    let around = play(&stage, AltinityFate::CommandFails("list".to_owned(), why));
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: SidecarOutdated: "),
        "{said}"
    );
    let lists = around
        .told()
        .iter()
        .filter(|told| told.contains("|list "))
        .count();
    assert_eq!(lists, 2);
}

fn uids(stage: &Stage) -> Vec<String> {
    let names = clickhouse_pods(stage, "events").into_iter();
    let uid = |name: String| {
        stage
            .cluster
            .read("v1", "Pod", Some(TENANT), &name)
            .unwrap()["metadata"]["uid"]
            .clone()
    };
    names
        .map(|name| uid(name).as_str().unwrap().to_owned())
        .collect()
}
