//! Bugs that are planted between the host and the cluster, to prove that they would be found.
//!
//! Each makes the host behave as if the engine had that bug, and nothing in the engine knows of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_api::names::{API_VERSION, OWNED_BY_NAME, OWNED_BY_UID, PLAN};
use backup_engine::cluster::{Account, ApiError, Caller, Cluster, DeleteOptions, Part};
use backup_engine::{Location, Storage, StorageError};
use backup_sandbox::contract::{ObjectRef, Selector, StoredObject};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{
    ground::text,
    line::Line,
    record::{is_final, is_job},
    strategies::Strategy,
    vault::Vault,
};

/// A bug to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bug {
    /// A job's status is written after the first action of its plan, not before it.
    StateAfterAction,
    /// Operator objects are told apart by the job's name alone.
    LabelWithoutUid,
    /// A release stays suspended when its job fails or is called off.
    ForgottenResume,
    /// A Plan does not see the jobs that it has made.
    UnseenJobs,
    /// What a Backup says of its data is not read when it goes.
    UnreadPolicy,
    /// A purge takes along what lies beside its path.
    WidePurge,
    /// The removal of a Backup does not see what the operator has of it.
    UnseenOrder,
    /// A restore is told of another Backup of the application.
    AnotherBackup,
    /// A job does not see that another's object of the operator's has to itself what it works on.
    UnseenClaim,
}

/// The cluster as a host with a bug works on it, or one without.
pub(crate) struct Planted {
    line: Line,
    bug: Option<Bug>,
    late: Mutex<Late>,
}

/// A status that is written late.
#[derive(Default)]
struct Late {
    waiting: Option<(Caller, String, Value)>,
    /// The version that the host knows of the job, and the one that it has.
    versions: Option<(Value, Value)>,
}

impl Planted {
    pub(crate) fn new(line: Line, bug: Option<Bug>) -> Self {
        Self {
            line,
            bug,
            late: Mutex::default(),
        }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the status that waits.
    async fn catch_up(&self) -> Result<(), ApiError> {
        let waiting = self.late().waiting.take();
        let Some((caller, manager, object)) = waiting else {
            return Ok(());
        };
        let written = self
            .line
            .apply(&caller, &manager, &object, Part::Status)
            .await?;
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        self.late().versions = Some((version(&object), version(&written)));
        Ok(())
    }

    /// Keeps a job's status back. The host is told that it is written.
    async fn keep_back(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
    ) -> Result<Option<Value>, ApiError> {
        let target = backup_engine::reference(object);
        let Some(mut found) = self.line.get(caller, &target).await? else {
            return Ok(None);
        };
        let is_current =
            found["metadata"]["resourceVersion"] == object["metadata"]["resourceVersion"];
        if !is_current {
            return Ok(None);
        }
        found["status"] = object["status"].clone();
        self.late().waiting = Some((caller.clone(), manager.to_owned(), object.clone()));
        Ok(Some(found))
    }

    /// A document with the version that it has by now, where the host knows an older one because of the bug.
    fn current(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if let Some((old, new)) = &self.late().versions
            && object.pointer("/metadata/resourceVersion") == Some(old)
        {
            object["metadata"]["resourceVersion"] = new.clone();
        }
        object
    }

    fn current_patch(&self, patch: &Value) -> Value {
        match patch.pointer("/metadata/resourceVersion") {
            Some(_) => self.current(patch),
            None => patch.clone(),
        }
    }

    /// Whether a restore in a namespace has failed or is called off.
    async fn fails(&self, namespace: Option<&str>) -> Result<bool, ApiError> {
        let matching = Selector {
            api_version: API_VERSION.to_owned(),
            kind: "RestoreJob".to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            labels: vec![],
        };
        let cluster = &self.line.ground.cluster;
        let jobs = cluster.list(&Caller::host(), &matching).await?;
        Ok(jobs.iter().any(|job| {
            job.pointer("/status/strategy/failing").is_some()
                || job.pointer("/metadata/deletionTimestamp").is_some()
        }))
    }

    /// Gives a Backup that is being restored what another of the same application has.
    async fn confuse(&self, backup: &mut Value) -> Result<(), ApiError> {
        let of_namespace = |kind: &str| Selector {
            api_version: API_VERSION.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(text(backup, "/metadata/namespace").to_owned()),
            labels: vec![],
        };
        let cluster = &self.line.ground.cluster;
        let jobs = cluster
            .list(&Caller::host(), &of_namespace("RestoreJob"))
            .await?;
        let name = text(backup, "/metadata/name");
        let is_restored = jobs
            .iter()
            .any(|job| !is_final(job) && text(job, "/spec/backupRef/name") == name);
        let backups = cluster
            .list(&Caller::host(), &of_namespace("Backup"))
            .await?;
        let other = backups.into_iter().find(|other| {
            text(other, "/metadata/name") != name
                && text(other, "/status/phase") == "Ready"
                && other["spec"]["applicationRef"] == backup["spec"]["applicationRef"]
        });
        if let Some(other) = other.filter(|_| is_restored) {
            backup["spec"]["driverMetadata"] = other["spec"]["driverMetadata"].clone();
            for member in ["artifact", "underlyingResources"] {
                backup["status"][member] = other["status"][member].clone();
            }
        }
        Ok(())
    }

    /// The UID of the job that has this name now.
    async fn uid_by_name(&self, caller: &Caller, object: &Value) -> Result<Value, ApiError> {
        let labels = &object["metadata"]["labels"];
        let target = ObjectRef {
            api_version: API_VERSION.to_owned(),
            kind: caller
                .purpose
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            namespace: Some(text(object, "/metadata/namespace").to_owned()),
            name: labels[OWNED_BY_NAME]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        let cluster = &self.line.ground.cluster;
        let job = cluster.get(&Caller::host(), &target).await?;
        Ok(job.map_or(Value::Null, |job| job["metadata"]["uid"].clone()))
    }
}

/// Whether a Backup needs an operator's object.
fn is_kept(object: &Value) -> bool {
    Strategy::of_order(object).is_some_and(|(_, order)| order.is_kept)
}

/// Whether an object has something to itself, and is not of the job that looks.
fn is_anothers_claim(caller: &Caller, object: &Value) -> bool {
    let claims = Strategy::of_order(object).and_then(|(strategy, _)| strategy.claims(object));
    let of = object["metadata"]["labels"][OWNED_BY_NAME].as_str();
    let job = caller.purpose.split(['/', ' ']).nth(2);
    claims.is_some() && of != job
}

/// The buckets as a host with a bug works on them, or one without.
pub(crate) struct PlantedStorage {
    pub vault: Arc<Vault>,
    pub bug: Option<Bug>,
}

impl Storage for PlantedStorage {
    fn objects<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredObject>, StorageError>> {
        self.vault.objects(at, path, after, limit)
    }

    fn purge<'a>(
        &'a self,
        at: &'a Location,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        match self.bug {
            Some(Bug::WidePurge) => self.vault.purge(at, folder),
            _ => self.vault.purge(at, path),
        }
    }
}

/// Whether a patch resumes a release.
fn resumes(target: &ObjectRef, patch: &Value) -> bool {
    target.kind == "HelmRelease" && patch.pointer("/spec/suspend") == Some(&json!(false))
}

impl Cluster for Planted {
    async fn get(&self, caller: &Caller, target: &ObjectRef) -> Result<Option<Value>, ApiError> {
        self.catch_up().await?;
        let mut found = self.line.get(caller, target).await?;
        if self.is(Bug::UnseenOrder)
            && caller.purpose.starts_with("Backup/")
            && found.as_ref().is_some_and(is_kept)
        {
            return Ok(None);
        }
        if self.is(Bug::AnotherBackup)
            && let Some(found) = &mut found
            && target.api_version == API_VERSION
            && target.kind == "Backup"
        {
            self.confuse(found).await?;
        }
        if self.is(Bug::UnreadPolicy)
            && target.kind == "Backup"
            && let Some(spec) = found
                .as_mut()
                .and_then(|found| found.pointer_mut("/spec"))
                .and_then(Value::as_object_mut)
        {
            spec.remove("deletionPolicy");
        }
        if let Some(found) = &mut found
            && self.is(Bug::LabelWithoutUid)
            && matches!(caller.account, Account::Strategy { .. })
            && found["metadata"]["labels"][OWNED_BY_NAME].is_string()
            && found["metadata"]["labels"].get(OWNED_BY_UID).is_none()
        {
            found["metadata"]["labels"][OWNED_BY_UID] = self.uid_by_name(caller, found).await?;
        }
        Ok(found)
    }

    async fn list(&self, caller: &Caller, matching: &Selector) -> Result<Vec<Value>, ApiError> {
        self.catch_up().await?;
        let mut found = self.line.list(caller, matching).await?;
        if self.is(Bug::UnseenClaim) {
            found.retain(|object| !is_anothers_claim(caller, object));
        }
        let is_a_plans = matching.labels.iter().any(|label| label.key == PLAN);
        match self.is(Bug::UnseenJobs) && is_a_plans {
            true => Ok(vec![]),
            false => Ok(found),
        }
    }

    async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, ApiError> {
        self.line.serves(api_version, kind).await
    }

    async fn log_tail(
        &self,
        caller: &Caller,
        pod: &ObjectRef,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<Option<String>, ApiError> {
        self.line
            .log_tail(caller, pod, container, previous, lines)
            .await
    }

    async fn create(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let mut object = object.clone();
        if self.is(Bug::LabelWithoutUid)
            && matches!(caller.account, Account::Strategy { .. })
            && let Some(labels) = object["metadata"]["labels"].as_object_mut()
        {
            labels.remove(OWNED_BY_UID);
        }
        let created = self.line.create(caller, manager, &object, dry_run).await;
        self.catch_up().await?;
        created
    }

    async fn apply(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let object = &self.current(object);
        let is_state = part == Part::Status && is_job(object) && !is_final(object);
        if is_state && self.is(Bug::StateAfterAction) {
            self.catch_up().await?;
            if let Some(told) = self.keep_back(caller, manager, object).await? {
                return Ok(told);
            }
        }
        let applied = self.line.apply(caller, manager, object, part).await;
        self.catch_up().await?;
        applied
    }

    async fn merge(
        &self,
        caller: &Caller,
        manager: &str,
        target: &ObjectRef,
        patch: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let patch = &self.current_patch(patch);
        let namespace = target.namespace.as_deref();
        if self.is(Bug::ForgottenResume) && resumes(target, patch) && self.fails(namespace).await? {
            return Ok(json!({}));
        }
        let merged = self.line.merge(caller, manager, target, patch, part).await;
        self.catch_up().await?;
        merged
    }

    async fn delete(
        &self,
        caller: &Caller,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let deleted = self.line.delete(caller, target, options).await;
        self.catch_up().await?;
        deleted
    }
}
