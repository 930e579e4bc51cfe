//! StrategyPlugins: from a file of the plugin folder to a strategy that serves.

use std::sync::Arc;

use backup_api::{
    Condition, StrategyPlugin, StrategyPluginStatus, names::API_VERSION, set_condition,
};
use backup_engine::{
    Serving, Strategies,
    cluster::{Caller, Cluster as _, Part},
    limits,
};
use backup_registry::PluginFolder;
use backup_sandbox::Sandbox;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;

use crate::{options::Options, real::RealCluster};

/// The host's field manager for StrategyPlugins.
const MANAGER: &str = "backups.cozystack.io/host";

/// What the queue has to hear of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A strategy kind is served, or was looked at again.
    Looked(String),
    /// Every StrategyPlugin that there was at the start has been looked at.
    AllLooked,
}

/// Loads plugins, and lets them serve.
#[derive(Clone)]
pub(crate) struct Plugins {
    cluster: RealCluster,
    sandbox: Arc<Sandbox>,
    strategies: Arc<Strategies>,
    options: Options,
    /// Whether this host writes statuses. One that stands by loads plugins, so that it can begin at once.
    leads: watch::Receiver<bool>,
}

/// Why a plugin does not serve: a reason for its condition, and words.
struct NotReady(&'static str, String);

impl Plugins {
    pub(crate) fn new(
        cluster: RealCluster,
        sandbox: Arc<Sandbox>,
        strategies: Arc<Strategies>,
        options: Options,
        leads: watch::Receiver<bool>,
    ) -> Self {
        Self {
            cluster,
            sandbox,
            strategies,
            options,
            leads,
        }
    }

    /// Loads what a StrategyPlugin names, and writes down what came of it. A version that cannot be used leaves the
    /// one that serves in its place.
    pub(crate) async fn reconcile(
        &self,
        plugin: &StrategyPlugin,
    ) -> Result<(), backup_engine::cluster::ApiError> {
        let name = plugin.metadata.name.clone().unwrap_or_default();
        let this = self.clone();
        let owned = plugin.clone();
        let loaded = tokio::task::spawn_blocking(move || this.load(&owned)).await;
        let loaded = loaded.unwrap_or_else(|error| {
            Err(NotReady(
                "LoadFailed",
                format!("loading was cut off: {error}"),
            ))
        });
        let mut status = plugin.status.clone().unwrap_or_default();
        let now = Timestamp::now();
        let (is_ready, reason, message) = match loaded {
            Ok(serving) => {
                let identity = serving.identity();
                let message = format!(
                    "{} {} serves strategies of kind {}",
                    name, identity.version, plugin.spec.strategy_kind
                );
                tracing::info!(
                    plugin = name,
                    version = identity.version,
                    digest = identity.digest,
                    "a plugin serves"
                );
                status.serving = Some(identity);
                self.strategies.serve(serving);
                (true, "Serving", message)
            }
            Err(NotReady(reason, message)) => {
                tracing::warn!(plugin = name, reason, message, "a plugin cannot be used");
                (false, reason, message)
            }
        };
        let mut condition = Condition::new("Ready", is_ready, reason, message, now);
        condition.observed_generation = plugin.metadata.generation;
        set_condition(&mut status.conditions, condition);
        status.observed_generation = plugin.metadata.generation;
        self.write(plugin, &name, &status).await
    }

    /// Whether this very grant is what serves.
    pub(crate) fn serves(&self, plugin: &StrategyPlugin) -> bool {
        let serving = self.strategies.serving(&plugin.spec.strategy_kind);
        serving.is_some_and(|serving| serving.grant == plugin.spec)
    }

    /// A StrategyPlugin is gone: its kind is served no more.
    pub(crate) fn remove(&self, plugin: &StrategyPlugin) {
        self.strategies.withdraw(&plugin.spec.strategy_kind);
    }

    fn load(&self, plugin: &StrategyPlugin) -> Result<Serving, NotReady> {
        let not_fetched =
            |error: backup_registry::FetchError| NotReady("FetchFailed", error.to_string());
        let folder = PluginFolder::open(&self.options.plugin_folder).map_err(not_fetched)?;
        let bytes = folder.read(&plugin.spec.source.file).map_err(not_fetched)?;
        let strategy = self
            .sandbox
            .load(&bytes, limits(plugin.spec.limits.as_ref()))
            .map_err(|error| NotReady("LoadFailed", error.to_string()))?;
        if let Some(wanted) = plugin
            .spec
            .digest
            .as_deref()
            .filter(|wanted| *wanted != strategy.digest())
        {
            let found = strategy.digest();
            return Err(NotReady(
                "DigestMismatch",
                format!("the file's digest is {found}, not {wanted}"),
            ));
        }
        let kind = &strategy.manifest().strategy_kind.kind;
        if *kind != plugin.spec.strategy_kind {
            return Err(NotReady(
                "KindMismatch",
                format!(
                    "the component serves strategies of kind {kind}, and is granted {}",
                    plugin.spec.strategy_kind
                ),
            ));
        }
        let name = plugin.metadata.name.clone().unwrap_or_default();
        Ok(Serving {
            name,
            grant: plugin.spec.clone(),
            strategy,
        })
    }

    async fn write(
        &self,
        plugin: &StrategyPlugin,
        name: &str,
        status: &StrategyPluginStatus,
    ) -> Result<(), backup_engine::cluster::ApiError> {
        if plugin.status.as_ref() == Some(status) || !*self.leads.borrow() {
            return Ok(());
        }
        let object = json!({
            "apiVersion": API_VERSION, "kind": "StrategyPlugin", "metadata": { "name": name }, "status": status,
        });
        self.cluster
            .apply(&Caller::host(), MANAGER, &object, Part::Status)
            .await
            .map(|_| ())
    }
}
