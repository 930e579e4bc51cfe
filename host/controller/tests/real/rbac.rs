//! The host's own rights: enough for all that it does, and not for more.

use charts::HOST;
use controlplane::resource;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{cluster::Scene, host::HostProcess, installed::exclusively};

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_backup_asks_for_nothing_that_the_accounts_may_not() {
    let alone = exclusively().await;
    let (scene, _operator) = Scene::with_etcd(&alone).await;
    let first = scene.requests();
    let host = HostProcess::start(&scene.kubeconfig());
    scene.plugin_is_ready("cnpg").await;
    scene.plugin_is_ready("etcd").await;

    scene.etcd_backup_job("ad-hoc").await;
    let job = scene.ended("BackupJob", "ad-hoc").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    scene.restore_job("back", "ad-hoc").await;
    let job = scene.ended("RestoreJob", "back").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
    let asked =
        json!({ "metadata": { "annotations": { "backups.cozystack.io/check-requested": "now" } } });
    scene.merge("Backup", "ad-hoc", &asked).await.unwrap();
    let is_checked = |backup: &Value| backup["status"]["lastCheckRequest"] == "now";
    scene.until("Backup", "ad-hoc", is_checked).await;
    scene.put(plan(scene.namespace())).await;
    let is_suspended = |plan: &Value| plan["status"]["conditions"][0]["reason"] == "Suspended";
    scene.until("Plan", "nightly", is_suspended).await;
    scene.delete("Backup", "ad-hoc").await;
    scene.gone("Backup", "ad-hoc").await;

    assert!(host.terminate());
    let refusals = scene.refusals_since(first);
    assert!(refusals.is_empty(), "{refusals:#?}");
}

/// A Plan that makes no jobs. What its jobs need is asked for in `plans`.
fn plan(namespace: &str) -> Value {
    json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Plan",
        "metadata": { "name": "nightly", "namespace": namespace },
        "spec": {
            "applicationRef": { "kind": "Etcd", "name": "etcd" },
            "backupClassName": "cozy-default", "suspend": true,
            "schedule": { "cron": "0 3 * * *" },
        },
    })
}

/// The Secrets of a namespace, or of all, with the rights of a client.
fn secrets(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let secret = resource("v1", "Secret");
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &secret),
        None => Api::all_with(client.clone(), &secret),
    }
}

/// Whether the API server says that the account may not.
fn is_forbidden<T: std::fmt::Debug>(answer: kube::Result<T>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 403)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_reads_its_secrets_by_name_and_no_others() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let client = scene.host_client().await;
    let other = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": { "password": "a-password" },
        "metadata": { "name": "orders-db", "namespace": scene.namespace() },
    });
    scene.put(other).await;
    let first = scene.requests();
    let (tenants, all) = (
        secrets(&client, Some(scene.namespace())),
        secrets(&client, None),
    );
    assert!(is_forbidden(tenants.get("orders-db").await));
    assert!(is_forbidden(tenants.list(&ListParams::default()).await));
    assert!(is_forbidden(all.list(&ListParams::default()).await));
    let patch = Patch::Merge(json!({ "data": {} }));
    let parameters = PatchParams::default();
    let patched = tenants.patch("orders-db", &parameters, &patch).await;
    assert!(is_forbidden(patched));

    let copies = ListParams::default().fields("metadata.name=cozy-backups-creds");
    all.list(&copies).await.unwrap();
    let own = secrets(&client, Some(HOST.namespace));
    own.get("cozy-backups-system-credentials").await.unwrap();
    // Helm keeps the release in one.
    let release = "sh.helm.release.v1.backupstrategy-controller.v1";
    assert!(is_forbidden(own.get(release).await));
    // What the other tests find nothing in is where it would be found.
    assert_eq!(scene.refusals_since(first).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_acts_as_the_accounts_of_its_plugins_and_as_no_other() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let pods = format!("/api/v1/namespaces/{}/pods", scene.namespace());
    let client = scene.host_client().await;
    let cnpg = account(HOST.namespace, "strategy-cnpg");
    assert_eq!(answered_as(&client, &cnpg, &pods).await, 200);
    for user in [
        account(HOST.namespace, "default"),
        account(scene.namespace(), "strategy-cnpg"),
        account("kube-system", "generic-garbage-collector"),
        "admin".to_owned(),
        "system:admin".to_owned(),
    ] {
        let answer = answered_as(&client, &user, &pods).await;
        assert_eq!(answer, 403, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_has_in_system_namespaces_what_it_says_is_there_and_nowhere_else() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    scene.install_velero().await;
    let client = scene.host_client().await;
    let velero = account(HOST.namespace, "strategy-velero");
    for (path, answer) in [
        ("api/v1/namespaces/cozy-velero/configmaps".to_owned(), 200),
        (
            "apis/velero.io/v1/namespaces/cozy-velero/backups".to_owned(),
            200,
        ),
        ("api/v1/namespaces/cozy-velero/secrets".to_owned(), 403),
        (
            format!("api/v1/namespaces/{}/configmaps", scene.namespace()),
            403,
        ),
        (
            format!("api/v1/namespaces/{}/configmaps", HOST.namespace),
            403,
        ),
        ("api/v1/configmaps".to_owned(), 403),
        ("apis/velero.io/v1/backups".to_owned(), 403),
        ("api/v1/persistentvolumeclaims".to_owned(), 200),
    ] {
        let answered = answered_as(&client, &velero, &format!("/{path}")).await;
        assert_eq!(answered, answer, "{path}");
    }
}

/// What the API server answers to a read of the host's in another's name: an HTTP status.
async fn answered_as(client: &Client, user: &str, path: &str) -> u16 {
    let request = http::Request::get(path).header("impersonate-user", user);
    let request = request.body(kube::client::Body::empty()).unwrap();
    client.send(request).await.unwrap().status().as_u16()
}

/// The name of a ServiceAccount, as the API server has it.
fn account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}
