//! Two hosts, of which one works.

use charts::HOST;
use serde_json::{Value, json};
use stage::Fate;

use crate::{
    cluster::Scene,
    host::HostProcess,
    installed::{Alone, exclusively},
};

const LEASE: &str = "backupstrategy-controller.backups.cozystack.io";
const API: &str = "coordination.k8s.io/v1";

/// A host with a name. It holds the Lease in the tenant's namespace: each test has its own.
fn replica(scene: &Scene, name: &str, flags: &[&str]) -> HostProcess {
    let own = [
        "--leader-elect",
        "--pod-name",
        name,
        "--pod-namespace",
        scene.namespace(),
        "--leader-elect-retry-period=200ms",
    ];
    HostProcess::start_as(
        &scene.kubeconfig(),
        &stage::bundle().unwrap(),
        &[&own, flags].concat(),
    )
}

/// A platform whose hosts are at home in the tenant's namespace.
async fn scene(alone: &Alone) -> Scene {
    let scene = Scene::new(alone).await;
    let rbac = "rbac.authorization.k8s.io";
    let metadata = json!({ "name": "host", "namespace": scene.namespace() });
    scene
        .put(json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": metadata,
            "rules": [
                { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create", "update", "patch"] },
                { "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "patch", "delete"] },
            ],
        }))
        .await;
    scene
        .put(json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "host" },
            "subjects": [{ "kind": "ServiceAccount", "namespace": HOST.namespace, "name": HOST.name }],
        }))
        .await;
    scene
}

async fn holder(scene: &Scene) -> Option<String> {
    let lease = scene.read(API, "Lease", LEASE).await.unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str();
    holder.map(ToOwned::to_owned)
}

/// What a host that stands by has asked for: looks, and nothing else.
fn has_written(host: &HostProcess) -> bool {
    let metrics = host.metrics();
    ["POST", "PUT", "PATCH", "DELETE"]
        .iter()
        .any(|method| metrics.contains(&format!("method=\"{method}\"")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_followed_and_nothing_is_done_twice() {
    let alone = exclusively().await;
    let scene = scene(&alone).await;
    let terms = [
        "--leader-elect-lease-duration=5s",
        "--leader-elect-renew-deadline=4s",
    ];
    let first = replica(&scene, "first", &terms);
    scene.plugin_is_ready("cnpg").await;
    let second = replica(&scene, "second", &terms);
    assert!(second.probe("/readyz").starts_with("HTTP/1.0 200"));
    scene.backup_job("begun").await;
    let has_begun = |job: &Value| job["status"]["startedAt"].is_string();
    scene.until("BackupJob", "begun", has_begun).await;
    scene.backup_job("waiting").await;
    let waits = |job: &Value| job["status"]["conditions"][0]["reason"] == "ApplicationBusy";
    scene.until("BackupJob", "waiting", waits).await;
    assert!(holder(&scene).await.unwrap().starts_with("first_"));
    assert!(!has_written(&second), "{}", second.metrics());
    assert!(second.metrics().contains(
        "leader_election_master_status{name=\"backupstrategy-controller.backups.cozystack.io\"} 0"
    ));

    // Killed, not asked to stop.
    drop(first);
    let _operator = scene.play_cnpg(Fate::Completes);
    for name in ["begun", "waiting"] {
        let job = scene.ended("BackupJob", name).await;
        assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    }
    assert!(holder(&scene).await.unwrap().starts_with("second_"));
    assert_eq!(scene.list("postgresql.cnpg.io/v1", "Backup").await.len(), 2);
    let api = backup_api::names::API_VERSION;
    assert_eq!(scene.list(api, "Backup").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_and_one_that_loses_the_lease_ends() {
    let alone = exclusively().await;
    let scene = scene(&alone).await;
    // Nobody could wait for these to run out.
    let terms = [
        "--leader-elect-lease-duration=10h",
        "--leader-elect-renew-deadline=9h",
    ];
    let first = replica(&scene, "first", &terms);
    scene.plugin_is_ready("cnpg").await;
    let second = replica(&scene, "second", &terms);
    scene.backup_job("ad-hoc").await;
    let has_begun = |job: &Value| job["status"]["startedAt"].is_string();
    scene.until("BackupJob", "ad-hoc", has_begun).await;
    assert!(first.terminate(), "the exit code is that of a good end");
    second.says("this host leads");
    let _operator = scene.play_cnpg(Fate::Completes);
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    assert_eq!(scene.list("postgresql.cnpg.io/v1", "Backup").await.len(), 1);

    // As somebody does who does not play by the rules.
    let taken = json!({ "spec": { "holderIdentity": "intruder" } });
    scene.merge_as_it_is(API, "Lease", LEASE, &taken).await;
    let line = second.says("this host ends");
    assert!(line.contains("is held by intruder now"), "{line}");
    assert!(!second.ends().success(), "a cluster starts it again");
    assert_eq!(holder(&scene).await.unwrap(), "intruder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_leaves_a_lease_that_nobody_holds() {
    let alone = exclusively().await;
    let scene = scene(&alone).await;
    let host = replica(&scene, "only", &[]);
    scene.plugin_is_ready("cnpg").await;
    assert!(holder(&scene).await.unwrap().starts_with("only_"));
    assert!(host.terminate());
    assert_eq!(holder(&scene).await, None);
}
