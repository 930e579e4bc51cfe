//! StrategyPlugins on the real cluster: when they are looked at, and who hears of it.
//!
//! The engine makes the passes. One is due when a StrategyPlugin changes, when something in the plugin folder does, when
//! the host begins or ceases to lead, when Backups and jobs that need plugins come and go, and every few minutes in any
//! case.

mod follow;

use std::{path::Path, sync::Arc};

use backup_engine::{Evaluator, Fetch, Plugins, Strategies};
use backup_registry::PluginFolder;
use backup_sandbox::Sandbox;
use jiff::Timestamp;

use crate::{options::Options, real::RealCluster};

pub(crate) use follow::Follower;

/// What the queue has to hear of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Something else serves a strategy kind, or nothing does.
    Looked(String),
    /// Components that jobs wait for were found, or are known to be lost.
    Sought,
    /// Every StrategyPlugin that there was at the start has been looked at.
    AllLooked,
}

/// The StrategyPlugins of a cluster, from the files of the plugin folder.
pub(crate) fn plugins(
    cluster: RealCluster,
    sandbox: Sandbox,
    strategies: Arc<Strategies>,
    options: &Options,
) -> Plugins<RealCluster> {
    Plugins::new(
        cluster,
        sandbox,
        strategies,
        from_folder(&options.plugin_folder),
        &options.pod_namespace,
        Arc::new(Timestamp::now),
        Evaluator::Blocking,
    )
}

/// Components from the files of a folder, which is opened anew each time: what is mounted there may be another one.
fn from_folder(folder: &Path) -> Fetch {
    let folder = folder.to_owned();
    Arc::new(move |source| {
        let opened = PluginFolder::open(&folder).map_err(|error| error.to_string())?;
        opened.read(&source.file).map_err(|error| error.to_string())
    })
}
