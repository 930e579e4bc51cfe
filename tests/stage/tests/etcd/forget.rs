//! A Backup that is deleted takes its snapshot along: the operator's object, and what is stored.

use super::*;

/// Removes the Backup and gives back what was left behind.
async fn forgotten(stage: &mut Stage) -> Vec<String> {
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    until_gone(stage).await;
    notes(stage, "LeftBehind")
}

/// Snapshots that are nobody's business, beside the one of the Backup.
fn neighbours(stage: &Stage) -> Vec<String> {
    let own = stage.storage.keys()[0].clone();
    let keys = [
        format!("{own}2"),
        "tenant-acme/etcd/other.db".to_owned(),
        "tenant-rival/etcd/ad-hoc.db".to_owned(),
    ];
    for key in &keys {
        stage.storage.put(key, 20_512, 1);
    }
    let mut keys = keys.to_vec();
    keys.sort();
    keys
}

/// Defect 20, and what the reference never did.
// TestCleanupOnDelete_Etcd_DoesNotTouchVeleroNamespace
#[tokio::test]
async fn a_removal_takes_the_snapshot_and_its_object_and_nothing_else() {
    let mut stage = platform();
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let others = neighbours(&stage);
    drop(stage.cluster.take_requests());
    assert_eq!(forgotten(&mut stage).await, Vec::<String>::new());
    assert!(snapshots(&stage).is_empty());
    assert_eq!(stage.storage.keys(), others);
    let strategys = |operation: &Operation| operation.writes() && operation.kind != "Backup";
    for operation in stage.cluster.requests() {
        let is_strategys = format!("{:?}", operation.account).contains("strategy-etcd");
        if is_strategys && strategys(&operation) {
            assert_eq!(operation.kind, "EtcdSnapshot", "{operation:?}");
        }
    }
}

#[tokio::test]
async fn a_removal_needs_nothing_of_the_operators() {
    let mut stage = backed_up().await;
    let others = neighbours(&stage);
    assert_eq!(forgotten(&mut stage).await, Vec::<String>::new());
    assert_eq!(stage.storage.keys(), others);
}

#[tokio::test]
async fn a_removal_that_cannot_reach_the_object_says_what_to_do() {
    type Move = fn(&mut Value);
    let moves: [Move; 4] = [
        |backup| {
            backup["status"]["underlyingResources"]["destination"]["s3"]["bucket"] = "own".into()
        },
        |backup| {
            backup["status"]["underlyingResources"]["destination"]["s3"]["endpoint"] =
                "https://other.example".into();
        },
        // A folder that is another's, or the whole of one's own.
        |backup| {
            backup["status"]["artifact"]["uri"] =
                "s3://cozy-backups/tenant-rival/etcd/ad-hoc.db".into();
        },
        |backup| backup["status"]["artifact"]["uri"] = "s3://cozy-backups/tenant-acme/etcd".into(),
    ];
    for change in moves {
        let mut stage = backed_up_as(change).await;
        neighbours(&stage);
        let left = forgotten(&mut stage).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].starts_with("SnapshotOutOfReach: "), "{left:?}");
        assert!(left[0].contains("deletionPolicy to Retain"), "{left:?}");
        assert_eq!(stage.storage.keys().len(), 4);
    }
}

/// The host would take a malformed argument for a mistake of the strategy's.
#[tokio::test]
async fn a_backup_with_a_malformed_name_is_told_as_its_own_mistake() {
    let mut stage = backed_up_as(|backup| {
        backup["spec"]["driverMetadata"]["etcd.aenix.io/backup-name"] = "../bk".into();
    })
    .await;
    let left = forgotten(&mut stage).await;
    assert!(
        left[0].starts_with(
            "InvalidMetadata: spec.driverMetadata of Backup ad-hoc says \"../bk\" for etcd.aenix.io/backup-name, which \
             cannot be the name of an object"
        ),
        "{left:?}"
    );
}
