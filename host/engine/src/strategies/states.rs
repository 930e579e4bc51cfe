//! How the StrategyPlugins of a cluster fare, as this host sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
};

/// How a StrategyPlugin fares: its condition `Ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginState {
    /// The strategy kind that it is granted.
    pub strategy_kind: String,
    /// Whether something of it serves.
    pub is_ready: bool,
    /// `Serving`, `ServingLastGood` where what its source holds now cannot be used, or why nothing serves.
    pub reason: &'static str,
}

/// The states of all StrategyPlugins, by name. Every replica has its own: a file may be missing in one alone.
#[derive(Debug, Default)]
pub struct States(RwLock<BTreeMap<String, PluginState>>);

impl States {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, PluginState> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, plugin: &str, state: PluginState) {
        self.change(|states| drop(states.insert(plugin.to_owned(), state)));
    }

    /// The others are gone.
    pub(crate) fn retain(&self, plugins: &BTreeSet<String>) {
        self.change(|states| states.retain(|name, _| plugins.contains(name)));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, PluginState>)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
