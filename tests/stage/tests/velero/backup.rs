//! How a backup is taken.

use super::*;

// TestCreateVeleroBackup_TemplateContext
#[tokio::test]
async fn a_job_leads_to_a_backup_of_veleros_and_a_backup() {
    let mut world = World::new().await;
    world.backed_up("nightly", "VMInstance", "web").await;

    let order = world.only("Backup");
    assert!(name(&order).starts_with("tenant-acme.nightly-"), "{order}");
    assert!(name(&order).len() <= 63);
    assert!(order["metadata"].get("ownerReferences").is_none());
    insta::assert_yaml_snapshot!("velero-backup-of-a-machine", shown(&order), {
        ".metadata.name" => "(name)",
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
    });
    let backup = world.stage.read("Backup", TENANT, "nightly");
    assert_eq!(
        backup["status"]["artifact"]["uri"],
        format!("velero://cozy-velero/{}", name(&order))
    );
    assert_eq!(backup["spec"]["takenAt"], order["status"]["startTimestamp"]);
    insta::assert_yaml_snapshot!("backup-of-a-machine", shown(&backup), {
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".spec.plugin.digest" => "(digest)",
        ".spec.driverMetadata[\"velero.io/backup-name\"]" => "(name)",
        ".spec.driverMetadata[\"velero.io/storage-path\"]" => "(folder)",
        ".status.artifact.uri" => "(uri)",
    });
}

#[tokio::test]
async fn a_disk_alone_is_backed_up_without_the_machine() {
    let mut world = World::new().await;
    world.backed_up("nightly", "VMDisk", "web-data").await;
    let order = world.only("Backup");
    insta::assert_yaml_snapshot!("velero-backup-of-a-disk", shown(&order)["spec"].clone());
    let backup = world.stage.read("Backup", TENANT, "nightly");
    assert!(backup["status"].get("underlyingResources").is_none());
    let archive = world.velero.archive(name(&order)).unwrap();
    let kinds: Vec<&Value> = archive
        .objects
        .iter()
        .map(|object| &object["kind"])
        .collect();
    assert_eq!(kinds, ["PersistentVolumeClaim", "HelmRelease"]);
}

#[tokio::test]
async fn what_the_machine_consists_of_is_captured_when_the_backup_starts() {
    let mut world = World::new().await;
    world.fate(VeleroFate::BackupStays("InProgress".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    world
        .says("BackupJob", "nightly", "VeleroBackupRunning")
        .await;

    // Before the backup is complete the machine stops, and gets another disk.
    world.halt("vm-instance-web").await;
    let application = ("apps.cozystack.io/v1alpha1", "VMInstance");
    world.change(application, TENANT, "web", |web| {
        web["spec"]["disks"] = json!([{ "name": "other" }]);
    });
    world.fate(VeleroFate::Completes);
    assert!(
        world
            .ends("BackupJob", "nightly")
            .await
            .starts_with("Succeeded")
    );
    let backup = world.stage.read("Backup", TENANT, "nightly");
    assert_eq!(
        backup["status"]["underlyingResources"],
        json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "VMInstanceResources",
            "dataVolumes": [
                { "dataVolumeName": "vm-disk-web-root", "applicationName": "web-root" },
                { "dataVolumeName": "vm-disk-web-data", "applicationName": "web-data" },
            ],
            "ip": "10.244.1.7",
            "mac": "02:00:00:aa:bb:cc",
        })
    );
}

#[tokio::test]
async fn a_backup_waits_for_its_turn_as_long_as_velero_needs() {
    let mut world = World::new().await;
    world.fate(VeleroFate::BackupStays("Queued".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    world
        .says("BackupJob", "nightly", "VeleroBackupQueued")
        .await;
    world.stage.cluster.advance(8 * 3600);
    world.turn().await;
    let said = world.stage.job(TENANT, "nightly");
    assert!(
        said.starts_with("Running Running: VeleroBackupQueued: "),
        "{said}"
    );
    world.fate(VeleroFate::Completes);
    assert!(
        world
            .ends("BackupJob", "nightly")
            .await
            .starts_with("Succeeded")
    );
}

#[tokio::test]
async fn two_backups_of_a_namespace_take_turns() {
    let mut world = World::new().await;
    world.machine(TENANT, "mail").await;
    world.backup("web", "VMInstance", "web");
    world.backup("mail", "VMInstance", "mail");
    assert!(
        world
            .ends("BackupJob", "web")
            .await
            .starts_with("Succeeded")
    );
    assert!(
        world
            .ends("BackupJob", "mail")
            .await
            .starts_with("Succeeded")
    );
    assert_eq!(world.all((API, "Backup"), VELERO).len(), 2);
}

#[tokio::test]
async fn no_job_works_on_a_disk_of_a_machine_that_is_backed_up() {
    let mut world = World::new().await;
    world.fate(VeleroFate::BackupStays("InProgress".to_owned()));
    world.backup("machine", "VMInstance", "web");
    world
        .says("BackupJob", "machine", "VeleroBackupRunning")
        .await;
    world.backup("disk", "VMDisk", "web-data");
    world.says("BackupJob", "disk", "ApplicationBusy").await;
    world.fate(VeleroFate::Completes);
    assert!(
        world
            .ends("BackupJob", "disk")
            .await
            .starts_with("Succeeded")
    );
}

#[tokio::test]
async fn each_way_to_fail_is_told_in_veleros_words() {
    let ends = |phase: &str, why: &str| VeleroFate::BackupEnds(phase.to_owned(), why.to_owned());
    for (fate, words) in [
        (
            ends("Failed", "the bucket is full"),
            "Velero says Failed; the bucket is full",
        ),
        (ends("PartiallyFailed", ""), "Velero says PartiallyFailed"),
        (
            VeleroFate::UploadFails("no space left".to_owned()),
            "of 2 operations 1 failed and 1 completed; DataUpload ",
        ),
    ] {
        let mut world = World::new().await;
        world.fate(fate);
        world.backup("nightly", "VMInstance", "web");
        let said = world.ends("BackupJob", "nightly").await;
        assert!(
            said.starts_with(
                "Failed BackupFailed: VeleroBackupFailed: Backup tenant-acme.nightly-"
            ),
            "{said}"
        );
        assert!(said.contains(words), "{said}");
        assert!(world.stage.read("Backup", TENANT, "nightly").is_null());
    }
}

#[tokio::test]
async fn a_failed_upload_names_the_disk() {
    let mut world = World::new().await;
    world.fate(VeleroFate::UploadFails("no space left".to_owned()));
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    let words = " of volume claim vm-disk-web-data Failed: no space left";
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_velero_that_does_not_run_is_given_up_with_a_hint() {
    let mut world = World::new().await;
    world.fate(VeleroFate::Deaf);
    world.backup("nightly", "VMInstance", "web");
    let said = world.ends("BackupJob", "nightly").await;
    assert!(said.contains("VeleroBackupNew: "), "{said}");
    assert!(
        said.contains("see whether it runs, in namespace cozy-velero"),
        "{said}"
    );
    assert!(world.all((API, "Backup"), VELERO).is_empty());
}

#[tokio::test]
async fn an_application_that_is_not_there_is_not_backed_up() {
    let mut world = World::new().await;
    world.backup("nightly", "VMInstance", "nobody");
    let said = world.ends("BackupJob", "nightly").await;
    assert_eq!(
        said,
        "Failed BackupFailed: ApplicationNotFound: there is no VMInstance nobody"
    );
}
