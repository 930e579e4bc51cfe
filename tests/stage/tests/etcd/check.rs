//! Whether a finished backup is still there to be restored.

use super::*;

fn s3(backup: &mut Value) -> &mut Value {
    &mut backup["status"]["underlyingResources"]["destination"]["s3"]
}

#[tokio::test]
async fn a_backup_is_there_as_long_as_its_object_is() {
    let mut stage = backed_up().await;
    let key = stage.storage.keys()[0].clone();
    stage.storage.put(&format!("{key}2"), 20_512, 1);
    let said = looked_at(&mut stage).await;
    assert!(said.starts_with("True Available: "), "{said}");
    stage.storage.remove(&key);
    stage.cluster.advance(60);
    // That another key begins alike does not help.
    assert_eq!(
        looked_at(&mut stage).await,
        format!("False Lost: SnapshotGone: s3://cozy-backups/{key} is no longer there")
    );
}

#[tokio::test]
async fn a_snapshot_of_another_size_is_lost() {
    let mut stage = backed_up().await;
    let key = stage.storage.keys()[0].clone();
    stage.storage.put(&key, 4_096, 2);
    assert_eq!(
        looked_at(&mut stage).await,
        format!(
            "False Lost: SnapshotChanged: s3://cozy-backups/{key} has 4096 bytes, and the snapshot that was taken had \
             20512: it was cut off or overwritten"
        )
    );
}

#[tokio::test]
async fn a_backup_that_does_not_know_its_size_learns_it() {
    for size in [Value::Null, json!(0)] {
        let mut stage =
            backed_up_as(|backup| backup["status"]["artifact"]["sizeBytes"] = size).await;
        let said = looked_at(&mut stage).await;
        assert!(said.starts_with("True Available: "), "{said}");
        let backup = stage.read("Backup", TENANT, "ad-hoc");
        assert_eq!(backup["status"]["artifact"]["sizeBytes"], 20_512);
    }
}

#[tokio::test]
async fn what_lies_elsewhere_cannot_be_told() {
    type Move = fn(&mut Value);
    let moves: [(&str, Move); 5] = [
        ("SnapshotOutOfSight", |backup| {
            s3(backup)["bucket"] = "own".into()
        }),
        ("SnapshotOutOfSight", |backup| {
            s3(backup)["endpoint"] = "https://other.example".into();
        }),
        // Keys that are no path.
        ("SnapshotOutOfSight", |backup| {
            backup["status"]["artifact"]["uri"] = "s3://cozy-backups/a/../../bk.db".into();
        }),
        ("InvalidMetadata", |backup| {
            backup["spec"]["driverMetadata"]["etcd.aenix.io/backup-name"] = "../bk".into();
            backup["status"]["artifact"] = Value::Null;
        }),
        ("MetadataMissing", |backup| {
            backup["spec"]["driverMetadata"] = json!({});
            backup["status"] = json!({ "phase": "Ready" });
        }),
    ];
    for (reason, change) in moves {
        let mut stage = backed_up_as(change).await;
        let said = looked_at(&mut stage).await;
        assert!(said.starts_with("Unknown "), "{reason}: {said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
}
