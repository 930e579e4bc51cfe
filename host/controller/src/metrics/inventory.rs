//! What is there at the moment. It is looked at when somebody reads the page, and kept nowhere.

use std::{fmt, sync::Arc};

use backup_engine::Strategies;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::sync::watch;

use crate::{leader::LEASE, real::RealCluster};

/// Where to look.
pub(super) struct Inventory {
    pub(super) cluster: RealCluster,
    pub(super) strategies: Arc<Strategies>,
    pub(super) leads: watch::Receiver<bool>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Lease {
    name: &'static str,
}

/// A plugin that serves.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Plugin {
    strategy_kind: String,
    plugin: String,
    version: String,
    digest: String,
}

/// How a plugin fares.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    strategy_kind: String,
    plugin: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inventory")
    }
}

impl Collector for Inventory {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut leads = encoder.encode_descriptor(
            "leader_election_master_status",
            "Whether this host is the one that works",
            None,
            MetricType::Gauge,
        )?;
        let is_leading = i64::from(*self.leads.borrow());
        ConstGauge::new(is_leading).encode(leads.encode_family(&Lease { name: LEASE })?)?;

        let mut plugins = encoder.encode_descriptor(
            "cozystack_backup_plugin_info",
            "A plugin that serves: always 1",
            None,
            MetricType::Gauge,
        )?;
        for serving in self.strategies.all() {
            let identity = serving.identity();
            let plugin = Plugin {
                strategy_kind: serving.grant.strategy_kind.clone(),
                plugin: identity.name,
                version: identity.version,
                digest: identity.digest,
            };
            ConstGauge::new(1_i64).encode(plugins.encode_family(&plugin)?)?;
        }

        let mut states = encoder.encode_descriptor(
            "cozystack_backup_plugin_ready",
            "Whether something of a StrategyPlugin serves, with the reason of its condition Ready",
            None,
            MetricType::Gauge,
        )?;
        for (plugin, state) in self.strategies.states().all() {
            let labels = State {
                strategy_kind: state.strategy_kind,
                plugin,
                reason: state.reason,
            };
            let is_ready = i64::from(state.is_ready);
            ConstGauge::new(is_ready).encode(states.encode_family(&labels)?)?;
        }

        let mut objects = encoder.encode_descriptor(
            "cozystack_backup_objects",
            "Objects of the host's kinds; of jobs those that have not ended",
            None,
            MetricType::Gauge,
        )?;
        for (kind, count) in self.cluster.sight().own_objects() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(objects.encode_family(&Kind { kind })?)?;
        }
        Ok(())
    }
}
