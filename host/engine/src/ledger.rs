//! The status of a job, or of a Backup that is removed or looked after, while a pass works on it: what was read, what
//! is to be written, and whether they differ.

use std::time::Duration;

use backup_api::{
    ApplicationReference, BackupJobStatus, BackupStatus, Condition, JobPhase, JobStatus,
    LocalReference, Reason, RefusedAction, RestoreJobStatus, Setback, StrategyProgress, Time,
    Waiting,
    names::{FINALIZER, LEGACY_FINALIZER},
    set_condition,
};
use backup_sandbox::contract::{ApplicationRef, ObjectRef};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster, Part},
    object,
};

/// The host's field manager for statuses.
const MANAGER: &str = "backups.cozystack.io/host";

/// The same setback so often in a row ends a job.
const SETBACKS: u32 = 5;

/// A message of a condition is no longer than this; the API server refuses more than 32,768.
const MESSAGE: usize = 4096;

/// How long to wait after the first, second, third and fourth setback: long enough for a person to mend a
/// permission, short enough for a conflict to be over.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// What a status has beside what the statuses of all jobs have.
enum Beside {
    BackupJob(Option<LocalReference>),
    RestoreJob,
    /// All of it; what it has in common with a job's is taken from there when it is written.
    Backup(Box<BackupStatus>),
}

/// A status in the making.
pub(crate) struct Ledger {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    generation: Option<i64>,
    resource_version: String,
    /// The finalizers of others that hold the object.
    finalizers: Vec<String>,
    is_held: bool,
    /// What the cluster has.
    written: Value,
    now: Timestamp,
    /// What every job has. Of a Backup's removal, phase, message and times are not kept.
    pub job: JobStatus,
    beside: Beside,
}

impl Ledger {
    /// The status of a BackupJob, RestoreJob or Backup as it was read.
    ///
    /// # Errors
    /// A status that cannot be read, which the API server does not let through.
    pub(crate) fn of(found: &Value, now: Timestamp) -> Result<Self, ApiError> {
        let status = found.get("status").cloned().unwrap_or_else(|| json!({}));
        let target = object::reference(found);
        let (job, beside) = read(&target.kind, status.clone()).map_err(|error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("the status of the {} cannot be read: {error}", target.kind),
            )
        })?;
        let mut finalizers = object::finalizers_without(found, FINALIZER);
        finalizers.retain(|finalizer| finalizer != LEGACY_FINALIZER);
        Ok(Self {
            api_version: target.api_version,
            kind: target.kind,
            namespace: target.namespace.unwrap_or_default(),
            name: target.name,
            generation: found
                .pointer("/metadata/generation")
                .and_then(Value::as_i64),
            resource_version: object::resource_version(found).to_owned(),
            finalizers,
            is_held: object::has_finalizer(found, FINALIZER)
                || object::has_finalizer(found, LEGACY_FINALIZER),
            written: status,
            now,
            job,
            beside,
        })
    }

    /// The Backup that a BackupJob led to.
    pub(crate) fn led_to(&mut self, backup: LocalReference) {
        self.beside = Beside::BackupJob(Some(backup));
    }

    /// What a Backup's status has of its own; none of a job's.
    pub(crate) fn backup(&mut self) -> Option<&mut BackupStatus> {
        match &mut self.beside {
            Beside::Backup(status) => Some(status),
            Beside::BackupJob(_) | Beside::RestoreJob => None,
        }
    }

    /// What the host keeps between two evaluations.
    pub(crate) fn strategy(&mut self) -> &mut StrategyProgress {
        self.job.strategy.get_or_insert_default()
    }

    /// Whether the host's finalizer, or that of an old version, holds the object.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether the job has ended.
    pub(crate) fn is_final(&self) -> bool {
        self.job.phase.is_some_and(JobPhase::is_final)
    }

    /// Work begins, if it has not, and must have ended after so long.
    pub(crate) fn start(&mut self, deadline: Duration) {
        let started_at = self.job.started_at.get_or_insert(Time(self.now)).0;
        let deadline = Time(later(started_at, deadline));
        self.strategy().deadline.get_or_insert(deadline);
    }

    /// Notes what the job holds beside its own application, which comes first.
    pub(crate) fn holds(&mut self, applications: &[ApplicationRef]) {
        let others = applications
            .iter()
            .skip(1)
            .map(|held| ApplicationReference {
                api_group: held.group.clone(),
                kind: held.kind.clone(),
                name: held.name.clone(),
            });
        let others: Vec<_> = others.collect();
        if !others.is_empty() {
            self.strategy().holds = others;
        }
    }

    /// By when a job that has begun must have ended.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let deadline = self.job.strategy.as_ref()?.deadline.as_ref()?;
        Some(deadline.0)
    }

    /// By when a job must have ended that another controller has begun, and for which this host has done nothing.
    pub(crate) fn deadline_of_another(&self, deadline: Duration) -> Option<Timestamp> {
        let strategy = self.job.strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.plugin.is_some()) {
            return None;
        }
        let started_at = self.job.started_at.as_ref()?;
        Some(later(started_at.0, deadline))
    }

    /// Sets the host's own condition, with the message for the tenant. Once work has begun the phase does not go
    /// back.
    pub(crate) fn ready(&mut self, phase: JobPhase, reason: Reason, message: &str) {
        let message = shortened(message);
        if self.job.phase != Some(JobPhase::Running) || phase != JobPhase::Pending {
            self.job.phase = Some(phase);
        }
        self.job.message = Some(message.clone());
        self.job.observed_generation = self.generation;
        let holds = phase == JobPhase::Succeeded;
        self.condition("Ready", holds, reason.as_str(), message);
    }

    /// The condition `Ready`, if it is set.
    pub(crate) fn ready_condition(&self) -> Option<&Condition> {
        let mut conditions = self.job.conditions.iter();
        conditions.find(|condition| condition.type_ == "Ready")
    }

    /// The reason of the condition `Ready`; empty where it is not set.
    pub(crate) fn reason(&self) -> &str {
        self.ready_condition()
            .map_or("", |condition| condition.reason.as_str())
    }

    /// Sets a condition.
    pub(crate) fn condition(&mut self, type_: &str, holds: bool, reason: &str, message: String) {
        let status = if holds { "True" } else { "False" };
        self.condition_is(type_, status, reason, &message);
    }

    /// Sets a condition to `True`, `False` or `Unknown`.
    pub(crate) fn condition_is(&mut self, type_: &str, status: &str, reason: &str, message: &str) {
        let mut condition = Condition::new(type_, false, reason, shortened(message), self.now);
        status.clone_into(&mut condition.status);
        condition.observed_generation = self.generation;
        set_condition(&mut self.job.conditions, condition);
    }

    /// Takes a condition away.
    pub(crate) fn without_condition(&mut self, type_: &str) {
        self.job
            .conditions
            .retain(|condition| condition.type_ != type_);
    }

    /// Notes what the job waits for; gives back since when it has waited for this and nothing else.
    pub(crate) fn wait(&mut self, reason: &str) -> Timestamp {
        let now = self.now;
        let strategy = self.strategy();
        match &strategy.waiting {
            Some(waiting) if waiting.reason == reason => waiting.since.0,
            _ => {
                strategy.waiting = Some(Waiting {
                    reason: reason.to_owned(),
                    since: Time(now),
                });
                now
            }
        }
    }

    /// Notes a setback; gives back when to try again, or none when it was the last.
    pub(crate) fn setback(
        &mut self,
        reason: Reason,
        message: &str,
        action: Option<RefusedAction>,
    ) -> Option<Timestamp> {
        let now = self.now;
        let strategy = self.strategy();
        let same = strategy.setback.as_ref().filter(|last| {
            let verb = |action: &Option<RefusedAction>| {
                action.as_ref().map(|action| {
                    (
                        action.verb.clone(),
                        action.kind.clone(),
                        action.name.clone(),
                    )
                })
            };
            last.reason == reason.as_str() && verb(&last.action) == verb(&action)
        });
        let times = same.map_or(0, |last| last.times) + 1;
        let message = shortened(message);
        strategy.setback = Some(Setback {
            reason: reason.as_str().to_owned(),
            message,
            times,
            at: Time(now),
            action,
        });
        self.try_again_at()
    }

    /// Until when to leave the work alone after a setback.
    pub(crate) fn try_again_at(&self) -> Option<Timestamp> {
        let setback = self.job.strategy.as_ref()?.setback.as_ref()?;
        if setback.times >= SETBACKS {
            return None;
        }
        let pause = usize::try_from(setback.times.saturating_sub(1))
            .ok()
            .and_then(|index| PAUSES.get(index));
        Some(later(setback.at.0, *pause?))
    }

    /// The job ends.
    pub(crate) fn finish(&mut self, phase: JobPhase, reason: Reason, message: &str) {
        self.job.completed_at = Some(Time(self.now));
        if let Some(strategy) = &mut self.job.strategy {
            strategy.waiting = None;
        }
        self.ready(phase, reason, message);
    }

    /// Holds the object by the host's finalizer, so that a deletion can undo first what it left behind.
    pub(crate) async fn hold<C: Cluster>(
        &mut self,
        cluster: &C,
        target: &ObjectRef,
    ) -> Result<(), ApiError> {
        if !self.is_held {
            let ours = FINALIZER.to_owned();
            let finalizers = self.finalizers.iter().cloned().chain([ours]).collect();
            self.write_finalizers(cluster, target, finalizers).await?;
            self.is_held = true;
        }
        Ok(())
    }

    /// Lets go of the object, also where an old version held it. One that is gone needs no letting go.
    pub(crate) async fn let_go<C: Cluster>(
        &mut self,
        cluster: &C,
        target: &ObjectRef,
    ) -> Result<(), ApiError> {
        if !self.is_held {
            return Ok(());
        }
        let others = self.finalizers.clone();
        match self.write_finalizers(cluster, target, others).await {
            Err(error) if error.reason != ApiReason::NotFound => Err(error),
            _ => {
                self.is_held = false;
                Ok(())
            }
        }
    }

    async fn write_finalizers<C: Cluster>(
        &mut self,
        cluster: &C,
        target: &ObjectRef,
        finalizers: Vec<String>,
    ) -> Result<(), ApiError> {
        let patch = json!({ "metadata": {
            "resourceVersion": self.resource_version,
            "finalizers": finalizers,
        } });
        let written = cluster
            .merge(&Caller::host(), MANAGER, target, &patch, Part::Main)
            .await?;
        self.resource_version = object::resource_version(&written).to_owned();
        Ok(())
    }

    /// Writes the status, unless the cluster has it. Whoever wrote to the job in between is not overwritten: the
    /// write is refused as a conflict, and the next pass reads again.
    pub(crate) async fn write<C: Cluster>(&mut self, cluster: &C) -> Result<(), ApiError> {
        let status = self.status()?;
        if status == self.written {
            return Ok(());
        }
        let object = json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                // The status subresource does not look at a UID; this pins the object all the same.
                "resourceVersion": self.resource_version,
            },
            "status": status,
        });
        let written = cluster
            .apply(&Caller::host(), MANAGER, &object, Part::Status)
            .await?;
        self.resource_version = object::resource_version(&written).to_owned();
        self.written = status;
        Ok(())
    }

    fn status(&self) -> Result<Value, ApiError> {
        let job = self.job.clone();
        let value = match &self.beside {
            Beside::RestoreJob => serde_json::to_value(RestoreJobStatus { job }),
            Beside::BackupJob(backup_ref) => serde_json::to_value(BackupJobStatus {
                backup_ref: backup_ref.clone(),
                job,
            }),
            Beside::Backup(status) => serde_json::to_value(BackupStatus {
                strategy: job.strategy,
                conditions: job.conditions,
                observed_generation: self.generation,
                ..(**status).clone()
            }),
        };
        value.map_err(|error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("the status cannot be written: {error}"),
            )
        })
    }
}

fn read(kind: &str, status: Value) -> serde_json::Result<(JobStatus, Beside)> {
    Ok(match kind {
        "RestoreJob" => {
            let status: RestoreJobStatus = serde_json::from_value(status)?;
            (status.job, Beside::RestoreJob)
        }
        "Backup" => {
            let mut status: BackupStatus = serde_json::from_value(status)?;
            let job = JobStatus {
                strategy: status.strategy.take(),
                conditions: std::mem::take(&mut status.conditions),
                ..JobStatus::default()
            };
            (job, Beside::Backup(Box::new(status)))
        }
        _ => {
            let status: BackupJobStatus = serde_json::from_value(status)?;
            (status.job, Beside::BackupJob(status.backup_ref))
        }
    })
}

/// A time and a duration after it.
pub(crate) fn later(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn shortened(message: &str) -> String {
    if message.len() <= MESSAGE {
        return message.to_owned();
    }
    let cut = message
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= MESSAGE - 3)
        .last();
    format!("{}…", &message[..cut.unwrap_or_default()])
}
