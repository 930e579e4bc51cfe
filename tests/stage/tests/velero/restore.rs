//! Restores in place.

use super::*;

const RESTORED: &str = "Succeeded RestoreCompleted: Backup nightly is restored";

#[tokio::test]
async fn a_machine_is_stopped_its_disks_are_put_aside_and_it_runs_on_what_was_backed_up() {
    let mut world = World::with_backup().await;
    assert_eq!(world.restored(&json!({})).await, RESTORED);
    world.operators_rest().await;
    world.is_at_peace("first");

    // What was there is kept, under names that no backup takes for the application's.
    let aside = world.aside();
    assert_eq!(aside.len(), 2, "{aside:?}");
    for claim in aside {
        assert!(claim.starts_with("vm-disk-web-"), "{claim}");
        assert_eq!(world.data(TENANT, &claim), "later");
        let claim = world.read(CLAIM, TENANT, &claim);
        assert_eq!(claim["status"]["phase"], "Bound");
        let labels = claim["metadata"]["labels"].as_object().unwrap();
        assert!(
            labels
                .keys()
                .all(|label| label.starts_with("backups.cozystack.io/")),
            "{labels:?}"
        );
        // It goes with its volume when the tenant deletes it.
        let volume = world.volume(TENANT, name(&claim));
        assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    }
}

#[tokio::test]
async fn each_step_is_taken_on_what_the_cluster_shows() {
    let mut world = World::with_backup().await;
    world.restore(&json!({}));
    let mut story: Vec<String> = vec![];
    for _ in 0..60 {
        world.stage.runner.settle().await.unwrap();
        let said = world.stage.said("RestoreJob", TENANT, "back");
        let reason = said.split(':').nth(1).unwrap_or_default().trim().to_owned();
        let rests = |release| {
            if world.is_suspended(TENANT, release) {
                "rests"
            } else {
                "goes on"
            }
        };
        let now = format!(
            "{reason}; Helm {} and {}, machine {}, DataVolumes {}, disk {:?}, put aside {}",
            rests("vm-instance-web"),
            rests("vm-disk-web-root"),
            if world.is_running(TENANT, "vm-instance-web") {
                "runs"
            } else {
                "is off"
            },
            world.all(DATA_VOLUME, TENANT).len(),
            world.data(TENANT, "vm-disk-web-root"),
            world.aside().len(),
        );
        if story.last() != Some(&now) {
            story.push(now);
        }
        if said.starts_with("Succeeded") {
            break;
        }
        world.turn().await;
    }
    insta::assert_yaml_snapshot!("restore-of-a-machine", story);
}

// TestCreateResourceModifiersConfigMap_InPlace_WithOVN
#[tokio::test]
async fn velero_is_told_what_to_restore_and_what_to_change() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::RestoreStays("InProgress".to_owned()));
    world.restore(&json!({}));
    world
        .says("RestoreJob", "back", "VeleroRestoreRunning")
        .await;
    let restore = world.only("Restore");
    assert!(name(&restore).starts_with("tenant-acme.back-"), "{restore}");
    let modifiers = world.all(("v1", "ConfigMap"), VELERO);
    let (modifier, map) = modifiers.first_key_value().unwrap();
    assert_eq!(restore["spec"]["resourceModifier"]["name"], *modifier);
    let data = map["data"].as_object().unwrap();
    let rules: Value = data["resource-modifier-rules.yaml"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(data.len(), 1);
    insta::assert_yaml_snapshot!("restore-of-a-machine-order", restore["spec"].clone(), {
        ".backupName" => "(name)",
        ".resourceModifier.name" => "(name)",
    });
    insta::assert_yaml_snapshot!("restore-of-a-machine-rules", rules);
    world.fate(VeleroFate::Completes);
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
    // They are of use only while Velero restores.
    assert!(world.all(("v1", "ConfigMap"), VELERO).is_empty());
}

// TestPrepareForRestore_KeepOriginalPVCFalse_SkipsRename
#[tokio::test]
async fn disks_that_are_not_to_be_kept_go_once_the_restore_has_succeeded() {
    let mut world = World::with_backup().await;
    let said = world.restored(&json!({ "keepOriginalPVC": false })).await;
    assert_eq!(said, RESTORED);
    world.operators_rest().await;
    world.is_at_peace("first");
    assert!(world.aside().is_empty(), "{:?}", world.aside());
    assert_eq!(world.all(VOLUME, TENANT).len(), 2);
}

// TestResolveRestoreTarget_VMDisk_CommonRestoreOptions
#[tokio::test]
async fn a_disk_is_restored_while_its_machine_is_off() {
    let mut world = World::with_backup_of_disk().await;
    assert_eq!(world.restored(&json!({})).await, RESTORED);
    world.operators_rest().await;
    assert_eq!(world.data(TENANT, "vm-disk-web-data"), "first");
    // The other one is nobody's business.
    assert_eq!(world.data(TENANT, "vm-disk-web-root"), "first");
    assert_eq!(world.aside().len(), 1);
    assert!(
        !world
            .read(DATA_VOLUME, TENANT, "vm-disk-web-data")
            .is_null()
    );
    assert!(!world.is_suspended(TENANT, "vm-disk-web-data"));
}

#[tokio::test]
async fn a_disk_in_use_is_left_alone_and_the_job_says_by_whom() {
    let mut world = World::new().await;
    world.backed_up("nightly", "VMDisk", "web-data").await;
    world.writes("vm-disk-web-data", "later");
    let said = world.restored(&json!({})).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: DiskInUse: Pod virt-launcher-vm-instance-web-x uses volume claim vm-disk-web-data"
        ),
        "{said}"
    );
    world.is_running(TENANT, "vm-instance-web");
    assert_eq!(world.data(TENANT, "vm-disk-web-data"), "later");
    assert!(!world.is_suspended(TENANT, "vm-disk-web-data"));
    assert!(world.all((API, "Restore"), VELERO).is_empty());
}

#[tokio::test]
async fn a_machine_of_which_nothing_is_left_is_made_again() {
    let mut world = World::with_backup().await;
    for (api_version, kind) in [RELEASE, MACHINE, RUNNING, DATA_VOLUME, CLAIM, ("v1", "Pod")] {
        for name in world.all((api_version, kind), TENANT).into_keys() {
            world.delete((api_version, kind), TENANT, &name).await;
        }
    }
    for (kind, name) in [
        ("VMInstance", "web"),
        ("VMDisk", "web-root"),
        ("VMDisk", "web-data"),
    ] {
        let kind = ("apps.cozystack.io/v1alpha1", kind);
        world.delete(kind, TENANT, name).await;
    }
    world.operators_rest().await;
    assert!(world.all(VOLUME, TENANT).is_empty());

    assert_eq!(world.restored(&json!({})).await, RESTORED);
    world.operators_rest().await;
    world.is_at_peace("first");
    assert!(world.aside().is_empty());
}

// TestResolveRestoreTarget_NoTargetNamespace_InPlace
// TestResolveRestoreTarget_SameTargetNamespace_InPlace
#[tokio::test]
async fn the_backups_own_namespace_as_target_is_a_restore_in_place() {
    let mut world = World::with_backup().await;
    world.open();
    let said = world.restored(&json!({ "targetNamespace": TENANT })).await;
    assert_eq!(said, RESTORED);
    world.operators_rest().await;
    world.is_at_peace("first");
    assert!(
        world.only("Restore")["spec"]
            .get("namespaceMapping")
            .is_none()
    );
}

#[tokio::test]
async fn a_restore_waits_for_its_turn() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::RestoreStays(String::new()));
    world.restore(&json!({}));
    world
        .says("RestoreJob", "back", "VeleroRestoreQueued")
        .await;
    world.stage.cluster.advance(3600);
    world.turn().await;
    assert!(
        world
            .stage
            .said("RestoreJob", TENANT, "back")
            .starts_with("Running")
    );
    world.fate(VeleroFate::Completes);
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
}

#[tokio::test]
async fn a_machine_that_was_off_is_what_it_was_backed_up_as() {
    let mut world = World::with_backup().await;
    world.halt("vm-instance-web").await;
    assert_eq!(world.restored(&json!({})).await, RESTORED);
    world.operators_rest().await;
    world.is_at_peace("first");
}

#[tokio::test]
async fn a_release_that_an_administrator_had_suspended_stays_so() {
    let mut world = World::with_backup().await;
    world.change(RELEASE, TENANT, "vm-disk-web-root", |release| {
        release["spec"]["suspend"] = json!(true);
    });
    assert_eq!(world.restored(&json!({})).await, RESTORED);
    assert!(world.is_suspended(TENANT, "vm-disk-web-root"));
    assert!(!world.is_suspended(TENANT, "vm-disk-web-data"));
}

#[tokio::test]
async fn what_cannot_be_restored_is_said_before_anything_is_touched() {
    let mut world = World::with_backup().await;
    let order = world.only("Backup");
    let uid =
        |world: &World| world.read(CLAIM, TENANT, "vm-disk-web-root")["metadata"]["uid"].clone();
    let before = uid(&world);

    let to = |world: &World, name: &str, kind: &str, application: &str| {
        let target = (kind, application);
        world
            .stage
            .restore_job_to(TENANT, name, "nightly", target, &json!({}))
            .unwrap();
    };
    to(&world, "renamed", "VMInstance", "copy");
    let said = world.ends("RestoreJob", "renamed").await;
    assert!(
        said.starts_with("Failed RestoreFailed: RenameInPlace: "),
        "{said}"
    );

    world.change((API, "Backup"), VELERO, name(&order), |order| {
        order["status"]["phase"] = json!("Deleting");
    });
    let said = world.restored(&json!({})).await;
    assert!(said.contains("BackupUnusable: "), "{said}");
    assert!(said.contains("Velero says Deleting"), "{said}");

    assert_eq!(uid(&world), before);
    assert!(world.is_running(TENANT, "vm-instance-web"));
    assert!(!world.is_suspended(TENANT, "vm-instance-web"));
    assert!(world.all((API, "Restore"), VELERO).is_empty());
}

#[tokio::test]
async fn a_misspelt_option_is_refused() {
    let mut world = World::with_backup().await;
    let said = world.restored(&json!({ "keepOriginalPvc": false })).await;
    assert!(said.starts_with("Failed RestoreFailed: "), "{said}");
    assert!(said.contains("keepOriginalPvc"), "{said}");
}
