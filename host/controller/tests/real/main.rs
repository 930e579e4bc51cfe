//! The host as a process, on a real API server.
//!
//! The API server is real, and so is the host: a process of its own that can be killed, under the account and with the
//! rights that the chart gives it. Operators are played.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backups;
mod bucket;
mod chart;
mod cluster;
mod credentials;
#[path = "../../../sandbox/tests/guest/mod.rs"]
mod guest;
mod host;
mod installed;
mod kubelet;
mod leader;
mod many;
mod mission;
mod page;
mod plans;
#[path = "../../benches/host/platform.rs"]
mod platform;
mod plugins;
mod policies;
mod proxy;
mod rbac;
mod recovery;
mod restore_target;
mod site;
mod strategies;
mod takeover;
mod typed;
mod walls;

use cluster::Scene;
use host::HostProcess;
use installed::{Alone, exclusively};
use proxy::{At, Proxy};
use serde_json::{Value, json};
use stage::Fate;

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_job_succeeds() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Completes);
    let first = scene.requests();
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    let refusals = scene.refusals_since(first);
    assert!(refusals.is_empty(), "{refusals:#?}");
    assert_eq!(
        job["metadata"].get("finalizers"),
        None,
        "a finished job is held by nobody"
    );

    let backup = scene
        .read("backups.cozystack.io/v1alpha1", "Backup", "ad-hoc")
        .await
        .unwrap();
    assert_eq!(backup["status"]["phase"], "Ready");
    assert!(
        backup["status"]["artifact"]["uri"]
            .as_str()
            .unwrap()
            .starts_with("cnpg://")
    );
    assert_eq!(
        backup["spec"]["driverMetadata"]["cnpg.io/cluster-name"],
        "postgres-orders-db"
    );
    assert!(
        backup["spec"]["plugin"]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
}

/// Creates a job of the same database, and waits until the host has looked at it: passes that were due before are done.
async fn looked_at(scene: &Scene, name: &str) {
    scene.backup_job(name).await;
    let waits = |job: &Value| job["status"]["conditions"][0]["reason"] == "ApplicationBusy";
    scene.until("BackupJob", name, waits).await;
}

// Defect 18 of the reference: every job asked every few seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_costs_no_requests() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Stalls);
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    scene
        .until("BackupJob", "ad-hoc", |job| {
            job["status"]["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("BackupRunning"))
        })
        .await;
    let mut before = 0;
    let mut rounds = 0;
    // Watches that begin with the first job lead to another pass. It is at rest when there was none between two others.
    while scene.requests_of_the_host("ad-hoc") != before {
        before = scene.requests_of_the_host("ad-hoc");
        looked_at(&scene, &format!("other-{rounds}")).await;
        rounds += 1;
        assert!(rounds < 20, "the job does not come to rest");
    }
    for index in 0..20 {
        scene.put_unrelated(index).await;
    }
    looked_at(&scene, "last").await;
    assert_eq!(scene.requests_of_the_host("ad-hoc"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_answer() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Completes);
    let host = HostProcess::start(&scene.kubeconfig());
    assert!(host.probe("/healthz").starts_with("HTTP/1.0 200"));
    assert!(host.probe("/readyz").starts_with("HTTP/1.0 200"));
    assert!(host.probe("/other").starts_with("HTTP/1.0 404"));
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    scene.ended("BackupJob", "ad-hoc").await;
    let counted = "controller_runtime_reconcile_total{controller=\"backupjob\",result=\"success\"}";
    // The pass that wrote the job's end is counted a moment after it.
    let mut pages = std::iter::repeat_with(|| host.metrics()).take(10_000);
    let metrics = pages.find(|metrics| metrics.contains(counted)).unwrap();
    assert!(
        metrics.contains("controller_runtime_reconcile_time_seconds_bucket"),
        "{metrics}"
    );
    assert!(
        !metrics.contains(scene.namespace()),
        "a label for each namespace would be without bounds: {metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_asked_to_stop_ends_well_and_the_next_goes_on() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    let has_begun = |job: &Value| job["status"]["startedAt"].is_string();
    scene.until("BackupJob", "ad-hoc", has_begun).await;
    assert!(host.terminate(), "the exit code is that of a good end");
    let _operator = scene.play_cnpg(Fate::Completes);
    let _host = HostProcess::start(&scene.kubeconfig());
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    assert_eq!(scene.list("postgresql.cnpg.io/v1", "Backup").await.len(), 1);
}

/// Waits until a job has ended, and starts the host again each time that it was killed.
async fn ended_in_spite(
    scene: &Scene,
    proxy: &Proxy,
    mut host: HostProcess,
    kind: &str,
    name: &str,
) -> Value {
    let mut ended = std::pin::pin!(scene.ended(kind, name));
    loop {
        tokio::select! {
            job = &mut ended => {
                drop(host);
                return job;
            }
            () = proxy.was_hit() => {
                host = HostProcess::start(&proxy.kubeconfig());
                proxy.kills(&host);
            }
        }
    }
}

/// Runs the job with the host killed at each of its writes, and started again.
async fn killed_at_each_write(alone: &Alone, at: At) {
    let scene = Scene::new(alone).await;
    let _operator = scene.play_cnpg(Fate::Completes);
    let proxy = Proxy::start(scene.host_client().await, at).await;
    let host = HostProcess::start(&proxy.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    proxy.kills(&host);
    scene.backup_job("ad-hoc").await;
    let job = ended_in_spite(&scene, &proxy, host, "BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "killed {at:?}: {job}");
    let orders = scene.list("postgresql.cnpg.io/v1", "Backup").await;
    assert_eq!(orders.len(), 1, "killed {at:?}: one order to the operator");
    let kills = proxy.kills_so_far();
    assert!((6..30).contains(&kills), "killed {at:?} {kills} writes");
}

// One kill at a time, at every place, is what the tests of each strategy try on the cluster in memory (`crashes.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_at_each_of_its_writes_ends_the_same_way() {
    let alone = exclusively().await;
    killed_at_each_write(&alone, At::Before).await;
    killed_at_each_write(&alone, At::Behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Completes);
    let role = "backups.cozystack.io:strategy-cnpg";
    let rules = scene.take_rights(role, "backups").await;
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    let refused = |job: &Value| {
        job["status"]["conditions"]
            .as_array()
            .is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|condition| condition["reason"] == "PermissionMissing")
            })
    };
    let job = scene.until("BackupJob", "ad-hoc", refused).await;
    let message = job["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("system:serviceaccount:cozy-backup-controller:strategy-cnpg"),
        "{message}"
    );
    let verbs = ["get", "list", "watch", "create"];
    let says = |verb: &&str| message.contains(&format!("cannot {verb} resource \"backups\""));
    assert!(verbs.iter().any(says), "{message}");
    scene.give_rights(role, rules).await;
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
}

// Defect 12 of the reference: specs could be changed while a job ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_started_job_cannot_be_changed() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Stalls);
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    scene
        .until("BackupJob", "ad-hoc", |job| {
            job["status"]["startedAt"].is_string()
        })
        .await;
    let change = json!({ "spec": { "applicationRef": { "name": "another", "kind": "Postgres" } } });
    let error = scene
        .merge("BackupJob", "ad-hoc", &change)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("cannot be changed once it has started"),
        "{error}"
    );
}

// Defect 11 of the reference: what the job had ordered ran on.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_is_undone_and_gone() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let _operator = scene.play_cnpg(Fate::Stalls);
    let _host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.backup_job("ad-hoc").await;
    let is_running = |job: &Value| {
        job["status"]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("BackupRunning"))
    };
    scene.until("BackupJob", "ad-hoc", is_running).await;
    scene.delete("BackupJob", "ad-hoc").await;
    scene.gone("BackupJob", "ad-hoc").await;
    assert!(
        scene
            .list("postgresql.cnpg.io/v1", "Backup")
            .await
            .is_empty(),
        "the operator's order is withdrawn"
    );
}

/// Restores an etcd in place with the host killed at each write of the restore.
async fn restore_killed_at_each_write(alone: &Alone, at: At) {
    let (scene, _operator) = Scene::with_etcd(alone).await;
    let proxy = Proxy::start(scene.host_client().await, at).await;
    let host = HostProcess::start(&proxy.kubeconfig());
    scene.plugin_is_ready("etcd").await;
    scene.etcd_backup_job("ad-hoc").await;
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    let api = "etcd-operator.cozystack.io/v1alpha2";
    let before = scene.read(api, "EtcdCluster", "etcd").await.unwrap();

    proxy.kills(&host);
    scene.restore_job("back", "ad-hoc").await;
    let job = ended_in_spite(&scene, &proxy, host, "RestoreJob", "back").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "killed {at:?}: {job}");
    let clusters = scene.list(api, "EtcdCluster").await;
    assert_eq!(clusters.len(), 1, "killed {at:?}");
    let after = &clusters[0];
    assert_ne!(
        after["metadata"]["uid"], before["metadata"]["uid"],
        "it was created anew"
    );
    assert!(
        after["spec"]["bootstrap"]["restore"].is_object(),
        "from the snapshot"
    );
    assert_eq!(
        after["spec"]["tls"], before["spec"]["tls"],
        "and otherwise as it was"
    );
    let release = scene
        .read("helm.toolkit.fluxcd.io/v2", "HelmRelease", "etcd")
        .await
        .unwrap();
    assert_ne!(release["spec"]["suspend"], true, "the release goes on");
    let kills = proxy.kills_so_far();
    assert!((7..30).contains(&kills), "killed {at:?} {kills} writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_in_place_survives_a_kill_at_each_write() {
    let alone = exclusively().await;
    restore_killed_at_each_write(&alone, At::Before).await;
    restore_killed_at_each_write(&alone, At::Behind).await;
}
