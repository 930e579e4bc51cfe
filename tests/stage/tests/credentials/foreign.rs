//! A Secret that only has the name is nobody's to overwrite, and its owner hears of it.

use super::*;

fn put_foreign(stage: &Stage, namespace: &str) -> Value {
    let labels = json!({ "app.kubernetes.io/managed-by": "Helm" });
    put_secret(stage, namespace, COPY, &labels, &json!({ "mine": "value" }));
    copy(stage, namespace).unwrap()
}

/// The Events about a namespace's Secret.
fn events(stage: &Stage, namespace: &str) -> Vec<Value> {
    let objects = stage.cluster.objects();
    let events = objects.iter().filter(|object| {
        object["kind"] == "Event"
            && object["metadata"]["namespace"] == namespace
            && object["regarding"]["kind"] == "Secret"
    });
    events.map(|event| event.as_ref().clone()).collect()
}

// Section "Write rule" of the reference.
#[tokio::test]
async fn a_foreign_secret_in_a_tenants_namespace_is_told_in_an_event_once() {
    let mut stage = platform(StorageSettings::default());
    let before = put_foreign(&stage, TENANT);
    stage.runner.settle().await.unwrap();
    assert!(events(&stage, TENANT).is_empty(), "nobody needs a copy");
    for name in ["one", "two"] {
        stage.backup_job(TENANT, name, "orders-db").unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, name);
        assert!(said.starts_with("Failed BackupFailed: Secret"), "{said}");
    }
    pass(&mut stage, 600).await;
    assert_eq!(copy(&stage, TENANT), Some(before.clone()));
    assert_eq!(failures(&stage, TENANT, "TargetSecretNotOwned"), 2);

    let [event] = events(&stage, TENANT).try_into().unwrap();
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reason"], "TargetSecretNotOwned");
    assert_eq!(event["regarding"]["apiVersion"], "v1");
    assert_eq!(event["regarding"]["uid"], before["metadata"]["uid"]);
    let note = event["note"].as_str().unwrap();
    assert!(note.ends_with("remove or rename it"), "{note}");
    // Nor by another process.
    stage.restart();
    stage.backup_job(TENANT, "three", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(events(&stage, TENANT), [event]);
}

#[tokio::test]
async fn a_foreign_secret_in_a_system_namespace_is_left_as_it_is_until_it_goes() {
    let settings = StorageSettings {
        system_namespaces: vec!["cozy-velero".to_owned()],
        ..StorageSettings::default()
    };
    let mut stage = platform(settings);
    stage.namespace("cozy-velero").unwrap();
    let before = put_foreign(&stage, "cozy-velero");
    stage.runner.settle().await.unwrap();
    tick(&mut stage).await;
    assert_eq!(copy(&stage, "cozy-velero"), Some(before));
    assert!(failures(&stage, "cozy-velero", "TargetSecretNotOwned") >= 2);
    assert_eq!(events(&stage, "cozy-velero").len(), 1);
    delete_secret(&stage, "cozy-velero", COPY).await;
    stage.runner.settle().await.unwrap();
    assert_eq!(access_key(&stage, "cozy-velero"), "AK1-of-the-platform");
}

#[tokio::test]
async fn a_foreign_secret_is_never_removed() {
    let mut stage = platform(StorageSettings::default());
    put_foreign(&stage, TENANT);
    stage.runner.settle().await.unwrap();
    pass(&mut stage, 3 * UNUSED).await;
    assert!(copy(&stage, TENANT).is_some());
}
