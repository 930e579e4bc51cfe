//! What the host counts.

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::credentials::Projections;

/// A reconciler.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Controller {
    controller: String,
}

/// A reconciler and how its pass ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Outcome {
    controller: String,
    result: &'static str,
}

/// The host's metrics. The names of passes are controller-runtime's, so that existing dashboards read them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    passes: Family<Outcome, Counter>,
    seconds: Family<Controller, Histogram>,
    /// Jobs that are tracked.
    pub tracked: Gauge,
    /// Passes under way.
    pub active: Gauge,
}

impl Metrics {
    pub(crate) fn new(projections: Projections) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(projections));
        let passes = Family::<Outcome, Counter>::default();
        let seconds = Family::<Controller, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 14))
        });
        let (tracked, active) = (Gauge::default(), Gauge::default());
        registry.register(
            "controller_runtime_reconcile",
            "Passes, by how they ended",
            passes.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long a pass took",
            seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Passes under way",
            active.clone(),
        );
        registry.register(
            "backup_host_tracked_jobs",
            "Jobs that have not ended",
            tracked.clone(),
        );
        Self {
            registry: Arc::new(registry),
            passes,
            seconds,
            tracked,
            active,
        }
    }

    /// A pass ended.
    pub(crate) fn passed(&self, kind: &str, seconds: f64, is_good: bool) {
        let controller = kind.to_lowercase();
        let result = if is_good { "success" } else { "error" };
        self.passes
            .get_or_create(&Outcome {
                controller: controller.clone(),
                result,
            })
            .inc();
        self.seconds
            .get_or_create(&Controller { controller })
            .observe(seconds);
    }

    /// In the text format that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}
