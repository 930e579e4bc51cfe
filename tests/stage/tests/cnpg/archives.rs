//! Which folder a Cluster archives into: Barman lets none begin where something is already.

use serde_json::{Value, json};
use stage::{Fate, Stage};

use crate::world::*;

fn server(stage: &Stage, backup: &str) -> String {
    let name = &self::backup(stage, backup)["spec"]["driverMetadata"]["cnpg.io/server-name"];
    name.as_str().unwrap().to_owned()
}

async fn restored_in_place(stage: &mut Stage) {
    assert_eq!(restored(stage, &nothing(), Fate::Completes).await, RESTORED);
    let operator = operator(stage, Fate::Completes);
    turns(stage, &operator, 6).await;
    assert_eq!(helm(stage), "True: Helm upgrade succeeded");
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
}

/// Defect 10: the first backup after a restore met the old archive, and no WAL was archived any more.
#[tokio::test]
async fn a_restored_cluster_archives_into_a_folder_of_its_own() {
    let mut stage = backed_up().await;
    restored_in_place(&mut stage).await;
    assert_eq!(cluster(&stage)["spec"].get("plugins"), None);
    back_up(&mut stage, "after").await;
    let after = server(&stage, "after");
    assert!(after.starts_with("tenant-acme-orders-db-"), "{after}");
    // Both can be restored.
    restored_in_place(&mut stage).await;
    assert!(recovered_from(&stage, CLUSTER).contains("/tenant-acme-orders-db/base/"));
    stage
        .restore_job(TENANT, "back", "after", &nothing())
        .unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(recovered_from(&stage, CLUSTER).contains(&format!("/{after}/base/")));
}

/// The same where an application was deleted and created again under its name.
#[tokio::test]
async fn a_new_cluster_under_an_old_name_archives_into_a_folder_of_its_own() {
    let mut stage = backed_up().await;
    let found = cluster(&stage);
    remove(&stage, &found).await;
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 3).await;
    back_up(&mut stage, "next").await;
    assert_ne!(server(&stage, "next"), server(&stage, "ad-hoc"));
    assert!(server(&stage, "next").starts_with("tenant-acme-orders-db-"));
}

// TestApplyClusterPluginBackup_PreservesLiveServerName: plugin without name.
#[tokio::test]
async fn a_cluster_that_archives_keeps_its_folder() {
    for (has, expected) in [
        (
            json!({ "barmanObjectName": CLUSTER, "serverName": "own" }),
            "own",
        ),
        (json!({ "barmanObjectName": CLUSTER }), CLUSTER),
    ] {
        let mut stage = stage();
        change(&stage, cluster(&stage), |cluster| {
            cluster["spec"]["plugins"] = json!([{
                "name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": true, "parameters": has,
            }]);
        });
        // What is there is its own.
        archive_wal(&stage, &format!("tenant-acme/orders-db/{expected}"), 1);
        let operator = operator(&stage, Fate::Completes);
        for pod in of_kind(&stage, "v1", "Pod") {
            change(&stage, (*pod).clone(), |pod| {
                pod["spec"]["initContainers"] =
                    json!([{ "name": "plugin-barman-cloud", "image": "plugin" }]);
            });
        }
        change(&stage, cluster(&stage), |cluster| {
            cluster["status"] = json!({
                "phase": "Cluster in healthy state",
                "pluginStatus": [{ "name": "barman-cloud.cloudnative-pg.io", "version": "0.13.0" }],
            });
        });
        turns(&mut stage, &operator, 1).await;
        back_up(&mut stage, "ad-hoc").await;
        assert_eq!(server(&stage, "ad-hoc"), expected);
        assert_eq!(
            cluster(&stage)["spec"]["plugins"].as_array().unwrap().len(),
            1
        );
    }
}

/// Defect 1: the chart renders no bootstrap beside the system's bucket, and the data was gone by then.
#[tokio::test]
async fn an_application_with_the_systems_bucket_can_be_restored_in_place() {
    let mut stage = backed_up().await;
    change(&stage, application(&stage), |application| {
        application["spec"]["backup"] = json!({ "enabled": true, "useSystemBucket": true });
    });
    restored_in_place(&mut stage).await;
    assert_eq!(
        application(&stage)["spec"]["backup"]["useSystemBucket"],
        false
    );
}

/// Defect 2: a Cluster that the chart lets archive met the archive that it came from.
#[tokio::test]
async fn a_cluster_that_the_chart_lets_archive_is_given_a_new_folder() {
    let mut stage = backed_up().await;
    change(&stage, application(&stage), |application| {
        application["spec"]["backup"] = json!({ "enabled": true, "useSystemBucket": true });
    });
    let mut folders = vec![];
    for round in ["first", "second"] {
        restored_in_place(&mut stage).await;
        let plugins = cluster(&stage)["spec"]["plugins"].clone();
        let folder = plugins[0]["parameters"]["serverName"].as_str().unwrap();
        assert!(folder.starts_with("postgres-orders-db-"), "{folder}");
        folders.push(folder.to_owned());
        // It archives, so that a backup succeeds.
        back_up(&mut stage, round).await;
        assert_eq!(server(&stage, round), *folder);
    }
    assert_ne!(folders[0], folders[1]);
}

/// Defect 3: the folder of a Cluster that was no more, and its UID as owner, were written over the new one.
#[tokio::test]
async fn what_a_job_knows_of_a_cluster_is_not_used_for_another() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 1).await;
    let old = cluster(&stage);
    remove(&stage, &old).await;
    let said = play(&mut stage, &operator, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_ne!(cluster(&stage)["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(
        store(&stage, CLUSTER)["metadata"]["ownerReferences"][0]["uid"],
        cluster(&stage)["metadata"]["uid"]
    );
}

/// Defect 22: the ObjectStore goes with its Cluster, and a restored Cluster has one of its own.
#[tokio::test]
async fn the_object_store_goes_with_its_cluster() {
    let mut stage = backed_up().await;
    restored_in_place(&mut stage).await;
    assert_eq!(store(&stage, CLUSTER), Value::Null);
    back_up(&mut stage, "after").await;
    assert_eq!(
        store(&stage, CLUSTER)["metadata"]["ownerReferences"][0]["uid"],
        cluster(&stage)["metadata"]["uid"]
    );
}
