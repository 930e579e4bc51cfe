//! Base backups, and what becomes of them.

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::{Value, json};
use stage::Fate;

use crate::world::*;

// TestEnsureCNPGBackup_UsesPluginMethod, TestCNPGClusterNameForApp
#[tokio::test]
async fn a_base_backup_is_ordered_from_the_plugin() {
    let stage = backed_up().await;
    let orders = orders(&stage);
    assert_eq!(orders.len(), 1);
    assert_eq!(
        orders[0]["spec"],
        json!({
            "method": "plugin",
            "cluster": { "name": CLUSTER },
            "pluginConfiguration": { "name": "barman-cloud.cloudnative-pg.io" },
        })
    );
    assert_eq!(orders[0]["metadata"]["labels"]["cnpg.io/cluster"], CLUSTER);
}

// TestApplyClusterPluginBackup_PatchesExistingCluster
#[tokio::test]
async fn the_cluster_is_told_where_to_archive() {
    let stage = backed_up().await;
    let store = store(&stage, CLUSTER);
    let configuration = &store["spec"]["configuration"];
    assert_eq!(
        configuration["destinationPath"],
        "s3://cozy-backups/tenant-acme/orders-db/"
    );
    assert_eq!(configuration.get("serverName"), None);
    assert_eq!(store["spec"]["retentionPolicy"], "30d");
    assert_eq!(
        store["spec"]["instanceSidecarConfiguration"]["env"][0]["value"],
        "when_required"
    );
    assert_eq!(
        store["metadata"]["ownerReferences"][0]["uid"],
        cluster(&stage)["metadata"]["uid"]
    );
    assert_eq!(
        cluster(&stage)["spec"]["plugins"],
        json!([{
            "name": "barman-cloud.cloudnative-pg.io",
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": CLUSTER, "serverName": "tenant-acme-orders-db" },
        }])
    );
}

#[tokio::test]
async fn the_size_is_that_of_what_was_stored() {
    let stage = backed_up().await;
    assert_eq!(
        backup(&stage, "ad-hoc")["status"]["artifact"]["sizeBytes"],
        4_195_508
    );
}

#[tokio::test]
async fn a_success_without_a_base_backup_in_the_bucket_is_none() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..10 {
        stage.runner.settle().await.unwrap();
        turn(&stage, &operator).await;
        for key in stage.storage.keys() {
            stage.storage.remove(&key);
        }
    }
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: BaseBackupMissing: CloudNativePG has finished, but"),
        "{said}"
    );
}

/// Defect 8: the operator never tries again, and was waited for half an hour all the same.
#[tokio::test]
async fn a_base_backup_that_has_failed_fails_the_job_at_once() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Fails("no space left".to_owned()));
    let began = stage.cluster.now();
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: CNPGBackupFailed: CloudNativePG has failed: no space left"
    );
    assert!(stage.cluster.now() - began < 300);
}

/// Defect 7: nothing of this had a deadline. TestCNPGBackupDeadlineExceeded.
#[tokio::test]
async fn wal_that_cannot_be_archived_is_waited_for_half_an_hour() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::HoldsUp("access denied".to_owned()));
    let began = stage.cluster.now();
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: WALArchivingFailing: the Cluster cannot archive WAL: access denied (gave up waiting)"
    );
    assert!((1800..2200).contains(&(stage.cluster.now() - began)));
}

/// Defect 7. TestApplyClusterPluginBackup_NotFoundOnMissingCluster: nothing is applied to a Cluster that is not there.
#[tokio::test]
async fn a_cluster_that_never_comes_is_waited_for_half_an_hour() {
    let mut stage = stage();
    let found = cluster(&stage);
    change(&stage, release(&stage), |release| {
        release["spec"]["suspend"] = true.into();
    });
    remove(&stage, &found).await;
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: ClusterNotReady: CloudNativePG has no Cluster tenant-acme/postgres-orders-db yet (gave up \
         waiting)"
    );
    assert_eq!(store(&stage, CLUSTER), Value::Null);
}

/// A backup waited until its deadline for a Cluster that was no more.
#[tokio::test]
async fn a_cluster_that_is_deleted_while_it_is_backed_up_fails_the_job_at_once() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Stalls);
    turns(&mut stage, &operator, 8).await;
    assert!(stage.job(TENANT, "ad-hoc").contains("BackupRunning"));
    let found = cluster(&stage);
    remove(&stage, &found).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Failed BackupFailed: ClusterGone: Cluster postgres-orders-db was deleted while it was backed up; back up again \
         once it is there"
    );
    assert_eq!(orders(&stage).len(), 0);
}

#[tokio::test]
async fn another_cluster_in_its_place_does_not_count() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Stalls);
    turns(&mut stage, &operator, 8).await;
    let found = cluster(&stage);
    remove(&stage, &found).await;
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: ClusterGone"),
        "{said}"
    );
}

#[tokio::test]
async fn a_cluster_that_archives_by_itself_is_refused() {
    let mut stage = stage();
    change(&stage, cluster(&stage), |cluster| {
        cluster["spec"]["backup"] =
            json!({ "barmanObjectStore": { "destinationPath": "s3://own/" } });
    });
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: ClusterArchivesNatively: "),
        "{said}"
    );
    assert_eq!(store(&stage, CLUSTER), Value::Null);
}

/// Defect 9: the order came before the Pods had the plugin, and failed for good.
#[tokio::test]
async fn nothing_is_ordered_before_all_pods_have_the_plugin() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..10 {
        stage.runner.settle().await.unwrap();
        if !orders(&stage).is_empty() {
            break;
        }
        turn(&stage, &operator).await;
    }
    assert_eq!(orders(&stage).len(), 1);
    let pod = object(&stage, "v1", "Pod", "postgres-orders-db-1");
    assert_eq!(
        pod["spec"]["initContainers"][0]["name"],
        "plugin-barman-cloud"
    );
    assert_eq!(
        cluster(&stage)["status"]["phase"],
        "Cluster in healthy state"
    );
}

/// Defect 27: other plugins of the Cluster were dropped, and what the chart had changed meanwhile overwritten.
#[tokio::test]
async fn a_cluster_that_is_changed_at_the_same_time_is_looked_at_again() {
    let mut stage = stage();
    let view = stage.cluster.clone();
    let foreign = json!({ "name": "audit.example.org" });
    let others = json!([foreign]);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        let is_ours = operation.kind == "Cluster" && !operation.purpose.is_empty();
        if is_ours && operation.writes() {
            let read = view.read(OPERATOR, "Cluster", Some(TENANT), CLUSTER);
            let mut found = read.unwrap();
            if found["spec"]["plugins"].is_null() {
                found["spec"]["plugins"] = others.clone();
                view.put(found).unwrap();
            }
        }
        Verdict::Pass
    });
    back_up(&mut stage, "ad-hoc").await;
    let plugins = cluster(&stage)["spec"]["plugins"].clone();
    assert_eq!(plugins.as_array().unwrap().len(), 2);
    assert_eq!(plugins[0], foreign);
}

/// Defect 14: any error of the API server was the end of a backup.
#[tokio::test]
async fn a_request_that_fails_is_not_the_end_of_a_backup() {
    let mut stage = stage();
    let count = std::sync::atomic::AtomicUsize::new(0);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        let is_ours = operation.api_version == OPERATOR && !operation.purpose.is_empty();
        if is_ours && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 5 {
            return Verdict::Fail(ApiError::new(ApiReason::Unavailable, "a restart"));
        }
        Verdict::Pass
    });
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..80 {
        // What fails is done again after a pause.
        while stage.runner.step().await.is_some() {}
        turn(&stage, &operator).await;
    }
    assert!(stage.job(TENANT, "ad-hoc").starts_with("Succeeded"));
    assert_eq!(orders(&stage).len(), 1);
}

/// Defect 13: the name of a long job was no value of a label.
#[tokio::test]
async fn a_job_with_a_long_name_is_carried_out() {
    let mut stage = stage();
    let name = format!("nightly-{}", "x".repeat(80));
    back_up(&mut stage, &name).await;
    assert!(backup(&stage, &name)["status"]["phase"] == "Ready");
}

/// Defect 24: what the strategy object says was read anew in each pass.
#[tokio::test]
async fn a_setting_that_changes_meanwhile_is_for_the_next_backup() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 1).await;
    set(&stage, "/barmanObjectStore/retentionPolicy", json!("7d"));
    let place = json!("s3://cozy-backups/{{ .Storage.prefix }}/elsewhere/");
    set(&stage, "/barmanObjectStore/destinationPath", place);
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(
        backup(&stage, "ad-hoc")["spec"]["driverMetadata"]["cnpg.io/destination-path"],
        "s3://cozy-backups/tenant-acme/orders-db/"
    );
    assert_eq!(store(&stage, CLUSTER)["spec"]["retentionPolicy"], "30d");
    back_up(&mut stage, "next").await;
    assert_eq!(store(&stage, CLUSTER)["spec"]["retentionPolicy"], "7d");
}

/// Defect 4: users were kept with their passwords.
#[tokio::test]
async fn users_are_kept_without_their_passwords() {
    let mut stage = stage();
    change(&stage, application(&stage), |application| {
        application["spec"]["users"]["replica"] =
            json!({ "password": "another-password", "replication": true });
    });
    back_up(&mut stage, "ad-hoc").await;
    assert_eq!(
        backup(&stage, "ad-hoc")["status"]["underlyingResources"]["users"],
        json!({ "orders": {}, "replica": { "replication": true } })
    );
}
