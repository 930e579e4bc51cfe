//! Backups that were taken once.

use stage::{Archive, Kept};

use super::*;

/// What is kept, put as if Velero's own objects had been lost: Velero finds in the bucket what it has of it.
async fn kept(version: &str, machine: &str) -> (World, Kept) {
    let kept = Kept::of("velero", version).unwrap();
    let mut world = World::new().await;
    let backup = kept.backup["spec"]["driverMetadata"]["velero.io/backup-name"].clone();
    let backup = backup.as_str().unwrap().to_owned();
    // The objects and the data are those of the tenant as they are now.
    world.backed_up("now", "VMInstance", machine).await;
    let now = world.only("Backup");
    let mut archive = world.velero.archive(name(&now)).unwrap();
    archive.backup = order_of(&kept, &archive, &backup);
    world.stage.delete("Backup", TENANT, "now").await.unwrap();
    for _ in 0..10 {
        world.turn().await;
    }
    assert!(world.all((API, "Backup"), VELERO).is_empty());
    world.velero.knows(&backup, archive);
    world.stage.put_kept(&kept, TENANT).await.unwrap();
    world.writes("vm-disk-web-root", "later");
    world.writes("vm-disk-web-data", "later");
    (world, kept)
}

/// Velero's Backup, with the labels by which the job that ordered it is known.
fn order_of(kept: &Kept, archive: &Archive, name: &str) -> Value {
    let mut order = archive.backup.clone();
    order["metadata"]["name"] = json!(name);
    let of = &kept.backup["metadata"];
    let mut labels = json!({
        "backups.cozystack.io/owned-by.BackupJobName": of["name"],
        "backups.cozystack.io/owned-by.BackupJobNamespace": TENANT,
    });
    if let Some(uid) = of.pointer("/labels/backups.cozystack.io~1owned-by.UID") {
        labels["backups.cozystack.io/owned-by.UID"] = uid.clone();
    }
    order["metadata"]["labels"] = labels;
    order
}

async fn lives(version: &str) {
    let (mut world, kept) = kept(version, "web").await;
    world
        .stage
        .restore_job(TENANT, "back", kept.name(), &json!({}))
        .unwrap();
    let said = world.ends("RestoreJob", "back").await;
    assert_eq!(
        said,
        format!(
            "Succeeded RestoreCompleted: Backup {} is restored",
            kept.name()
        )
    );
    world.operators_rest().await;
    world.is_at_peace("first");
    assert_eq!(world.aside().len(), 2);

    let mut backup = world.stage.read("Backup", TENANT, kept.name());
    backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = json!("now");
    world.stage.cluster.put(backup).unwrap();
    world.stage.runner.settle().await.unwrap();
    let backup = world.stage.read("Backup", TENANT, kept.name());
    let available = backup["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Available")
        .cloned()
        .unwrap_or_default();
    assert_eq!(available["status"], "True", "{backup}");

    world
        .stage
        .delete("Backup", TENANT, kept.name())
        .await
        .unwrap();
    for _ in 0..20 {
        world.turn().await;
    }
    assert!(world.stage.read("Backup", TENANT, kept.name()).is_null());
    assert!(world.all((API, "Backup"), VELERO).is_empty());
    let keys = world.stage.storage.keys();
    assert!(
        keys.iter().all(|key| !key.contains("/backups/")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn a_backup_of_the_first_controller_is_restored_checked_and_forgotten() {
    lives("v0").await;
}

#[tokio::test]
async fn a_backup_of_this_version_is_restored_checked_and_forgotten() {
    lives("v1").await;
}

// Of a Backup that says nothing of the disks Velero's own object does.
#[tokio::test]
async fn disks_that_only_veleros_annotation_names_are_restored() {
    let (mut world, kept) = kept("v0", "web").await;
    let mut backup = world.stage.read("Backup", TENANT, kept.name());
    let captured = backup["status"]["underlyingResources"].take();
    backup["status"] = json!({ "phase": "Ready" });
    world.stage.cluster.put(backup).unwrap();
    world.operators_rest().await;
    let order = world.only("Backup");
    world.change((API, "Backup"), VELERO, name(&order), |order| {
        order["metadata"]["annotations"] =
            json!({ "backups.cozystack.io/underlying-resources": captured.to_string() });
    });
    world
        .stage
        .restore_job(TENANT, "back", kept.name(), &json!({}))
        .unwrap();
    let said = world.ends("RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world.operators_rest().await;
    world.is_at_peace("first");
}

#[tokio::test]
async fn what_this_version_writes_is_what_is_kept() {
    let mut world = World::new().await;
    // The names of what it makes hang on it.
    let job = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "BackupJob",
        "metadata": {
            "name": "nightly",
            "namespace": TENANT,
            "uid": "0d1c2b3a-0000-4000-8000-00000000beef",
        },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "VMInstance", "name": "web" },
        },
    });
    world.stage.cluster.put(job).unwrap();
    let said = world.ends("BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world
        .stage
        .is_as_kept("velero", "v1", TENANT, "nightly")
        .await
        .unwrap();
}
