//! What everybody in a simulation stands on: the cluster, the storage, the plugins that serve, the played operators,
//! and what is armed to go wrong.
//!
//! An event can happen between two passes of the host or in the middle of one, so everything that events change is
//! behind this handle.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use backup_api::{StrategyPluginSpec, names::API_VERSION};
use backup_engine::{
    Serving, Strategies,
    cluster::{ApiError, Caller, Cluster as _, DeleteOptions, Part, memory::MemoryCluster},
};
use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    components::{Loaded, definitions, loaded, policy},
    faults::Faults,
    operators::Operators,
    strategies::{Player, Strategy},
    trace::Trace,
    vault::Vault,
};

/// When every history begins: a Wednesday, at noon.
pub(crate) const NOON: i64 = 1_795_608_000;

/// The host's namespace.
pub(crate) const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// The key of the platform's storage, and its secret.
pub(crate) const KEYS: [&str; 2] = ["access-key-of-the-platform", "secret-key-of-the-platform"];

/// The password of every database's user.
pub(crate) const PASSWORD: &str = "password-of-a-user";

/// How the watches of the host are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Watches {
    /// They tell what happens.
    #[default]
    InTime,
    /// They tell nothing until this time, in seconds since the epoch; then all of it, or, where they broke, only what
    /// is there.
    Late { until: i64, is_broken: bool },
}

/// The ground of one simulation. Clones are handles to the same.
#[derive(Clone)]
pub(crate) struct Ground {
    pub cluster: MemoryCluster,
    pub storage: Arc<Vault>,
    pub plugins: Arc<Strategies>,
    /// The strategies of this history.
    pub strategies: Vec<Strategy>,
    components: BTreeMap<&'static str, &'static Loaded>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    operators: Mutex<Operators>,
    /// Those that have taken a turn, by strategy kind.
    players: Mutex<BTreeMap<&'static str, Player>>,
    watches: Mutex<Watches>,
    trace: Mutex<Trace>,
    is_limited: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ground {
    /// A platform where everything is in order, and no tenants yet.
    ///
    /// # Errors
    /// When the simulation itself is not in order.
    pub(crate) fn new(seed: u64, strategies: &[Strategy], traces: bool) -> anyhow::Result<Self> {
        let cluster = MemoryCluster::with_seed(seed);
        cluster.set_now(NOON);
        let components = strategies.iter().map(|strategy| {
            let loaded = loaded(*strategy)?;
            Ok((strategy.kind(), loaded))
        });
        let ground = Self {
            cluster,
            storage: Arc::default(),
            plugins: Arc::default(),
            strategies: strategies.to_vec(),
            components: components.collect::<anyhow::Result<_>>()?,
            shared: Arc::default(),
        };
        *lock(&ground.shared.trace) = Trace::new(traces);
        let of_strategies = ground.components.values().map(|loaded| &loaded.definition);
        for definition in definitions()?.iter().chain(of_strategies) {
            ground.cluster.install_crd(definition)?;
        }
        ground.put(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HOST_NAMESPACE } }));
        for object in strategies
            .iter()
            .flat_map(|strategy| strategy.surroundings())
        {
            match text(&object, "/kind") {
                "CustomResourceDefinition" => ground.cluster.install_crd(&object)?,
                _ => ground.cluster.put(object).map(|_| ())?,
            }
        }
        stage::keep_to_policy(&ground.cluster, policy()?)?;
        ground.put_in_order()?;
        Ok(ground)
    }

    /// Brings platform, plugins and operators into order, whatever has become of them.
    ///
    /// # Errors
    /// When the simulation itself is not in order.
    pub(crate) fn put_in_order(&self) -> anyhow::Result<()> {
        for kind in stage::kinds().iter().filter(|kind| self.has(kind.group)) {
            if !self
                .cluster
                .knows(&format!("{}/{}", kind.group, kind.version), kind.kind)
            {
                self.cluster.install_crd(&stage::crd(kind))?;
            }
        }
        for strategy in self.strategies.clone() {
            for settings in self.settings(strategy) {
                self.put(settings);
            }
            if self.plugins.serving(strategy.kind()).is_none() {
                self.serve(strategy, 0);
            }
        }
        self.put(&self.storage_secret());
        self.put(&self.class());
        *self.operators() = Operators::default();
        *self.watches() = Watches::InTime;
        let mut faults = self.faults();
        faults.disarm();
        faults.grant_everything();
        Ok(())
    }

    /// Whether the kinds of an API group are there: not those of operators that no strategy of this history has.
    fn has(&self, group: &str) -> bool {
        let others = Strategy::all().filter(|strategy| !self.strategies.contains(strategy));
        let mut others = others.map(|strategy| strategy.group());
        !others.any(|other| other == group)
    }

    /// A strategy's objects, as they should be.
    pub(crate) fn settings(&self, strategy: Strategy) -> &'static [Value] {
        let loaded = self.components.get(strategy.kind());
        loaded.map_or(&[], |loaded| loaded.settings.as_slice())
    }

    /// The storage's Secret, about the bucket that it is now.
    pub(crate) fn storage_secret(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "cozy-backups-system-credentials", "namespace": HOST_NAMESPACE },
            "stringData": {
                "accessKey": KEYS[0],
                "secretKey": KEYS[1],
                "endpoint": "https://s3.cozy.example",
                "bucketName": self.storage.present(),
                "region": "eu-1",
            },
        })
    }

    /// The class, with the retention policy that it has by now.
    pub(crate) fn class(&self) -> Value {
        let loaded = self.components.values();
        let bindings: Vec<&Value> = loaded.flat_map(|loaded| &loaded.bindings).collect();
        let mut class = json!({
            "apiVersion": API_VERSION,
            "kind": "BackupClass",
            "metadata": { "name": "cozy-default" },
            "spec": { "strategies": bindings },
        });
        if self.is_limited() {
            class["spec"]["retentionPolicy"] = json!({ "maxAge": "1d" });
        }
        class
    }

    /// The class keeps Backups that no Plan covers for a day from now on.
    pub(crate) fn limit_class(&self) {
        self.shared.is_limited.store(true, Ordering::Relaxed);
        self.put(&self.class());
    }

    /// Whether the class has a retention policy.
    pub(crate) fn is_limited(&self) -> bool {
        self.shared.is_limited.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.cluster.now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.shared.faults)
    }

    pub(crate) fn operators(&self) -> MutexGuard<'_, Operators> {
        lock(&self.shared.operators)
    }

    pub(crate) fn players(&self) -> MutexGuard<'_, BTreeMap<&'static str, Player>> {
        lock(&self.shared.players)
    }

    pub(crate) fn watches(&self) -> MutexGuard<'_, Watches> {
        lock(&self.shared.watches)
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.shared.trace)
    }

    /// A line of the history.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let seconds = self.cluster.now() - NOON;
        self.trace().note(seconds, line);
    }

    /// Lets a version of a strategy's plugin serve.
    pub(crate) fn serve(&self, strategy: Strategy, version: usize) {
        let Some(loaded) = self.components.get(strategy.kind()) else {
            return;
        };
        let component = loaded.versions[version % loaded.versions.len()].clone();
        let manifest = component.manifest();
        self.plugins.serve(Serving {
            name: manifest.name.clone(),
            grant: loaded.grant.clone(),
            strategy: component,
        });
    }

    /// What the administrator grants a strategy.
    pub(crate) fn grant(&self, strategy: Strategy) -> Option<&'static StrategyPluginSpec> {
        let loaded = self.components.get(strategy.kind())?;
        Some(&loaded.grant)
    }

    /// No plugin serves this strategy any more.
    pub(crate) fn withdraw(&self, strategy: Strategy) {
        self.plugins.withdraw(strategy.kind());
    }

    /// Puts an object as it is, where its kind is known.
    pub(crate) fn put(&self, object: &Value) {
        // A kind whose definition is gone has no objects.
        self.cluster.put(object.clone()).ok();
    }

    /// Creates an object as a user does. One that is refused is the user's problem.
    pub(crate) fn create(&self, object: &Value) {
        let created = at_once(
            self.cluster
                .create(&Caller::host(), "kubectl", object, false),
        );
        self.refused(created.map(|_| ()));
    }

    /// Changes fields of an object of the host's group as a user does.
    pub(crate) fn change(&self, kind: &str, namespace: &str, name: &str, change: &Value) {
        let target = ObjectRef {
            api_version: API_VERSION.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let cluster = &self.cluster;
        let changed =
            at_once(cluster.merge(&Caller::host(), "kubectl", &target, change, Part::Main));
        self.refused(changed.map(|_| ()));
    }

    /// Deletes an object as a user does.
    pub(crate) fn delete(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) {
        let target = ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            name: name.to_owned(),
        };
        let options = DeleteOptions::default();
        let deleted = at_once(self.cluster.delete(&Caller::host(), &target, &options));
        self.refused(deleted);
    }

    fn refused(&self, outcome: Result<(), ApiError>) {
        if let Err(error) = outcome {
            self.note(|| format!("    (refused: {error})"));
        }
    }
}

/// The value of a future that waits for nothing. One that waits never ends: it is the host that has crashed.
pub(crate) fn unless_crashed<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A request to the cluster in memory, which answers at once.
pub(crate) fn at_once<T>(
    request: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    unless_crashed(request).unwrap_or_else(|| {
        Err(ApiError::new(
            backup_engine::cluster::ApiReason::Timeout,
            "the cluster in memory has not answered at once",
        ))
    })
}

/// A text in an object; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
