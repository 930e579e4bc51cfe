//! What is particular to BackupJobs: where their strategy comes from, and the Backup that they lead to.

use std::collections::BTreeMap;

use backup_api::{
    Backup, BackupArtifact, BackupJob, BackupPhase, BackupSpec, BackupStatus, Condition,
    DeletionPolicy, LocalReference, Reason, StorageLocation, Time,
    names::{API_VERSION, FINALIZER, OWNED_BY_UID, PLAN, label_value},
};
use backup_sandbox::{
    Question, Reply,
    contract::{Artifact, Path, Success},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    admit::{Applicant, Case},
    cluster::{ApiError, ApiReason, Caller, Cluster, Part},
    commit::job_labels,
    host::Host,
    interest::Interest,
    job::{application_ref, wrong_answer},
    ledger::Ledger,
    noted::Begun,
    object,
    stop::Stop,
    upkeep::MANAGER,
};

/// What a pass that was cut off has left of a job's Backup.
pub(crate) enum Left {
    /// No Backup, or another job's.
    Nothing,
    /// The Backup without its status.
    Unfinished(Value),
    /// All of it: the job has succeeded.
    Complete,
}

impl<C: Cluster> Host<C> {
    /// Where a backup of the job's application will lie, as its strategy says.
    ///
    /// # Errors
    /// Why it cannot be told, for a person.
    pub async fn backup_paths(&self, job: &BackupJob) -> Result<Vec<Path>, String> {
        let mut interest = Interest::default();
        let said = async {
            let case = self.backup_case(job, &mut interest).await?;
            let finished = self.evaluate(&case, Question::Paths).await?;
            self.guard(&case, &finished)?;
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

    pub(crate) async fn backup_case(
        &self,
        job: &BackupJob,
        interest: &mut Interest,
    ) -> Result<Case, Stop> {
        let reference = &job.spec.application_ref;
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let status = job
            .status
            .as_ref()
            .map(|status| status.job.clone())
            .unwrap_or_default();
        let begun = Begun::job(status.strategy.as_ref());
        let class = &job.spec.backup_class_name;
        let binding = self
            .resolve(class, namespace, reference, begun.as_ref(), interest)
            .await?;
        let applicant = Applicant {
            kind: "BackupJob",
            namespace,
            name: job.metadata.name.as_deref().unwrap_or_default(),
            uid: job.metadata.uid.as_deref().unwrap_or_default(),
            subject: application_ref(reference, namespace),
            status: &status,
            options: "{}".to_owned(),
            backup: None,
        };
        self.admit(binding, &applicant).await
    }

    /// The strategy's success becomes a Backup.
    pub(crate) async fn backup_succeeded(
        &self,
        job: &BackupJob,
        case: &Case,
        success: &Success,
        ledger: &mut Ledger,
    ) -> Result<String, Stop> {
        let began_with = ledger.strategy().storage.clone();
        let storage = began_with.unwrap_or_else(|| case.location());
        self.record_backup(job, case, success, storage).await?;
        Ok(self.led_to(job, ledger))
    }

    /// Notes the Backup that a job led to; gives back the message that says so.
    pub(crate) fn led_to(&self, job: &BackupJob, ledger: &mut Ledger) -> String {
        let name = job.metadata.name.clone().unwrap_or_default();
        let message = format!("Backup {name} is complete");
        ledger.led_to(LocalReference { name });
        message
    }

    /// What a pass that was cut off has left of a job's Backup.
    pub(crate) async fn backup_left_by(&self, job: &BackupJob) -> Result<Left, ApiError> {
        let metadata = &job.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let target = object::target(API_VERSION, "Backup", metadata.namespace.as_deref(), name);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        Ok(match found {
            Some(found) if object::label(&found, OWNED_BY_UID) == metadata.uid.as_deref() => {
                match object::text(&found, &["status", "phase"]) {
                    "" => Left::Unfinished(found),
                    _ => Left::Complete,
                }
            }
            _ => Left::Nothing,
        })
    }

    /// What to say of a job that an earlier pass let go of, with its Backup complete, where somebody has deleted the
    /// Backup before the job's end was written. To make it anew would bring back what a user has removed.
    pub(crate) async fn deleted_since(&self, job: &BackupJob) -> Result<Option<String>, ApiError> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        Ok(match self.backup_left_by(job).await? {
            Left::Nothing => Some(format!(
                "Backup {name} was complete, and has been deleted since"
            )),
            Left::Unfinished(_) | Left::Complete => None,
        })
    }

    /// A Backup has its job's name. One that another job left there is not overwritten, and not taken for this
    /// job's; one that is being removed is waited for.
    pub(crate) async fn name_is_free(
        &self,
        job: &BackupJob,
        interest: &mut Interest,
    ) -> Result<(), Stop> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let target = object::target(
            API_VERSION,
            "Backup",
            job.metadata.namespace.as_deref(),
            name,
        );
        match self.cluster.get(&Caller::host(), &target).await? {
            Some(found) if object::label(&found, OWNED_BY_UID) != job.metadata.uid.as_deref() => {
                interest.watch(target);
                Err(taken(name, Some(&found)))
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
        storage: StorageLocation,
    ) -> Result<(), Stop> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let mut backup = backup_of(job, case, success, self.now());
        backup.spec.storage = Some(storage);
        let artifact = backup
            .status
            .as_mut()
            .and_then(|status| status.artifact.as_mut());
        if let Some(artifact) = artifact {
            self.fill_in_size(case, artifact).await;
        }
        let mut object =
            serde_json::to_value(&backup).map_err(|error| Stop::fail(error.to_string()))?;
        let status = object
            .as_object_mut()
            .and_then(|object| object.remove("status"));
        let host = Caller::host();
        let created = match self.cluster.create(&host, MANAGER, &object, false).await {
            Err(error) if error.reason == ApiReason::AlreadyExists => {
                let found = self.cluster.get(&host, &object::reference(&object)).await?;
                match found {
                    Some(found)
                        if object::label(&found, OWNED_BY_UID) == job.metadata.uid.as_deref() =>
                    {
                        found
                    }
                    other => return Err(taken(&name, other.as_ref())),
                }
            }
            created => created?,
        };
        if !object::text(&created, &["status", "phase"]).is_empty() {
            // An earlier pass wrote it, and others may have written to it since.
            return Ok(());
        }
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

/// What becomes of a job whose Backup's name another Backup has.
fn taken(name: &str, by: Option<&Value>) -> Stop {
    if by.is_some_and(object::is_deleting) {
        return Stop::Wait {
            reason: Reason::Waiting,
            message: format!("a Backup named {name}, of another job, is being removed"),
            give_up_after: None,
        };
    }
    Stop::fail(format!(
        "a Backup named {name} exists already, of another job; create the BackupJob under another name"
    ))
}

/// A stop in words, where there is no status to write it to.
pub(crate) fn explain(stop: &Stop) -> String {
    match stop {
        Stop::Wait {
            reason, message, ..
        }
        | Stop::Setback {
            reason, message, ..
        } => format!("{reason}: {message}"),
        Stop::Fail(message) | Stop::NotYet(message) => message.clone(),
        Stop::Api(error) => error.to_string(),
        Stop::Foreign => "the strategy is another controller's".to_owned(),
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
            storage: None,
            deletion_policy: Some(
                case.binding
                    .deletion_policy
                    .unwrap_or(DeletionPolicy::Delete),
            ),
        },
    );
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    let labels = job_labels(&name, &namespace, uid);
    let mut labels: BTreeMap<String, String> = labels
        .into_iter()
        .map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()))
        .collect();
    if let Some(plan) = &job.spec.plan_ref {
        labels.insert(PLAN.to_owned(), label_value(&plan.name));
    }
    backup.metadata.labels = Some(labels);
    // From its first moment on: a deletion that comes right behind its creation has to remove the data, too.
    backup.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    backup.metadata.namespace = Some(namespace);
    backup.status = Some(BackupStatus {
        phase: Some(BackupPhase::Ready),
        artifact: success.artifact.as_ref().map(artifact_of),
        underlying_resources: success
            .resources
            .as_ref()
            .and_then(|text| serde_json::from_str::<Value>(text).ok()),
        conditions: vec![Condition::new(
            "Ready",
            true,
            Reason::BackupCompleted.as_str(),
            "the backup is complete",
            now,
        )],
        ..BackupStatus::default()
    });
    backup
}

/// A strategy's artifact, as it stands in a Backup.
pub(crate) fn artifact_of(artifact: &Artifact) -> BackupArtifact {
    BackupArtifact {
        uri: artifact.uri.clone(),
        size_bytes: artifact
            .size_bytes
            .and_then(|bytes| i64::try_from(bytes).ok()),
        checksum: artifact.checksum.clone(),
    }
}
