//! How jobs ended, and when a Plan's job last succeeded.

use backup_engine::{JobEnd, PlanOf, PlanSeen};
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// How a job ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct End {
    kind: String,
    phase: String,
    reason: String,
    class: String,
    strategy_kind: String,
}

/// Jobs whose durations can be compared.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Alike {
    kind: String,
    phase: String,
    strategy_kind: String,
}

/// A Plan.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Plan {
    namespace: String,
    plan: String,
}

/// What is counted of jobs.
#[derive(Clone)]
pub(super) struct Jobs {
    ends: Family<End, Counter>,
    seconds: Family<Alike, Histogram>,
    last_success: Family<Plan, Gauge>,
    success_due: Family<Plan, Gauge>,
}

impl Jobs {
    /// Counts from nothing.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let jobs = Self {
            ends: Family::default(),
            // From a second to a day and a half.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(1.0, 2.0, 18))
            }),
            last_success: Family::default(),
            success_due: Family::default(),
        };
        registry.register(
            "cozystack_backup_jobs_ended",
            "BackupJobs and RestoreJobs that have ended, by how",
            jobs.ends.clone(),
        );
        registry.register(
            "cozystack_backup_job_duration_seconds",
            "How long a job took from its start to its end",
            jobs.seconds.clone(),
        );
        registry.register(
            "cozystack_backup_plan_last_success_timestamp_seconds",
            "When a BackupJob of a Plan last succeeded, in seconds since 1970; zero where none has",
            jobs.last_success.clone(),
        );
        registry.register(
            "cozystack_backup_plan_success_due_timestamp_seconds",
            "Until when a BackupJob of a Plan has to succeed, in seconds since 1970: the second slot since one did",
            jobs.success_due.clone(),
        );
        jobs
    }

    pub(super) fn ended(&self, end: &JobEnd<'_>) {
        let labels = End {
            kind: end.kind.to_owned(),
            phase: end.phase.to_owned(),
            reason: end.reason.to_owned(),
            class: end.class.to_owned(),
            strategy_kind: end.strategy_kind.to_owned(),
        };
        self.ends.get_or_create(&labels).inc();
        if let Some(took) = end.took {
            let End {
                kind,
                phase,
                strategy_kind,
                ..
            } = labels;
            self.seconds
                .get_or_create(&Alike {
                    kind,
                    phase,
                    strategy_kind,
                })
                .observe(took.as_secs_f64());
        }
    }

    pub(super) fn plan_seen(&self, plan: &PlanOf<'_>, seen: &PlanSeen) {
        let labels = labels(plan);
        let last_success = seen.last_success.map_or(0, Timestamp::as_second);
        self.last_success.get_or_create(&labels).set(last_success);
        match seen.success_due {
            Some(due) => {
                self.success_due.get_or_create(&labels).set(due.as_second());
            }
            None => {
                self.success_due.remove(&labels);
            }
        }
    }

    pub(super) fn plan_gone(&self, plan: &PlanOf<'_>) {
        self.last_success.remove(&labels(plan));
        self.success_due.remove(&labels(plan));
    }
}

fn labels(plan: &PlanOf<'_>) -> Plan {
    Plan {
        namespace: plan.namespace.to_owned(),
        plan: plan.name.to_owned(),
    }
}
