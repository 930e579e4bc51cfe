//! Backups that were taken once and must be restored, checked and forgotten by every later version.

use serde_json::{Value, json};
use stage::{Kept, MariaDbFate};

use crate::{
    FOLDER, PASSWORD, TENANT,
    scene::{Scene, key_of},
};

/// What the first controller wrote in the place of what this version writes.
pub fn as_the_first_controller(backup: &mut Value) {
    let metadata = backup["spec"]["driverMetadata"].as_object_mut().unwrap();
    metadata.remove("k8s.mariadb.com/metadata-version");
    let name = metadata["k8s.mariadb.com/backup-name"].as_str().unwrap();
    let uri = format!("s3://cozy-backups/{FOLDER}{name}");
    metadata.insert(
        "k8s.mariadb.com/storage-uri".to_owned(),
        uri.as_str().into(),
    );
    backup["status"]["artifact"] = json!({ "uri": uri });
    // When the dump was complete, which is one step of the operator's later.
    let begun: jiff::Timestamp = backup["spec"]["takenAt"].as_str().unwrap().parse().unwrap();
    let complete = begun + jiff::SignedDuration::from_secs(20);
    backup["spec"]["takenAt"] = complete.to_string().into();
}

/// A tenant with the same application, a kept Backup and its data, and nothing of the operator's.
async fn with_kept(version: &str) -> (Scene, Kept) {
    let kept = Kept::of("mariadb", version).unwrap();
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.stage.mariadb(TENANT, "copy", PASSWORD).unwrap();
    scene.stage.put_kept(&kept, TENANT).await.unwrap();
    scene.stage.runner.settle().await.unwrap();
    (scene, kept)
}

/// The key of the dump of a kept Backup: the last of the two that lie there before its own time.
fn own(version: &str) -> &'static str {
    match version {
        "v0" => "tenant-acme/orders/backup.2026-08-21T09:00:04Z.gzip.sql",
        _ => "tenant-acme/orders/backup.2026-11-25T12:00:20Z.gzip.sql",
    }
}

#[tokio::test]
async fn this_version_writes_backups_as_it_did() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.parameters(&json!({ "databases": "orders,customers" }));
    // Names of what a job orders hang on its UID.
    let application =
        json!({ "apiGroup": "apps.cozystack.io", "kind": "MariaDB", "name": "orders" });
    let job = json!({
        "apiVersion": crate::API,
        "kind": "BackupJob",
        "metadata": { "name": "nightly", "namespace": TENANT, "uid": "5f0c1a52-7f3e-4c0f-9a57-3f0d2b8e6a11" },
        "spec": { "backupClassName": "cozy-default", "applicationRef": application },
    });
    scene.stage.cluster.put(job).unwrap();
    let said = scene.play("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let as_kept = scene.stage.is_as_kept("mariadb", "v1", TENANT, "nightly");
    as_kept.await.unwrap();
}

#[tokio::test]
async fn a_kept_backup_is_restored_in_place_and_into_another_application() {
    for version in ["v0", "v1"] {
        let (mut scene, kept) = with_kept(version).await;
        let said = scene.restore_job(kept.name()).await;
        assert!(said.starts_with("Succeeded"), "{version}: {said}");
        let to = ("MariaDB", "copy");
        scene
            .stage
            .restore_job_to(TENANT, "aside", kept.name(), to, &json!({}))
            .unwrap();
        let said = scene.play("RestoreJob", "aside").await;
        assert!(said.starts_with("Succeeded"), "{version}: {said}");
        let expected = ["tenant-acme/mariadb-orders", "tenant-acme/mariadb-copy"];
        assert_eq!(
            scene.operator.restored(),
            expected.map(|into| (into.to_owned(), own(version).to_owned())),
            "{version}"
        );
    }
}

// Defect 13 of the reference: its dumps hold accounts.
#[tokio::test]
async fn a_tenant_is_told_of_accounts_in_a_dump_of_the_first_controller() {
    for (version, is_told) in [("v0", true), ("v1", false)] {
        let (mut scene, kept) = with_kept(version).await;
        scene.restore_job(kept.name()).await;
        let told = scene
            .events("RestoreJob", "back")
            .contains(&"AccountsRestored".to_owned());
        assert_eq!(told, is_told, "{version}");
    }
}

// Defect 3 of the reference: a Backup of it learns where its dump really lies.
#[tokio::test]
async fn a_kept_backup_is_looked_at() {
    for version in ["v0", "v1"] {
        let (mut scene, kept) = with_kept(version).await;
        let said = scene.check(kept.name()).await;
        assert!(said.starts_with("True "), "{version}: {said}");
        let backup = scene.stage.read("Backup", TENANT, kept.name());
        assert_eq!(key_of(&backup), own(version));
        assert_eq!(backup["status"]["artifact"]["sizeBytes"], 4_096);

        scene.stage.storage.remove(own(version));
        let said = scene.check(kept.name()).await;
        assert!(
            said.starts_with("False Lost: DumpGone: "),
            "{version}: {said}"
        );
    }
}

#[tokio::test]
async fn a_kept_backup_is_forgotten_with_its_own_dump_only() {
    for version in ["v0", "v1"] {
        let (mut scene, kept) = with_kept(version).await;
        let mut expected = scene.keys();
        expected.retain(|key| key != own(version));
        assert_eq!(expected.len(), kept.stored.len() - 1, "{version}");
        scene.forget(kept.name()).await;
        assert_eq!(scene.keys(), expected, "{version}");
        assert!(scene.events("Backup", kept.name()).is_empty(), "{version}");
    }
}

#[tokio::test]
async fn a_dump_of_the_first_controller_that_is_gone_is_not_mixed_up_with_another() {
    let (mut scene, kept) = with_kept("v0").await;
    scene.stage.storage.remove(own("v0"));
    let before = scene.keys();
    let said = scene.restore_job(kept.name()).await;
    assert!(
        said.contains("DumpGone: there is no dump from between"),
        "{said}"
    );
    scene.forget(kept.name()).await;
    assert_eq!(scene.keys(), before);
}
