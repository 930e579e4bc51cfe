//! The second stage: from a binding to everything that an evaluation needs to know.

use std::collections::BTreeMap;

use backup_api::{JobStatus, Reason, RefusedAction, StorageLocation};
use backup_sandbox::{
    Request,
    contract::{ApplicationRef, Entry, FinishedBackup, JobIdentity, ObjectRef, Refusal},
};

use crate::{
    cluster::{Caller, Cluster},
    commit::HELM_RELEASE,
    credentials::{self, Credentials},
    host::Host,
    object,
    resolve::Binding,
    secrets,
    stop::Stop,
};

/// A job that may be evaluated.
pub(crate) struct Case {
    pub binding: Binding,
    pub request: Request,
    /// The strategy's account, for reads and writes.
    pub caller: Caller,
    /// The platform's storage.
    pub credentials: Credentials,
}

impl Case {
    /// Where the platform's storage is now, as a Backup records it.
    pub(crate) fn location(&self) -> StorageLocation {
        StorageLocation {
            endpoint: self.credentials.location.endpoint.clone(),
            bucket: self.credentials.location.bucket.clone(),
        }
    }

    /// The namespaces that the job may touch: its own, and the one that its author was allowed to restore into.
    pub(crate) fn allowed_namespaces(&self) -> Vec<&str> {
        let own = self.request.job.namespace.as_str();
        let into = self.request.subject.namespace.as_str();
        if into == own {
            vec![own]
        } else {
            vec![own, into]
        }
    }
}

/// What admission has to know of a job.
pub(crate) struct Applicant<'a> {
    /// `BackupJob`, `RestoreJob` or `Backup`.
    pub kind: &'static str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub subject: ApplicationRef,
    pub status: &'a JobStatus,
    pub options: String,
    pub source: Option<FinishedBackup>,
}

impl<C: Cluster> Host<C> {
    /// Checks parameters, projects the credentials and fills in the storage paths.
    pub(crate) async fn admit(
        &self,
        binding: Binding,
        applicant: &Applicant<'_>,
    ) -> Result<Case, Stop> {
        if let Some(problem) = secrets::in_parameters(&binding.parameters) {
            return Err(Stop::fail(format!(
                "BackupClass {}: {problem}",
                binding.class
            )));
        }
        let credentials = self.platform_storage().await?;
        credentials::project(&self.cluster, &credentials, applicant.namespace).await?;
        let into = &applicant.subject.namespace;
        if into != applicant.namespace {
            credentials::project(&self.cluster, &credentials, into).await?;
        }
        self.case_of(binding, applicant, credentials).await
    }

    /// The platform's storage and the keys to it.
    pub(crate) async fn platform_storage(&self) -> Result<Credentials, Stop> {
        let credentials = credentials::read(&self.cluster, &self.settings.storage).await?;
        if credentials.location.bucket.is_empty() {
            return Err(Stop::Wait {
                reason: Reason::CredentialsProjectionPending,
                message: "the platform has no bucket yet: neither the source Secret nor backupStorage.bucketName names one"
                    .to_owned(),
                give_up_after: None,
            });
        }
        Ok(credentials)
    }

    /// What an evaluation needs to know, with the storage paths filled in.
    pub(crate) async fn case_of(
        &self,
        binding: Binding,
        applicant: &Applicant<'_>,
        credentials: Credentials,
    ) -> Result<Case, Stop> {
        let caller = binding.serving.caller(&format!(
            "{}/{}/{}",
            applicant.kind, applicant.namespace, applicant.name
        ));
        let prefixes = self.prefixes(&binding, &caller, applicant).await?;
        let now = self.now();
        let started_at = applicant
            .status
            .started_at
            .as_ref()
            .map_or(now, |time| time.0);
        let progress = applicant.status.strategy.as_ref();
        let request = Request {
            now: seconds(now),
            job: JobIdentity {
                kind: applicant.kind.to_owned(),
                namespace: applicant.namespace.to_owned(),
                name: applicant.name.to_owned(),
                uid: applicant.uid.to_owned(),
                started_at: seconds(started_at),
            },
            options: applicant.options.clone(),
            subject: applicant.subject.clone(),
            parameters: entries(&binding.parameters),
            source: applicant.source.clone(),
            state: progress.and_then(|progress| progress.state.clone()),
            refused: progress
                .and_then(|progress| progress.setback.as_ref())
                .and_then(|setback| setback.action.as_ref())
                .map(refusal),
            prefixes,
        };
        Ok(Case {
            binding,
            request,
            caller,
            credentials,
        })
    }

    /// The granted storage paths, filled in for an application.
    async fn prefixes(
        &self,
        binding: &Binding,
        caller: &Caller,
        applicant: &Applicant<'_>,
    ) -> Result<Vec<String>, Stop> {
        let application = &applicant.subject;
        let mut patterns = binding.serving.grant.storage_paths.clone();
        let release = if patterns.iter().any(|pattern| pattern.contains("{release}")) {
            let release = self
                .release(caller, application)
                .await
                .map_err(|error| permission(&error))?;
            if release.is_none() && applicant.kind == "Backup" {
                // A Backup outlives its application, and the rest of it can be removed all the same.
                patterns.retain(|pattern| !pattern.contains("{release}"));
                return Ok(filled(&patterns, application, ""));
            }
            Some(release.ok_or_else(|| Stop::Wait {
                reason: Reason::Waiting,
                message: format!(
                    "{} {} has no Helm release",
                    application.kind, application.name
                ),
                give_up_after: Some(self.settings.configuration_deadline),
            })?)
        } else {
            None
        };
        let release = release.as_deref().unwrap_or_default();
        Ok(filled(&patterns, application, release))
    }

    /// The name of an application's Helm release: the HelmRelease that carries the application's labels.
    pub(crate) async fn release(
        &self,
        caller: &Caller,
        application: &ApplicationRef,
    ) -> Result<Option<String>, crate::cluster::ApiError> {
        let label = |key: &str, value: &str| Entry {
            key: format!("apps.cozystack.io/application.{key}"),
            value: value.to_owned(),
        };
        let matching = backup_sandbox::contract::Selector {
            api_version: HELM_RELEASE.0.to_owned(),
            kind: HELM_RELEASE.1.to_owned(),
            namespace: Some(application.namespace.clone()),
            labels: vec![
                label("group", &application.group),
                label("kind", &application.kind),
                label("name", &application.name),
            ],
        };
        let found = self.cluster.list(caller, &matching).await?;
        Ok(found.first().map(|release| object::reference(release).name))
    }
}

/// Path patterns, filled in for an application.
fn filled(patterns: &[String], application: &ApplicationRef, release: &str) -> Vec<String> {
    let fill = |pattern: &String| {
        pattern
            .replace("{namespace}", &application.namespace)
            .replace("{application}", &application.name)
            .replace("{release}", release)
            .trim_matches('/')
            .to_owned()
    };
    patterns.iter().map(fill).collect()
}

/// A request of the strategy's account that was refused: somebody may grant it.
pub(crate) fn permission(error: &crate::cluster::ApiError) -> Stop {
    use crate::cluster::ApiReason;
    if error.can_pass() {
        return Stop::Api(error.clone());
    }
    if error.reason == ApiReason::Forbidden {
        return Stop::setback(Reason::PermissionMissing, error.to_string());
    }
    Stop::setback(Reason::ActionRefused, error.to_string())
}

/// Parameters as the contract tells them.
pub(crate) fn entries(parameters: &BTreeMap<String, String>) -> Vec<Entry> {
    parameters
        .iter()
        .map(|(key, value)| Entry {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

fn refusal(action: &RefusedAction) -> Refusal {
    let target = action.kind.as_ref().map(|kind| ObjectRef {
        api_version: action.api_version.clone().unwrap_or_default(),
        kind: kind.clone(),
        namespace: action.namespace.clone(),
        name: action.name.clone().unwrap_or_default(),
    });
    Refusal {
        action: action.verb.clone(),
        target,
        reason: action.reason.clone(),
        message: action.message.clone(),
    }
}

/// Seconds since the epoch, as the contract counts.
pub(crate) fn seconds(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or_default()
}
