//! Copies of the credentials on a real API server: one watch by name sees them all.

use data_encoding::BASE64;
use serde_json::{Value, json};
use stage::Fate;

use crate::{cluster::Scene, host::HostProcess, installed::exclusively};

const COPY: &str = "cozy-backups-creds";
const SOURCE: (&str, &str) = ("cozy-backup-controller", "cozy-backups-system-credentials");

fn encoded(text: &str) -> Value {
    json!(BASE64.encode(text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_keys_and_another_bucket_reach_copies_and_velero_at_once() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Completes);
    scene.install_velero().await;
    let host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    scene.ended("BackupJob", "ad-hoc").await;

    let rotated = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "namespace": SOURCE.0, "name": SOURCE.1 },
        "stringData": {
            "accessKey": "rotated-access-key", "secretKey": "rotated-secret-key",
            "endpoint": "https://s3.cozy.example", "bucketName": "rotated-bucket", "region": "eu-1",
        },
    });
    scene.put(rotated).await;
    let tenant = scene.namespace();
    let copy = scene
        .until_in(tenant, ("v1", "Secret", COPY), |copy| {
            copy["data"]["accessKey"] == encoded("rotated-access-key")
        })
        .await;
    let location = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    let location = scene
        .until_in("cozy-velero", location, |location| {
            location["spec"]["objectStorage"]["bucket"] == "rotated-bucket"
        })
        .await;
    assert_eq!(location["spec"]["credential"]["key"], "cloud");

    // A copy that is damaged is mended, and one that is taken away comes back: the database archives with it.
    let damaged = json!({
        "apiVersion": "v1", "kind": "Secret", "type": copy["type"],
        "metadata": { "namespace": tenant, "name": COPY },
        "data": { "secretKey": encoded("nobody's") },
    });
    scene.put(damaged).await;
    let is_whole = |found: &Value| found["data"] == copy["data"];
    scene
        .until_in(tenant, ("v1", "Secret", COPY), is_whole)
        .await;
    scene.delete_in("v1", "Secret", COPY).await;
    let back = |found: &Value| {
        found["data"] == copy["data"] && found["metadata"]["uid"] != copy["metadata"]["uid"]
    };
    scene.until_in(tenant, ("v1", "Secret", COPY), back).await;
    // Told, though nothing has failed.
    let metric = "cozystack_backup_credentials_projection_failures_total counter";
    let metrics = host.metrics();
    assert!(metrics.contains(metric), "{metrics}");
}
