//! What is looked at before anything is ordered.

use serde_json::{Value, json};

use crate::{COMPLETED, TENANT, World, labels_of_the_first_controller};

/// What the job says, and that nothing was ordered.
async fn waits(world: &mut World, what: &str) {
    world.order("ad-hoc");
    world.stage.runner.settle().await.unwrap();
    let said = world.job("ad-hoc");
    assert!(
        said.starts_with(&format!("Pending Waiting: {what}: ")),
        "{said}"
    );
    assert!(world.orders().is_empty());
}

/// A wait that nobody answers is over after 20 minutes.
async fn gives_up(world: &mut World, what: &str) {
    world.stage.cluster.advance(20 * 60 + 2);
    world.stage.runner.settle().await.unwrap();
    let said = world.job("ad-hoc");
    assert!(
        said.starts_with(&format!("Failed BackupFailed: {what}: ")),
        "{said}"
    );
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_is_waited_for_and_given_up() {
    let mut world = World::new();
    world
        .stage
        .delete_any(
            crate::OPERATOR,
            "FoundationDBCluster",
            Some(TENANT),
            "foundationdb-fdb",
        )
        .await
        .unwrap();
    waits(&mut world, "FoundationDBClusterNotReady").await;
    gives_up(&mut world, "FoundationDBClusterNotReady").await;
}

// TestReconcileFoundationDB_HealthUnavailableIsTransient, TestRequeueWithReason_RetriesOnStatusConflict
#[tokio::test]
async fn a_cluster_that_is_not_available_is_waited_for() {
    let mut world = World::new();
    world.change(|cluster| cluster["status"]["health"]["available"] = false.into());
    waits(&mut world, "FoundationDBClusterNotAvailable").await;
    world.change(|cluster| cluster["status"]["health"]["available"] = true.into());
    assert_eq!(world.play("BackupJob", "ad-hoc").await, COMPLETED);
}

// TestReconcileFoundationDB_VersionEmptyIsTransient
#[tokio::test]
async fn a_cluster_without_a_version_is_waited_for() {
    let mut world = World::new();
    world.change(|cluster| {
        cluster["spec"]["version"] = "".into();
        cluster["status"]["runningVersion"] = Value::Null;
    });
    waits(&mut world, "FoundationDBClusterVersionUnknown").await;
    gives_up(&mut world, "FoundationDBClusterVersionUnknown").await;
}

/// Defect 25: while an upgrade is under way the version that is asked for is not the one that runs.
#[tokio::test]
async fn agents_are_of_the_version_that_runs() {
    let mut world = World::new();
    world.change(|cluster| cluster["spec"]["version"] = "7.4.6".into());
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    assert_eq!(world.orders()[0]["spec"]["version"], "7.3.63");
}

// TestReconcileFoundationDB_ConflictingInChartBackupIsFatal
#[tokio::test]
async fn a_backup_that_no_job_has_made_ends_the_job_and_stays_as_it_is() {
    for state in [Some("Running"), Some("Paused"), None] {
        let mut world = World::new();
        let spec = match state {
            Some(state) => json!({ "backupState": state }),
            None => json!({}),
        };
        world.put_order("charts-own", &json!({}), &spec);
        let before = world.orders();
        world.order("ad-hoc");
        world.stage.runner.settle().await.unwrap();
        let said = world.job("ad-hoc");
        assert!(
            said.starts_with(
                "Failed BackupFailed: ConflictingInChartBackup: FoundationDBBackup charts-own "
            ),
            "{state:?}: {said}"
        );
        assert_eq!(world.orders(), before);
    }
}

// TestFindConflictingInChartBackup_IgnoresDriverManagedCRs
#[tokio::test]
async fn backups_of_jobs_and_of_other_clusters_and_those_that_rest_are_no_conflict() {
    let mut world = World::new();
    world.put_order(
        "old",
        &labels_of_the_first_controller("old"),
        &json!({ "backupState": "Running" }),
    );
    world.put_order("at-rest", &json!({}), &json!({ "backupState": "Stopped" }));
    let mut other = world.orders().remove(0);
    other["metadata"] = json!({ "name": "of-another", "namespace": TENANT });
    other["spec"] = json!({ "clusterName": "foundationdb-other", "version": "7.3.63", "backupState": "Running" });
    world.stage.cluster.put(other).unwrap();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
}

/// Defect 19: a chart's backup that appears while a job runs does not leave the job's own behind.
#[tokio::test]
async fn a_conflict_that_appears_while_a_job_runs_leaves_the_job_alone() {
    let mut world = World::new();
    world.order("ad-hoc");
    world.turns_pass(1).await;
    assert_eq!(world.orders().len(), 1);
    world.put_order(
        "charts-own",
        &json!({}),
        &json!({ "backupState": "Stopped" }),
    );
    assert_eq!(world.play("BackupJob", "ad-hoc").await, COMPLETED);
}

// TestValidateFoundationDBApplicationRef, TestReconcile_NoMatchingStrategy_IsTerminal
#[tokio::test]
async fn an_application_of_another_kind_is_not_backed_up() {
    let mut world = World::new();
    world
        .stage
        .backup_job_of(TENANT, "ad-hoc", "Postgres", "fdb")
        .unwrap();
    let said = world.play("BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Failed "), "{said}");
    assert!(world.orders().is_empty());
}
