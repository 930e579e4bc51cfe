//! The mission: a vendor ships a new strategy as one file, and nobody rebuilds, or restarts, the host.
//!
//! Everything that is applied is what `tests/vendor` and `strategyctl` say; its README tells the same story.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use backup_engine::cluster::{ApiError, Caller, Cluster as _, Part};
use backup_sandbox::contract::Selector;
use backupstrategy_controller::RealCluster;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    cluster::{API, Scene, changes_in, s3},
    host::HostProcess,
    installed::exclusively,
};

/// The ledger operator's group.
const OPERATOR: &str = "ledgers.vendor.example/v1";

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_that_the_host_has_never_heard_of_is_added_while_it_runs() {
    let alone = exclusively().await;
    let scene = Scene::with_storage(&alone).await;
    let plugins = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(stage::bundle().unwrap()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), plugins.path().join(file.file_name())).unwrap();
    }
    let host = HostProcess::start_with(&scene.kubeconfig(), plugins.path());

    // The vendor's product comes to the platform, and with it the strategy.
    for object in deployed("product.yaml") {
        scene.put(object).await;
    }
    let operator = tokio::spawn(play(scene.client(), scene.namespace(), &s3().root));
    let plugin = plugins.path().join("ledger.wasm");
    std::fs::copy(vendors("target/vendor/ledger.wasm"), &plugin).unwrap();
    for object in manifests(&plugin) {
        scene.put(object).await;
    }
    scene.plugin_is_ready("ledger").await;
    for object in deployed("strategy.yaml") {
        scene.put(object).await;
    }

    // A tenant has a ledger, backs it up and restores it.
    for object in deployed("backup.yaml") {
        scene.put(of_tenant(&scene, object)).await;
    }
    let job = scene.ended("BackupJob", "before-audit").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    let exports = scene.list(OPERATOR, "Export").await;
    assert_eq!(exports.len(), 1);
    assert_eq!(
        exports[0]["spec"]["comment"],
        format!("{}/books, EUR", scene.namespace()),
        "the strategy's settings are rendered for the ledger"
    );
    let backup = scene.read(API, "Backup", "before-audit").await.unwrap();
    assert_eq!(backup["spec"]["plugin"]["name"], "ledger");
    assert_eq!(backup["spec"]["plugin"]["version"], "1.0.0");
    let file = file_of(&s3().root, &backup["status"]["artifact"]["uri"]);
    assert!(file.exists());
    for object in deployed("restore.yaml") {
        scene.put(of_tenant(&scene, object)).await;
    }
    let job = scene.ended("RestoreJob", "undo-audit").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    assert_eq!(scene.list(OPERATOR, "Import").await.len(), 1);

    // The Backup goes, and its data with it.
    scene.delete("Backup", "before-audit").await;
    scene.gone("Backup", "before-audit").await;
    assert!(!file.exists(), "the file in the bucket is gone");
    assert_eq!(scene.list(OPERATOR, "Export").await, Vec::<Value>::new());

    // All of that was done by the process that was started before.
    let process = host.process();
    let ended = process.lock().unwrap().try_wait().unwrap();
    assert_eq!(ended, None, "the host still runs");
    operator.abort();
}

/// A path from the root of the repository on.
pub fn vendors(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The objects of one of the vendor's files.
pub fn deployed(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(vendors("tests/vendor/deploy").join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// What `strategyctl manifests` prints.
pub fn manifests(plugin: &Path) -> Vec<Value> {
    // Beside the host: cargo builds the programs of the workspace into one folder.
    let strategyctl =
        Path::new(env!("CARGO_BIN_EXE_backupstrategy-controller")).with_file_name("strategyctl");
    assert!(
        strategyctl.exists(),
        "strategyctl is not built; `cargo build --workspace --bin strategyctl` builds it, and so do all tests"
    );
    let output = Command::new(strategyctl)
        .arg("manifests")
        .arg(plugin)
        .args(["-o", "json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An object as the tenant applies it.
fn of_tenant(scene: &Scene, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(scene.namespace());
    object
}

/// The file that an object of a storage is.
fn file_of(root: &Path, uri: &Value) -> PathBuf {
    let place = uri.as_str().unwrap().strip_prefix("s3://").unwrap();
    root.join(place)
}

/// The ledger operator: writes and reads files of a storage as it is asked in a namespace.
pub fn play(
    client: Client,
    namespace: &str,
    root: &Path,
) -> impl Future<Output = ()> + Send + use<> {
    let cluster = RealCluster::new(client.clone());
    let (namespace, root) = (namespace.to_owned(), root.to_owned());
    let changes =
        ["Export", "Import"].map(|kind| Box::pin(changes_in(&client, &namespace, OPERATOR, kind)));
    async move {
        let mut changes = futures::stream::select_all(changes);
        while changes.next().await.is_some() {
            for kind in ["Export", "Import"] {
                // What somebody else changed in between is looked at again at its own change.
                step(&cluster, &namespace, kind, &root).await.ok();
            }
        }
    }
}

async fn step(
    cluster: &RealCluster,
    namespace: &str,
    kind: &str,
    root: &Path,
) -> Result<(), ApiError> {
    let matching = Selector {
        api_version: OPERATOR.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        labels: vec![],
    };
    for asked in cluster.list(&Caller::host(), &matching).await? {
        if asked["status"]["phase"].is_string() {
            continue;
        }
        let done = match kind {
            "Export" => {
                let file = file_of(root, &asked["spec"]["to"]);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, "debit, credit").is_ok()
            }
            _ => file_of(root, &asked["spec"]["from"]).exists(),
        };
        let phase = if done { "Complete" } else { "Failed" };
        let status = json!({ "status": { "phase": phase, "finishedAt": Timestamp::now().round(jiff::Unit::Second).unwrap() } });
        let target = backup_engine::reference(&asked);
        cluster
            .merge(
                &Caller::host(),
                "ledger-operator",
                &target,
                &status,
                Part::Status,
            )
            .await?;
    }
    Ok(())
}
