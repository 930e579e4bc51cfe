//! Jobs that are called off.

use serde_json::{Value, json};
use stage::MariaDbFate;

use crate::{TENANT, scene::Scene};

/// Deletes a job, and plays on until it is gone.
async fn call_off(scene: &mut Scene, kind: &str, name: &str) {
    scene.stage.delete(kind, TENANT, name).await.unwrap();
    for _ in 0..10 {
        scene.turn().await;
    }
    assert_eq!(scene.stage.read(kind, TENANT, name), Value::Null);
}

#[tokio::test]
async fn a_job_that_is_called_off_takes_its_dump_along_at_every_step() {
    for turns in 0..4 {
        let mut scene = Scene::new(MariaDbFate::Completes);
        scene.backup("before").await;
        let before = scene.keys();
        scene.order_backup("nightly");
        for _ in 0..turns {
            scene.turn().await;
        }
        // Stored and complete in the end, and the job has not seen it.
        assert_eq!(scene.keys().len(), 1 + usize::from(turns > 1), "{turns}");
        assert!(!scene.stage.job(TENANT, "nightly").starts_with("Succeeded"));
        call_off(&mut scene, "BackupJob", "nightly").await;
        assert_eq!(scene.keys(), before, "{turns}");
        assert_eq!(scene.dumps().len(), 1, "{turns}");
        assert_eq!(scene.of_core("Pod").len(), 1, "{turns}");
        if turns > 1 {
            break;
        }
    }
}

#[tokio::test]
async fn what_a_job_stored_is_removed_when_settings_and_application_are_gone() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.order_backup("nightly");
    scene.turn().await;
    scene.turn().await;
    assert_eq!(scene.keys().len(), 1);
    let stage = &scene.stage;
    stage
        .delete_any(
            "apps.cozystack.io/v1alpha1",
            "MariaDB",
            Some(TENANT),
            "orders",
        )
        .await
        .unwrap();
    stage
        .delete_cluster_scoped(
            "strategy.backups.cozystack.io/v1alpha1",
            "MariaDB",
            "cozy-default-mariadb",
        )
        .await
        .unwrap();
    call_off(&mut scene, "BackupJob", "nightly").await;
    assert!(scene.keys().is_empty());
    assert!(scene.dumps().is_empty());
}

#[tokio::test]
async fn a_restore_that_is_called_off_is_stopped() {
    let mut scene = Scene::with_backup("nightly").await;
    scene.fate(MariaDbFate::RestoreStalls);
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &json!({}))
        .unwrap();
    scene.turn().await;
    scene.turn().await;
    assert_eq!(scene.of_operator("Restore").len(), 1);
    call_off(&mut scene, "RestoreJob", "back").await;
    assert!(scene.of_operator("Restore").is_empty());
    assert!(
        scene
            .events("RestoreJob", "back")
            .contains(&"MariaDBPartlyRestored".to_owned())
    );
    assert_eq!(scene.keys().len(), 1, "the Backup keeps its dump");
    // And it can be restored.
    scene.fate(MariaDbFate::Completes);
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_restore_that_has_touched_nothing_is_called_off_without_a_word() {
    let mut scene = Scene::with_backup("nightly").await;
    let to = ("MariaDB", "copy");
    scene
        .stage
        .restore_job_to(TENANT, "back", "nightly", to, &json!({}))
        .unwrap();
    scene.turn().await;
    call_off(&mut scene, "RestoreJob", "back").await;
    assert!(scene.events("RestoreJob", "back").is_empty());
}
