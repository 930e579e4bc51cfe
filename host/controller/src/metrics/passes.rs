//! Passes and their queue, as controller-runtime counts them: a controller here is a kind of object.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use backup_engine::Key;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The kinds that have passes, as controller-runtime names controllers.
const CONTROLLERS: [&str; 5] = ["backup", "backupclass", "backupjob", "plan", "restorejob"];

/// A reconciler.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Controller {
    controller: String,
}

/// A queue: there is one for each reconciler, in name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    name: String,
    controller: String,
}

/// A reconciler and how its pass ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    controller: String,
    result: &'static str,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It went through, and another comes when something changes.
    Well,
    /// It went through, and another comes at a time.
    WithATime,
    /// A request failed, and it is made again after a pause.
    Failed,
}

/// What is counted of passes.
#[derive(Clone)]
pub(crate) struct Passes {
    outcomes: Family<Outcome, Counter>,
    errors: Family<Controller, Counter>,
    seconds: Family<Controller, Histogram>,
    active: Family<Controller, Gauge>,
    added: Family<Named, Counter>,
    retried: Family<Named, Counter>,
    waited: Family<Named, Histogram>,
    worked: Family<Named, Histogram>,
    waiting: Waiting,
}

impl Passes {
    /// Counts from nothing.
    pub(super) fn register(registry: &mut Registry, workers: usize) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let passes = Self {
            outcomes: Family::default(),
            errors: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            active: Family::default(),
            added: Family::default(),
            retried: Family::default(),
            waited: Family::new_with_constructor(seconds),
            worked: Family::new_with_constructor(seconds),
            waiting: Waiting::default(),
        };
        let at_once = Family::<Controller, Gauge>::default();
        for controller in CONTROLLERS {
            let controller = controller.to_owned();
            at_once
                .get_or_create(&Controller { controller })
                .set(i64::try_from(workers).unwrap_or(i64::MAX));
        }
        registry.register(
            "controller_runtime_reconcile",
            "Passes, by how they ended",
            passes.outcomes.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Passes in which a request failed, and which are made again",
            passes.errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long a pass took",
            passes.seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Passes under way",
            passes.active.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "How many passes are made at once, over all kinds together",
            at_once,
        );
        registry.register(
            "workqueue_adds",
            "How often an object became due for a pass",
            passes.added.clone(),
        );
        registry.register(
            "workqueue_retries",
            "How often a pass is to be made again because a request failed",
            passes.retried.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long an object that was due waited for its pass",
            passes.waited.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long a pass took",
            passes.worked.clone(),
        );
        registry.register_collector(Box::new(passes.waiting.clone()));
        passes
    }

    /// An object is due for a pass.
    pub(crate) fn joined(&self, key: &Key) {
        self.waiting.objects().insert(key.clone(), Instant::now());
        self.added.get_or_create(&named(&key.kind)).inc();
    }

    /// An object is due no more, without a pass.
    pub(crate) fn left(&self, key: &Key) {
        self.waiting.objects().remove(key);
    }

    /// A pass begins.
    pub(crate) fn began(&self, key: &Key) {
        if let Some(since) = self.waiting.objects().remove(key) {
            self.waited
                .get_or_create(&named(&key.kind))
                .observe(since.elapsed().as_secs_f64());
        }
        self.active.get_or_create(&controller(&key.kind)).inc();
    }

    /// A pass ended, after so long.
    pub(crate) fn ended(&self, key: &Key, took: Duration, ended: Ended) {
        let controller = controller(&key.kind);
        self.active.get_or_create(&controller).dec();
        let result = match ended {
            Ended::Well => "success",
            Ended::WithATime => "requeue_after",
            Ended::Failed => "error",
        };
        if ended == Ended::Failed {
            self.errors.get_or_create(&controller).inc();
            self.retried.get_or_create(&named(&key.kind)).inc();
        }
        let seconds = took.as_secs_f64();
        self.seconds.get_or_create(&controller).observe(seconds);
        self.worked
            .get_or_create(&named(&key.kind))
            .observe(seconds);
        let Controller { controller } = controller;
        self.outcomes
            .get_or_create(&Outcome { controller, result })
            .inc();
    }
}

fn controller(kind: &str) -> Controller {
    Controller {
        controller: kind.to_lowercase(),
    }
}

fn named(kind: &str) -> Named {
    let name = kind.to_lowercase();
    Named {
        controller: name.clone(),
        name,
    }
}

/// The objects that are due, and since when.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<Key, Instant>>>);

impl Waiting {
    fn objects(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

impl Collector for Waiting {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut depth: BTreeMap<String, i64> = CONTROLLERS
            .iter()
            .map(|controller| ((*controller).to_owned(), 0))
            .collect();
        let mut oldest: Option<Instant> = None;
        for (key, since) in self.objects().iter() {
            *depth.entry(key.kind.to_lowercase()).or_default() += 1;
            oldest = Some(oldest.map_or(*since, |oldest| oldest.min(*since)));
        }
        let mut depths = encoder.encode_descriptor(
            "workqueue_depth",
            "Objects that are due for a pass and wait for it",
            None,
            MetricType::Gauge,
        )?;
        for (kind, count) in depth {
            let name = named(&kind);
            ConstGauge::new(count).encode(depths.encode_family(&name)?)?;
        }
        let waited = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
        let longest = encoder.encode_descriptor(
            "cozystack_backup_oldest_wait_seconds",
            "How long the object has waited for its pass that has waited longest",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(waited).encode(longest)
    }
}
