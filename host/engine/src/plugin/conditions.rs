//! The status of a StrategyPlugin: how far the newest version came, what serves, and who needs it.

use std::sync::Arc;

use backup_api::{Condition, StrategyPlugin, StrategyPluginStatus, set_condition};
use backup_sandbox::Strategy;
use jiff::Timestamp;

use super::{
    candidate::{Refusal, Step},
    definition::Definition,
    last_served, name_of,
};
use crate::strategies::{PluginState, Serving, Uses};

/// What is known of a StrategyPlugin.
pub(super) struct Report<'a> {
    pub plugin: &'a StrategyPlugin,
    /// What its source holds.
    pub candidate: &'a Result<Strategy, Refusal>,
    /// What came of the definition of its strategy kind; none where that was not tried.
    pub definition: Option<&'a Definition>,
    /// What serves for it.
    pub serving: Option<Arc<Serving>>,
    /// The StrategyPlugin that serves the kind.
    pub owner: &'a str,
    pub uses: &'a Uses,
    pub now: Timestamp,
}

/// A condition in the making.
struct Said {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Said {
    fn new(holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: if holds { "True" } else { "False" },
            reason,
            message: message.into(),
        }
    }
}

impl Report<'_> {
    /// The status as it should be.
    pub(super) fn status(&self) -> StrategyPluginStatus {
        let mut status = self.plugin.status.clone().unwrap_or_default();
        let last = last_served(self.plugin).cloned();
        status.serving = self.serving.as_ref().map(|serving| serving.identity());
        status.last_served = match status.serving {
            Some(_) => None,
            None => last,
        };
        status.observed_generation = self.plugin.metadata.generation;
        self.set(&mut status, "Ready", self.ready());
        for step in Step::ALL {
            self.set(&mut status, step.as_str(), self.step(step));
        }
        if let Some(definition) = self.definition {
            let said = Said::new(
                definition.is_installed(),
                definition.reason(),
                definition.to_string(),
            );
            self.set(&mut status, "DefinitionInstalled", said);
        }
        if self.uses.are_complete() {
            self.count(&mut status);
        }
        status
    }

    /// How it fares, for metrics.
    pub(super) fn state(&self) -> PluginState {
        let ready = self.ready();
        PluginState {
            strategy_kind: self.plugin.spec.strategy_kind.clone(),
            is_ready: ready.status == "True",
            reason: ready.reason,
        }
    }

    fn set(&self, status: &mut StrategyPluginStatus, type_: &str, said: Said) {
        let mut condition = Condition::new(type_, false, said.reason, said.message, self.now);
        said.status.clone_into(&mut condition.status);
        condition.observed_generation = self.plugin.metadata.generation;
        set_condition(&mut status.conditions, condition);
    }

    /// What serves, and why nothing newer does.
    fn ready(&self) -> Said {
        let name = name_of(self.plugin);
        let kind = &self.plugin.spec.strategy_kind;
        if self.owner != name {
            let message = format!(
                "StrategyPlugin {} is older and serves strategies of kind {kind}; this one does when that is gone",
                self.owner
            );
            return Said::new(false, "KindClaimed", message);
        }
        let serves = self.serving.as_ref().map(|serving| {
            let identity = serving.identity();
            format!(
                "{name} {} ({}) serves strategies of kind {kind}",
                identity.version, identity.digest
            )
        });
        match (serves, self.candidate) {
            (Some(serves), Ok(_)) => Said::new(true, "Serving", serves),
            (Some(serves), Err(refusal)) => {
                let message = format!(
                    "{serves}, the last version that can; what {} holds now cannot: {}: {}",
                    self.plugin.spec.source.file, refusal.reason, refusal.message
                );
                Said::new(true, "ServingLastGood", message)
            }
            (None, Err(refusal)) => Said::new(false, refusal.reason, refusal.message.clone()),
            (None, Ok(_)) => Said::new(false, "NotServing", "it does not serve yet"),
        }
    }

    /// A step of what the source holds.
    fn step(&self, step: Step) -> Said {
        match self.candidate {
            Err(refusal) if refusal.step == step => {
                Said::new(false, refusal.reason, refusal.message.clone())
            }
            Err(refusal) if refusal.step < step => Said {
                status: "Unknown",
                reason: "NotReached",
                message: format!("{} comes first", refusal.step.as_str()),
            },
            Err(_) => Said::new(true, step.as_str(), "done"),
            Ok(strategy) => Said::new(true, step.as_str(), self.words(step, strategy)),
        }
    }

    fn words(&self, step: Step, strategy: &Strategy) -> String {
        let manifest = strategy.manifest();
        match step {
            Step::Fetched => format!(
                "{} holds {}, {} bytes",
                self.plugin.spec.source.file,
                strategy.digest(),
                strategy.size()
            ),
            Step::Compiled => format!("it speaks contract {}", manifest.contract),
            Step::Conformant => format!(
                "{} {} is what this StrategyPlugin grants",
                manifest.name, manifest.version
            ),
        }
    }

    /// Who would suffer if it were gone.
    fn count(&self, status: &mut StrategyPluginStatus) {
        let kind = &self.plugin.spec.strategy_kind;
        let (backups, jobs) = (self.uses.backups(kind), self.uses.jobs(kind));
        status.backups = Some(backups);
        status.jobs = Some(jobs);
        let said = match (backups, jobs) {
            (0, 0) => Said::new(false, "Unused", "no Backup and no job needs it"),
            _ => Said::new(
                true,
                "Needed",
                format!(
                    "{} and {} need it to be restored, removed or finished",
                    counted(backups, "Backup"),
                    counted(jobs, "job")
                ),
            ),
        };
        self.set(status, "InUse", said);
    }
}

fn counted(count: u32, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
