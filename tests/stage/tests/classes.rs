//! BackupClasses: what they say of their bindings, and whom they let in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

use std::sync::Arc;

use guest::Guest;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Cnpg, Fate, Operator as _, Stage};

const TENANT: &str = "tenant-acme";

/// The class `cozy-default`, changed.
fn change(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut class = class(stage);
    change(&mut class);
    stage.cluster.put(class).unwrap();
}

fn class(stage: &Stage) -> Value {
    let api = backup_api::names::API_VERSION;
    stage
        .cluster
        .read(api, "BackupClass", None, "cozy-default")
        .unwrap()
}

/// The class's condition in one line, and its bindings.
async fn said(stage: &mut Stage) -> (String, Value) {
    stage.runner.settle().await.unwrap();
    let class = class(stage);
    let ready = &class["status"]["conditions"][0];
    let text = |member: &str| ready[member].as_str().unwrap().to_owned();
    assert_eq!(ready["type"], "Ready");
    (
        format!("{} {}: {}", text("status"), text("reason"), text("message")),
        class["status"]["strategies"].clone(),
    )
}

/// A platform with the CNPG plugin, and a tenant with a database.
fn stage() -> Stage {
    let stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.platform().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

#[tokio::test]
async fn a_class_in_order_says_so_and_is_written_once() {
    let mut stage = stage();
    let (ready, bindings) = said(&mut stage).await;
    assert_eq!(ready, "True BindingsReady: every binding is in order");
    assert_eq!(bindings, json!([{ "kind": "Postgres", "ready": true }]));
    assert_eq!(class(&stage)["status"]["kinds"], "Postgres");
    let revision = stage.cluster.revision();
    stage.restart();
    said(&mut stage).await;
    assert_eq!(
        stage.cluster.revision(),
        revision,
        "nothing is written again"
    );
}

#[tokio::test]
async fn what_is_missing_is_told_and_looked_for() {
    let mut stage = Stage::new().unwrap();
    stage.storage_secret().unwrap();
    let defaults = stage::defaults("an-access-key", "a-secret-key", &["cnpg"]).unwrap();
    let of_kind = |kind: &str| {
        let found = defaults.iter().find(|object| object["kind"] == kind);
        found.unwrap().clone()
    };
    stage.cluster.put(of_kind("BackupClass")).unwrap();
    let (ready, bindings) = said(&mut stage).await;
    assert!(
        ready.starts_with("False BindingNotReady: Postgres: no plugin serves"),
        "{ready}"
    );
    assert_eq!(bindings[0]["reason"], "PluginNotReady");

    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    let (_, bindings) = said(&mut stage).await;
    assert_eq!(bindings[0]["reason"], "StrategyNotReady");
    assert_eq!(
        bindings[0]["message"],
        "CNPG cozy-default-cnpg does not exist"
    );

    stage.cluster.put(of_kind("CNPG")).unwrap();
    let (ready, _) = said(&mut stage).await;
    assert_eq!(ready, "True BindingsReady: every binding is in order");
}

#[tokio::test]
async fn a_template_that_is_none_is_told_with_its_place() {
    let mut stage = stage();
    let api = backup_api::names::STRATEGY_API_VERSION;
    let mut strategy = stage
        .cluster
        .read(api, "CNPG", None, "cozy-default-cnpg")
        .unwrap();
    strategy["spec"]["template"]["serverName"] = json!("{{ .Application.metadata.name");
    stage.cluster.put(strategy).unwrap();
    let (_, bindings) = said(&mut stage).await;
    assert_eq!(bindings[0]["reason"], "TemplateFailed");
    let message = bindings[0]["message"].as_str().unwrap();
    assert!(message.contains("spec/template/serverName"), "{message}");
}

#[tokio::test]
async fn what_the_strategy_finds_wrong_is_told() {
    let mut stage = stage();
    let api = backup_api::names::STRATEGY_API_VERSION;
    let mut strategy = stage
        .cluster
        .read(api, "CNPG", None, "cozy-default-cnpg")
        .unwrap();
    strategy["spec"]["template"]["barmanObjectStore"]["destinationPath"] = json!(7);
    stage.cluster.put(strategy).unwrap();
    let (_, bindings) = said(&mut stage).await;
    assert_eq!(bindings[0]["ready"], false);
    let message = bindings[0]["message"].as_str().unwrap();
    assert!(message.contains("destinationPath"), "{message}");
}

#[tokio::test]
async fn the_platforms_keys_in_a_parameter_of_any_name_are_told_and_so_are_those_that_come_later() {
    let mut stage = stage();
    let key = stage.secret_key.clone();
    change(&stage, |class| {
        class["spec"]["strategies"][0]["parameters"] =
            json!({ "note": key, "other": "new-key-of-later" });
    });
    let (_, bindings) = said(&mut stage).await;
    let message = bindings[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("parameter note holds the platform's own credentials"),
        "{message}"
    );
    let (namespace, name) = ("cozy-backup-controller", "cozy-backups-system-credentials");
    let secret = stage.cluster.read("v1", "Secret", Some(namespace), name);
    let mut secret = secret.unwrap();
    secret["stringData"] = json!({ "secretKey": "new-key-of-later" });
    stage.cluster.put(secret).unwrap();
    let (_, bindings) = said(&mut stage).await;
    let message = bindings[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("parameter other holds the platform's own credentials"),
        "{message}"
    );
}

#[tokio::test]
async fn credentials_in_parameters_are_told_before_a_job_meets_them() {
    let mut stage = stage();
    change(&stage, |class| {
        class["spec"]["strategies"][0]["parameters"] = json!({ "secretKey": "wJalrXUtnFEMI" });
    });
    let (_, bindings) = said(&mut stage).await;
    assert_eq!(bindings[0]["reason"], "ParametersInvalid");
    let text = bindings.to_string();
    assert!(
        !text.contains("wJalrXUtnFEMI"),
        "the value is not repeated: {text}"
    );
}

#[tokio::test]
async fn a_second_binding_of_a_kind_and_a_foreign_one_are_explained() {
    let mut stage = stage();
    change(&stage, |class| {
        let bindings = class["spec"]["strategies"].as_array_mut().unwrap();
        let mut foreign = bindings[0].clone();
        foreign["application"]["kind"] = json!("Kafka");
        foreign["strategyRef"]["apiGroup"] = json!("backups.example.org");
        bindings.push(bindings[0].clone());
        bindings.push(foreign);
    });
    let (ready, bindings) = said(&mut stage).await;
    assert!(ready.starts_with("True"), "{ready}");
    assert!(
        bindings[1]["message"]
            .as_str()
            .unwrap()
            .starts_with("never used")
    );
    assert_eq!(
        bindings[2]["message"],
        "left to the controller of backups.example.org"
    );
}

/// Host and operator take turns until the job ends.
async fn ended(stage: &mut Stage, kind: &str, job: &str) -> String {
    let operator = Cnpg::new(Arc::clone(&stage.storage), Fate::Completes);
    for _ in 0..60 {
        stage.runner.settle().await.unwrap();
        let said = stage.said(kind, TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        stage.cluster.advance(20);
        let now = Timestamp::from_second(stage.cluster.now()).unwrap();
        operator.step(&stage.cluster, now).await.unwrap();
    }
    panic!(
        "the job did not end; it says {}",
        stage.said(kind, TENANT, job)
    );
}

// Defect 27 of the reference: any tenant can use any class.
#[tokio::test]
async fn a_class_lets_in_only_the_namespaces_that_it_selects() {
    let mut stage = stage();
    change(&stage, |class| {
        class["spec"]["allowedNamespaces"] = json!({ "matchLabels": { "tier": "gold" } });
    });
    stage.backup_job(TENANT, "refused", "orders-db").unwrap();
    let said = ended(&mut stage, "BackupJob", "refused").await;
    assert!(
        said.starts_with("Failed BackupFailed: NamespaceNotAllowed: BackupClass cozy-default is not for namespace tenant-acme"),
        "{said}"
    );
    let mut namespace = stage.cluster.read("v1", "Namespace", None, TENANT).unwrap();
    namespace["metadata"]["labels"] = json!({ "tier": "gold" });
    stage.cluster.put(namespace).unwrap();
    stage.backup_job(TENANT, "let-in", "orders-db").unwrap();
    let said = ended(&mut stage, "BackupJob", "let-in").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_class_that_no_longer_lets_a_namespace_in_refuses_its_restores() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    ended(&mut stage, "BackupJob", "ad-hoc").await;
    change(&stage, |class| {
        class["spec"]["allowedNamespaces"] = json!({ "matchLabels": { "tier": "gold" } });
    });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    let said = ended(&mut stage, "RestoreJob", "back").await;
    assert!(
        said.starts_with("Failed RestoreFailed: NamespaceNotAllowed"),
        "{said}"
    );
}

#[tokio::test]
async fn a_class_sets_how_long_its_jobs_may_take() {
    let mut stage = stage();
    change(&stage, |class| {
        class["spec"]["jobTimeoutSeconds"] = json!(90)
    });
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    while let Some(at) = stage.runner.next_at() {
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: not finished by "),
        "{said}"
    );
    let job = stage.read("BackupJob", TENANT, "ad-hoc");
    let time = |pointer: &str| -> Timestamp {
        job.pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let deadline = time("/status/strategy/deadline").as_second();
    assert_eq!(deadline - time("/status/startedAt").as_second(), 90);
}

/// What a plugin for virtual machines says of itself, as far as locks go.
const MACHINES: &str = r#"{
    "name": "machines", "version": "1.0.0", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [
        { "group": "apps.cozystack.io", "kind": "Postgres" }, { "group": "apps.cozystack.io", "kind": "Etcd" }
    ],
    "holds": [{ "of": "Postgres", "group": "apps.cozystack.io", "kind": "Etcd", "names": "/spec/disks/*/name" }]
}"#;

// Postgres stands for the machine, and Etcd for its disk: the lock does not know what a kind is.
#[tokio::test]
async fn a_job_holds_what_its_strategy_says_it_holds() {
    let mut stage = Stage::new().unwrap();
    // The first case of the answer: waiting, with a reason and a message that begin at 1024, started.
    let guest = Guest::default()
        .manifest(MACHINES)
        .data("reason", b"BackupRunning")
        .words("waiting", &[0, 0, 1024, 13, 1024, 13, 1, 0, 0, 0, 0, 0])
        .on("backup", "(return @waiting)");
    stage.guest(&guest.build(), &["Postgres", "Etcd"]).unwrap();
    stage.namespace(TENANT).unwrap();
    let machine = json!({
        "apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Postgres",
        "metadata": { "name": "machine", "namespace": TENANT },
        "spec": { "disks": [{ "name": "root" }, { "name": "data" }] },
    });
    stage.cluster.put(machine).unwrap();
    stage.backup_job(TENANT, "of-machine", "machine").unwrap();
    stage.runner.settle().await.unwrap();
    stage.etcd_backup_job(TENANT, "of-disk", "data").unwrap();
    stage.etcd_backup_job(TENANT, "of-another", "else").unwrap();
    stage.runner.settle().await.unwrap();
    let busy = stage.job(TENANT, "of-disk");
    assert!(
        busy.starts_with("Pending ApplicationBusy: BackupJob of-machine works on this application"),
        "{busy}"
    );
    assert!(!stage.job(TENANT, "of-another").contains("ApplicationBusy"));
    // The process that knew is gone.
    stage.restart();
    stage.runner.settle().await.unwrap();
    let busy = stage.job(TENANT, "of-disk");
    assert!(busy.starts_with("Pending ApplicationBusy"), "{busy}");
    stage
        .delete("BackupJob", TENANT, "of-machine")
        .await
        .unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "of-disk");
    assert!(!said.contains("ApplicationBusy"), "{said}");
}
