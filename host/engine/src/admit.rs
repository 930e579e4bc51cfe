//! The second stage: from a binding to everything that an evaluation needs to know.

use std::{collections::BTreeMap, sync::Arc};

use backup_api::{Backup, JobStatus, Reason, RefusedAction, StorageLocation};
use backup_sandbox::{
    Request,
    contract::{ApplicationRef, Entry, JobIdentity, ObjectRef, Refusal},
};

use crate::{
    cluster::{Caller, Cluster},
    commit::HELM_RELEASE,
    credentials::{Credentials, has_bucket},
    guard::Owners,
    host::Host,
    job::application_ref,
    object,
    resolve::Binding,
    restore_job::finished,
    secrets::{self, Needles, Secrets},
    shown::Shown,
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
    /// The storage that the job began with, where it has begun.
    pub began_with: Option<StorageLocation>,
    /// The namespaces that the job is about: its own, and of a restore the other one that admission has established the
    /// author's right to.
    pub allowed_namespaces: Vec<String>,
    /// Where the Backup of another application may lie that is restored from: to be read, and named, but not purged.
    pub source_prefixes: Vec<String>,
    /// Whose labels an object of a system namespace carries that the strategy may find and write.
    pub owners: Owners,
    /// Names of the Secrets that Pods may use: the granted patterns, filled in.
    pub pod_secrets: Vec<String>,
    /// The platform's keys.
    pub platform_keys: Arc<Needles>,
    /// What the strategy was shown in this pass.
    pub shown: Shown,
}

impl Case {
    /// Where the platform's storage is now, as a Backup records it.
    pub(crate) fn location(&self) -> StorageLocation {
        StorageLocation {
            endpoint: self.credentials.location.endpoint.clone(),
            bucket: self.credentials.location.bucket.clone(),
        }
    }

    /// What must not be shown: the platform's keys, and the secrets of what the strategy has read so far.
    pub(crate) fn secrets(&self) -> Secrets {
        let platform = Arc::clone(&self.platform_keys);
        Secrets::new(platform, &self.shown.secrets(), |value| {
            self.is_public(value)
        })
    }

    /// Whether a text stands in what every plan may say anyway: names, kinds, places.
    fn is_public(&self, value: &str) -> bool {
        let request = &self.request;
        let location = &self.credentials.location;
        let manifest = self.binding.serving.strategy.manifest();
        let names = [
            &request.job.namespace,
            &request.job.name,
            &request.subject.group,
            &request.subject.kind,
            &request.subject.name,
            &location.bucket,
            &location.endpoint,
            &location.region,
        ];
        let reads = manifest.reads.iter();
        let reads = reads.flat_map(|read| [&read.api_version, &read.kind]);
        let writes = manifest.writes.iter();
        let writes = writes.flat_map(|written| [&written.api_version, &written.kind]);
        let value = value.to_ascii_lowercase();
        names
            .into_iter()
            .chain(&request.prefixes)
            .chain(reads)
            .chain(writes)
            .any(|public| public.to_ascii_lowercase().contains(&value))
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
    /// The Backup that it is about.
    pub backup: Option<&'a Backup>,
}

impl<C: Cluster> Host<C> {
    /// Checks parameters, projects the credentials and fills in the storage paths.
    #[tracing::instrument(skip_all)]
    pub(crate) async fn admit(
        &self,
        binding: Binding,
        applicant: &Applicant<'_>,
    ) -> Result<Case, Stop> {
        let refused =
            |class: &str, problem: String| Stop::fail(format!("BackupClass {class}: {problem}"));
        if let Some(problem) = secrets::in_parameters(&binding.parameters) {
            return Err(refused(&binding.class, problem));
        }
        let credentials = self.projected(applicant.namespace, applicant.uid).await?;
        let into = &applicant.subject.namespace;
        if into != applicant.namespace {
            self.projected(into, applicant.uid).await?;
        }
        let case = self.case_of(binding, applicant, credentials).await?;
        let binding = &case.binding;
        match secrets::platform_keys_in_parameters(&case.platform_keys, &binding.parameters) {
            Some(problem) => Err(refused(&binding.class, problem)),
            None => Ok(case),
        }
    }

    /// The platform's storage and the keys to it.
    pub(crate) async fn platform_storage(&self) -> Result<Credentials, Stop> {
        let credentials = self.credentials().await?;
        has_bucket(&credentials)?;
        Ok(credentials)
    }

    /// What an evaluation needs to know, with the storage paths filled in.
    pub(crate) async fn case_of(
        &self,
        binding: Binding,
        applicant: &Applicant<'_>,
        mut credentials: Credentials,
    ) -> Result<Case, Stop> {
        credentials.earlier_keys = self.earlier_keys(&credentials.location, applicant.namespace);
        let caller = binding.serving.caller(&format!(
            "{}/{}/{}",
            applicant.kind, applicant.namespace, applicant.name
        ));
        let (prefixes, pod_secrets) = self.granted(&binding, &caller, applicant).await?;
        let source_prefixes = self.source_prefixes(&binding, &caller, applicant).await?;
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
            source: applicant.backup.map(finished),
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
            platform_keys: self.platform_keys(&credentials),
            credentials,
            began_with: progress.and_then(|progress| progress.storage.clone()),
            allowed_namespaces: allowed_namespaces(applicant),
            source_prefixes,
            owners: Owners::new(applicant.uid, applicant.backup),
            pod_secrets,
            shown: Shown::default(),
        })
    }

    /// The granted storage paths and names of Secrets, filled in for an application.
    async fn granted(
        &self,
        binding: &Binding,
        caller: &Caller,
        applicant: &Applicant<'_>,
    ) -> Result<(Vec<String>, Vec<String>), Stop> {
        let application = &applicant.subject;
        let grant = &binding.serving.grant;
        let paths = &grant.storage_paths;
        let secrets = grant.pods.as_ref().map_or(&[][..], |pods| &pods.secrets);
        let patterns = [paths, secrets].concat();
        let release = self.release_in(&patterns, caller, application).await?;
        // A Backup outlives its application, and the rest of it can be removed all the same.
        let waits = release.is_none() && applicant.kind != "Backup";
        if waits && patterns.iter().any(|pattern| names_release(pattern)) {
            return Err(Stop::Wait {
                reason: Reason::Waiting,
                message: format!(
                    "{} {} has no Helm release",
                    application.kind, application.name
                ),
                give_up_after: Some(self.settings.configuration_deadline),
            });
        }
        let fill = |patterns| filled(patterns, application, release.as_deref());
        Ok((fill(paths), fill(secrets)))
    }

    /// The granted storage paths of the application that a Backup was made of, where another one is restored from it.
    async fn source_prefixes(
        &self,
        binding: &Binding,
        caller: &Caller,
        applicant: &Applicant<'_>,
    ) -> Result<Vec<String>, Stop> {
        let Some(backup) = applicant.backup else {
            return Ok(vec![]);
        };
        let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
        let source = application_ref(&backup.spec.application_ref, namespace);
        if source == applicant.subject {
            return Ok(vec![]);
        }
        let paths = &binding.serving.grant.storage_paths;
        let release = self.release_in(paths, caller, &source).await?;
        Ok(filled(paths, &source, release.as_deref()))
    }

    /// The name of an application's Helm release, where one of the patterns asks for it and there is one.
    async fn release_in(
        &self,
        patterns: &[String],
        caller: &Caller,
        application: &ApplicationRef,
    ) -> Result<Option<String>, Stop> {
        if !patterns.iter().any(|pattern| names_release(pattern)) {
            return Ok(None);
        }
        let release = self.release(caller, application).await;
        release.map_err(|error| permission(&error))
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

/// The namespaces that a job may touch: its own, and the one that its author was allowed to restore into.
fn allowed_namespaces(applicant: &Applicant<'_>) -> Vec<String> {
    let (own, into) = (applicant.namespace, &applicant.subject.namespace);
    let mut allowed = vec![own.to_owned()];
    if into != own {
        allowed.push(into.clone());
    }
    allowed
}

/// Patterns of paths or names, filled in for an application. Without a release those that name it are left out.
fn filled(patterns: &[String], application: &ApplicationRef, release: Option<&str>) -> Vec<String> {
    let fill = |pattern: &String| {
        pattern
            .replace("{namespace}", &application.namespace)
            .replace("{application}", &application.name)
            .replace("{release}", release.unwrap_or_default())
            .trim_matches('/')
            .to_owned()
    };
    let mut patterns: Vec<&String> = patterns.iter().collect();
    patterns.retain(|pattern| release.is_some() || !names_release(pattern));
    patterns.into_iter().map(fill).collect()
}

fn names_release(pattern: &str) -> bool {
    pattern.contains("{release}")
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
