//! The components that jobs under way began with: sought until they are found or known to be lost, and dropped when
//! nothing needs them any more.

use std::{collections::BTreeMap, time::Duration};

use backup_api::{PluginIdentity, StrategyPlugin};
use jiff::Timestamp;
use serde_json::Value;

use super::{Look, Memory, Plugins, name_of};
use crate::{
    cluster::{ApiError, Cluster},
    ledger::later,
    strategies::{Serving, limits},
};

/// How long a component is kept that nothing needs: a job that begins with it in this moment may not be known yet, and one
/// that failed to be told of at once is told of by then.
const GRACE: Duration = Duration::from_secs(120);

impl<C: Cluster> Plugins<C> {
    /// Finds what jobs under way need, and drops what nothing needs. Gives back when there will be something to drop.
    pub(super) async fn keep_what_is_needed(
        &self,
        plugins: &[(Value, StrategyPlugin)],
        look: Look,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>, ApiError> {
        let uses = self.strategies.uses();
        if !uses.are_complete() {
            return Ok(None);
        }
        let mut needed: BTreeMap<(String, String), (String, PluginIdentity)> = BTreeMap::new();
        for (_, one) in uses.under_way() {
            let key = (one.plugin.name.clone(), one.plugin.digest.clone());
            needed.insert(key, (one.strategy_kind, one.plugin));
        }
        for (strategy_kind, plugin) in needed.values() {
            if !self.strategies.was_sought(plugin) {
                self.seek(strategy_kind, plugin, plugins).await?;
            }
        }
        self.drop_the_rest(look, memory).await
    }

    /// Looks for a component among those that are loaded, and on the shelf.
    async fn seek(
        &self,
        strategy_kind: &str,
        wanted: &PluginIdentity,
        plugins: &[(Value, StrategyPlugin)],
    ) -> Result<(), ApiError> {
        let granted = plugins.iter().map(|(_, plugin)| plugin).find(|plugin| {
            name_of(plugin) == wanted.name && plugin.spec.strategy_kind == strategy_kind
        });
        let granted = granted.map(|plugin| plugin.spec.clone());
        let limited = limits(granted.as_ref().and_then(|grant| grant.limits.as_ref()));
        let loaded = self.strategies.loaded(&wanted.digest);
        let loaded = loaded.filter(|loaded| granted.is_some() && *loaded.limits() == limited);
        let found = match loaded {
            Some(strategy) => granted.map(|grant| (strategy, grant)),
            None => {
                let shelved = self.read_back(&wanted.digest, limited).await?;
                shelved.and_then(|(strategy, mut grants)| {
                    let grant = granted.or_else(|| grants.remove(&wanted.name));
                    Some((strategy, grant?))
                })
            }
        };
        let PluginIdentity {
            name,
            version,
            digest,
        } = wanted;
        match found {
            Some((strategy, grant)) => {
                tracing::info!(
                    plugin = name,
                    version,
                    digest,
                    "a job goes on with an old component"
                );
                self.strategies.keep(Serving {
                    name: name.clone(),
                    grant,
                    strategy,
                });
            }
            None => {
                tracing::warn!(
                    plugin = name,
                    version,
                    digest,
                    "a component that a job needs is lost"
                );
                self.strategies.lose(wanted);
            }
        }
        Ok(())
    }

    async fn drop_the_rest(
        &self,
        look: Look,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>, ApiError> {
        let now = (self.clock)();
        let (strategies, uses) = (&self.strategies, self.strategies.uses());
        let kept = strategies.kept().into_iter().map(|kept| kept.digest);
        let shelved = memory.shelved.iter().flat_map(BTreeMap::keys).cloned();
        let unused: Vec<String> = kept
            .chain(shelved)
            .filter(|digest| !uses.need(digest) && !strategies.serves(digest))
            .collect();
        memory
            .unused_since
            .retain(|digest, _| unused.contains(digest));
        for digest in unused {
            memory.unused_since.entry(digest).or_insert(now);
        }
        let over: Vec<String> = memory
            .unused_since
            .iter()
            .filter(|(_, since)| later(**since, GRACE) <= now)
            .map(|(digest, _)| digest.clone())
            .collect();
        for digest in over {
            strategies.drop_unless(|kept| kept.digest != digest || uses.need(&digest));
            let is_shelved = memory
                .shelved
                .as_ref()
                .is_some_and(|shelved| shelved.contains_key(&digest));
            if look.writes && is_shelved {
                self.unshelve(&digest).await?;
                if let Some(shelved) = &mut memory.shelved {
                    shelved.remove(&digest);
                }
                tracing::info!(digest, "a stored component that nothing needs is removed");
            }
            if look.writes || !is_shelved {
                memory.unused_since.remove(&digest);
            }
        }
        let next = memory.unused_since.values().min();
        Ok(next
            .map(|since| later(*since, GRACE))
            .filter(|at| *at > now))
    }
}
