//! Whether a Backup can still be restored.

use crate::{
    FOLDER,
    scene::{Scene, key_of},
};

const HERE: &str = "True Available: the data was there when it was last looked";

#[tokio::test]
async fn a_dump_is_there_or_gone() {
    let mut scene = Scene::with_backup("nightly").await;
    assert_eq!(scene.check("nightly").await, HERE);
    let key = scene.keys()[0].clone();
    scene.stage.storage.remove(&key);
    // Another dump beside it, and that the operator says Complete, are no comfort.
    scene.stage.storage.put(
        &format!("{FOLDER}backup.2026-11-25T11:59:00Z.gzip.sql"),
        4_096,
        1,
    );
    assert_eq!(
        scene.check("nightly").await,
        format!("False Lost: DumpGone: s3://cozy-backups/{key} is no longer there")
    );
}

#[tokio::test]
async fn a_dump_of_another_size_is_lost() {
    let mut scene = Scene::with_backup("nightly").await;
    let key = scene.keys()[0].clone();
    scene.stage.storage.put(&key, 1_024, 1);
    assert_eq!(
        scene.check("nightly").await,
        format!(
            "False Lost: DumpChanged: s3://cozy-backups/{key} has 1024 bytes, and the dump that was taken had 4096: it \
             was cut off or overwritten"
        )
    );
}

#[tokio::test]
async fn a_backup_that_does_not_know_the_size_of_its_dump_learns_it() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.change_backup("nightly", |backup| {
        let artifact = backup["status"]["artifact"].as_object_mut().unwrap();
        artifact.remove("sizeBytes");
    });
    assert_eq!(scene.check("nightly").await, HERE);
    let backup = scene.stage.read("Backup", crate::TENANT, "nightly");
    assert_eq!(backup["status"]["artifact"]["sizeBytes"], 4_096);
    assert_eq!(key_of(&backup), scene.keys()[0]);
}

#[tokio::test]
async fn a_dump_elsewhere_is_out_of_sight() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.change_backup("nightly", |backup| {
        let s3 = &mut backup["status"]["underlyingResources"]["storage"]["s3"];
        s3["endpoint"] = "s3.example.org".into();
    });
    let said = scene.check("nightly").await;
    assert!(
        said.contains(
            "DumpOutOfSight: s3://cozy-backups/tenant-acme/orders/ is not in the platform's storage"
        ),
        "{said}"
    );
}
