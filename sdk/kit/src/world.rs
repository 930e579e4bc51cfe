//! The cluster in memory of a case, and the host on it.

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use backup_api::{
    StrategyPluginSpec,
    names::{API_VERSION, STRATEGY_API_VERSION, STRATEGY_GROUP},
};
use backup_engine::{
    AuthoritySettings, Evaluated, Evaluator, Host, MemoryStorage, Observer, Runner, Serving,
    Settings, Storage, Strategies,
    cluster::{ApiError, memory::MemoryCluster},
    memory_clock, proposed_grant, reference, strategy_definition,
};
use backup_sandbox::{Manifest, Strategy};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{case::Case, faults::Faults, plans::Asked, policy, seen::Seen};

/// When every story begins: a Wednesday, at noon.
const NOON: i64 = 1_795_608_000;

/// The host's namespace.
const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// What the strategy object and the class of a case are called.
pub(crate) const CLASS: &str = "of-this-case";

/// A strategy asks for no more than a few passes at one moment; one that goes on so long asks for ever.
const RESTLESS: usize = 2_000;

/// So many times the clock may be moved to the next pass within one step of a story.
const WAKINGS: usize = 20_000;

const AUTHORITY: &str =
    "-----BEGIN CERTIFICATE-----\nYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n";

/// What went wrong with the world itself.
pub(crate) type Wrong = String;

/// A cluster in memory, its storage, and a host.
pub(crate) struct World {
    pub(crate) cluster: MemoryCluster,
    pub(crate) storage: Arc<MemoryStorage>,
    pub(crate) strategy: Strategy,
    pub(crate) seen: Seen,
    /// The strategy's `spec`, as it is in the cluster.
    pub(crate) spec: Value,
    strategies: Arc<Strategies>,
    settings: Settings,
    runner: Runner,
    faults: Faults,
    recorder: Arc<Recorder>,
}

/// Writes down what the strategy answers.
#[derive(Default)]
struct Recorder(Mutex<Vec<Asked>>);

impl Observer for Recorder {
    fn evaluated(&self, evaluation: &Evaluated<'_>) {
        let asked = Asked::of(evaluation);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(asked);
    }
}

/// What the administrator of a case grants.
///
/// # Errors
/// When `grant` has members that a StrategyPlugin has not.
pub(crate) fn grant_of(case: &Case, manifest: &Manifest) -> Result<StrategyPluginSpec, Wrong> {
    let file = format!("{}.wasm", manifest.name);
    let proposed = proposed_grant(manifest, &file, HOST_NAMESPACE);
    let mut grant = serde_json::to_value(&proposed).map_err(|error| error.to_string())?;
    let changes = case.setting.grant.as_object();
    for (name, value) in changes.into_iter().flatten() {
        grant[name.as_str()] = value.clone();
    }
    let known: StrategyPluginSpec =
        serde_json::from_value(grant.clone()).map_err(|error| format!("grant: {error}"))?;
    // serde passes over what it does not know.
    let kept = serde_json::to_value(&known).map_err(|error| error.to_string())?;
    match grant
        .as_object()
        .into_iter()
        .flatten()
        .find(|(name, value)| !value.is_null() && kept.get(*name).is_none())
    {
        Some((name, _)) => Err(format!("grant: a StrategyPlugin's spec has no {name}")),
        None => Ok(known),
    }
}

/// The objects that a case gives, its strategy object among them.
pub(crate) fn objects_of(case: &Case, manifest: &Manifest) -> Vec<Value> {
    let mut objects = case.definitions.clone();
    objects.extend(case.given.iter().cloned());
    if let Some(spec) = &case.setting.strategy {
        objects.push(json!({
            "apiVersion": STRATEGY_API_VERSION, "kind": manifest.strategy_kind.kind,
            "metadata": { "name": CLASS }, "spec": spec,
        }));
    }
    objects
}

impl World {
    /// The world of a case, before anything happens in it.
    ///
    /// # Errors
    /// What no cluster would take.
    pub(crate) fn of(case: &Case, strategy: &Strategy, faults: Faults) -> Result<Self, Wrong> {
        let manifest = strategy.manifest();
        let grant = grant_of(case, manifest)?;
        let cluster = MemoryCluster::new();
        cluster.set_now(NOON);
        let settings = settings(case);
        let told = |error: ApiError| error.to_string();
        for definition in host_definitions() {
            cluster.install_crd(definition).map_err(told)?;
        }
        cluster
            .install_crd(&strategy_definition(manifest))
            .map_err(told)?;
        let strategies = Arc::new(Strategies::default());
        strategies.serve(Serving {
            name: manifest.name.clone(),
            grant: grant.clone(),
            strategy: strategy.clone(),
        });
        let mut objects = objects_of(case, manifest);
        objects.extend(platform(case, &settings));
        if !objects.iter().any(|one| one["kind"] == "BackupClass") {
            objects.push(class(case, &grant, &objects, manifest));
        }
        for definition in objects
            .iter()
            .filter(|one| one["kind"] == "CustomResourceDefinition")
        {
            cluster.install_crd(definition).map_err(told)?;
        }
        know_kinds(&cluster, manifest, &grant, &objects);
        policy::enforce(&cluster).map_err(told)?;
        for object in &objects {
            if object["kind"] != "CustomResourceDefinition" {
                let described = reference(object);
                let object = completed(object, case, manifest);
                cluster.put(object).map_err(|error| {
                    format!(
                        "{} {} is not accepted: {error}",
                        described.kind, described.name
                    )
                })?;
            }
        }
        let storage = Arc::new(MemoryStorage::default());
        let since = u64::try_from(NOON).unwrap_or_default();
        for (key, size) in &case.setting.stored {
            storage.put(key, *size, since);
        }
        let intercepting = faults.clone();
        cluster.set_interceptor(move |operation| intercepting.verdict(operation));
        let recorder = Arc::new(Recorder::default());
        let host = host(&cluster, &settings, &strategies, &storage, &recorder);
        let spec = objects.iter().find(|one| {
            one["apiVersion"] == STRATEGY_API_VERSION
                && one["kind"] == manifest.strategy_kind.kind.as_str()
        });
        Ok(Self {
            seen: Seen::of(&cluster),
            spec: spec.map(|one| one["spec"].clone()).unwrap_or_default(),
            strategy: strategy.clone(),
            runner: Runner::new(Arc::new(host)),
            cluster,
            storage,
            strategies,
            settings,
            faults,
            recorder,
        })
    }

    pub(crate) fn host(&self) -> &Host<MemoryCluster> {
        self.runner.host()
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.cluster.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What the strategy has answered since the last call.
    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        let mut all = self
            .recorder
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }

    /// A new host process: what the old one kept in memory is gone.
    pub(crate) fn restart(&mut self) {
        let host = host(
            &self.cluster,
            &self.settings,
            &self.strategies,
            &self.storage,
            &self.recorder,
        );
        self.runner = Runner::new(Arc::new(host));
    }

    /// Lets the host work until nothing is due.
    ///
    /// # Errors
    /// When there is no end to it.
    pub(crate) async fn settle(&mut self) -> Result<(), Wrong> {
        let mut last = None;
        for _ in 0..RESTLESS {
            let passed = self.runner.step().await;
            self.seen.look(&self.cluster);
            if self.faults.was_down() {
                self.restart();
                continue;
            }
            match passed {
                Some(passed) => last = Some(passed.key),
                None => return Ok(()),
            }
        }
        Err(format!(
            "{last:?} asks for pass after pass, and never rests"
        ))
    }

    /// Lets time go by, and the host work whenever something is due.
    ///
    /// # Errors
    /// When there is no end to it.
    pub(crate) async fn let_pass(&mut self, time: Duration) -> Result<(), Wrong> {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let end = self.cluster.now().saturating_add(seconds);
        for _ in 0..WAKINGS {
            self.settle().await?;
            let next = self.runner.next_at().map(Timestamp::as_second);
            let Some(next) = next.filter(|next| *next <= end) else {
                self.cluster.set_now(end);
                return self.settle().await;
            };
            self.cluster.set_now(next.max(self.cluster.now() + 1));
        }
        Err("so much happens in that time that it cannot be told".to_owned())
    }
}

/// The definitions of the host's own kinds. A story is told some dozen times, and making them takes longer than that.
fn host_definitions() -> &'static [Value] {
    static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let definitions = backup_api::definitions();
        let definitions = definitions.iter().map(serde_json::to_value);
        definitions.filter_map(Result::ok).collect()
    });
    &DEFINITIONS
}

fn host(
    cluster: &MemoryCluster,
    settings: &Settings,
    strategies: &Arc<Strategies>,
    storage: &Arc<MemoryStorage>,
    recorder: &Arc<Recorder>,
) -> Host<MemoryCluster> {
    let host = Host::new(
        cluster.clone(),
        settings.clone(),
        Arc::clone(strategies),
        Arc::clone(storage) as Arc<dyn Storage>,
        memory_clock(cluster),
        Evaluator::Inline,
    );
    host.observed_by(Arc::clone(recorder) as Arc<dyn Observer>)
}

/// As the chart has them. A Backup is checked only on request, so that a story tells when.
fn settings(case: &Case) -> Settings {
    let mut settings = Settings {
        check_interval: Duration::ZERO,
        ..Settings::default()
    };
    if case.setting.storage.private_authority {
        settings.storage.authority = Some(AuthoritySettings {
            namespace: HOST_NAMESPACE.to_owned(),
            name: "storage-authority".to_owned(),
            key: "ca.crt".to_owned(),
        });
    }
    settings
}

/// The platform's storage, as it is described in the cluster.
fn platform(case: &Case, settings: &Settings) -> Vec<Value> {
    let storage = &case.setting.storage;
    let of = &settings.storage;
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": of.source_name, "namespace": of.source_namespace },
        "stringData": {
            "accessKey": "made-up-access-key-of-the-platform",
            "secretKey": "made-up-secret-key-of-the-platform",
            "endpoint": storage.endpoint, "bucketName": storage.bucket, "region": storage.region,
        },
    })];
    if let Some(authority) = &of.authority {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": authority.name, "namespace": authority.namespace },
            "stringData": { authority.key.as_str(): AUTHORITY },
        }));
    }
    objects
}

/// The class that binds the applications to the strategy object, whichever that is.
fn class(case: &Case, grant: &StrategyPluginSpec, objects: &[Value], manifest: &Manifest) -> Value {
    let strategy = strategy_ref(objects, manifest);
    let bindings = grant.applications.iter().map(|application| {
        json!({
            "application": { "apiGroup": application.group, "kind": application.kind },
            "strategyRef": strategy,
            "parameters": case.setting.parameters,
        })
    });
    json!({
        "apiVersion": API_VERSION, "kind": "BackupClass", "metadata": { "name": CLASS },
        "spec": { "strategies": bindings.collect::<Vec<_>>() },
    })
}

fn strategy_ref(objects: &[Value], manifest: &Manifest) -> Value {
    let kind = manifest.strategy_kind.kind.as_str();
    let mut all = objects.iter();
    let found = all.find(|one| one["apiVersion"] == STRATEGY_API_VERSION && one["kind"] == kind);
    let name = found.map_or(json!(CLASS), |one| one["metadata"]["name"].clone());
    json!({ "apiGroup": STRATEGY_GROUP, "kind": kind, "name": name })
}

/// A Backup with what every Backup says, where a case leaves it out.
fn completed(object: &Value, case: &Case, manifest: &Manifest) -> Value {
    let mut object = object.clone();
    if object["apiVersion"] != API_VERSION || object["kind"] != "Backup" {
        return object;
    }
    let storage = &case.setting.storage;
    for (part, name, value) in [
        ("spec", "strategyRef", strategy_ref(&case.given, manifest)),
        ("spec", "backupClassName", json!(CLASS)),
        ("spec", "takenAt", json!("2026-11-24T12:00:00Z")),
        (
            "spec",
            "storage",
            json!({ "endpoint": storage.endpoint, "bucket": storage.bucket }),
        ),
        ("status", "phase", json!("Ready")),
    ] {
        if object[part].get(name).is_none() {
            object[part][name] = value;
        }
    }
    object
}

/// Lets the cluster know the kinds that nothing defines, with open schemas.
fn know_kinds(
    cluster: &MemoryCluster,
    manifest: &Manifest,
    grant: &StrategyPluginSpec,
    objects: &[Value],
) {
    let know = |api_version: &str, kind: &str, is_namespaced: bool| {
        if !cluster.knows(api_version, kind) {
            // No path is made of the plural here; it only has to be another for each kind.
            let plural = format!("{}s", kind.to_lowercase());
            cluster.install_kind(api_version, kind, &plural, is_namespaced, true);
        }
    };
    for object in objects {
        let target = reference(object);
        know(
            &target.api_version,
            &target.kind,
            target.namespace.is_some(),
        );
    }
    know("helm.toolkit.fluxcd.io/v2", "HelmRelease", true);
    for application in &grant.applications {
        let version = format!("{}/v1alpha1", application.group);
        know(&version, &application.kind, true);
    }
    for read in &manifest.reads {
        know(&read.api_version, &read.kind, true);
    }
    for written in &manifest.writes {
        know(&written.api_version, &written.kind, true);
    }
}
