//! The trial of a component on made-up worlds, before it serves for the first time.
//!
//! What served already has passed, in this process or in an earlier one, and is not tried again: a trial costs some
//! milliseconds, and a host that starts has none to spare.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use backup_api::{PluginIdentity, StrategyPlugin, StrategyPluginSpec};
use backup_sandbox::Strategy;
use tokio::runtime::Handle;

use super::{
    Plugins,
    candidate::{Refusal, Step},
    conformance::named,
    name_of,
};
use crate::{
    cluster::{ApiError, Cluster},
    conformance::{Finding, conformance},
    host::Evaluator,
};

/// The last trial of each StrategyPlugin, by its name.
#[derive(Default)]
pub(super) struct Trials(Mutex<BTreeMap<String, Trial>>);

struct Trial {
    digest: String,
    grant: StrategyPluginSpec,
    result: Result<(), Refusal>,
}

impl Trials {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Trial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets StrategyPlugins that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.all().retain(|name, _| is_there(name));
    }

    fn known(
        &self,
        name: &str,
        digest: &str,
        grant: &StrategyPluginSpec,
    ) -> Option<Result<(), Refusal>> {
        let all = self.all();
        let trial = all.get(name)?;
        (trial.digest == digest && trial.grant == *grant).then(|| trial.result.clone())
    }
}

impl<C: Cluster> Plugins<C> {
    /// Tries a component under its grant, unless it has served, or the outcome is known.
    pub(super) async fn tried(
        &self,
        plugin: &StrategyPlugin,
        strategy: &Strategy,
        last: Option<&PluginIdentity>,
    ) -> Result<(), Refusal> {
        let digest = strategy.digest();
        if last.is_some_and(|last| last.digest == digest) {
            return Ok(());
        }
        let name = name_of(plugin);
        if let Some(known) = self.trials.known(&name, digest, &plugin.spec) {
            return known;
        }
        let result = match self.findings(strategy, &plugin.spec).await {
            Ok(findings) => verdict(&name, strategy, &findings),
            // The host could not make up a world for it, which says nothing of the component.
            Err(why) => {
                tracing::warn!(plugin = name, digest, why, "a plugin could not be tried");
                Ok(())
            }
        };
        let trial = Trial {
            digest: digest.to_owned(),
            grant: plugin.spec.clone(),
            result: result.clone(),
        };
        self.trials.all().insert(name, trial);
        result
    }

    /// What a trial finds, where it keeps nobody waiting.
    async fn findings(
        &self,
        strategy: &Strategy,
        grant: &StrategyPluginSpec,
    ) -> Result<Vec<Finding>, String> {
        let words = |error: ApiError| error.to_string();
        if self.evaluator == Evaluator::Inline {
            return conformance(strategy, grant, &[]).await.map_err(words);
        }
        let (strategy, grant, runtime) = (strategy.clone(), grant.clone(), Handle::current());
        let trial = move || runtime.block_on(conformance(&strategy, &grant, &[]));
        self.aside(trial).await?.map_err(words)
    }
}

/// What follows from findings: only what is certain keeps a component from serving.
fn verdict(name: &str, strategy: &Strategy, findings: &[Finding]) -> Result<(), Refusal> {
    for finding in findings.iter().filter(|finding| !finding.is_certain) {
        tracing::warn!(
            plugin = name,
            digest = strategy.digest(),
            %finding,
            "a plugin may not do well"
        );
    }
    let certain = findings.iter().filter(|finding| finding.is_certain);
    let certain: Vec<String> = certain.map(ToString::to_string).collect();
    if certain.is_empty() {
        return Ok(());
    }
    let why = format!("{} was tried: {}", named(strategy), certain.join("; "));
    Err(Refusal::new(Step::Conformant, "SimulationFailed", why))
}
