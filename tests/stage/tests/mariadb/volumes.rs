//! Dumps on volumes, which leave no artifact.

use serde_json::{Value, json};
use stage::MariaDbFate;

use crate::{TENANT, scene::Scene};

fn claim() -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": "10Gi" } },
        "storageClassName": "replicated",
    })
}

async fn on_a_claim() -> Scene {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "persistentVolumeClaim": claim() } }));
    scene.backup("nightly").await;
    scene
}

async fn on_a_volume() -> Scene {
    let mut scene = Scene::new(MariaDbFate::Completes);
    let nfs = json!({ "nfs": { "server": "nas.example.org", "path": "/dumps" } });
    scene.template(&json!({ "storage": { "volume": nfs } }));
    scene.backup("nightly").await;
    scene
}

// TestBuildMariaDBBackupStorage_PVC, TestMariaDBBackupURI_NoS3IsEmpty, and the other half of
// TestCreateMariaDBBackupArtifact_ArtifactShape
#[tokio::test]
async fn a_dump_on_a_volume_of_its_own_has_no_artifact() {
    let scene = on_a_claim().await;
    let dump = &scene.dumps()[0];
    assert_eq!(
        dump["spec"]["storage"],
        json!({ "persistentVolumeClaim": claim() })
    );
    let backup = scene.stage.read("Backup", TENANT, "nightly");
    assert!(backup["status"].get("artifact").is_none());
    let metadata = backup["spec"]["driverMetadata"].as_object().unwrap();
    assert!(!metadata.contains_key("k8s.mariadb.com/storage-uri"));
    // The dump was begun by a Pod one step before it was complete.
    let complete = &dump["status"]["conditions"][0]["lastTransitionTime"];
    assert_ne!(backup["spec"]["takenAt"], *complete);
    assert!(scene.keys().is_empty());
}

#[tokio::test]
async fn the_class_decides_about_the_volume() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "persistentVolumeClaim": claim() } }));
    let at = "storage.persistentVolumeClaim";
    scene.parameters(&json!({
        format!("{at}.storageClassName"): "local",
        format!("{at}.resources.requests.storage"): "20Gi",
    }));
    scene.backup("nightly").await;
    let written = &scene.dumps()[0]["spec"]["storage"]["persistentVolumeClaim"];
    assert_eq!(written["storageClassName"], "local");
    assert_eq!(written["resources"]["requests"]["storage"], "20Gi");
    assert_eq!(written["accessModes"], claim()["accessModes"]);
}

#[tokio::test]
async fn a_volume_is_restored_from_when_the_operators_backup_is_gone() {
    let mut scene = on_a_claim().await;
    let name = scene.dumps()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    scene.delete("Backup", &name).await;
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let restore = &scene.of_operator("Restore")[0];
    assert_eq!(
        restore["spec"]["volume"],
        json!({ "persistentVolumeClaim": { "claimName": name } })
    );
    assert!(restore["spec"].get("s3").is_none());
    assert_eq!(
        scene.operator.restored(),
        [("tenant-acme/mariadb-orders".to_owned(), name)]
    );
}

#[tokio::test]
async fn a_volume_cannot_be_restored_from_in_another_namespace() {
    let mut scene = on_a_claim().await;
    scene.stage.restore_policy().unwrap();
    scene.stage.namespace("tenant-other").unwrap();
    scene
        .stage
        .mariadb("tenant-other", "orders", crate::PASSWORD)
        .unwrap();
    scene.pass(60).await;
    let options = json!({ "targetNamespace": "tenant-other" });
    scene
        .stage
        .restore_job(TENANT, "back", "nightly", &options)
        .unwrap();
    let said = scene.play("RestoreJob", "back").await;
    assert!(
        said.contains("UnsupportedTarget: the dump lies on a volume, and can be restored in namespace tenant-acme only"),
        "{said}"
    );
}

#[tokio::test]
async fn a_volume_is_there_or_lost() {
    let mut scene = on_a_claim().await;
    assert!(scene.check("nightly").await.starts_with("True "));
    let name = scene.of_core("PersistentVolumeClaim")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let claims = scene
        .stage
        .delete_any("v1", "PersistentVolumeClaim", Some(TENANT), &name);
    claims.await.unwrap();
    let said = scene.check("nightly").await;
    assert_eq!(
        said,
        format!(
            "False Lost: VolumeGone: PersistentVolumeClaim {name} is no longer there, which held the dump"
        )
    );
}

#[tokio::test]
async fn a_volume_goes_with_its_backup() {
    let mut scene = on_a_claim().await;
    assert_eq!(scene.of_core("PersistentVolumeClaim").len(), 1);
    scene.forget("nightly").await;
    assert!(scene.of_core("PersistentVolumeClaim").is_empty());
    assert!(scene.dumps().is_empty());
}

#[tokio::test]
async fn a_volume_of_a_job_that_came_to_nothing_goes_with_it() {
    let mut scene = Scene::new(MariaDbFate::DumpFails);
    scene.template(&json!({ "storage": { "persistentVolumeClaim": claim() } }));
    let said = scene.backup_job("nightly").await;
    assert!(said.starts_with("Failed"), "{said}");
    assert!(scene.of_core("PersistentVolumeClaim").is_empty());
    assert!(scene.dumps().is_empty());
}

#[tokio::test]
async fn a_volume_that_was_there_before_is_restored_from_by_time() {
    let mut scene = on_a_volume().await;
    let backup = scene.stage.read("Backup", TENANT, "nightly");
    assert!(backup["status"].get("artifact").is_none());
    let said = scene.restore_job("nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let spec = &scene.of_operator("Restore")[0]["spec"];
    assert_eq!(spec["volume"]["nfs"]["server"], "nas.example.org");
    let taken: jiff::Timestamp = backup["spec"]["takenAt"].as_str().unwrap().parse().unwrap();
    let wanted: jiff::Timestamp = spec["targetRecoveryTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(wanted.duration_since(taken).as_secs(), 5);
}

#[tokio::test]
async fn what_lies_on_a_volume_of_ones_own_is_neither_looked_at_nor_removed() {
    let mut scene = on_a_volume().await;
    let said = scene.check("nightly").await;
    assert!(
        said.contains("DumpOutOfSight: the dump lies on a volume"),
        "{said}"
    );
    scene.forget("nightly").await;
    assert!(scene.dumps().is_empty());
    assert!(
        scene
            .events("Backup", "nightly")
            .contains(&"LeftBehind".to_owned())
    );
}

#[tokio::test]
async fn a_volume_that_goes_with_its_pod_is_refused() {
    let mut scene = Scene::new(MariaDbFate::Completes);
    scene.template(&json!({ "storage": { "volume": { "emptyDir": {} } } }));
    let said = scene.backup_job("nightly").await;
    assert!(
        said.contains("exactly one of csi, hostPath, nfs and persistentVolumeClaim is set"),
        "{said}"
    );
    assert!(scene.dumps().is_empty());
}
