//! What the host counts: the page `/metrics`. `host/controller/README.md` lists all of it.
//!
//! | module | counts |
//! |---|---|
//! | `passes` | passes and their queue, under the names of controller-runtime, so that existing dashboards read them |
//! | `strategies` | what strategies cost, and what of theirs was refused |
//! | `jobs` | how jobs ended, and when a Plan's job last succeeded |
//! | `backups` | Backups that are lost, and what became of the data of deleted ones |
//! | `requests` | what the API server was asked, under the name of client-go |
//! | `inventory` | what is there at the moment: plugins, objects, who leads |
//!
//! Labels are bounded by what administrators install, by Plans, and by closed lists. No label is a job's name.

mod backups;
mod inventory;
mod jobs;
mod passes;
mod requests;
mod strategies;

use std::sync::Arc;

use backup_api::Reason;
use backup_engine::{
    BackupOf, BackupState, Evaluated, JobEnd, Observer, PlanOf, PlanSeen, PluginOf, Removed,
    Strategies,
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use tokio::sync::watch;

pub(crate) use passes::{Ended, Passes};
pub(crate) use prometheus_text::CONTENT_TYPE;
pub(crate) use requests::Requests;

use crate::{credentials::Projections, real::RealCluster};
use backups::Backups;
use inventory::Inventory;
use jobs::Jobs;
use strategies::StrategyCosts;

/// The host's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    /// Passes and their queue.
    pub passes: Passes,
    strategies: StrategyCosts,
    jobs: Jobs,
    backups: Backups,
}

impl Metrics {
    /// Counts from nothing. What is there at the moment is looked at when somebody reads the page.
    pub(crate) fn new(
        requests: &Requests,
        workers: usize,
        cluster: RealCluster,
        strategies: Arc<Strategies>,
        leads: watch::Receiver<bool>,
        projections: Projections,
    ) -> Self {
        let mut registry = Registry::default();
        requests.register(&mut registry);
        let inventory = Inventory {
            cluster,
            strategies,
            leads: leads.clone(),
        };
        registry.register_collector(Box::new(inventory));
        registry.register_collector(Box::new(projections));
        Self {
            passes: Passes::register(&mut registry, workers),
            strategies: StrategyCosts::register(&mut registry),
            jobs: Jobs::register(&mut registry),
            backups: Backups::register(&mut registry, leads),
            registry: Arc::new(registry),
        }
    }

    /// In the text format that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        prometheus_text::encode(&mut text, &self.registry).ok();
        text
    }
}

impl Observer for Metrics {
    fn evaluated(&self, evaluation: &Evaluated<'_>) {
        self.strategies.evaluated(evaluation);
    }

    fn setback(&self, plugin: &PluginOf<'_>, reason: Reason) {
        self.strategies.setback(plugin, reason);
    }

    fn job_ended(&self, end: &JobEnd<'_>) {
        self.jobs.ended(end);
    }

    fn plan_seen(&self, plan: &PlanOf<'_>, seen: &PlanSeen) {
        self.jobs.plan_seen(plan, seen);
    }

    fn plan_gone(&self, plan: &PlanOf<'_>) {
        self.jobs.plan_gone(plan);
    }

    fn backup_seen(&self, backup: &BackupOf<'_>, state: BackupState) {
        self.backups.seen(backup, state);
    }

    fn backup_removed(&self, backup: &BackupOf<'_>, removed: Removed) {
        self.backups.removed(backup, removed);
    }

    fn backup_gone(&self, namespace: &str, name: &str) {
        self.backups.gone(namespace, name);
    }
}

#[cfg(test)]
mod tests;
