//! Copies in other namespaces.

use super::*;

const RESTORED: &str = "Succeeded RestoreCompleted: Backup nightly is restored";

fn into_other() -> Value {
    json!({ "targetNamespace": OTHER })
}

/// What Velero was told to change.
fn rules(world: &World) -> Vec<Value> {
    let maps = world.all(("v1", "ConfigMap"), VELERO);
    let map = maps.values().next().unwrap();
    let rules: Value = map["data"]["resource-modifier-rules.yaml"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    rules["resourceModifierRules"].as_array().unwrap().clone()
}

/// A copy under a name.
fn renamed(world: &World, kind: &str, application: &str) {
    world
        .stage
        .restore_job_to(
            TENANT,
            "back",
            "nightly",
            (kind, application),
            &into_other(),
        )
        .unwrap();
}

// TestResolveRestoreTarget_DifferentTargetNamespace_Copy
#[tokio::test]
async fn a_copy_runs_beside_the_original() {
    let mut world = World::with_backup().await;
    world.open();
    assert_eq!(world.restored(&into_other()).await, RESTORED);
    world.operators_rest().await;
    let mapping = world.only("Restore")["spec"]["namespaceMapping"].clone();
    assert_eq!(mapping, json!({ TENANT: OTHER }));
    for disk in ["vm-disk-web-root", "vm-disk-web-data"] {
        assert_eq!(world.data(OTHER, disk), "first");
        assert_eq!(world.data(TENANT, disk), "later");
        assert!(!world.read(DATA_VOLUME, OTHER, disk).is_null(), "{disk}");
        assert!(!world.is_suspended(OTHER, disk));
    }
    assert!(!world.is_suspended(OTHER, "vm-instance-web"));
    assert!(world.is_running(OTHER, "vm-instance-web"));
    assert!(world.is_running(TENANT, "vm-instance-web"));
    world.is_at_peace("later");
}

// TestCreateResourceModifiersConfigMap_Copy_NoOVN
// TestCreateResourceModifiersConfigMap_Copy_UsesMergePatchForPVC
#[tokio::test]
async fn the_rules_of_a_copy_name_the_namespace_that_velero_looks_at() {
    let mut world = World::with_backup().await;
    world.open();
    world.fate(VeleroFate::RestoreStays("InProgress".to_owned()));
    world.restore(&into_other());
    world
        .says("RestoreJob", "back", "VeleroRestoreRunning")
        .await;
    for rule in rules(&world) {
        assert_eq!(rule["conditions"]["namespaces"], json!([TENANT]));
        assert!(rule.get("patches").is_none(), "{rule}");
        // What the data mover goes by is left alone.
        let patch = rule["mergePatches"][0]["patchData"].as_str().unwrap();
        assert!(
            !patch.contains("selector") && !patch.contains("volumeName"),
            "{patch}"
        );
    }
}

#[tokio::test]
async fn a_copy_gets_addresses_of_its_own_unless_it_is_to_have_the_originals() {
    for (options, address) in [
        (into_other(), Value::Null),
        (
            json!({ "targetNamespace": OTHER, "keepOriginalIpAndMac": true }),
            json!("10.244.1.7"),
        ),
    ] {
        let mut world = World::new().await;
        // The chart writes the addresses of a machine into its template.
        world.change(MACHINE, TENANT, "vm-instance-web", |machine| {
            machine["spec"]["template"]["metadata"] =
                json!({ "annotations": { "ovn.kubernetes.io/ip_address": "10.244.1.7" } });
        });
        world.backed_up("nightly", "VMInstance", "web").await;
        world.open();
        assert_eq!(world.restored(&options).await, RESTORED);
        let machine = world.read(MACHINE, OTHER, "vm-instance-web");
        let annotations = &machine["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(
            annotations["ovn.kubernetes.io/ip_address"], address,
            "{options}"
        );
    }
}

// TestTargetHelmReleaseExists_ReturnsTrueWhenPresent
// TestTargetHelmReleaseExists_ReturnsFalseWhenAbsent
// TestTargetHelmReleaseExists_VMDisk
#[tokio::test]
async fn a_copy_does_not_replace_what_is_there_unless_it_is_told_to() {
    let mut world = World::with_backup().await;
    world.open();
    world.machine(OTHER, "web").await;
    let said = world.restored(&into_other()).await;
    assert!(
        said.starts_with("Failed RestoreFailed: TargetExists: namespace tenant-other has "),
        "{said}"
    );
    assert!(said.contains("vm-disk-web-root"), "{said}");
    assert_eq!(world.data(OTHER, "vm-disk-web-root"), "blank");

    let options = json!({ "targetNamespace": OTHER, "failIfTargetExists": false });
    world
        .stage
        .restore_job(TENANT, "again", "nightly", &options)
        .unwrap();
    assert_eq!(world.ends("RestoreJob", "again").await, RESTORED);
    world.operators_rest().await;
    for disk in ["vm-disk-web-root", "vm-disk-web-data"] {
        assert_eq!(world.data(OTHER, disk), "first");
        assert!(!world.is_suspended(OTHER, disk));
    }
    assert!(world.is_running(OTHER, "vm-instance-web"));
    let aside = world.all(CLAIM, OTHER).into_keys();
    assert_eq!(aside.filter(|claim| claim.contains("-orig-")).count(), 2);
}

// TestResolveRestoreTarget_IsRenamed
// TestPostRestoreRename_RenamesHelmRelease
// TestHelmReleaseNameForApp
#[tokio::test]
async fn a_copy_under_another_name_leaves_nothing_under_the_old_one() {
    let mut world = World::with_backup().await;
    world.open();
    renamed(&world, "VMInstance", "copy");
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
    world.operators_rest().await;
    let releases: Vec<String> = world.all(RELEASE, OTHER).into_keys().collect();
    assert_eq!(
        releases,
        ["vm-disk-web-data", "vm-disk-web-root", "vm-instance-copy"]
    );
    let release = world.read(RELEASE, OTHER, "vm-instance-copy");
    let labels = &release["metadata"]["labels"];
    assert_eq!(labels["apps.cozystack.io/application.name"], "copy");
    assert_eq!(labels["app.kubernetes.io/instance"], "vm-instance-copy");
    assert_eq!(labels["helm.toolkit.fluxcd.io/name"], "vm-instance-copy");
    assert!(labels.get("velero.io/restore-name").is_none());
    assert!(release["spec"].get("suspend").is_none());
    let machines: Vec<String> = world.all(MACHINE, OTHER).into_keys().collect();
    assert_eq!(machines, ["vm-instance-copy"]);
    assert!(world.is_running(OTHER, "vm-instance-copy"));
    assert_eq!(world.data(OTHER, "vm-disk-web-root"), "first");
}

#[tokio::test]
async fn a_copy_of_a_disk_gets_the_name_that_was_asked_for() {
    let mut world = World::with_backup_of_disk().await;
    world.open();
    renamed(&world, "VMDisk", "copy");
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
    world.operators_rest().await;
    let claims: Vec<String> = world.all(CLAIM, OTHER).into_keys().collect();
    assert_eq!(claims, ["vm-disk-copy"]);
    assert_eq!(world.data(OTHER, "vm-disk-copy"), "first");
    let claim = world.read(CLAIM, OTHER, "vm-disk-copy");
    let label = &claim["metadata"]["labels"]["apps.cozystack.io/application.name"];
    assert_eq!(label, "copy");
    let volume = world.volume(OTHER, "vm-disk-copy");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    let releases: Vec<String> = world.all(RELEASE, OTHER).into_keys().collect();
    assert_eq!(releases, ["vm-disk-copy"]);
    assert!(!world.read(DATA_VOLUME, OTHER, "vm-disk-copy").is_null());
}

// TestPostRestoreRename_IdempotentWhenTargetExists
#[tokio::test]
async fn a_release_of_the_new_name_that_is_there_is_kept_where_that_is_asked_for() {
    let mut world = World::with_backup().await;
    world.open();
    let mut release = world.read(RELEASE, TENANT, "vm-instance-web");
    release["metadata"] = json!({ "name": "vm-instance-copy", "namespace": OTHER });
    release["spec"]["interval"] = json!("7m");
    release["spec"]["suspend"] = json!(true);
    world.stage.cluster.put(release).unwrap();
    let options = json!({ "targetNamespace": OTHER, "failIfTargetExists": false });
    world
        .stage
        .restore_job_to(TENANT, "back", "nightly", ("VMInstance", "copy"), &options)
        .unwrap();
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
    assert!(world.read(RELEASE, OTHER, "vm-instance-web").is_null());
    let release = world.read(RELEASE, OTHER, "vm-instance-copy");
    assert_eq!(release["spec"]["interval"], "7m");
}

// TestPostRestoreRename_SkipsWhenSourceNotFound
#[tokio::test]
async fn a_copy_without_helm_releases_is_told_in_an_event() {
    let mut world = World::with_backup().await;
    world.open();
    let strategy = json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
        "kind": "Velero",
        "metadata": { "name": "cozy-default-velero-vminstance" },
        "spec": { "template": {
            "spec": {},
            "restoreSpec": { "includedResources": ["persistentvolumeclaims"] },
        } },
    });
    world.stage.cluster.put(strategy).unwrap();
    renamed(&world, "VMInstance", "copy");
    assert_eq!(world.ends("RestoreJob", "back").await, RESTORED);
    let events = world.all(("events.k8s.io/v1", "Event"), TENANT);
    assert!(
        events
            .values()
            .any(|event| event["reason"] == "HelmReleaseNotRestored"),
        "{:?}",
        events
            .values()
            .map(|event| event["reason"].clone())
            .collect::<Vec<_>>()
    );
}

// TestTargetHelmReleaseExists_UnsupportedKind_ReturnsFalse
#[tokio::test]
async fn a_backup_of_a_machine_is_not_restored_as_something_else() {
    let mut world = World::with_backup().await;
    world
        .stage
        .restore_job_to(
            TENANT,
            "back",
            "nightly",
            ("VMDisk", "web-data"),
            &json!({}),
        )
        .unwrap();
    let said = world.ends("RestoreJob", "back").await;
    assert_eq!(
        said,
        "Failed RestoreFailed: UnsupportedTarget: a backup of apps.cozystack.io/VMInstance cannot be restored into \
         apps.cozystack.io/VMDisk; name a VMInstance in spec.targetApplicationRef"
    );
}
