//! What an administrator may set.

use super::*;

const STRATEGY: (&str, &str) = ("strategy.backups.cozystack.io/v1alpha1", "Velero");

/// Sets the template of the strategy for machines.
fn template(world: &World, template: &Value) {
    let strategy = json!({
        "apiVersion": STRATEGY.0,
        "kind": STRATEGY.1,
        "metadata": { "name": "cozy-default-velero-vminstance" },
        "spec": { "template": template },
    });
    world.stage.cluster.put(strategy).unwrap();
}

/// Sets the parameters of the class for machines.
fn parameters(world: &World, parameters: &Value) {
    let class = world.stage.cluster.read(
        "backups.cozystack.io/v1alpha1",
        "BackupClass",
        None,
        "cozy-default",
    );
    let mut class = class.unwrap();
    let bindings = class["spec"]["strategies"].as_array_mut().unwrap();
    for binding in bindings {
        if binding["application"]["kind"] == "VMInstance" {
            binding["parameters"] = parameters.clone();
        }
    }
    world.stage.cluster.put(class).unwrap();
}

#[tokio::test]
async fn what_is_left_out_is_about_the_application_in_the_platforms_bucket() {
    let mut world = World::new().await;
    template(&world, &json!({ "spec": { "snapshotMoveData": true } }));
    world.backed_up("nightly", "VMInstance", "web").await;
    let disk = |name: &str| {
        json!({ "matchLabels": {
        "apps.cozystack.io/application.kind": "VMDisk", "apps.cozystack.io/application.name": name } })
    };
    assert_eq!(
        world.only("Backup")["spec"],
        json!({
            "includedNamespaces": [TENANT],
            "storageLocation": "cozy-default",
            "snapshotMoveData": true,
            "orLabelSelectors": [
                { "matchLabels": { "app.kubernetes.io/instance": "vm-instance-web" } },
                { "matchLabels": { "apps.cozystack.io/application.kind": "VMInstance",
                    "apps.cozystack.io/application.name": "web" } },
                disk("web-root"),
                disk("web-data"),
            ],
        })
    );
    // And a restore is of all that was backed up.
    world.writes("vm-disk-web-data", "later");
    assert!(world.restored(&json!({})).await.starts_with("Succeeded"));
    let spec = world.only("Restore")["spec"].clone();
    assert_eq!(spec["existingResourcePolicy"], "update");
    assert!(spec.get("orLabelSelectors").is_none(), "{spec}");
    assert_eq!(world.data(TENANT, "vm-disk-web-data"), "first");
}

#[tokio::test]
async fn parameters_of_the_class_win_over_the_strategy() {
    let mut world = World::new().await;
    parameters(
        &world,
        &json!({
            "ttl": "24h",
            "includedResources": "persistentvolumeclaims, helmreleases.helm.toolkit.fluxcd.io",
            "excludedResources": "secrets",
            "snapshotMoveData": "false",
            "uploaderConfig.parallelFilesUpload": "4",
            "restoreSpec.existingResourcePolicy": "none",
            "restoreSpec.uploaderConfig.writeSparseFiles": "true",
        }),
    );
    world.backed_up("nightly", "VMInstance", "web").await;
    let spec = world.only("Backup")["spec"].clone();
    assert_eq!(spec["ttl"], "24h");
    assert_eq!(
        spec["includedResources"],
        json!([
            "persistentvolumeclaims",
            "helmreleases.helm.toolkit.fluxcd.io"
        ])
    );
    assert_eq!(spec["excludedResources"], json!(["secrets"]));
    assert_eq!(spec["snapshotMoveData"], false);
    assert_eq!(spec["uploaderConfig"], json!({ "parallelFilesUpload": 4 }));
    // What was not asked for is the strategy's.
    assert_eq!(spec["itemOperationTimeout"], "24h0m0s");

    // A restore goes by the parameters that the Backup was taken with.
    parameters(&world, &json!({}));
    assert!(world.restored(&json!({})).await.starts_with("Succeeded"));
    let spec = world.only("Restore")["spec"].clone();
    assert_eq!(spec["existingResourcePolicy"], "none");
    assert_eq!(spec["uploaderConfig"], json!({ "writeSparseFiles": true }));
}

#[tokio::test]
async fn parameters_are_for_templates_too() {
    let mut world = World::new().await;
    let location = "{{ .Parameters.backupStorageLocationName }}";
    template(
        &world,
        &json!({ "spec": { "storageLocation": location, "ttl": "{{ .Parameters.keep }}" } }),
    );
    parameters(
        &world,
        &json!({ "backupStorageLocationName": "cozy-default", "keep": "48h" }),
    );
    world.backed_up("nightly", "VMInstance", "web").await;
    let spec = world.only("Backup")["spec"].clone();
    assert_eq!(spec["storageLocation"], "cozy-default");
    assert_eq!(spec["ttl"], "48h");
}

#[tokio::test]
async fn a_selector_of_ones_own_is_kept_beside_those_of_the_disks() {
    let mut world = World::new().await;
    let own = json!({ "matchLabels": { "app.kubernetes.io/instance": "vm-instance-web" } });
    template(&world, &json!({ "spec": { "labelSelector": own } }));
    world.backed_up("nightly", "VMInstance", "web").await;
    let spec = world.only("Backup")["spec"].clone();
    assert!(spec.get("labelSelector").is_none(), "{spec}");
    assert_eq!(spec["orLabelSelectors"][0], own);
    assert_eq!(spec["orLabelSelectors"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn hooks_and_policies_reach_velero_as_they_are() {
    let mut world = World::new().await;
    let hooks = json!({ "resources": [{
        "name": "freeze",
        "pre": [{ "exec": { "command": ["/usr/bin/virt-freezer", "--freeze"], "onError": "Fail" } }],
    }] });
    let policy = json!({ "kind": "configmap", "name": "volumes" });
    template(
        &world,
        &json!({ "spec": { "hooks": hooks, "resourcePolicy": policy } }),
    );
    world.backed_up("nightly", "VMInstance", "web").await;
    let spec = world.only("Backup")["spec"].clone();
    assert_eq!(spec["hooks"], hooks);
    assert_eq!(spec["resourcePolicy"], policy);
}

#[tokio::test]
async fn a_backup_elsewhere_says_nothing_of_the_platforms_bucket() {
    let mut world = World::new().await;
    let mut location = stage::storage_location();
    location["metadata"]["name"] = json!("archive");
    world.stage.cluster.put(location).unwrap();
    parameters(&world, &json!({ "storageLocation": "archive" }));
    world.backed_up("nightly", "VMInstance", "web").await;
    let backup = world.stage.read("Backup", TENANT, "nightly");
    let metadata = backup["spec"]["driverMetadata"].as_object().unwrap();
    assert!(
        !metadata.contains_key("velero.io/storage-path"),
        "{metadata:?}"
    );
    assert!(backup["status"]["artifact"].get("sizeBytes").is_none());
}
