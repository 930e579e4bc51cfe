//! The reconciler of StrategyPlugins: from what a source holds to a strategy that serves, and on to its end.
//!
//! ```text
//!  source ──► Fetched ──► Compiled ──► Conformant ──► Ready: it serves, in place of the version before
//!                │            │             │            │
//!                └────────────┴─────────────┘            ├── its definition is applied, and never narrowed
//!                  the last good one serves on           └── its component is stored, so that it outlives this Pod
//! ```
//!
//! One pass looks at all StrategyPlugins: which of two serves a kind is no matter of one alone. It reads the sources only
//! where it is told to, or where a StrategyPlugin has changed, and asks the cluster for little, so it can be made whenever
//! something may have changed.
//!
//! | file | holds |
//! |---|---|
//! | `candidate` | what a source holds, step by step |
//! | `conformance` | whether it fits the grant, and is no step back |
//! | `conditions` | the status, for an administrator |
//! | `definition` | the definition of the strategy kind |
//! | `narrower` | whether a schema refuses what another accepts |
//! | `shelf` | the components that are stored in the cluster |
//! | `begun` | the components that jobs under way began with |
//! | `trial` | the trial of a component before it serves for the first time |

mod begun;
mod candidate;
mod conditions;
mod conformance;
mod definition;
mod narrower;
mod shelf;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use backup_api::{PluginIdentity, PluginSource, StrategyPlugin, names::API_VERSION};
use backup_sandbox::{Sandbox, Strategy, contract::Selector};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    cluster::{ApiError, Caller, Cluster},
    host::{Clock, Evaluator},
    object,
    strategies::{Serving, Strategies},
    upkeep,
};
use candidate::Refusal;
use conditions::Report;
use definition::Definition;
use shelf::Shelf;
use trial::Trials;

/// Fetches the bytes of a component, or says why it cannot. May block.
pub type Fetch = Arc<dyn Fn(&PluginSource) -> Result<Vec<u8>, String> + Send + Sync>;

/// What a pass over the StrategyPlugins is to do beside looking at those that have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Read every source: something in it may have changed.
    pub sources: bool,
    /// Write statuses and definitions, store components, and remove those that nobody needs: whoever leads does.
    pub writes: bool,
}

/// What a pass led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whether components were found, or known to be lost, that jobs under way wait for.
    pub sought: bool,
    /// When another pass is due, if nothing happens before.
    pub again: Option<Timestamp>,
    /// A request that failed and may succeed later. Everything else was done all the same.
    pub failed: Option<ApiError>,
}

/// Everything that a pass over the StrategyPlugins needs.
pub struct Plugins<C> {
    cluster: C,
    sandbox: Sandbox,
    strategies: Arc<Strategies>,
    fetch: Fetch,
    clock: Clock,
    evaluator: Evaluator,
    shelf: Shelf,
    trials: Trials,
    /// What earlier passes found. One pass at a time.
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    plugins: BTreeMap<String, Remembered>,
    /// The digests on the shelf, where it was looked at.
    shelved: Option<BTreeMap<String, shelf::Grants>>,
    /// Since when components are not needed.
    unused_since: BTreeMap<String, Timestamp>,
}

/// What was found of one StrategyPlugin.
struct Remembered {
    uid: String,
    generation: Option<i64>,
    candidate: Result<Strategy, Refusal>,
    definition: Option<(String, Definition)>,
}

impl<C: Cluster> Plugins<C> {
    /// Plugins that are loaded in a sandbox, served from `strategies`, and stored in `namespace`, the host's own.
    pub fn new(
        cluster: C,
        sandbox: Sandbox,
        strategies: Arc<Strategies>,
        fetch: Fetch,
        namespace: &str,
        clock: Clock,
        evaluator: Evaluator,
    ) -> Self {
        Self {
            cluster,
            sandbox,
            strategies,
            fetch,
            clock,
            evaluator,
            shelf: Shelf::new(namespace),
            trials: Trials::default(),
            memory: Mutex::default(),
        }
    }

    /// One pass over all StrategyPlugins. `serves` hears of a strategy kind as soon as something else serves it, or nothing
    /// does.
    ///
    /// # Errors
    /// The StrategyPlugins cannot be listed.
    pub async fn pass(
        &self,
        look: Look,
        serves: &(dyn Fn(&str) + Sync),
    ) -> Result<Looked, ApiError> {
        let mut memory = self.memory.lock().await;
        let plugins = self.plugins().await?;
        let owners = owners(&plugins);
        let mut looked = Looked::default();
        self.withdraw(&plugins, &owners)
            .iter()
            .for_each(|kind| serves(kind));
        let names: BTreeSet<String> = plugins.iter().map(|(_, plugin)| name_of(plugin)).collect();
        memory.plugins.retain(|name, _| names.contains(name));
        self.trials.retain(|name| names.contains(name));
        self.strategies.states().retain(&names);
        for (found, plugin) in &plugins {
            let kind = plugin.spec.strategy_kind.as_str();
            let owner = owners.get(kind).map_or("", String::as_str);
            let before = self.strategies.changes();
            let passed = self.look_at(found, plugin, owner, look, &mut memory).await;
            if self.strategies.changes() != before {
                serves(kind);
            }
            looked.failed = looked.failed.or(passed.err());
        }
        let before = self.strategies.changes();
        match self.keep_what_is_needed(&plugins, look, &mut memory).await {
            Ok(again) => looked.again = again,
            Err(error) => looked.failed = looked.failed.or(Some(error)),
        }
        looked.sought = self.strategies.changes() != before;
        Ok(looked)
    }

    /// The StrategyPlugins that are not being deleted, the oldest first.
    async fn plugins(&self) -> Result<Vec<(Value, StrategyPlugin)>, ApiError> {
        let matching = Selector {
            api_version: API_VERSION.to_owned(),
            kind: "StrategyPlugin".to_owned(),
            namespace: None,
            labels: vec![],
        };
        let found = self.cluster.list(&Caller::host(), &matching).await?;
        let mut plugins = vec![];
        for found in found {
            match serde_json::from_value::<StrategyPlugin>(found.clone()) {
                Ok(plugin) if object::is_deleting(&found) => {
                    tracing::debug!(
                        plugin = name_of(&plugin),
                        "a StrategyPlugin is being deleted"
                    );
                }
                Ok(plugin) => plugins.push((found, plugin)),
                // Only a definition older than the host lets such an object in.
                Err(error) => {
                    let plugin = object::text(&found, &["metadata", "name"]);
                    tracing::warn!(plugin, %error, "a StrategyPlugin cannot be read");
                }
            }
        }
        plugins.sort_by_cached_key(|(_, plugin)| age(plugin));
        Ok(plugins)
    }

    /// Ends what serves a kind that its plugin is not granted any more. Gives back the kinds.
    fn withdraw(
        &self,
        plugins: &[(Value, StrategyPlugin)],
        owners: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let mut withdrawn = vec![];
        for (kind, name) in self.strategies.all_serving() {
            let is_granted = owners.get(&kind) == Some(&name)
                && plugins.iter().any(|(_, plugin)| name_of(plugin) == name);
            if !is_granted {
                tracing::info!(plugin = name, kind, "a plugin serves no more");
                self.strategies.withdraw(&kind);
                withdrawn.push(kind);
            }
        }
        withdrawn
    }

    /// Looks at one StrategyPlugin, lets it serve where it may, and writes down what came of it.
    async fn look_at(
        &self,
        found: &Value,
        plugin: &StrategyPlugin,
        owner: &str,
        look: Look,
        memory: &mut Memory,
    ) -> Result<(), ApiError> {
        let name = name_of(plugin);
        let uid = plugin.metadata.uid.clone().unwrap_or_default();
        let old = memory.plugins.remove(&name).filter(|old| old.uid == uid);
        let is_news = look.sources
            || old
                .as_ref()
                .is_none_or(|old| old.generation != plugin.metadata.generation);
        let (candidate, definition) = match old {
            Some(old) if !is_news => (old.candidate, old.definition),
            old => {
                let loaded = old.as_ref().and_then(|old| old.candidate.as_ref().ok());
                let candidate = self.candidate(plugin, loaded.cloned()).await;
                if let Err(refusal) = &candidate {
                    let Refusal {
                        reason, message, ..
                    } = refusal;
                    tracing::warn!(
                        plugin = name,
                        reason,
                        message,
                        "a plugin cannot be used as it is"
                    );
                }
                (candidate, old.and_then(|old| old.definition))
            }
        };
        let mut remembered = Remembered {
            uid,
            generation: plugin.metadata.generation,
            candidate,
            definition,
        };
        let is_owner = owner == name;
        let mut failed = None;
        if is_owner {
            failed = self
                .serve(plugin, &mut remembered, look, memory)
                .await
                .err();
        }
        self.strategies.grant_anew(&name, &plugin.spec);
        let report = Report {
            plugin,
            candidate: &remembered.candidate,
            definition: remembered.definition.as_ref().map(|(_, of)| of),
            serving: self.serving(plugin),
            owner,
            uses: self.strategies.uses(),
            now: (self.clock)(),
        };
        self.strategies.states().set(&name, report.state());
        let written = if look.writes {
            let status = report.status();
            upkeep::write_status(&self.cluster, found, &status)
                .await
                .map(|_| ())
        } else {
            Ok(())
        };
        memory.plugins.insert(name, remembered);
        failed.map_or(written, Err)
    }

    /// Lets the newest version that can be used serve: what the source holds, or the last good one.
    async fn serve(
        &self,
        plugin: &StrategyPlugin,
        remembered: &mut Remembered,
        look: Look,
        memory: &mut Memory,
    ) -> Result<(), ApiError> {
        let mut failed = None;
        let strategy = match &remembered.candidate {
            Ok(strategy) => strategy.clone(),
            Err(_) => match self.last_good(plugin).await? {
                Some(strategy) => strategy,
                None => return Ok(()),
            },
        };
        if look.writes && remembered.candidate.is_ok() {
            let is_settled = !look.sources
                && remembered
                    .definition
                    .as_ref()
                    .is_some_and(|(digest, of)| digest == strategy.digest() && of.is_settled());
            if !is_settled {
                match self.define(&strategy).await {
                    Ok(of) => {
                        remembered.definition = Some((strategy.digest().to_owned(), of));
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        let serving = Serving {
            name: name_of(plugin),
            grant: plugin.spec.clone(),
            strategy,
        };
        if look.writes
            && let Err(error) = self.shelve(&serving, memory).await
        {
            failed = Some(error);
        }
        let is_new = self.serving(plugin).is_none_or(|now| {
            now.grant != serving.grant || now.strategy.digest() != serving.strategy.digest()
        });
        if is_new {
            let PluginIdentity {
                name,
                version,
                digest,
            } = serving.identity();
            tracing::info!(plugin = name, version, digest, "a plugin serves");
            self.strategies.serve(serving);
        }
        failed.map_or(Ok(()), Err)
    }

    /// What serves for a StrategyPlugin.
    fn serving(&self, plugin: &StrategyPlugin) -> Option<Arc<Serving>> {
        let serving = self.strategies.serving(&plugin.spec.strategy_kind)?;
        (serving.name == name_of(plugin)).then_some(serving)
    }

    /// The version that served last: it serves already, or it is on the shelf.
    async fn last_good(&self, plugin: &StrategyPlugin) -> Result<Option<Strategy>, ApiError> {
        let limits = crate::strategies::limits(plugin.spec.limits.as_ref());
        if let Some(serving) = self.serving(plugin) {
            if *serving.strategy.limits() == limits {
                return Ok(Some(serving.strategy.clone()));
            }
            let again = self.read_back(serving.strategy.digest(), limits).await?;
            return Ok(again
                .map(|(strategy, _)| strategy)
                .or(Some(serving.strategy.clone())));
        }
        let Some(last) = last_served(plugin) else {
            return Ok(None);
        };
        let shelved = self.read_back(&last.digest, limits).await?;
        let strategy = shelved.map(|(strategy, _)| strategy);
        // What it was granted then is not what it is granted now.
        Ok(strategy.filter(|strategy| conformance::fits_grant(strategy, &plugin.spec).is_ok()))
    }

    /// Runs what may block where it keeps nobody waiting.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        match self.evaluator {
            Evaluator::Inline => Ok(work()),
            Evaluator::Blocking => tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| format!("it was cut off: {error}")),
        }
    }
}

/// The component that serves for a StrategyPlugin, or that served last, as its status says.
fn last_served(plugin: &StrategyPlugin) -> Option<&PluginIdentity> {
    let status = plugin.status.as_ref()?;
    status.serving.as_ref().or(status.last_served.as_ref())
}

fn name_of(plugin: &StrategyPlugin) -> String {
    plugin.metadata.name.clone().unwrap_or_default()
}

/// The order in which StrategyPlugins may claim a kind.
fn age(plugin: &StrategyPlugin) -> (Option<Timestamp>, String) {
    let created = plugin.metadata.creation_timestamp.as_ref();
    (created.map(|time| time.0), name_of(plugin))
}

/// Which StrategyPlugin serves which kind: the first that claims it.
fn owners(plugins: &[(Value, StrategyPlugin)]) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for (_, plugin) in plugins {
        owners
            .entry(plugin.spec.strategy_kind.clone())
            .or_insert_with(|| name_of(plugin));
    }
    owners
}
