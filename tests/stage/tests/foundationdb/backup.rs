//! A backup from its order to its end.

use serde_json::json;
use stage::FoundationDbFate;

use crate::{COMPLETED, TENANT, World};

// TestEnsureFoundationDBBackup_IdempotentByLabel, TestFoundationDBClusterNameForApp
#[tokio::test]
async fn a_backup_is_ordered_once_and_says_where_it_lies() {
    let mut world = World::new();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let [order] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    let name = order["metadata"]["name"].as_str().unwrap();
    let spec = &order["spec"];
    assert_eq!(spec["clusterName"], "foundationdb-fdb");
    assert_eq!(spec["version"], "7.3.63");
    assert_eq!(spec["backupState"], "Running");
    assert_eq!(spec["snapshotPeriodSeconds"], 3600);
    assert_eq!(
        spec["blobStoreConfiguration"],
        json!({
            "accountName": "@s3.cozy.example",
            "bucket": "cozy-backups",
            "backupName": format!("tenant-acme/fdb/{name}"),
            "urlParameters": ["secure_connection=1", "region=eu-1"],
        })
    );
    let labels = order["metadata"]["labels"].as_object().unwrap();
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
    assert_eq!(
        labels["backups.cozystack.io/owned-by.BackupJobNamespace"],
        TENANT
    );
    // TestEnsureFoundationDBBackup_DoesNotSetOwnerReference
    assert!(order["metadata"].get("ownerReferences").is_none());
}

// TestCreateFoundationDBBackupArtifact_TakenAtIsWallClock, TestFoundationDBBackupURI_PrefersOperatorReportedURL,
// TestFoundationDBBackupURI_EmptyBucketIsEmpty
#[tokio::test]
async fn a_backup_records_where_it_lies_and_the_state_that_it_is_of() {
    let mut world = World::new();
    let begin = world.stage.cluster.now();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let backup = world.backup("ad-hoc");
    let name = world.blob_name("ad-hoc");
    assert!(name.starts_with("tenant-acme/fdb/ad-hoc-"), "{name}");
    assert_eq!(
        world.metadata("ad-hoc", "storage-uri"),
        format!(
            "blobstore://@s3.cozy.example:443/{name}?bucket=cozy-backups&region=eu-1&secure_connection=1"
        )
    );
    for (key, value) in [
        ("backup-namespace", TENANT),
        ("account-name", "@s3.cozy.example"),
        ("bucket", "cozy-backups"),
        ("url-parameters", "secure_connection=1&region=eu-1"),
        ("metadata-version", "1"),
    ] {
        assert_eq!(world.metadata("ad-hoc", key), value, "{key}");
    }
    assert_eq!(
        backup["status"]["artifact"],
        json!({ "uri": format!("s3://cozy-backups/data/{name}/"), "sizeBytes": 4096 + 512 })
    );
    let taken = backup["spec"]["takenAt"].as_str().unwrap();
    let taken: jiff::Timestamp = taken.parse().unwrap();
    assert!(taken.as_second() > begin);
    let version = world.metadata("ad-hoc", "restorable-version");
    let version: i64 = version.as_str().unwrap().parse().unwrap();
    assert!(version / 1_000_000 <= taken.as_second() && version / 1_000_000 > begin);
}

// TestFoundationDBBackupReady
#[tokio::test]
async fn a_backup_is_complete_only_once_a_state_of_it_can_be_restored() {
    let mut world = World::of_fate(FoundationDbFate::SnapshotStalls);
    let start = world.stage.cluster.now();
    let said = world.back_up("ad-hoc").await;
    assert_eq!(
        said,
        format!(
            "Failed BackupFailed: FoundationDBBackupRunning: the agents are storing the first snapshot of \
             FoundationDBBackup {} (gave up waiting)",
            said.split("FoundationDBBackup ")
                .last()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
        )
    );
    let minutes = (world.stage.cluster.now() - start) / 60;
    assert!((45..48).contains(&minutes), "{minutes} minutes");
}

// TestReconcileFoundationDB_DeadlineExpiry_StopsFoundationDBBackup
#[tokio::test]
async fn a_backup_that_gives_up_ends_its_stream_and_leaves_nothing() {
    let mut world = World::of_fate(FoundationDbFate::SnapshotStalls);
    world.back_up("ad-hoc").await;
    world.turns_pass(6).await;
    assert_eq!(world.orders(), Vec::<serde_json::Value>::new());
    assert_eq!(
        stage::FoundationDbOperator::streams_to(&world.cluster("fdb")),
        None
    );
    assert_eq!(world.stage.storage.keys(), Vec::<String>::new());
    assert!(world.backup("ad-hoc").is_null());
}

/// The operator rests once a backup is started, and would not say for hours that it can be restored.
#[tokio::test]
async fn the_operator_is_asked_to_look_again_once_a_minute_until_it_says_so() {
    let mut world = World::of_fate(FoundationDbFate::SnapshotStalls);
    world.order("ad-hoc");
    world.turns_pass(3).await;
    let mut asked: Vec<jiff::Timestamp> = vec![];
    for _ in 0..30 {
        world.turns_pass(1).await;
        let annotations = &world.orders()[0]["metadata"]["annotations"];
        let said = annotations["foundationdb.backup-strategy/look-again"].as_str();
        let said = said.unwrap().parse().unwrap();
        if asked.last() != Some(&said) {
            asked.push(said);
        }
    }
    assert!((8..12).contains(&asked.len()), "{asked:?}");
    for pair in asked.windows(2) {
        assert!(pair[1].as_second() - pair[0].as_second() >= 60, "{asked:?}");
    }
    world.turns(FoundationDbFate::Completes);
    assert_eq!(world.play("BackupJob", "ad-hoc").await, COMPLETED);
}

#[tokio::test]
async fn an_operator_without_credentials_is_told_with_what_to_do() {
    let mut world = World::of_fate(FoundationDbFate::NoCredentials);
    let start = world.stage.cluster.now();
    let said = world.back_up("ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: FoundationDBBackupNotStarted: "),
        "{said}"
    );
    for word in [
        "FDB_BLOB_CREDENTIALS",
        "Secret cozy-backups-creds",
        "backupStorage.systemNamespaces",
    ] {
        assert!(said.contains(word), "{said}");
    }
    assert!((world.stage.cluster.now() - start) / 60 < 13);
    world.turns_pass(3).await;
    assert!(world.orders().is_empty());
}

#[tokio::test]
async fn agents_that_cannot_start_are_told_with_the_reason() {
    let why = "secret \"own\" not found".to_owned();
    let mut world = World::of_fate(FoundationDbFate::AgentsStuck(why));
    let said = world.back_up("ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: BackupAgentsNotReady: 0 of 2 backup agents"),
        "{said}"
    );
    assert!(
        said.contains("CreateContainerConfigError: secret \"own\" not found"),
        "{said}"
    );
    world.turns_pass(4).await;
    assert!(world.orders().is_empty());
}

// TestReconcileFoundationDB_MissingBlobCredsSecretIsTransient, TestReconcileFoundationDB_MissingBlobCredsSecretPresentProceeds
#[tokio::test]
async fn agents_that_are_waited_for_are_told_with_the_secrets_that_they_need() {
    let mut world = World::new();
    world.order("ad-hoc");
    world.stage.runner.settle().await.unwrap();
    let said = world.job("ad-hoc");
    assert!(
        said.starts_with("Running Running: BackupAgentsNotReady: 0 of 2"),
        "{said}"
    );
    assert!(
        said.ends_with("they need these Secrets of the namespace: cozy-backups-creds"),
        "{said}"
    );
    // The host has put it there.
    let secret = world
        .stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds");
    assert!(secret.unwrap()["data"]["blob_credentials.json"].is_string());
    assert_eq!(world.play("BackupJob", "ad-hoc").await, COMPLETED);
}

#[tokio::test]
async fn a_cluster_that_vanishes_ends_the_backup() {
    let mut world = World::of_fate(FoundationDbFate::SnapshotStalls);
    world.order("ad-hoc");
    world.turns_pass(4).await;
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
    let said = world.play("BackupJob", "ad-hoc").await;
    assert!(said.contains("FoundationDBClusterGone: "), "{said}");
    world.turns_pass(3).await;
    assert!(world.orders().is_empty());
}

#[tokio::test]
async fn a_backup_that_somebody_stops_before_it_can_be_restored_fails() {
    let mut world = World::of_fate(FoundationDbFate::SnapshotStalls);
    world.order("ad-hoc");
    world.turns_pass(4).await;
    let order = world.orders().remove(0);
    let stopped = json!({ "spec": { "backupState": "Stopped" } });
    world.patch(&order, &stopped).await;
    let said = world.play("BackupJob", "ad-hoc").await;
    assert!(said.contains("FoundationDBBackupStopped: "), "{said}");
}

/// A cluster of which one image holds all programs has agents of it, and needs nothing to copy them.
#[tokio::test]
async fn agents_run_the_clusters_images() {
    let mut world = World::new();
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let spec = &orders[0]["spec"];
    assert_eq!(spec["imageType"], "unified");
    assert_eq!(
        spec["mainContainer"]["imageConfigs"][0]["baseImage"],
        "registry.example/foundationdb"
    );
    let pod = &spec["podTemplateSpec"]["spec"];
    assert!(pod.get("initContainers").is_none());

    let mut world = World::new();
    world.change(|cluster| {
        cluster["spec"].as_object_mut().unwrap().remove("imageType");
    });
    assert_eq!(world.back_up("ad-hoc").await, COMPLETED);
    let orders = world.orders();
    let pod = &orders[0]["spec"]["podTemplateSpec"]["spec"];
    assert_eq!(
        pod["initContainers"][0]["name"],
        "foundationdb-kubernetes-init"
    );
    assert!(orders[0]["spec"].get("imageType").is_none());
}

/// Defect 22.
#[tokio::test]
async fn an_application_and_a_job_with_long_names_are_backed_up() {
    let mut world = World::new();
    let job = "nightly-".repeat(15) + "1";
    world.order(&job);
    let said = world.play("BackupJob", &job).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let name = world.orders()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(name.len() <= 63 - "-backup-agents".len(), "{name}");
}
