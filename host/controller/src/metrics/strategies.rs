//! What strategies cost, and what of theirs came to nothing.

use backup_api::Reason;
use backup_engine::{Evaluated, PluginOf};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// A plugin, and the kind of strategy that it serves.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Plugin {
    strategy_kind: String,
    plugin: String,
}

/// What a plugin was asked, and whether it answered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    strategy_kind: String,
    plugin: String,
    question: &'static str,
    outcome: &'static str,
}

/// A plugin, and why something of it came to nothing.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Refused {
    strategy_kind: String,
    plugin: String,
    reason: &'static str,
}

/// What is counted of strategies.
#[derive(Clone)]
pub(super) struct StrategyCosts {
    evaluations: Family<Asked, Counter>,
    seconds: Family<Plugin, Histogram>,
    fuel: Family<Plugin, Counter>,
    memory: Family<Plugin, Histogram>,
    rounds: Family<Plugin, Histogram>,
    reads: Family<Plugin, Counter>,
    actions: Family<Plugin, Counter>,
    setbacks: Family<Refused, Counter>,
}

impl StrategyCosts {
    /// Counts from nothing.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let costs = Self {
            evaluations: Family::default(),
            // From 10 µs, half of what the smallest costs, to the limit of 1 s and beyond.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_01, 2.0, 18))
            }),
            fuel: Family::default(),
            // From one page of WebAssembly to the 64 MiB that a strategy may have.
            memory: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(65_536.0, 4.0, 6))
            }),
            // As far as the limit of 16.
            rounds: Family::new_with_constructor(|| {
                Histogram::new([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0])
            }),
            reads: Family::default(),
            actions: Family::default(),
            setbacks: Family::default(),
        };
        registry.register(
            "cozystack_backup_evaluations",
            "Questions to strategies, by what came of them",
            costs.evaluations.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_seconds",
            "How long a strategy computed for one answer",
            costs.seconds.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_fuel",
            "WebAssembly instructions that strategies used, roughly",
            costs.fuel.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_memory_bytes",
            "Linear memory that a strategy had for one answer",
            costs.memory.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_rounds",
            "How often a strategy ran for one answer",
            costs.rounds.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_reads",
            "What strategies read",
            costs.reads.clone(),
        );
        registry.register(
            "cozystack_backup_evaluation_actions",
            "Actions in the plans of strategies",
            costs.actions.clone(),
        );
        registry.register(
            "cozystack_backup_setbacks",
            "Answers of strategies that came to nothing, by reason",
            costs.setbacks.clone(),
        );
        costs
    }

    pub(super) fn evaluated(&self, evaluation: &Evaluated<'_>) {
        let plugin = plugin(&evaluation.plugin);
        self.evaluations
            .get_or_create(&Asked {
                strategy_kind: plugin.strategy_kind.clone(),
                plugin: plugin.plugin.clone(),
                question: evaluation.question.as_str(),
                outcome: evaluation.outcome,
            })
            .inc();
        let cost = evaluation.cost;
        self.seconds
            .get_or_create(&plugin)
            .observe(evaluation.computed.as_secs_f64());
        self.fuel.get_or_create(&plugin).inc_by(cost.fuel);
        self.memory
            .get_or_create(&plugin)
            .observe(float(cost.memory_bytes));
        self.rounds
            .get_or_create(&plugin)
            .observe(f64::from(cost.rounds));
        self.reads
            .get_or_create(&plugin)
            .inc_by(count(evaluation.reads));
        self.actions
            .get_or_create(&plugin)
            .inc_by(count(evaluation.actions));
    }

    pub(super) fn setback(&self, of: &PluginOf<'_>, reason: Reason) {
        let Plugin {
            strategy_kind,
            plugin,
        } = plugin(of);
        let reason = reason.as_str();
        self.setbacks
            .get_or_create(&Refused {
                strategy_kind,
                plugin,
                reason,
            })
            .inc();
    }
}

fn plugin(of: &PluginOf<'_>) -> Plugin {
    Plugin {
        strategy_kind: of.strategy_kind.to_owned(),
        plugin: of.name.to_owned(),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn float(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from)
}
