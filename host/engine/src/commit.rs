//! The last stage: carries a plan out.
//!
//! The order is what makes a crash harmless. What the strategy remembers, and what a suspended release was before,
//! is written first; then the actions run, one by one, in the order they were written down; what they amount to is
//! written last. Every action can be repeated, so a pass that was cut off anywhere is simply done again.

use backup_api::{
    ApplicationReference, Reason, RefusedAction, SuspendedRelease,
    names::{OWNED_BY_NAME, OWNED_BY_NAMESPACE, OWNED_BY_UID},
};
use backup_sandbox::{
    Action, Plan, Question,
    contract::{Lifetime, ObjectRef},
};
use serde_json::{Value, json};

use crate::{
    admit::Case,
    audit,
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part},
    host::Host,
    ledger::Ledger,
    noted::state_version,
    object,
    stop::Stop,
};

/// How a strategy's HelmRelease is addressed.
pub(crate) const HELM_RELEASE: (&str, &str) = ("helm.toolkit.fluxcd.io/v2", "HelmRelease");

impl<C: Cluster> Host<C> {
    /// Writes down what must survive a crash, then runs the actions.
    ///
    /// # Errors
    /// `Stop::Setback` with the action that was refused; what stands behind it was not tried.
    #[tracing::instrument(skip_all)]
    pub(crate) async fn commit(
        &self,
        case: &Case,
        question: Question,
        plan: &Plan,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        self.purges_are_free(case, plan).await?;
        self.existing_are_open(case, plan).await?;
        ledger.start(case.binding.job_deadline);
        let subject = &case.request.subject;
        let strategy = ledger.strategy();
        strategy.plugin = Some(case.binding.serving.identity());
        strategy.state_version = state_version(case.binding.serving.strategy.manifest());
        strategy.strategy_ref = Some(case.binding.strategy_ref.clone());
        strategy.application_ref = Some(ApplicationReference {
            api_group: subject.group.clone(),
            kind: subject.kind.clone(),
            name: subject.name.clone(),
        });
        let is_elsewhere = subject.namespace != case.request.job.namespace;
        strategy.target_namespace = is_elsewhere.then(|| subject.namespace.clone());
        let began_with = strategy
            .storage
            .get_or_insert_with(|| case.location())
            .clone();
        if let Some(state) = &plan.remember {
            ledger.strategy().state.clone_from(state);
        }
        self.note_releases(plan, ledger).await?;
        if plan.actions.is_empty() {
            return Ok(());
        }
        ledger.write(&self.cluster).await?;
        for action in &plan.actions {
            if let Action::Purge { path } = action {
                if began_with == case.location() {
                    self.storage.purge(&case.credentials.location, path).await?;
                    audit::purged(case, path);
                } else {
                    // What the job wrote lies in the old storage; in the new one nothing is its.
                    tracing::warn!(path, "the platform's storage has moved: nothing is removed");
                }
                continue;
            }
            let held = self.held(case, action).await?;
            self.run(case, question, held.as_ref().unwrap_or(action), ledger)
                .await
                .map_err(|error| refused(case, action, error))?;
        }
        Ok(())
    }

    /// Notes what the releases are that the plan will suspend, so that they can be put back.
    async fn note_releases(&self, plan: &Plan, ledger: &mut Ledger) -> Result<(), Stop> {
        for action in &plan.actions {
            let Action::Suspend { namespace, release } = action else {
                continue;
            };
            let known =
                |noted: &SuspendedRelease| noted.namespace == *namespace && noted.name == *release;
            if ledger.strategy().suspended.iter().any(known) {
                continue;
            }
            let target = object::target(HELM_RELEASE.0, HELM_RELEASE.1, Some(namespace), release);
            if let Some(found) = self.cluster.get(&Caller::host(), &target).await? {
                let was_suspended = found
                    .pointer("/spec/suspend")
                    .and_then(Value::as_bool)
                    .unwrap_or(false);
                ledger.strategy().suspended.push(SuspendedRelease {
                    namespace: namespace.clone(),
                    name: release.clone(),
                    was_suspended,
                });
            }
        }
        Ok(())
    }

    async fn run(
        &self,
        case: &Case,
        question: Question,
        action: &Action,
        ledger: &mut Ledger,
    ) -> Result<(), ApiError> {
        let caller = &case.caller;
        let manager = format!(
            "backups.cozystack.io/{}/{question}",
            case.binding.serving.strategy.manifest().name
        );
        match action {
            Action::Create { object, lifetime } => {
                self.create(case, &manager, object, *lifetime).await
            }
            Action::DryRun { object } => {
                match self.cluster.create(caller, &manager, object, true).await {
                    // The API server looks at an object before it looks for its name: this one would do.
                    Err(error) if error.reason == ApiReason::AlreadyExists => Ok(()),
                    tried => tried.map(|_| ()),
                }
            }
            Action::Apply { object } => self
                .cluster
                .apply(caller, &manager, object, Part::Main)
                .await
                .map(|_| ()),
            Action::Merge { target, patch } => self
                .cluster
                .merge(caller, &manager, target, patch, Part::Main)
                .await
                .map(|_| ()),
            Action::Delete {
                target,
                uid,
                propagation,
            } => {
                let options = DeleteOptions {
                    uid: uid.clone(),
                    resource_version: None,
                    propagation: Some(*propagation),
                };
                self.delete(case, target, &options).await
            }
            Action::DeleteAll {
                matching,
                propagation,
            } => {
                for found in self.to_delete(case, matching).await? {
                    let options = DeleteOptions {
                        uid: Some(object::uid(&found).to_owned()),
                        resource_version: None,
                        propagation: Some(*propagation),
                    };
                    self.delete(case, &object::reference(&found), &options)
                        .await?;
                }
                Ok(())
            }
            Action::Suspend { namespace, release } => {
                self.set_suspended(namespace, release, true).await
            }
            Action::Resume { namespace, release } => self.resume(namespace, release, ledger).await,
            // About the storage, not the cluster.
            Action::Purge { .. } => Ok(()),
        }
    }

    /// Creates an object as the job's. One of its name that is the job's already is what an earlier pass made.
    async fn create(
        &self,
        case: &Case,
        manager: &str,
        object: &Value,
        lifetime: Lifetime,
    ) -> Result<(), ApiError> {
        let job = &case.request.job;
        let mut object = object.clone();
        if let Some(metadata) = object::metadata_mut(&mut object) {
            let labels = metadata.entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.extend(job_labels(&job.name, &job.namespace, &job.uid));
            }
            if lifetime == Lifetime::Job {
                metadata.insert("ownerReferences".to_owned(), json!([owner(job)]));
            }
        }
        match self
            .cluster
            .create(&case.caller, manager, &object, false)
            .await
        {
            Err(error) if error.reason == ApiReason::AlreadyExists => {
                let found = self
                    .cluster
                    .get(&case.caller, &object::reference(&object))
                    .await?;
                match found {
                    Some(found)
                        if object::label(&found, OWNED_BY_UID) == Some(job.uid.as_str()) =>
                    {
                        Ok(())
                    }
                    _ => Err(error),
                }
            }
            created => created.map(|_| ()),
        }
    }

    /// What is gone already, or has made room for another, counts as deleted.
    async fn delete(
        &self,
        case: &Case,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        match self.cluster.delete(&case.caller, target, options).await {
            Err(error) if error.reason == ApiReason::NotFound => Ok(()),
            Err(error) if error.reason == ApiReason::Conflict && options.uid.is_some() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                audit::deleted(case, target);
                Ok(())
            }
        }
    }

    /// Puts a release back, and forgets that it was suspended.
    async fn resume(
        &self,
        namespace: &str,
        release: &str,
        ledger: &mut Ledger,
    ) -> Result<(), ApiError> {
        let noted = ledger
            .strategy()
            .suspended
            .iter()
            .position(|noted| noted.namespace == namespace && noted.name == release);
        let Some(index) = noted else { return Ok(()) };
        let was_suspended = ledger
            .strategy()
            .suspended
            .get(index)
            .is_some_and(|noted| noted.was_suspended);
        self.set_suspended(namespace, release, was_suspended)
            .await?;
        ledger.strategy().suspended.remove(index);
        Ok(())
    }

    /// Puts back every release that the job suspended. To be done before a job ends, whatever became of it.
    pub(crate) async fn put_back(&self, ledger: &mut Ledger) -> Result<(), ApiError> {
        let noted = ledger
            .job
            .strategy
            .as_ref()
            .map(|strategy| strategy.suspended.clone())
            .unwrap_or_default();
        for release in noted {
            self.resume(&release.namespace, &release.name, ledger)
                .await?;
        }
        Ok(())
    }

    async fn set_suspended(
        &self,
        namespace: &str,
        release: &str,
        suspended: bool,
    ) -> Result<(), ApiError> {
        let target = object::target(HELM_RELEASE.0, HELM_RELEASE.1, Some(namespace), release);
        let patch = json!({ "spec": { "suspend": suspended } });
        let manager = "backups.cozystack.io/suspend";
        match self
            .cluster
            .merge(&Caller::host(), manager, &target, &patch, Part::Main)
            .await
        {
            Err(error) if error.reason == ApiReason::NotFound => Ok(()),
            patched => patched.map(|_| ()),
        }
    }
}

/// The labels by which the objects of a job, or of a Backup's removal, are found. A label's value is at most 63 characters: of a longer name the
/// UID, which is the one that counts, stands for it.
pub(crate) fn job_labels(name: &str, namespace: &str, uid: &str) -> [(String, Value); 3] {
    let name = if name.len() > 63 { uid } else { name };
    [
        (OWNED_BY_NAME.to_owned(), json!(name)),
        (OWNED_BY_NAMESPACE.to_owned(), json!(namespace)),
        (OWNED_BY_UID.to_owned(), json!(uid)),
    ]
}

fn owner(job: &backup_sandbox::contract::JobIdentity) -> Value {
    json!({
        "apiVersion": backup_api::names::API_VERSION,
        "kind": job.kind,
        "name": job.name,
        "uid": job.uid,
        "controller": true,
        "blockOwnerDeletion": false,
    })
}

/// An action that the API server refused. Its words may quote what it was given.
fn refused(case: &Case, action: &Action, error: ApiError) -> Stop {
    if error.can_pass() {
        return Stop::Api(error);
    }
    let target = match action {
        Action::Create { object, .. } | Action::DryRun { object } | Action::Apply { object } => {
            Some(object::reference(object))
        }
        Action::Merge { target, .. } | Action::Delete { target, .. } => Some(target.clone()),
        Action::Suspend { namespace, release } | Action::Resume { namespace, release } => Some(
            object::target(HELM_RELEASE.0, HELM_RELEASE.1, Some(namespace), release),
        ),
        Action::DeleteAll { .. } | Action::Purge { .. } => None,
    };
    let reason = if error.reason == ApiReason::Forbidden {
        Reason::PermissionMissing
    } else {
        Reason::ActionRefused
    };
    let what = target.as_ref().map(object::describe).unwrap_or_default();
    let said = case.secrets().redact(&error.message).into_owned();
    Stop::Setback {
        reason,
        message: format!(
            "{} {what} was refused: {}: {}",
            action.verb(),
            error.reason.as_str(),
            said
        ),
        action: Some(Box::new(RefusedAction {
            verb: action.verb().to_owned(),
            api_version: target.as_ref().map(|target| target.api_version.clone()),
            kind: target.as_ref().map(|target| target.kind.clone()),
            namespace: target.as_ref().and_then(|target| target.namespace.clone()),
            name: target.map(|target| target.name),
            reason: error.reason.as_str().to_owned(),
            message: said,
        })),
    }
}
