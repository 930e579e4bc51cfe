//! ClickHouse: beside what the stage shows, Kubernetes' own Job controller, which makes the Pods and says how a Job ends.

use serde_json::{Value, json};
use stage::{AltinityFate, ClickHouse, Workplace};

use crate::{
    bucket::bucket,
    cluster::{API, Scene},
    installed::Alone,
};

const INSTALLATION: &str = "clickhouse.altinity.com/v1";

/// What stands around clickhouse-backup in the tenant's namespace.
fn around(scene: &Scene, fate: AltinityFate) -> ClickHouse {
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    ClickHouse::at(place, fate).beside_a_job_controller()
}

/// A job to its end.
async fn ended(scene: &Scene, kind: &str, name: &str) -> Value {
    scene.ended(kind, name).await["status"].clone()
}

/// The tenant's archives that are whole.
async fn archives(scene: &Scene) -> usize {
    let keys = stage::Bucket::keys(bucket().as_ref()).await;
    let own = format!("{}/", scene.namespace());
    let whole = keys
        .iter()
        .filter(|key| key.starts_with(&own) && key.ends_with("/metadata.json"));
    whole.count()
}

/// A tenant's ClickHouse, from its backup on.
pub async fn story(alone: &Alone) {
    let scene = Scene::empty(alone).await;
    let played = scene.play(around(&scene, AltinityFate::Completes));
    for name in ["events", "copy"] {
        let objects = stage::clickhouse_objects(scene.namespace(), name, (1, 1)).unwrap();
        scene.put_with_status(objects).await;
    }

    scene.backup_job_of("nightly", "ClickHouse", "events").await;
    let status = ended(&scene, "BackupJob", "nightly").await;
    assert_eq!(status["phase"], "Succeeded", "{status}");
    assert_eq!(archives(&scene).await, 1);

    scene.is_available("nightly").await;

    scene.restore_job("back", "nightly").await;
    let status = ended(&scene, "RestoreJob", "back").await;
    assert_eq!(status["phase"], "Succeeded", "{status}");
    let copy = json!({
        "backupRef": { "name": "nightly" },
        "targetApplicationRef": { "apiGroup": "apps.cozystack.io", "kind": "ClickHouse", "name": "copy" },
    });
    scene.job("RestoreJob", "to-copy", &copy).await;
    let status = ended(&scene, "RestoreJob", "to-copy").await;
    assert_eq!(status["phase"], "Succeeded", "{status}");
    drop(played);

    fails(&scene).await;
    is_deleted(&scene).await;

    // The bucket is enough for what is left.
    for name in ["events", "copy"] {
        scene
            .delete_in(
                INSTALLATION,
                "ClickHouseInstallation",
                &format!("clickhouse-{name}"),
            )
            .await;
        scene
            .delete_in("apps.cozystack.io/v1alpha1", "ClickHouse", name)
            .await;
    }
    scene.delete("Backup", "nightly").await;
    scene.gone("Backup", "nightly").await;
    assert_eq!(archives(&scene).await, 0);
}

/// An error of clickhouse-backup ends the Job at once: another Pod would meet it as well.
async fn fails(scene: &Scene) {
    let fate = AltinityFate::CommandFails(
        "create_remote".to_owned(),
        "no space left on device".to_owned(),
    );
    let _played = scene.play(around(scene, fate));
    scene.backup_job_of("fails", "ClickHouse", "events").await;
    let status = ended(scene, "BackupJob", "fails").await;
    assert_eq!(status["phase"], "Failed", "{status}");
    let message = status["message"].as_str().unwrap();
    assert_eq!(
        message,
        "OperationFailed: create_remote at chi-clickhouse-events-clickhouse-0-0: no space left on device"
    );
}

/// A job that is deleted takes its Job and its Pod along before anything is undone.
async fn is_deleted(scene: &Scene) {
    scene.backup_job_of("deleted", "ClickHouse", "events").await;
    scene
        .until("BackupJob", "deleted", |job| {
            job["status"]["phase"] == "Running"
        })
        .await;
    let played = scene.play(around(scene, AltinityFate::Completes));
    scene.delete("BackupJob", "deleted").await;
    scene.gone("BackupJob", "deleted").await;
    assert_eq!(archives(scene).await, 1, "that of the first backup");
    drop(played);
    assert!(scene.read(API, "Backup", "deleted").await.is_none());
}
