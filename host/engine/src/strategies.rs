//! The plugins that serve, by the strategy kind that each is granted, and the components that jobs under way began with.

mod states;
mod uses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backup_api::{
    GrantedApplication, PluginAccount, PluginIdentity, PluginLimits, PluginPods, PluginSource,
    StrategyPluginSpec,
};
use backup_sandbox::{Limits, Manifest, Strategy};

use crate::cluster::{Account, Caller};

pub use states::{PluginState, States};
pub use uses::{Use, Uses};

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

    /// The strategy kind that it is granted.
    fn kind(&self) -> &str {
        &self.grant.strategy_kind
    }

    fn noted(&self) -> Noted {
        (self.name.clone(), self.strategy.digest().to_owned())
    }

    /// The same component with the grant and the limits of another of the same plugin.
    fn granted_as(&self, other: &Self) -> Self {
        Self {
            name: self.name.clone(),
            grant: other.grant.clone(),
            strategy: self.strategy.within_limits_of(&other.strategy),
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

/// A component and the plugin that it serves for, as a job notes them.
type Noted = (String, String);

/// What is to be had of a component that a job has noted.
pub(crate) enum Sought {
    /// The component, with what its plugin is granted now.
    Found(Arc<Serving>),
    /// It is nowhere any more.
    Lost,
    /// Nobody has looked for it yet.
    NotSoughtYet,
}

/// The plugins that serve, and the components that served before and that jobs under way go on with. A new version takes
/// over between two evaluations.
#[derive(Default)]
pub struct Strategies {
    known: RwLock<Known>,
    changes: AtomicU64,
    states: States,
    uses: Uses,
}

#[derive(Default)]
struct Known {
    /// By the strategy kind that each is granted.
    serving: BTreeMap<String, Arc<Serving>>,
    /// What serves no more, or never did in this process.
    kept: BTreeMap<Noted, Arc<Serving>>,
    /// What was looked for and not found.
    lost: BTreeSet<Noted>,
}

impl Known {
    /// What ceases to serve is kept: jobs may have begun with it.
    fn replaced(&mut self, old: Option<Arc<Serving>>) {
        let Some(old) = old else { return };
        let still_serves = self
            .serving
            .values()
            .any(|serving| serving.noted() == old.noted());
        if !still_serves {
            self.kept.insert(old.noted(), old);
        }
    }

    fn find(&self, identity: &PluginIdentity) -> Option<&Arc<Serving>> {
        let noted = (identity.name.clone(), identity.digest.clone());
        let mut serving = self.serving.values();
        serving
            .find(|serving| serving.noted() == noted)
            .or_else(|| self.kept.get(&noted))
    }
}

impl Strategies {
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Lets a plugin serve the strategy kind that it is granted, in place of the one that did so far. That one's
    /// component is kept for the jobs that began with it; where it is the same plugin's, they have its new grant from now
    /// on.
    pub fn serve(&self, plugin: Serving) {
        self.change(|known| {
            for kept in known.kept.values_mut() {
                if kept.name == plugin.name && kept.kind() == plugin.kind() {
                    *kept = Arc::new(kept.granted_as(&plugin));
                }
            }
            known.kept.remove(&plugin.noted());
            let plugin = Arc::new(plugin);
            let kind = plugin.kind().to_owned();
            let old = known.serving.insert(kind, Arc::clone(&plugin));
            let old = old.map(|old| match old.name == plugin.name {
                true => Arc::new(old.granted_as(&plugin)),
                false => old,
            });
            known.replaced(old);
        });
    }

    /// Gives the kept components of a plugin its grant as it is now, also where nothing of it serves.
    pub(crate) fn grant_anew(&self, plugin: &str, grant: &StrategyPluginSpec) {
        let is_old = |kept: &Serving| {
            kept.name == plugin && kept.kind() == grant.strategy_kind && kept.grant != *grant
        };
        if !self.known().kept.values().any(|kept| is_old(kept)) {
            return;
        }
        self.change(|known| {
            for kept in known.kept.values_mut().filter(|kept| is_old(kept)) {
                *kept = Arc::new(Serving {
                    grant: grant.clone(),
                    ..Serving::clone(kept)
                });
            }
        });
    }

    /// Stops serving a strategy kind. Jobs under way go on with the component.
    pub fn withdraw(&self, kind: &str) {
        self.change(|known| {
            let old = known.serving.remove(kind);
            known.replaced(old);
        });
    }

    /// Gives jobs that began with a component that does not serve the means to go on.
    pub fn keep(&self, plugin: Serving) {
        self.change(|known| {
            known.lost.remove(&plugin.noted());
            known.replaced(Some(Arc::new(plugin)));
        });
    }

    /// The component that jobs noted was looked for everywhere, and is not to be had.
    pub fn lose(&self, plugin: &PluginIdentity) {
        let noted = (plugin.name.clone(), plugin.digest.clone());
        self.change(|known| {
            known.kept.remove(&noted);
            known.lost.insert(noted);
        });
    }

    /// Drops the kept components that are not needed any more.
    pub fn drop_unless(&self, is_needed: impl Fn(&PluginIdentity) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.kept.retain(|_, kept| is_needed(&kept.identity()));
    }

    /// The components that are kept beside those that serve.
    #[must_use]
    pub fn kept(&self) -> Vec<PluginIdentity> {
        let known = self.known();
        known.kept.values().map(|kept| kept.identity()).collect()
    }

    /// How often a plugin began or ceased to serve: whoever waits for one looks again when it has grown.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How each StrategyPlugin fares.
    #[must_use]
    pub fn states(&self) -> &States {
        &self.states
    }

    /// Which Backups and jobs need which plugin.
    #[must_use]
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The plugin that serves a strategy kind.
    #[must_use]
    pub fn serving(&self, kind: &str) -> Option<Arc<Serving>> {
        self.known().serving.get(kind).cloned()
    }

    /// The strategy kinds that are served, each with the plugin that serves it.
    pub(crate) fn all_serving(&self) -> Vec<(String, String)> {
        let known = self.known();
        let all = known.serving.iter();
        all.map(|(kind, serving)| (kind.clone(), serving.name.clone()))
            .collect()
    }

    /// A component that is loaded already, whomever it serves for.
    pub(crate) fn loaded(&self, digest: &str) -> Option<Strategy> {
        let known = self.known();
        let mut all = known.serving.values().chain(known.kept.values());
        let found = all.find(|serving| serving.strategy.digest() == digest)?;
        Some(found.strategy.clone())
    }

    /// Whether a component serves.
    pub(crate) fn serves(&self, digest: &str) -> bool {
        let known = self.known();
        let mut serving = known.serving.values();
        serving.any(|serving| serving.strategy.digest() == digest)
    }

    /// The component that a job has noted.
    pub(crate) fn noted(&self, identity: &PluginIdentity) -> Sought {
        let known = self.known();
        match known.find(identity) {
            Some(found) => Sought::Found(Arc::clone(found)),
            None => {
                let noted = (identity.name.clone(), identity.digest.clone());
                match known.lost.contains(&noted) {
                    true => Sought::Lost,
                    false => Sought::NotSoughtYet,
                }
            }
        }
    }

    /// Whether it is known what is to be had of a component, whichever way.
    pub(crate) fn was_sought(&self, identity: &PluginIdentity) -> bool {
        !matches!(self.noted(identity), Sought::NotSoughtYet)
    }

    /// All plugins that serve, in the order of their kinds.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Serving>> {
        self.known().serving.values().cloned().collect()
    }
}

/// What an administrator would grant a strategy that is what its manifest says: what it asks for, in the usual place in
/// storage where it asks for none, its own application kinds, an account of its own beside the host's.
#[must_use]
pub fn proposed_grant(manifest: &Manifest, file: &str, host_namespace: &str) -> StrategyPluginSpec {
    let asks = manifest.asks.clone();
    let storage_paths = match asks.storage_paths.is_empty() {
        true => vec!["{namespace}/{application}".to_owned()],
        false => asks.storage_paths,
    };
    let pods = (!asks.pod_secrets.is_empty()).then(|| PluginPods {
        secrets: asks.pod_secrets,
        ..PluginPods::default()
    });
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
        storage_paths,
        service_account: PluginAccount {
            namespace: host_namespace.to_owned(),
            name: format!("strategy-{}", manifest.name),
        },
        system_namespaces: asks.system_namespaces,
        limits: None,
        max_running_jobs: None,
        pods,
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
