//! The cluster in memory that a strategy is tried on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backup_api::{
    GrantedApplication, StrategyPluginSpec, StrategyReference,
    names::{API_VERSION, STRATEGY_API_VERSION, STRATEGY_GROUP},
};
use backup_sandbox::{EvaluationError, Strategy};
use serde_json::{Map, Value, json};

use super::{Invariant, example::Example, subject};
use crate::{
    admit::entries,
    cluster::{ApiError, memory::MemoryCluster},
    commit::HELM_RELEASE,
    definition::strategy_definition,
    host::{Evaluator, Host},
    object,
    observe::{Evaluated, Observer},
    runner::memory_clock,
    settings::Settings,
    storage::{MemoryStorage, Storage},
    strategies::{Serving, Strategies},
};

/// Where the made-up application is, and what it is called.
const TENANT: &str = "tenant-example";
/// What everything is called that is made up.
pub(super) const MADE_UP: &str = "example";

/// When a trial begins: a Wednesday, at noon.
const NOON: i64 = 1_795_608_000;

/// How long a job may take in all. Time in a trial costs passes, and what an operator would have done by then, it never
/// does.
const JOB_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// A cluster with an application, a class that binds it to the strategy, and storage.
pub(super) struct World {
    pub cluster: MemoryCluster,
    strategies: Arc<Strategies>,
    storage: Arc<MemoryStorage>,
    heard: Arc<Heard>,
    pub strategy: Strategy,
    /// The application, as the cluster shows it.
    pub application: Value,
    /// The strategy object.
    settings: Value,
    /// Whether the author gave the settings; what they say of places counts then.
    pub is_given: bool,
    /// The smallest parameters of a class.
    pub parameters: BTreeMap<String, String>,
    /// The smallest options of a restore.
    pub options: Value,
    /// Whether parts of the settings, parameters or options are nothing that the schema says.
    pub is_made_up: bool,
}

impl World {
    pub(super) fn new(
        strategy: &Strategy,
        grant: &StrategyPluginSpec,
        kind: &GrantedApplication,
        objects: &[Value],
    ) -> Result<Self, ApiError> {
        let manifest = strategy.manifest();
        let cluster = cluster(strategy, kind, objects)?;
        let find = |api_version: &str, kind: &str| {
            let mut all = objects.iter();
            all.find(|one| one["apiVersion"] == api_version && one["kind"] == kind)
                .cloned()
        };
        let given = find(STRATEGY_API_VERSION, &manifest.strategy_kind.kind);
        let spec = Example::of(&manifest.strategy_kind.schema);
        let parameters = smallest(manifest.parameters.as_ref());
        let options = smallest(manifest.restore_options.as_ref());
        let is_given = given.is_some();
        let is_made_up =
            (!is_given && spec.is_made_up) || parameters.is_made_up || options.is_made_up;
        let settings = given.unwrap_or_else(|| {
            json!({
                "apiVersion": STRATEGY_API_VERSION, "kind": manifest.strategy_kind.kind,
                "metadata": { "name": MADE_UP }, "spec": spec.document,
            })
        });
        let version = object::application_version(&kind.group);
        let application = find(&version, &kind.kind).unwrap_or_else(|| {
            json!({
                "apiVersion": version, "kind": kind.kind,
                "metadata": { "name": MADE_UP, "namespace": TENANT }, "spec": {},
            })
        });
        let strategies = Arc::new(Strategies::default());
        strategies.serve(Serving {
            name: manifest.name.clone(),
            grant: grant.clone(),
            strategy: strategy.clone(),
        });
        let world = Self {
            application: cluster.put(application)?,
            settings: cluster.put(settings)?,
            parameters: texts(&parameters.document),
            options: options.document,
            strategy: strategy.clone(),
            storage: Arc::default(),
            heard: Arc::default(),
            cluster,
            strategies,
            is_given,
            is_made_up,
        };
        world.furnish(kind)?;
        Ok(world)
    }

    /// The platform's storage and class, the application's release, and a Backup.
    fn furnish(&self, kind: &GrantedApplication) -> Result<(), ApiError> {
        let of = settings().storage;
        let subject = subject(&self.application);
        for namespace in [&of.source_namespace, &subject.namespace] {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            self.cluster.put(namespace)?;
        }
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": of.source_name, "namespace": of.source_namespace },
            "stringData": {
                "accessKey": "made-up-access-key-of-the-platform",
                "secretKey": "made-up-secret-key-of-the-platform",
                "endpoint": "https://s3.example", "bucketName": "backups", "region": "example",
            },
        }))?;
        let mut objects = self.cluster.objects().into_iter();
        if !objects.any(|one| one["kind"] == HELM_RELEASE.1) {
            self.cluster.put(json!({
                "apiVersion": HELM_RELEASE.0, "kind": HELM_RELEASE.1,
                "metadata": { "name": MADE_UP, "namespace": subject.namespace, "labels": {
                    "apps.cozystack.io/application.group": subject.group,
                    "apps.cozystack.io/application.kind": subject.kind,
                    "apps.cozystack.io/application.name": subject.name,
                } },
                "spec": {},
            }))?;
        }
        let application = json!({ "apiGroup": kind.group, "kind": kind.kind });
        self.cluster.put(json!({
            "apiVersion": API_VERSION, "kind": "BackupClass", "metadata": { "name": MADE_UP },
            "spec": { "strategies": [{
                "application": application, "strategyRef": self.strategy_ref(), "parameters": self.parameters,
            }] },
        }))?;
        self.cluster.put(json!({
            "apiVersion": API_VERSION, "kind": "Backup",
            "metadata": { "name": MADE_UP, "namespace": subject.namespace },
            "spec": {
                "applicationRef": { "apiGroup": kind.group, "kind": kind.kind, "name": subject.name },
                "strategyRef": self.strategy_ref(), "backupClassName": MADE_UP, "parameters": self.parameters,
                "takenAt": "2026-01-01T00:00:00Z", "deletionPolicy": "Retain",
            },
            "status": { "phase": "Ready" },
        }))?;
        Ok(())
    }

    /// What names the strategy object.
    pub(super) fn strategy_ref(&self) -> StrategyReference {
        StrategyReference {
            api_group: STRATEGY_GROUP.to_owned(),
            kind: self.strategy.manifest().strategy_kind.kind.clone(),
            name: object::reference(&self.settings).name,
        }
    }

    /// Whether the strategy says that the settings which were made up make no sense.
    pub(super) fn refuses_its_settings(&self) -> bool {
        let problems = self.validate();
        !self.is_given && problems.is_ok_and(|problems| problems > 0)
    }

    /// How many problems the strategy has with its settings.
    pub(super) fn validate(&self) -> Result<usize, EvaluationError> {
        let spec = self.settings["spec"].to_string();
        let parameters = entries(&self.parameters);
        let problems = self.strategy.validate(&spec, &parameters)?;
        Ok(problems.len())
    }

    /// A host that has just started.
    pub(super) fn host(&self) -> Host<MemoryCluster> {
        let host = Host::new(
            self.cluster.clone(),
            settings(),
            Arc::clone(&self.strategies),
            Arc::clone(&self.storage) as Arc<dyn Storage>,
            memory_clock(&self.cluster),
            Evaluator::Inline,
        );
        host.observed_by(Arc::clone(&self.heard) as Arc<dyn Observer>)
    }

    /// The worst that became of a question in this world.
    pub(super) fn outcome(&self) -> Outcome {
        *self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what became of questions so far.
    pub(super) fn forget_outcome(&self) {
        *self.heard.0.lock().unwrap_or_else(PoisonError::into_inner) = Outcome::Fine;
    }
}

/// What became of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It was answered, or what it reads cannot be read here.
    #[default]
    Fine,
    /// It took too long on the clock, or the sandbox failed: that may be the machine's doing.
    Unclear,
    /// It trapped, or said what the contract does not allow.
    Broken,
    /// It used all that it may.
    Exhausted,
}

impl Outcome {
    /// By the word that an observer is told.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "Answered" | "NotRead" => Self::Fine,
            "Trap" | "NotOffered" | "Argument" | "Answer" => Self::Broken,
            "Fuel" | "Memory" | "Table" | "Bytes" | "Actions" | "Rounds" | "LogLines" => {
                Self::Exhausted
            }
            _ => Self::Unclear,
        }
    }

    /// The promise that it breaks.
    pub(super) fn broken(self) -> Option<Invariant> {
        matches!(self, Self::Broken | Self::Exhausted).then_some(Invariant::Answers)
    }
}

/// Hears what becomes of questions.
#[derive(Default)]
struct Heard(Mutex<Outcome>);

impl Observer for Heard {
    fn evaluated(&self, evaluation: &Evaluated<'_>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = (*heard).max(Outcome::of(evaluation.outcome));
    }
}

fn settings() -> Settings {
    Settings {
        job_deadline: JOB_DEADLINE,
        check_interval: Duration::ZERO,
        ..Settings::default()
    }
}

/// A cluster that knows the kinds of the strategy and of the objects, and holds the objects.
fn cluster(
    strategy: &Strategy,
    kind: &GrantedApplication,
    objects: &[Value],
) -> Result<MemoryCluster, ApiError> {
    let cluster = MemoryCluster::new();
    cluster.set_now(NOON);
    let manifest = strategy.manifest();
    let own = backup_api::definitions();
    let own = own
        .iter()
        .map(|own| serde_json::to_value(own).unwrap_or_default());
    for definition in own.chain([strategy_definition(manifest)]) {
        cluster.install_crd(&definition)?;
    }
    let is_definition = |object: &&Value| object["kind"] == "CustomResourceDefinition";
    for definition in objects.iter().filter(is_definition) {
        cluster.install_crd(definition)?;
    }
    let application = object::application_version(&kind.group);
    let reads = manifest.reads.iter();
    let reads = reads.map(|read| (&*read.api_version, &*read.kind));
    let writes = manifest.writes.iter();
    let writes = writes.map(|written| (&*written.api_version, &*written.kind));
    let others = [(&*application, &*kind.kind), HELM_RELEASE];
    for (api_version, kind) in reads.chain(writes).chain(others) {
        install(&cluster, api_version, kind);
    }
    for object in objects.iter().filter(|object| !is_definition(object)) {
        let target = object::reference(object);
        // Jobs, Backups and classes are those of the trial.
        if target.api_version == API_VERSION {
            continue;
        }
        install(&cluster, &target.api_version, &target.kind);
        cluster.put(object.clone())?;
    }
    Ok(cluster)
}

/// Lets the cluster know a kind, with an open schema, unless it does.
fn install(cluster: &MemoryCluster, api_version: &str, kind: &str) {
    if !cluster.knows(api_version, kind) {
        // No path is made of the plural here; it only has to be another for each kind.
        let plural = format!("{}s", kind.to_lowercase());
        cluster.install_kind(api_version, kind, &plural, true, true);
    }
}

fn smallest(schema: Option<&Value>) -> Example {
    let nothing = Example {
        document: Value::Object(Map::new()),
        is_made_up: false,
    };
    schema.map_or(nothing, Example::of)
}

/// Parameters are texts, whatever they mean.
fn texts(parameters: &Value) -> BTreeMap<String, String> {
    let members = parameters.as_object().into_iter().flatten();
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    members
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}
