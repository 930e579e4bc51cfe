//! The reconciler of BackupJobs: one pass of the way of a job.

use backup_api::{
    Backup, BackupArtifact, BackupJob, BackupPhase, BackupSpec, BackupStatus, Condition, JobPhase,
    LocalReference, Reason, StorageLocation, Time, names::API_VERSION, names::OWNED_BY_UID,
};
use backup_sandbox::{
    Finished, Question, Reply,
    contract::{ApplicationRef, Path, Progress, Success},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    admit::{Applicant, Case},
    cluster::{ApiError, ApiReason, Caller, Cluster, Part},
    commit::job_labels,
    guard::guard,
    host::Host,
    interest::{Interest, Next},
    ledger::{Ledger, later},
    object,
    stop::Stop,
};

/// The host's field manager for Backups.
const MANAGER: &str = "backups.cozystack.io/host";

/// How a pass ended that was not stopped.
enum Pass {
    /// Asked again when something changes, or at this time.
    Waiting(Option<Timestamp>),
    /// The job has ended.
    Ended,
}

impl<C: Cluster> Host<C> {
    /// One pass over a BackupJob: what it needs next, and when to look again.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub async fn reconcile_backup_job(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Next, ApiError> {
        let target = object::target(API_VERSION, "BackupJob", Some(namespace), name);
        let Some(found) = self.cluster.get(&Caller::host(), &target).await? else {
            return Ok(Next::gone());
        };
        let mut ledger = Ledger::of(&found, self.now())?;
        if ledger.is_final() || object::is_deleting(&found) {
            self.forget_job(object::uid(&found));
            return Ok(Next::gone());
        }
        if let Some(until) = ledger.try_again_at().filter(|until| *until > self.now()) {
            return Ok(Next::at(until));
        }
        let job: BackupJob = serde_json::from_value(found).map_err(|error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("BackupJob {name} cannot be read: {error}"),
            )
        })?;
        let mut interest = Interest::of_job(&target, &job);
        let passed = self.backup_pass(&job, &mut ledger, &mut interest).await;
        let next = self.settle(passed, &mut ledger).await?;
        ledger.write(&self.cluster).await?;
        if ledger.is_final() {
            self.forget_job(job.metadata.uid.as_deref().unwrap_or_default());
            return Ok(Next::gone());
        }
        Ok(next.watching(interest))
    }

    /// Where a backup of the job's application will lie, as its strategy says.
    ///
    /// # Errors
    /// Why it cannot be told, for a person.
    pub async fn backup_paths(&self, job: &BackupJob) -> Result<Vec<Path>, String> {
        let mut interest = Interest::default();
        let said = async {
            let case = self.backup_case(job, &mut interest).await?;
            let finished = self.evaluate(&case, Question::Paths).await?;
            guard(&case, &finished)?;
            match finished.answer {
                Reply::Paths(Ok(paths)) => Ok(paths),
                Reply::Paths(Err(failure)) => Err(Stop::fail(format!(
                    "{}: {}",
                    failure.reason, failure.message
                ))),
                _ => Err(wrong_answer()),
            }
        };
        said.await.map_err(|stop| explain(&stop))
    }

    async fn backup_case(&self, job: &BackupJob, interest: &mut Interest) -> Result<Case, Stop> {
        let reference = &job.spec.application_ref;
        let binding = self.resolve(&job.spec.backup_class_name, reference).await?;
        interest.strategy(&binding.strategy_ref);
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let status = job
            .status
            .as_ref()
            .map(|status| status.job.clone())
            .unwrap_or_default();
        let applicant = Applicant {
            kind: "BackupJob",
            namespace,
            name: job.metadata.name.as_deref().unwrap_or_default(),
            uid: job.metadata.uid.as_deref().unwrap_or_default(),
            subject: application(job),
            status: &status,
            options: "{}".to_owned(),
            source: None,
        };
        self.admit(binding, &applicant).await
    }

    async fn backup_pass(
        &self,
        job: &BackupJob,
        ledger: &mut Ledger,
        interest: &mut Interest,
    ) -> Result<Pass, Stop> {
        if ledger.job.started_at.is_none() {
            self.name_is_free(job).await?;
        }
        let case = self.backup_case(job, interest).await?;
        if let Err(busy) = self.take_application(&application(job), job).await {
            interest.other_jobs(job.metadata.namespace.as_deref());
            return Err(busy);
        }
        let finished = self.evaluate(&case, Question::Backup).await?;
        interest.reads(&case, &finished.reads);
        guard(&case, &finished)?;
        self.commit(&case, Question::Backup, &finished.plan, ledger)
            .await?;
        ledger.strategy().setback = None;
        for condition in &finished.plan.conditions {
            ledger.condition(
                &condition.type_,
                condition.status,
                &condition.reason,
                condition.message.clone(),
            );
        }
        self.record_events(&case, &finished.plan.events).await?;
        self.conclude(job, &case, &finished, ledger).await
    }

    /// What the strategy's answer means for the job.
    async fn conclude(
        &self,
        job: &BackupJob,
        case: &Case,
        finished: &Finished,
        ledger: &mut Ledger,
    ) -> Result<Pass, Stop> {
        match &finished.answer {
            Reply::Progress(Progress::Waiting(wait)) => {
                let since = ledger.wait(&wait.reason);
                let gives_up = wait
                    .give_up_after_seconds
                    .map(|s| later(since, std::time::Duration::from_secs(s.into())));
                if gives_up.is_some_and(|at| self.now() >= at) {
                    return Err(Stop::fail(format!(
                        "{}: {} (gave up waiting)",
                        wait.reason, wait.message
                    )));
                }
                let (phase, reason) = if wait.started {
                    (JobPhase::Running, Reason::Running)
                } else {
                    (JobPhase::Pending, Reason::Waiting)
                };
                ledger.ready(phase, reason, &format!("{}: {}", wait.reason, wait.message));
                let again = wait
                    .ask_again_after_seconds
                    .map(|s| later(self.now(), std::time::Duration::from_secs(s.into())));
                Ok(Pass::Waiting(again.into_iter().chain(gives_up).min()))
            }
            Reply::Progress(Progress::Failed(failure)) => Err(Stop::fail(format!(
                "{}: {}",
                failure.reason, failure.message
            ))),
            Reply::Progress(Progress::Succeeded(success)) => {
                self.record_backup(job, case, success).await?;
                self.put_back(ledger).await?;
                let name = job.metadata.name.clone().unwrap_or_default();
                let message = format!("Backup {name} is complete");
                ledger.backup_ref = Some(LocalReference { name });
                ledger.finish(JobPhase::Succeeded, Reason::BackupCompleted, &message);
                Ok(Pass::Ended)
            }
            _ => Err(wrong_answer()),
        }
    }

    /// Turns the end of a pass into the job's status.
    async fn settle(
        &self,
        passed: Result<Pass, Stop>,
        ledger: &mut Ledger,
    ) -> Result<Next, ApiError> {
        let again = match passed {
            Ok(Pass::Ended) => return Ok(Next::gone()),
            Ok(Pass::Waiting(at)) => at,
            Err(Stop::Api(error)) => {
                // What the actions so far led to is kept; the queue comes back.
                return Err(error);
            }
            Err(Stop::Foreign) => return Ok(Next::gone()),
            Err(Stop::Fail(message)) => return self.fail(ledger, &message).await,
            Err(Stop::Wait {
                reason,
                message,
                give_up_after,
            }) => {
                let since = ledger.wait(reason.as_str());
                let gives_up = give_up_after.map(|duration| later(since, duration));
                if gives_up.is_some_and(|at| self.now() >= at) {
                    return self
                        .fail(ledger, &format!("{reason}: {message} (gave up waiting)"))
                        .await;
                }
                ledger.ready(JobPhase::Pending, reason, &message);
                Some(
                    gives_up
                        .into_iter()
                        .chain([later(self.now(), self.settings.look_again)])
                        .min()
                        .unwrap_or(since),
                )
            }
            Err(Stop::Setback {
                reason,
                message,
                action,
            }) => match ledger.setback(reason, &message, action.map(|action| *action)) {
                Some(at) => {
                    ledger.ready(JobPhase::Pending, reason, &message);
                    Some(at)
                }
                None => return self.fail(ledger, &format!("{reason}: {message}")).await,
            },
        };
        let deadline = ledger
            .job
            .started_at
            .as_ref()
            .map(|start| later(start.0, self.settings.job_deadline));
        if deadline.is_some_and(|at| self.now() >= at) {
            let waited = ledger.job.message.clone().unwrap_or_default();
            let hours = self.settings.job_deadline.as_secs() / 3600;
            return self
                .fail(
                    ledger,
                    &format!("not finished after {hours} hours; it last said: {waited}"),
                )
                .await;
        }
        Ok(again
            .into_iter()
            .chain(deadline)
            .min()
            .map_or_else(Next::quiet, Next::at))
    }

    async fn fail(&self, ledger: &mut Ledger, message: &str) -> Result<Next, ApiError> {
        self.put_back(ledger).await?;
        ledger.finish(JobPhase::Failed, Reason::BackupFailed, message);
        Ok(Next::gone())
    }

    /// A Backup has its job's name. One that another job left there is not overwritten, and not taken for this
    /// job's.
    async fn name_is_free(&self, job: &BackupJob) -> Result<(), Stop> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let target = object::target(
            API_VERSION,
            "Backup",
            job.metadata.namespace.as_deref(),
            name,
        );
        match self.cluster.get(&Caller::host(), &target).await? {
            Some(found) if object::label(&found, OWNED_BY_UID) != job.metadata.uid.as_deref() => {
                Err(taken(name))
            }
            _ => Ok(()),
        }
    }

    /// Writes the Backup. A crash behind any step leads here again, and finds what is there.
    async fn record_backup(
        &self,
        job: &BackupJob,
        case: &Case,
        success: &Success,
    ) -> Result<(), Stop> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let backup = backup_of(job, case, success, self.now());
        let mut object =
            serde_json::to_value(&backup).map_err(|error| Stop::fail(error.to_string()))?;
        let status = object
            .as_object_mut()
            .and_then(|object| object.remove("status"));
        let host = Caller::host();
        let created = match self.cluster.create(&host, MANAGER, &object, false).await {
            Err(error) if error.reason == ApiReason::AlreadyExists => {
                let found = self.cluster.get(&host, &object::reference(&object)).await?;
                found
                    .filter(|found| {
                        object::label(found, OWNED_BY_UID) == job.metadata.uid.as_deref()
                    })
                    .ok_or_else(|| taken(&name))?
            }
            created => created?,
        };
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": "Backup",
            "metadata": {
                "name": name,
                "namespace": job.metadata.namespace,
                // The status subresource does not look at a UID; this pins the object all the same.
                "resourceVersion": object::resource_version(&created),
            },
            "status": status,
        });
        self.cluster
            .apply(&host, MANAGER, &object, Part::Status)
            .await?;
        Ok(())
    }
}

fn taken(name: &str) -> Stop {
    Stop::fail(format!(
        "a Backup named {name} exists already, of another job; create the BackupJob under another name"
    ))
}

fn wrong_answer() -> Stop {
    Stop::setback(
        Reason::PluginError,
        "the strategy answered another question than it was asked",
    )
}

/// A stop in words, where there is no status to write it to.
fn explain(stop: &Stop) -> String {
    match stop {
        Stop::Wait {
            reason, message, ..
        }
        | Stop::Setback {
            reason, message, ..
        } => format!("{reason}: {message}"),
        Stop::Fail(message) => message.clone(),
        Stop::Api(error) => error.to_string(),
        Stop::Foreign => "the strategy is another controller's".to_owned(),
    }
}

/// The application that a job names.
pub(crate) fn application(job: &BackupJob) -> ApplicationRef {
    let reference = &job.spec.application_ref;
    ApplicationRef {
        group: reference.group().to_owned(),
        kind: reference.kind.clone(),
        namespace: job.metadata.namespace.clone().unwrap_or_default(),
        name: reference.name.clone(),
    }
}

fn backup_of(job: &BackupJob, case: &Case, success: &Success, now: Timestamp) -> Backup {
    let name = job.metadata.name.clone().unwrap_or_default();
    let namespace = job.metadata.namespace.clone().unwrap_or_default();
    let taken_at = success
        .taken_at
        .and_then(|s| i64::try_from(s).ok())
        .and_then(|s| Timestamp::from_second(s).ok());
    let mut backup = Backup::new(
        &name,
        BackupSpec {
            application_ref: job.spec.application_ref.clone(),
            strategy_ref: case.binding.strategy_ref.clone(),
            taken_at: Time(taken_at.unwrap_or(now)),
            plan_ref: job.spec.plan_ref.clone(),
            backup_class_name: Some(job.spec.backup_class_name.clone()),
            parameters: case.binding.parameters.clone(),
            driver_metadata: success
                .metadata
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.clone()))
                .collect(),
            plugin: Some(case.binding.serving.identity()),
            storage: Some(StorageLocation {
                endpoint: case.credentials.location.endpoint.clone(),
                bucket: case.credentials.location.bucket.clone(),
            }),
            deletion_policy: None,
        },
    );
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    let labels = job_labels(&name, &namespace, uid);
    backup.metadata.labels = Some(
        labels
            .into_iter()
            .map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    );
    backup.metadata.namespace = Some(namespace);
    backup.status = Some(BackupStatus {
        phase: Some(BackupPhase::Ready),
        artifact: success.artifact.as_ref().map(|artifact| BackupArtifact {
            uri: artifact.uri.clone(),
            size_bytes: artifact
                .size_bytes
                .and_then(|bytes| i64::try_from(bytes).ok()),
            checksum: artifact.checksum.clone(),
        }),
        underlying_resources: success
            .resources
            .as_ref()
            .and_then(|text| serde_json::from_str::<Value>(text).ok()),
        observed_generation: None,
        conditions: vec![Condition::new(
            "Ready",
            true,
            Reason::BackupCompleted.as_str(),
            "the backup is complete",
            now,
        )],
    });
    backup
}
