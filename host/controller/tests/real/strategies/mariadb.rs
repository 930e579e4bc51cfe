//! MariaDB.

use serde_json::{Value, json};
use stage::{MariaDbFate, MariaDbOperator, Workplace};

use crate::{bucket::bucket, cluster::Scene, installed::Alone};

const API: &str = "backups.cozystack.io/v1alpha1";
const OPERATOR: &str = "k8s.mariadb.com/v1alpha1";

/// A tenant's database, from its first backup to the removal of its last.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    for application in ["orders", "copy"] {
        let objects = stage::mariadb_objects(scene.namespace(), application, "a-password");
        scene.put_with_status(objects.unwrap()).await;
    }
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    let operator = MariaDbOperator::at(place, MariaDbFate::Completes);
    let played = scene.play(operator.clone());

    backup(&scene, "first").await;
    backup(&scene, "second").await;
    scene.is_available("first").await;
    let key = key_of(&scene, "first").await;

    scene.restore_job("back", "first").await;
    succeeded(&scene, "RestoreJob", "back").await;
    // Nothing of the operator's is needed.
    for dump in scene.list(OPERATOR, "Backup").await {
        scene
            .delete_in(
                OPERATOR,
                "Backup",
                dump["metadata"]["name"].as_str().unwrap(),
            )
            .await;
    }
    let to = json!({ "kind": "MariaDB", "name": "copy" });
    let aside = json!({ "backupRef": { "name": "first" }, "targetApplicationRef": to });
    scene.job("RestoreJob", "aside", &aside).await;
    succeeded(&scene, "RestoreJob", "aside").await;
    let into = ["orders", "copy"].map(|name| format!("{}/mariadb-{name}", scene.namespace()));
    assert_eq!(operator.restored(), into.map(|into| (into, key.clone())));

    drop(played);
    goes_wrong(&scene, &operator).await;
    is_refused(&scene).await;

    let bucket = bucket();
    for name in ["first", "second"] {
        let key = key_of(&scene, name).await;
        scene.delete("Backup", name).await;
        scene.gone("Backup", name).await;
        assert!(!stage::Bucket::keys(bucket.as_ref()).await.contains(&key));
    }
    let folder = format!("{}/", scene.namespace());
    let keys = stage::Bucket::keys(bucket.as_ref()).await;
    let left: Vec<&String> = keys.iter().filter(|key| key.starts_with(&folder)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(scene.list(OPERATOR, "Backup").await.is_empty());
}

async fn succeeded(scene: &Scene, kind: &str, name: &str) {
    let job = scene.ended(kind, name).await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
}

async fn failed(scene: &Scene, kind: &str, name: &str, words: &str) {
    let job = scene.ended(kind, name).await;
    assert_eq!(job["status"]["phase"], "Failed", "{job}");
    let message = job["status"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
}

async fn backup(scene: &Scene, name: &str) {
    scene.backup_job_of(name, "MariaDB", "orders").await;
    succeeded(scene, "BackupJob", name).await;
}

/// The key that a Backup gives its dump.
async fn key_of(scene: &Scene, name: &str) -> String {
    let backup = scene.read(API, "Backup", name).await.unwrap();
    let uri = backup["status"]["artifact"]["uri"].as_str().unwrap();
    let (_, key) = uri.strip_prefix("s3://").unwrap().split_once('/').unwrap();
    key.to_owned()
}

/// Jobs of which the operator's Job fails, and one that is called off while it dumps.
async fn goes_wrong(scene: &Scene, operator: &MariaDbOperator) {
    let played = scene.play(operator.but(MariaDbFate::DumpFails));
    scene.backup_job_of("failing", "MariaDB", "orders").await;
    failed(scene, "BackupJob", "failing", "MariaDBBackupFailed").await;
    drop(played);

    let played = scene.play(operator.but(MariaDbFate::RestoreFails));
    scene.restore_job("broken", "second").await;
    failed(scene, "RestoreJob", "broken", "MariaDBRestoreFailed").await;
    drop(played);

    let _played = scene.play(operator.but(MariaDbFate::DumpStalls));
    scene.backup_job_of("called-off", "MariaDB", "orders").await;
    scene
        .until("BackupJob", "called-off", |job| {
            let message = job["status"]["message"].as_str().unwrap_or_default();
            message.contains("JobRunning")
        })
        .await;
    scene.delete("BackupJob", "called-off").await;
    scene.gone("BackupJob", "called-off").await;
    assert!(scene.list(OPERATOR, "Backup").await.is_empty());
    let pods = scene.list("v1", "Pod").await;
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(!pods.iter().any(|pod| name(pod).starts_with("called-off-")));
}

/// What the definitions do not accept: a strategy with two places, and a volume of a size that is none.
async fn is_refused(scene: &Scene) {
    let client = scene.client();
    let strategies = controlplane::resource("strategy.backups.cozystack.io/v1alpha1", "MariaDB");
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(client, &strategies);
    let name = format!("{}-volumes", scene.namespace());
    let strategy = |storage: Value| {
        let strategy = json!({
            "apiVersion": "strategy.backups.cozystack.io/v1alpha1",
            "kind": "MariaDB",
            "metadata": { "name": name },
            "spec": { "template": { "storage": storage } },
        });
        serde_json::from_value::<kube::api::DynamicObject>(strategy).unwrap()
    };
    let claim = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "plenty" } } });
    let two = strategy(json!({ "s3": {}, "persistentVolumeClaim": claim }));
    let refused = api.create(&Default::default(), &two).await.unwrap_err();
    assert!(
        refused.to_string().contains("exactly one of s3"),
        "{refused}"
    );

    let one = strategy(json!({ "persistentVolumeClaim": claim }));
    api.create(&Default::default(), &one).await.unwrap();
    scene
        .put(json!({
            "apiVersion": API,
            "kind": "BackupClass",
            "metadata": { "name": name },
            "spec": { "strategies": [{
                "application": { "kind": "MariaDB" },
                "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "MariaDB", "name": name },
            }] },
        }))
        .await;
    let application = json!({ "kind": "MariaDB", "name": "orders" });
    let spec = json!({ "backupClassName": name, "applicationRef": application });
    scene.job("BackupJob", "oversized", &spec).await;
    failed(
        scene,
        "BackupJob",
        "oversized",
        "Refused: create was refused",
    )
    .await;
    api.delete(&name, &Default::default()).await.unwrap();
}
