//! Who is told of the host's work while it happens, for metrics; and the parts of a pass, for traces.
//!
//! A pass is a span `pass` with the object that it is about, and the class and the plugin once they are known. Its
//! children are the stages. No attribute is anything but names, versions and numbers.

use std::time::Duration;

use backup_api::{JobPhase, Reason};
use backup_sandbox::{Cost, Finished, Question};
use jiff::Timestamp;
use serde_json::Value;
use tracing::{Span, field::Empty, info_span};

use crate::{
    admit::Case, cluster::Cluster, guard::guard, host::Host, job::Job, ledger::Ledger, object,
    queue::Key, stop::Stop, strategies::Serving,
};

/// Is told of the host's work. What it does with it changes nothing, and must not take long.
pub trait Observer: Send + Sync {
    /// A strategy was asked.
    fn evaluated(&self, _evaluation: &Evaluated<'_>) {}

    /// What a strategy answered came to nothing, or it did not answer.
    fn setback(&self, _plugin: &PluginOf<'_>, _reason: Reason) {}

    /// A job has ended, and its status says so. After a crash at the wrong moment nobody is told.
    fn job_ended(&self, _end: &JobEnd<'_>) {}

    /// A Plan was looked at.
    fn plan_seen(&self, _plan: &PlanOf<'_>, _seen: &PlanSeen) {}

    /// A Plan is gone.
    fn plan_gone(&self, _plan: &PlanOf<'_>) {}

    /// A Backup was looked at.
    fn backup_seen(&self, _backup: &BackupOf<'_>, _state: BackupState) {}

    /// A Backup that was deleted has gone, with this becoming of its data.
    fn backup_removed(&self, _backup: &BackupOf<'_>, _removed: Removed) {}

    /// A Backup is gone, whoever let go of it. Behind `backup_removed` it is told, too.
    fn backup_gone(&self, _namespace: &str, _name: &str) {}
}

/// Nobody, who is told in vain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Observer for Nobody {}

/// A plugin, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginOf<'a> {
    /// The kind of strategy that it serves.
    pub strategy_kind: &'a str,
    /// The name of its StrategyPlugin.
    pub name: &'a str,
}

impl<'a> PluginOf<'a> {
    pub(crate) fn of(serving: &'a Serving) -> Self {
        Self {
            strategy_kind: &serving.grant.strategy_kind,
            name: &serving.name,
        }
    }
}

/// One question to a strategy, with all its rounds.
#[derive(Clone, Copy, Debug)]
pub struct Evaluated<'a> {
    /// Who was asked.
    pub plugin: PluginOf<'a>,
    /// What.
    pub question: Question,
    /// `Answered`, `NotRead` where something that it reads could not be, or the name of the error.
    pub outcome: &'static str,
    /// How long it computed. What the host read in between is not in it.
    pub computed: Duration,
    /// What it used.
    pub cost: Cost,
    /// How many things it read.
    pub reads: usize,
    /// How many actions its plan has.
    pub actions: usize,
    /// What it answered, for who shows an author what a strategy does; none where it did not. Nothing of it has been
    /// proved yet, and secrets may stand in it.
    pub finished: Option<&'a Finished>,
}

/// How a job ended.
#[derive(Clone, Copy, Debug)]
pub struct JobEnd<'a> {
    /// `BackupJob` or `RestoreJob`.
    pub kind: &'a str,
    /// `Succeeded` or `Failed`.
    pub phase: &'a str,
    /// The reason of its condition `Ready`.
    pub reason: &'a str,
    /// The BackupClass of a BackupJob that began. Of others it is empty: what a tenant writes is no class.
    pub class: &'a str,
    /// The kind of strategy of a job that began, or empty.
    pub strategy_kind: &'a str,
    /// From its start to its end; none where it never began.
    pub took: Option<Duration>,
}

/// A Plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOf<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl<'a> PlanOf<'a> {
    pub(crate) fn of(key: &'a Key) -> Self {
        Self {
            namespace: &key.namespace,
            name: &key.name,
        }
    }
}

/// The span of a pass.
pub(crate) fn pass(key: &Key) -> Span {
    info_span!(
        "pass",
        kind = key.kind,
        namespace = key.namespace,
        name = key.name,
        class = Empty,
        strategy = Empty,
        plugin = Empty,
        version = Empty,
        digest = Empty,
    )
}

/// Says in the span of the pass what it turned out to be about.
pub(crate) fn note(case: &Case) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let binding = &case.binding;
    let identity = binding.serving.identity();
    span.record("class", binding.class.as_str())
        .record("strategy", binding.strategy_ref.kind.as_str())
        .record("plugin", identity.name.as_str())
        .record("version", identity.version.as_str())
        .record("digest", identity.digest.as_str());
}

impl<C: Cluster> Host<C> {
    /// Proves the plan and the answer of an evaluation.
    pub(crate) fn guard(&self, case: &Case, finished: &Finished) -> Result<(), Stop> {
        let _span = info_span!("guard").entered();
        self.told(case, guard(case, finished))
    }

    /// Tells of what came to nothing.
    pub(crate) fn told<T>(&self, case: &Case, result: Result<T, Stop>) -> Result<T, Stop> {
        if let Err(Stop::Setback { reason, .. }) = &result {
            let plugin = PluginOf::of(&case.binding.serving);
            self.observer.setback(&plugin, *reason);
        }
        result
    }

    /// Tells that a job has ended.
    pub(crate) fn tell_end(&self, job: &Job, ledger: &Ledger) {
        let status = &ledger.job;
        let progress = status.strategy.as_ref();
        let strategy = progress.and_then(|progress| progress.strategy_ref.as_ref());
        let class = match job {
            Job::Backup(job) if strategy.is_some() => job.spec.backup_class_name.as_str(),
            _ => "",
        };
        let took = status
            .started_at
            .as_ref()
            .zip(status.completed_at.as_ref())
            .and_then(|(began, ended)| Duration::try_from(ended.0.duration_since(began.0)).ok());
        self.observer.job_ended(&JobEnd {
            kind: job.kind(),
            phase: if status.phase == Some(JobPhase::Succeeded) {
                "Succeeded"
            } else {
                "Failed"
            },
            reason: ledger.reason(),
            class,
            strategy_kind: strategy.map_or("", |strategy| strategy.kind.as_str()),
            took,
        });
    }
}

/// What is known of a Plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanSeen {
    /// When a job of it last succeeded, if one has.
    pub last_success: Option<Timestamp>,
    /// Until when another has to: the second slot since. None where no jobs are made, because the Plan is suspended or
    /// cannot be read.
    pub success_due: Option<Timestamp>,
}

/// A Backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupOf<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The kind of strategy that made it.
    pub strategy_kind: &'a str,
}

impl<'a> BackupOf<'a> {
    pub(crate) fn of(backup: &'a Value) -> Self {
        Self {
            namespace: object::text(backup, &["metadata", "namespace"]),
            name: object::text(backup, &["metadata", "name"]),
            strategy_kind: object::text(backup, &["spec", "strategyRef", "kind"]),
        }
    }
}

/// How a Backup was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// Nothing is known against it.
    InOrder,
    /// Its data is gone.
    Lost,
    /// It was deleted at this time, and its data is being removed.
    Removing(Timestamp),
}

/// What became of the data of a Backup that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Removed {
    /// It is gone.
    Done,
    /// It stays, because nobody asked for it to go.
    Retained,
    /// It stays, though somebody asked for it to go: nobody could remove it.
    LeftBehind,
}

impl Removed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::Retained, Self::LeftBehind];

    /// As it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Retained => "Retained",
            Self::LeftBehind => "LeftBehind",
        }
    }
}
