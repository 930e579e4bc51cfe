//! What is particular to RestoreJobs: the Backup that they restore, and where to.

use backup_api::{
    Backup, BackupArtifact, BackupPhase, Reason, RestoreJob,
    names::{API_VERSION, CHECK_REQUESTED},
};
use backup_sandbox::contract::{ApplicationRef, Artifact, Entry, FinishedBackup};
use serde_json::{Value, json};

use crate::{
    admit::{Applicant, Case, seconds},
    backup::moved,
    cluster::{Caller, Cluster},
    host::Host,
    interest::Interest,
    job::application_ref,
    noted::Begun,
    object,
    stop::Stop,
};

impl<C: Cluster> Host<C> {
    /// What a restore is about. The Backup decides about strategy and parameters; the class is not asked again.
    pub(crate) async fn restore_case(
        &self,
        job: &RestoreJob,
        interest: &mut Interest,
    ) -> Result<Case, Stop> {
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let backup = self.backup_to_restore(job, namespace).await?;
        let mut subject = target(job, &backup, namespace);
        interest.strategy(&backup.spec.strategy_ref);
        let progress = job.status.as_ref();
        let progress = progress.and_then(|status| status.job.strategy.as_ref());
        let begun = Begun::job(progress);
        let binding = self
            .resolve_backup(&backup, &subject, begun.as_ref())
            .await?;
        let options = job.spec.options.clone().unwrap_or_else(|| json!({}));
        check_options(
            binding.serving.strategy.manifest().restore_options.as_ref(),
            &options,
        )?;
        let status = job
            .status
            .as_ref()
            .map(|status| status.job.clone())
            .unwrap_or_default();
        let into = self.restores_into(job, &status, &binding, &options).await?;
        if into != namespace {
            self.class_allows(&binding.class, &into).await?;
            interest.credentials(&into);
            subject.namespace = into;
        }
        let applicant = Applicant {
            kind: "RestoreJob",
            namespace,
            name: job.metadata.name.as_deref().unwrap_or_default(),
            uid: job.metadata.uid.as_deref().unwrap_or_default(),
            subject,
            status: &status,
            options: options.to_string(),
            backup: Some(&backup),
        };
        let case = self.admit(binding, &applicant).await?;
        match moved(&backup, &case.credentials.location) {
            Some(words) => Err(Stop::fail(format!("{}: {words}", Reason::StorageChanged))),
            None => Ok(case),
        }
    }

    /// The Backup that a job names, if it is there and can be read, in whatever state.
    pub(crate) async fn backup_if_there(
        &self,
        job: &RestoreJob,
        namespace: &str,
    ) -> Result<Option<Backup>, Stop> {
        let name = &job.spec.backup_ref.name;
        let target = object::target(API_VERSION, "Backup", Some(namespace), name);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }

    /// The Backup that a job names, which must be whole. A restore that has begun goes on: a removal waits for it.
    async fn backup_to_restore(&self, job: &RestoreJob, namespace: &str) -> Result<Backup, Stop> {
        let name = &job.spec.backup_ref.name;
        let target = object::target(API_VERSION, "Backup", Some(namespace), name);
        let Some(found) = self.cluster.get(&Caller::host(), &target).await? else {
            return Err(Stop::fail(format!(
                "Backup {name} does not exist; name one of `kubectl -n {namespace} get backups`"
            )));
        };
        let has_begun = job
            .status
            .as_ref()
            .is_some_and(|status| status.job.started_at.is_some());
        if object::is_deleting(&found) && !has_begun {
            return Err(Stop::fail(format!("Backup {name} is being deleted")));
        }
        let backup: Backup = serde_json::from_value(found)
            .map_err(|error| Stop::fail(format!("Backup {name} cannot be read: {error}")))?;
        let phase = backup.status.as_ref().and_then(|status| status.phase);
        if phase != Some(BackupPhase::Ready) {
            return Err(Stop::fail(format!("Backup {name} is not Ready")));
        }
        let lost = backup.status.as_ref().and_then(|status| {
            let mut conditions = status.conditions.iter();
            conditions
                .find(|condition| condition.type_ == "Available" && condition.status == "False")
        });
        if let Some(lost) = lost.filter(|_| !has_begun) {
            return Err(Stop::fail(format!(
                "Backup {name} cannot be restored any more: {}; name another of `kubectl -n {namespace} get backups`, or \
                 have this one looked at again by the annotation {CHECK_REQUESTED}",
                lost.message
            )));
        }
        let class = backup.spec.backup_class_name.as_deref();
        match (&job.spec.backup_class_name, class) {
            (Some(named), Some(class)) if named != class => Err(Stop::fail(format!(
                "Backup {name} was taken with BackupClass {class}, not {named}; leave backupClassName out or name that"
            ))),
            _ => Ok(backup),
        }
    }
}

/// The application that is restored into.
fn target(job: &RestoreJob, backup: &Backup, namespace: &str) -> ApplicationRef {
    let reference = job
        .spec
        .target_application_ref
        .as_ref()
        .unwrap_or(&backup.spec.application_ref);
    application_ref(reference, namespace)
}

/// The backup as the contract tells it.
pub(crate) fn finished(backup: &Backup) -> FinishedBackup {
    let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
    let status = backup.status.as_ref();
    let entries = backup.spec.driver_metadata.iter();
    FinishedBackup {
        name: backup.metadata.name.clone().unwrap_or_default(),
        taken_at: seconds(backup.spec.taken_at.0),
        application: application_ref(&backup.spec.application_ref, namespace),
        artifact: status
            .and_then(|status| status.artifact.as_ref())
            .map(artifact),
        metadata: entries
            .map(|(key, value)| Entry {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        resources: status
            .and_then(|status| status.underlying_resources.as_ref())
            .map(Value::to_string),
    }
}

/// An artifact as the contract tells it: the other way round of `artifact_of`.
fn artifact(artifact: &BackupArtifact) -> Artifact {
    Artifact {
        uri: artifact.uri.clone(),
        size_bytes: artifact
            .size_bytes
            .and_then(|bytes| u64::try_from(bytes).ok()),
        checksum: artifact.checksum.clone(),
    }
}

/// Options are checked before anything is touched: a restore with a misspelt option is not the restore that was
/// meant.
fn check_options(schema: Option<&Value>, options: &Value) -> Result<(), Stop> {
    let Some(schema) = schema else {
        let is_empty = options.as_object().is_some_and(serde_json::Map::is_empty);
        return if is_empty {
            Ok(())
        } else {
            Err(Stop::fail(
                "this strategy has no restore options; leave spec.options out",
            ))
        };
    };
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        Stop::fail(format!(
            "the plugin's schema of restore options is not valid: {error}"
        ))
    })?;
    let problems: Vec<String> = validator
        .iter_errors(options)
        .map(|error| format!("spec.options{}: {error}", error.instance_path()))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Stop::fail(problems.join("; ")))
    }
}
