//! The plugins that serve, by the strategy kind that each is granted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backup_api::{
    GrantedApplication, PluginAccount, PluginIdentity, PluginLimits, PluginSource,
    StrategyPluginSpec,
};
use backup_sandbox::{Limits, Manifest, Strategy};

use crate::cluster::{Account, Caller};

/// A plugin that serves a strategy kind: what it is, and what it was granted.
#[derive(Clone)]
pub struct Serving {
    /// Name of the StrategyPlugin.
    pub name: String,
    /// What the administrator granted.
    pub grant: StrategyPluginSpec,
    /// The component.
    pub strategy: Strategy,
}

impl Serving {
    /// As it stands in statuses.
    #[must_use]
    pub fn identity(&self) -> PluginIdentity {
        PluginIdentity {
            name: self.name.clone(),
            version: self.strategy.manifest().version.to_string(),
            digest: self.strategy.digest().to_owned(),
        }
    }

    /// The account whose rights it uses.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::Strategy {
            namespace: self.grant.service_account.namespace.clone(),
            name: self.grant.service_account.name.clone(),
        }
    }

    /// A request of this plugin for a job.
    pub(crate) fn caller(&self, job: &str) -> Caller {
        Caller {
            account: self.account(),
            purpose: format!("{job} {}", self.strategy.digest()),
        }
    }

    /// Whether it may work on a kind of application.
    pub(crate) fn may_work_on(&self, group: &str, kind: &str) -> bool {
        self.grant
            .applications
            .iter()
            .any(|granted| granted.group == group && granted.kind == kind)
    }
}

/// The plugins that serve. A new version takes over between two evaluations.
#[derive(Default)]
pub struct Strategies {
    serving: RwLock<BTreeMap<String, Arc<Serving>>>,
    changes: AtomicU64,
}

impl Strategies {
    /// Lets a plugin serve the strategy kind that it is granted, in place of the one that did so far.
    pub fn serve(&self, plugin: Serving) {
        let kind = plugin.grant.strategy_kind.clone();
        self.serving
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind, Arc::new(plugin));
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Stops serving a strategy kind.
    pub fn withdraw(&self, kind: &str) {
        self.serving
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(kind);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// How often a plugin began or ceased to serve: whoever waits for one looks again when it has grown.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The plugin that serves a strategy kind.
    #[must_use]
    pub fn serving(&self, kind: &str) -> Option<Arc<Serving>> {
        self.serving
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kind)
            .cloned()
    }

    /// All plugins that serve, by strategy kind.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Serving>> {
        let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        serving.values().cloned().collect()
    }
}

/// What an administrator would grant a strategy that is what its manifest says: the usual place in storage, its own
/// application kinds, an account of its own beside the host's.
#[must_use]
pub fn proposed_grant(manifest: &Manifest, file: &str, host_namespace: &str) -> StrategyPluginSpec {
    StrategyPluginSpec {
        source: PluginSource {
            file: file.to_owned(),
        },
        digest: None,
        strategy_kind: manifest.strategy_kind.kind.clone(),
        applications: manifest
            .applications
            .iter()
            .map(|application| GrantedApplication {
                group: application.group.clone(),
                kind: application.kind.clone(),
            })
            .collect(),
        storage_paths: vec!["{namespace}/{application}".to_owned()],
        service_account: PluginAccount {
            namespace: host_namespace.to_owned(),
            name: format!("strategy-{}", manifest.name),
        },
        system_namespaces: vec![],
        limits: None,
    }
}

/// The sandbox's limits, where a StrategyPlugin changes the defaults.
#[must_use]
pub fn limits(changed: Option<&PluginLimits>) -> Limits {
    let mut limits = Limits::default();
    let Some(changed) = changed else {
        return limits;
    };
    if let Some(milliseconds) = changed.deadline_milliseconds {
        limits.deadline = Duration::from_millis(milliseconds.into());
    }
    if let Some(millions) = changed.fuel_millions {
        limits.fuel = u64::from(millions) * 1_000_000;
    }
    if let Some(mebibytes) = changed
        .memory_mebibytes
        .and_then(|mebibytes| usize::try_from(mebibytes).ok())
    {
        limits.memory_bytes = mebibytes << 20;
    }
    if let Some(actions) = changed
        .actions
        .and_then(|actions| usize::try_from(actions).ok())
    {
        limits.actions = actions;
    }
    if let Some(rounds) = changed.rounds {
        limits.rounds = rounds;
    }
    limits
}
