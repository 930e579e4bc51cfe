//! Backups that somebody has to look after: their data is lost, or is being removed.
//!
//! A Backup says of itself what was found when it was last looked at. So a host knows of lost ones as soon as it has seen
//! them; it tells while it works, since a host that stands by makes no passes and would keep those that are gone.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backup_engine::{BackupOf, BackupState, Removed};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use tokio::sync::watch;

/// What became of the data of Backups that were deleted.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Removal {
    strategy_kind: String,
    outcome: &'static str,
}

/// Where Backups are lost.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Place {
    namespace: String,
    strategy_kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    strategy_kind: String,
}

/// What is counted of Backups.
#[derive(Clone)]
pub(super) struct Backups {
    troubled: Troubled,
    removals: Family<Removal, Counter>,
}

/// By namespace and name the kind of strategy, and how it stands.
type Known = BTreeMap<(String, String), (String, BackupState)>;

/// The Backups that are lost or being removed. Of all others nothing is kept.
#[derive(Clone, Debug)]
struct Troubled {
    known: Arc<Mutex<Known>>,
    /// Whether this host works.
    leads: watch::Receiver<bool>,
}

impl Troubled {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backups {
    /// Counts from nothing.
    pub(super) fn register(registry: &mut Registry, leads: watch::Receiver<bool>) -> Self {
        let backups = Self {
            troubled: Troubled {
                known: Arc::default(),
                leads,
            },
            removals: Family::default(),
        };
        registry.register(
            "cozystack_backup_removals",
            "Backups that were deleted and have gone, by what became of their data",
            backups.removals.clone(),
        );
        registry.register_collector(Box::new(backups.troubled.clone()));
        backups
    }

    pub(super) fn seen(&self, backup: &BackupOf<'_>, state: BackupState) {
        let name = (backup.namespace.to_owned(), backup.name.to_owned());
        if state == BackupState::InOrder {
            self.troubled.known().remove(&name);
            return;
        }
        if let BackupState::Removing(_) = state {
            // A rate can be told only of a counter that was there before.
            for outcome in Removed::ALL {
                drop(self.removals.get_or_create(&removal(backup, outcome)));
            }
        }
        let state = (backup.strategy_kind.to_owned(), state);
        self.troubled.known().insert(name, state);
    }

    pub(super) fn removed(&self, backup: &BackupOf<'_>, removed: Removed) {
        self.removals.get_or_create(&removal(backup, removed)).inc();
    }

    pub(super) fn gone(&self, namespace: &str, name: &str) {
        let name = (namespace.to_owned(), name.to_owned());
        self.troubled.known().remove(&name);
    }
}

fn removal(backup: &BackupOf<'_>, outcome: Removed) -> Removal {
    Removal {
        strategy_kind: backup.strategy_kind.to_owned(),
        outcome: outcome.as_str(),
    }
}

impl Collector for Troubled {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if !*self.leads.borrow() {
            return Ok(());
        }
        let mut lost = BTreeMap::<Place, i64>::new();
        let mut oldest = BTreeMap::<String, i64>::new();
        for ((namespace, _), (strategy_kind, state)) in self.known().iter() {
            let strategy_kind = strategy_kind.clone();
            match state {
                BackupState::InOrder => {}
                BackupState::Lost => {
                    let namespace = namespace.clone();
                    let place = Place {
                        namespace,
                        strategy_kind,
                    };
                    *lost.entry(place).or_default() += 1;
                }
                BackupState::Removing(since) => {
                    let oldest = oldest.entry(strategy_kind).or_insert(i64::MAX);
                    *oldest = since.as_second().min(*oldest);
                }
            }
        }
        let mut gauge = encoder.encode_descriptor(
            "cozystack_backup_lost",
            "Backups whose data was not there when it was last looked",
            None,
            MetricType::Gauge,
        )?;
        for (place, count) in lost {
            ConstGauge::new(count).encode(gauge.encode_family(&place)?)?;
        }
        let mut gauge = encoder.encode_descriptor(
            "cozystack_backup_removal_oldest_timestamp_seconds",
            "When the Backup was deleted that is being removed for the longest time, in seconds since 1970",
            None,
            MetricType::Gauge,
        )?;
        for (strategy_kind, since) in oldest {
            let kind = Kind { strategy_kind };
            ConstGauge::new(since).encode(gauge.encode_family(&kind)?)?;
        }
        Ok(())
    }
}
