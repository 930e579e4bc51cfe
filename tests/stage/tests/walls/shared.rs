//! Where others have objects too: a system namespace, and volumes.

use super::*;

/// Creates an order for an operator in the system namespace, and says what it finds of it.
fn order() -> Value {
    json!([
        { "get": ["v1", "ConfigMap", SYSTEM, "<child>"] },
        { "unless-read": [
            { "create": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": SYSTEM } } },
            { "wait": { "reason": "Ordered", "message": "waits" } },
        ] },
        { "find": { "target": ["v1", "ConfigMap", SYSTEM, ""], "labels": [] } },
        { "succeed": { "artifact": null, "metadata": [], "resources": { "found": "<read>" } } },
    ])
}

/// The names of the ConfigMaps in the system namespace.
fn in_system(stage: &Stage) -> Vec<String> {
    let objects = stage.cluster.objects();
    let maps = objects.iter().filter(|object| {
        object["kind"] == "ConfigMap" && object["metadata"]["namespace"] == SYSTEM
    });
    maps.map(|map| map["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The job's object in the system namespace.
fn ordered(stage: &Stage) -> Value {
    let name = in_system(stage)
        .into_iter()
        .find(|name| name != "theirs")
        .unwrap();
    read(stage, "ConfigMap", Some(SYSTEM), &name).unwrap()
}

fn put_theirs(stage: &Stage) {
    stage
        .cluster
        .put(config_map(SYSTEM, "theirs", &json!({ "x": "x" })))
        .unwrap();
}

#[tokio::test]
async fn a_strategy_finds_what_it_has_made_in_a_system_namespace_and_nothing_else() {
    let mut stage = scripted(&order());
    put_theirs(&stage);
    stage.runner.settle().await.unwrap();
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    let found = backup["status"]["underlyingResources"]["found"]
        .as_str()
        .unwrap();
    assert!(found.contains("ad-hoc-loot"), "{found}");
    assert!(!found.contains("theirs"), "{found}");
}

#[tokio::test]
async fn what_an_operator_made_from_a_strategys_object_is_found() {
    let script = json!([
        { "find": { "target": ["v1", "Pod", SYSTEM, ""], "labels": [] } },
        { "if-read": [{ "fail": { "reason": "Found", "message": "it is found" } }] },
        { "apply": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": SYSTEM } } },
        { "wait": { "reason": "Ordered", "message": "waits" } },
    ]);
    let mut stage = scripted(&script);
    put_theirs(&stage);
    stage.runner.settle().await.unwrap();
    let theirs = read(&stage, "ConfigMap", Some(SYSTEM), "theirs").unwrap();
    for (name, owner) in [("of-theirs", &theirs), ("of-ours", &ordered(&stage))] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": SYSTEM, "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "controller": true,
                "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            }] },
        });
        stage.cluster.put(pod).unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert_eq!(said.contains("it is found"), name == "of-ours", "{said}");
    }
}

#[tokio::test]
async fn the_objects_of_a_backup_are_changed_and_deleted_when_it_is_forgotten() {
    let forget = json!([
        { "find": { "target": ["v1", "ConfigMap", SYSTEM, ""], "labels": [] } },
        { "if-read": [{ "delete-all": { "target": ["v1", "ConfigMap", SYSTEM, ""], "labels": [["kind", "order"]] } },
            { "wait": { "reason": "Deleting", "message": "waits" } }] },
    ]);
    let backup = json!([{ "create": { "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "<child>", "namespace": SYSTEM, "labels": { "kind": "order" } } } }]);
    let mut stage = stage(&json!({ "script": backup.to_string(), "forget": forget.to_string() }));
    let mut theirs = config_map(SYSTEM, "theirs", &json!({}));
    theirs["metadata"]["labels"] = json!({ "kind": "order" });
    stage.cluster.put(theirs).unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(in_system(&stage).len(), 2);

    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.runner.settle().await.unwrap();
    to_the_end(&mut stage).await;
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    assert_eq!(in_system(&stage), ["theirs"]);
}

#[tokio::test]
async fn an_object_that_is_applied_in_a_system_namespace_keeps_its_labels() {
    let script = json!([
        { "apply": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": SYSTEM },
            "data": { "path": "<prefix>" } } },
        { "get": ["v1", "ConfigMap", "<namespace>", "go"] },
        { "unless-read": [{ "wait": { "reason": "Applied", "message": "waits" } }] },
        { "merge": { "target": ["v1", "ConfigMap", SYSTEM, "<child>"], "patch": { "data": { "more": "x" } } } },
    ]);
    let mut stage = scripted(&script);
    stage.runner.settle().await.unwrap();
    let before = ordered(&stage)["metadata"]["labels"].clone();
    assert_eq!(
        before["backups.cozystack.io/owned-by.BackupJobName"],
        "ad-hoc"
    );
    stage
        .cluster
        .put(config_map(TENANT, "go", &json!({})))
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert!(stage.job(TENANT, "ad-hoc").starts_with("Succeeded"));
    let after = ordered(&stage);
    assert_eq!(after["metadata"]["labels"], before);
    assert_eq!(after["data"]["more"], "x");
}

// The old controllers labelled without a UID, and their Backups have no labels at all.
#[tokio::test]
async fn the_objects_of_an_old_backup_are_its_own() {
    let forget = json!([{ "delete": ["v1", "ConfigMap", SYSTEM, "<name>"] }]);
    for (of, is_gone) in [("old", true), ("other", false)] {
        let forget = forget.to_string().replace("<name>", "order");
        let mut stage = stage(&json!({ "forget": forget }));
        let mut order = config_map(SYSTEM, "order", &json!({}));
        order["metadata"]["labels"] = json!({
            "backups.cozystack.io/owned-by.BackupJobName": of,
            "backups.cozystack.io/owned-by.BackupJobNamespace": TENANT,
        });
        stage.cluster.put(order).unwrap();
        stage.cluster.put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Backup",
            "metadata": { "name": "old", "namespace": TENANT, "finalizers": ["backups.cozystack.io/cleanup"] },
            "spec": {
                "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
                "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Hostile", "name": "hostile" },
                "takenAt": "2026-11-25T12:00:00Z",
                "parameters": { "forget": forget },
            },
            "status": { "phase": "Ready" },
        })).unwrap();
        stage.delete("Backup", TENANT, "old").await.unwrap();
        stage.runner.settle().await.unwrap();
        to_the_end(&mut stage).await;
        let order = read(&stage, "ConfigMap", Some(SYSTEM), "order");
        assert_eq!(order.is_none(), is_gone, "{of}");
    }
}

fn volume(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
        "spec": { "claimRef": { "namespace": namespace, "name": "data" }, "persistentVolumeReclaimPolicy": "Delete" },
    })
}

// What the strategy for virtual machines does with a volume before it restores: keep it, and give it to another claim.
#[tokio::test]
async fn a_volume_of_the_tenant_is_kept_and_given_to_another_claim_of_the_tenant() {
    let pv = ["v1", "PersistentVolume"];
    let script = json!([
        { "get": [pv[0], pv[1], null, "ours"] },
        { "unless-read": [{ "fail": { "reason": "NotFound", "message": "x" } }] },
        { "merge": { "target": [pv[0], pv[1], null, "ours"], "patch": { "spec": { "persistentVolumeReclaimPolicy": "Retain" } } } },
        { "merge": { "target": [pv[0], pv[1], null, "ours"], "patch": { "spec": { "claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "<namespace>", "name": "data-orig" } } } } },
    ]);
    let mut stage = scripted(&script);
    stage.cluster.put(volume(TENANT, "ours")).unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Succeeded BackupCompleted: Backup ad-hoc is complete"
    );
    let volume = read(&stage, "PersistentVolume", None, "ours").unwrap();
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!(volume["spec"]["claimRef"]["name"], "data-orig");
}

#[tokio::test]
async fn of_all_volumes_a_strategy_finds_those_of_its_namespace() {
    let script = json!([
        { "find": { "target": ["v1", "PersistentVolume", null, ""], "labels": [] } },
        { "fail": { "reason": "Found", "message": "<read>" } },
    ]);
    let mut stage = scripted(&script);
    stage.cluster.put(volume(TENANT, "ours")).unwrap();
    stage.cluster.put(volume(OTHER, "not-ours")).unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.contains("\"name\":\"ours\"") && !said.contains("not-ours"),
        "{said}"
    );
}
