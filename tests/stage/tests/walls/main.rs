//! The walls between tenants, attacked from inside and used as they are meant to be.
//!
//! The strategy of these tests is `tests/fixtures/hostile`: it does what a script tells it.
//!
//! | file | holds |
//! |---|---|
//! | `attacks` | every attack of `attacks.json`: refused in its own words, nothing written, nothing leaked |
//! | `audit` | the lines in the log for what cannot be undone |
//! | `shared` | what a strategy may do in a system namespace, and with volumes |
//! | `within` | what a strategy may do, told beside what it may not |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacks;
mod audit;
mod shared;
mod within;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use backup_api::{PluginPods, StrategyPluginSpec};
use backup_engine::{Serving, proposed_grant, strategy_definition};
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";
const OTHER: &str = "tenant-other";
const SYSTEM: &str = "cozy-operator";
const PREFIX: &str = "tenant-acme/orders-db";
/// Of characters that may stand in the name of an object, of a label and of a condition.
const PASSWORD: &str = "P4ss_word-1x";

/// The folder with the fixtures that `cargo xtask bundle` builds.
fn fixtures() -> PathBuf {
    stage::bundle().unwrap().join("../fixtures")
}

/// A platform whose class `cozy-default` binds Postgres to the hostile strategy with these parameters, a tenant with a
/// database, and others beside it.
fn stage(parameters: &Value) -> Stage {
    let stage = Stage::new().unwrap();
    stage.storage_secret().unwrap();
    serve(&stage, |_| {});
    class(&stage, parameters);
    for namespace in [TENANT, OTHER, SYSTEM] {
        stage.namespace(namespace).unwrap();
    }
    stage.postgres(TENANT, "orders-db", PASSWORD).unwrap();
    // How the strategy comes to know what it must not: the tenant has written it where it reads.
    let mut application = application(&stage);
    application["spec"]["note"] = json!(stage.secret_key);
    stage.cluster.put(application).unwrap();
    stage
}

fn application(stage: &Stage) -> Value {
    let read = stage.cluster.read(
        "apps.cozystack.io/v1alpha1",
        "Postgres",
        Some(TENANT),
        "orders-db",
    );
    read.unwrap()
}

/// Lets the hostile strategy serve, with a grant that a test has a word in.
fn serve(stage: &Stage, change: impl FnOnce(&mut StrategyPluginSpec)) {
    let strategy = Stage::from_folder(&fixtures(), "hostile.wasm").unwrap();
    let manifest = strategy.manifest().clone();
    stage
        .cluster
        .install_crd(&strategy_definition(&manifest))
        .unwrap();
    let mut grant = proposed_grant(&manifest, "hostile.wasm", "cozy-backup-controller");
    grant.system_namespaces = vec![SYSTEM.to_owned()];
    grant.pods = Some(PluginPods {
        secrets: vec!["postgres-{application}-*".to_owned()],
        ..PluginPods::default()
    });
    change(&mut grant);
    stage.strategies.serve(Serving {
        name: manifest.name,
        grant,
        strategy,
    });
}

/// The class, its strategy object, and what the strategy is told.
fn class(stage: &Stage, parameters: &Value) {
    let group = backup_api::names::STRATEGY_GROUP;
    let put = |object: Value| stage.cluster.put(object).unwrap();
    put(json!({
        "apiVersion": backup_api::names::STRATEGY_API_VERSION, "kind": "Hostile",
        "metadata": { "name": "hostile" }, "spec": {},
    }));
    put(json!({
        "apiVersion": backup_api::names::API_VERSION, "kind": "BackupClass",
        "metadata": { "name": "cozy-default" },
        "spec": { "strategies": [{
            "application": { "kind": "Postgres" },
            "strategyRef": { "apiGroup": group, "kind": "Hostile", "name": "hostile" },
            "parameters": parameters,
        }] },
    }));
}

/// A strategy that follows this script when it is asked for a backup.
fn scripted(script: &Value) -> Stage {
    let stage = stage(&json!({ "script": script.to_string() }));
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage
}

fn config_map(namespace: &str, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace, "labels": { "app": "theirs" } },
        "data": data,
    })
}

fn read(stage: &Stage, kind: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
    stage.cluster.read("v1", kind, namespace, name)
}

/// Goes on until every wait has ended: two days, in which Backups are looked at twice.
async fn to_the_end(stage: &mut Stage) {
    let end = stage.cluster.now() + 2 * 24 * 60 * 60;
    while let Some(at) = stage.runner.next_at().filter(|at| at.as_second() < end) {
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
}

/// What is logged by this thread while it is held.
struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _subscriber: Box<dyn std::any::Any>,
}

impl Log {
    fn capture() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(Arc::clone(&lines));
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
        Self {
            lines,
            _subscriber: Box::new(guard),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }

    /// The lines about what cannot be undone: what was done, to what, for which job.
    fn audit(&self) -> Vec<String> {
        let lines: Vec<Value> = self
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let audit = lines
            .iter()
            .filter(|line| line["target"] == "backup_engine::audit");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        audit
            .map(|line| {
                let digest = text(&line["digest"]);
                assert!(digest.starts_with("sha256:"), "{line}");
                let words = ["message", "of", "job"].map(|field| text(&line[field]));
                format!("{} {} by {}", words[0], words[1], words[2])
            })
            .collect()
    }
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
