//! An application is worked on by one job at a time, wherever the jobs are.

use super::*;

/// A restore of the other tenant's own Backup, in place.
fn in_place(stage: &Stage) {
    backup(stage, OTHER, "theirs", |_| {});
    stage
        .restore_job(OTHER, "in-place", "theirs", &json!({}))
        .unwrap();
}

/// A platform where the guest waits until `done` is in the other namespace.
fn waiting() -> Stage {
    platform(restoring(&until_done(OTHER)))
}

#[tokio::test]
async fn a_job_there_waits_for_a_restore_from_elsewhere() {
    let mut stage = waiting();
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.starts_with("Running"), "{said}");
    for restarts in [false, true] {
        if restarts {
            stage.restart();
        } else {
            in_place(&stage);
        }
        stage.runner.settle().await.unwrap();
        assert_eq!(
            stage.said("RestoreJob", OTHER, "in-place"),
            "Pending ApplicationBusy: a RestoreJob of another namespace works on this application; this job goes on when it has ended"
        );
    }
    put_map(&mut stage, OTHER, "done").await;
    for (namespace, name) in [(TENANT, "across"), (OTHER, "in-place")] {
        let said = stage.said("RestoreJob", namespace, name);
        assert!(said.starts_with("Succeeded"), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_restore_from_elsewhere_waits_for_a_job_there() {
    let mut stage = waiting();
    in_place(&stage);
    stage.runner.settle().await.unwrap();
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.starts_with("Pending ApplicationBusy: a RestoreJob of another namespace"),
        "{said}"
    );
    put_map(&mut stage, OTHER, "done").await;
    for (namespace, name) in [(OTHER, "in-place"), (TENANT, "across")] {
        let said = stage.said("RestoreJob", namespace, name);
        assert!(said.starts_with("Succeeded"), "{name}: {said}");
    }
}

#[tokio::test]
async fn two_restores_from_elsewhere_wait_for_each_other() {
    let mut stage = waiting();
    restored_into(&mut stage, OTHER).await;
    let said = ordered(&mut stage, "second", &json!({ "targetNamespace": OTHER })).await;
    assert!(
        said.starts_with("Pending ApplicationBusy: RestoreJob across works on"),
        "{said}"
    );
    put_map(&mut stage, OTHER, "done").await;
    let said = stage.said("RestoreJob", TENANT, "second");
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn the_application_of_the_same_name_at_home_is_free() {
    let mut stage = platform(restoring(&until_done(TENANT)));
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.starts_with("Running"), "{said}");
    let said = ordered(&mut stage, "at-home", &json!({})).await;
    assert!(said.starts_with("Running"), "{said}");
}

#[tokio::test]
async fn a_job_whose_author_is_not_proved_holds_up_nobody() {
    let stage = without_policy(restoring(""));
    let options = json!({ "targetNamespace": OTHER });
    stage
        .restore_job(TENANT, "across", "ad-hoc", &options)
        .unwrap();
    stage.cluster.advance(1);
    in_place(&stage);
    // The later one is looked at first.
    let key = backup_engine::Key {
        kind: "RestoreJob".to_owned(),
        namespace: OTHER.to_owned(),
        name: "in-place".to_owned(),
    };
    stage.runner.host().reconcile(&key).await.unwrap();
    let said = stage.said("RestoreJob", OTHER, "in-place");
    assert!(said.starts_with("Succeeded"), "{said}");
}
