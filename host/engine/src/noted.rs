//! Which component goes on with work that has begun: the one that it began with.
//!
//! | the component that was noted | what goes on |
//! |---|---|
//! | serves, or is kept | that one, with what its plugin is granted now |
//! | has not been looked for yet | nothing, for a moment |
//! | is lost | the version that serves, where its manifest says that it reads the state which the lost one wrote |
//! | is lost, and that version does not say so | nothing: a job fails |

use std::sync::Arc;

use backup_api::{PluginIdentity, Reason, StrategyProgress};
use backup_sandbox::Manifest;

use crate::{
    cluster::Cluster,
    host::Host,
    stop::Stop,
    strategies::{Serving, Sought},
};

/// What work noted of the component that it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    plugin: PluginIdentity,
    state_version: Option<u32>,
    /// Whether it may go on with any version as long as it remembers nothing.
    is_removal: bool,
    remembers: bool,
}

impl Begun {
    /// What a job noted; none before it has begun.
    pub(crate) fn job(progress: Option<&StrategyProgress>) -> Option<Self> {
        let progress = progress?;
        Some(Self {
            plugin: progress.plugin.clone()?,
            state_version: progress.state_version,
            is_removal: false,
            remembers: progress.state.is_some(),
        })
    }

    /// What the removal of a Backup noted. Any version removes Backups, so only what it remembers binds it.
    pub(crate) fn removal(progress: Option<&StrategyProgress>) -> Option<Self> {
        Self::job(progress).map(|begun| Self {
            is_removal: true,
            ..begun
        })
    }

    fn may_go_on_with(&self, manifest: &Manifest) -> bool {
        let reads_it = self
            .state_version
            .is_some_and(|version| manifest.state_versions.contains(&version));
        reads_it || (self.is_removal && !self.remembers)
    }
}

/// The version of the state that a strategy writes: the newest that it reads.
pub(crate) fn state_version(manifest: &Manifest) -> Option<u32> {
    manifest.state_versions.iter().copied().max()
}

impl<C: Cluster> Host<C> {
    /// The plugin that works on a strategy kind: for work that has begun, with the component that it began with.
    pub(crate) fn plugin_for(
        &self,
        kind: &str,
        begun: Option<&Begun>,
    ) -> Result<Arc<Serving>, Stop> {
        let serving = self.strategies.serving(kind);
        let Some(begun) = begun else {
            return serving.ok_or_else(|| self.not_ready(nobody_serves(kind)));
        };
        let plugin = &begun.plugin;
        match self.strategies.noted(plugin) {
            Sought::Found(found) => return Ok(found),
            Sought::NotSoughtYet => {
                let words = format!("{} is being looked for", named(plugin));
                return Err(Stop::NotYet(words));
            }
            Sought::Lost => {}
        }
        let lost = format!("{}, which this was begun with, is lost", named(plugin));
        let Some(serving) = serving else {
            return Err(self.not_ready(format!("{lost}, and {}", nobody_serves(kind))));
        };
        if begun.may_go_on_with(serving.strategy.manifest()) {
            return Ok(serving);
        }
        let version = &serving.strategy.manifest().version;
        let reads = match begun.state_version {
            Some(state) => format!("does not say that it reads version {state} of the state"),
            None => "cannot know how far it was".to_owned(),
        };
        Err(Stop::fail(format!(
            "{}: {lost}, and {} {version}, which serves now, {reads}",
            Reason::PluginNotReady,
            serving.name
        )))
    }

    fn not_ready(&self, message: String) -> Stop {
        Stop::Wait {
            reason: Reason::PluginNotReady,
            message,
            give_up_after: Some(self.settings.configuration_deadline),
        }
    }
}

fn nobody_serves(kind: &str) -> String {
    format!("no plugin serves strategies of kind {kind}")
}

fn named(plugin: &PluginIdentity) -> String {
    let PluginIdentity {
        name,
        version,
        digest,
    } = plugin;
    format!("the component {digest} of {name} {version}")
}
