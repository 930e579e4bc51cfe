//! What is there already: whose it is decides whether a strategy finds it and may write it.
//!
//! | place | found and written |
//! |---|---|
//! | a namespace of the job's | everything, but for what another job is working with that is under way |
//! | a system namespace | what carries the labels of the job or of its Backup; found is also what an operator made from that |
//! | no namespace | volumes that belong to a namespace of the job's, before and after; the Namespace itself is found |
//!
//! All of a plan is looked at before its first action is carried out. In a system namespace, and where there is none, each
//! action is held to the very object that was looked at.

use std::sync::Arc;

use backup_api::names::{OWNED_BY_NAME, OWNED_BY_NAMESPACE, OWNED_BY_UID};
use backup_sandbox::{
    Action, Plan,
    contract::{ApplicationRef, ObjectRef, Selector},
};
use serde_json::{Value, json};

use super::{
    all_of, rejected,
    target::{Place, in_its_place, outside, owner_namespace, owner_pointer, place},
};
use crate::{
    admit::{Case, permission},
    cluster::{ApiError, Cluster},
    commit::job_labels,
    host::Host,
    object,
    stop::Stop,
};

/// The labels that say whose an object is.
const OWNERS: [&str; 3] = [OWNED_BY_NAME, OWNED_BY_NAMESPACE, OWNED_BY_UID];

impl<C: Cluster> Host<C> {
    /// An object that a strategy asked for, if it may find it.
    pub(crate) async fn found(
        &self,
        case: &Case,
        target: &ObjectRef,
    ) -> Result<Option<Value>, Stop> {
        let place = readable(case, target)?;
        let found = self.cluster.get(&case.caller, target).await;
        let found = found.map_err(|error| permission(&error))?;
        let mut open = self.open(case, place, found.into_iter().collect()).await?;
        Ok(open.pop())
    }

    /// The objects that a strategy asked for, without those that it may not find.
    pub(crate) async fn found_all(
        &self,
        case: &Case,
        matching: &Selector,
    ) -> Result<Vec<Value>, Stop> {
        let place = readable(case, &all_of(matching))?;
        let found = self.cluster.list(&case.caller, matching).await;
        let found = found.map_err(|error| permission(&error))?;
        self.open(case, place, found).await
    }

    /// The Helm release of an application, which is in a namespace of the job's.
    pub(crate) async fn found_release(
        &self,
        case: &Case,
        application: &ApplicationRef,
    ) -> Result<Option<String>, Stop> {
        if place(case, Some(&application.namespace)) != Some(Place::Own) {
            let name = format!(
                "{} {}/{}",
                application.kind, application.namespace, application.name
            );
            return Err(rejected(case, &format!("a read {}", outside(case, &name))));
        }
        let release = self.release(&case.caller, application).await;
        release.map_err(|error| permission(&error))
    }

    /// Whether the log of a Pod may be read: one among those of others must be found first.
    pub(crate) async fn may_read_log(&self, case: &Case, pod: &ObjectRef) -> Result<bool, Stop> {
        match place(case, pod.namespace.as_deref()) {
            Some(Place::Own) => Ok(true),
            _ => Ok(self.found(case, pod).await?.is_some()),
        }
    }

    async fn open(&self, case: &Case, place: Place, found: Vec<Value>) -> Result<Vec<Value>, Stop> {
        if place == Place::Own {
            return Ok(found);
        }
        let mut open = Vec::new();
        // Of the objects that an operator made, most have the same owner.
        let mut known: Vec<(String, bool)> = Vec::new();
        for object in found {
            let is_open = match place {
                Place::System => {
                    case.owners.have(&object) || self.is_of_ours(case, &object, &mut known).await?
                }
                _ => belongs(case, &object),
            };
            if is_open {
                open.push(object);
            }
        }
        Ok(open)
    }

    /// Whether an object's controller carries the labels: an operator made it from what is ours.
    async fn is_of_ours(
        &self,
        case: &Case,
        found: &Value,
        known: &mut Vec<(String, bool)>,
    ) -> Result<bool, Stop> {
        let owners = found.pointer("/metadata/ownerReferences");
        let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
        let Some(owner) = owners.find(|owner| owner["controller"] == true) else {
            return Ok(false);
        };
        let uid = object::text(owner, &["uid"]);
        if let Some((_, is_ours)) = known.iter().find(|(known, _)| known == uid) {
            return Ok(*is_ours);
        }
        let target = object::target(
            object::text(owner, &["apiVersion"]),
            object::text(owner, &["kind"]),
            Some(object::text(found, &["metadata", "namespace"])),
            object::text(owner, &["name"]),
        );
        let owner = self.cluster.get(&case.caller, &target).await;
        let owner = owner.map_err(|error| permission(&error))?;
        let is_ours =
            owner.is_some_and(|owner| object::uid(&owner) == uid && case.owners.have(&owner));
        known.push((uid.to_owned(), is_ours));
        Ok(is_ours)
    }

    /// Proves that nothing which a plan changes or deletes is another's.
    ///
    /// # Errors
    /// `PlanRejected`, naming the action and the object.
    pub(crate) async fn existing_are_open(&self, case: &Case, plan: &Plan) -> Result<(), Stop> {
        for (index, action) in plan.actions.iter().enumerate() {
            let Some(target) = written(action) else {
                continue;
            };
            let said = match place(case, target.namespace.as_deref()) {
                Some(Place::Own) => self.is_free(case, &target).await?,
                _ => self.shared(case, action, &target).await?.map(|_| ()),
            };
            said.map_err(|rule| {
                let rule = format!("action {} ({}) {rule}", index + 1, action.verb());
                rejected(case, &case.secrets().redact(&rule))
            })?;
        }
        Ok(())
    }

    /// Whether no other job that is under way works with an object of the job's namespace. Objects that jobs have left
    /// there are the application's: a backup stops what the last one has started.
    async fn is_free(&self, case: &Case, target: &ObjectRef) -> Result<Result<(), String>, Stop> {
        let others = self.other_jobs(case).await?;
        if others.is_empty() {
            return Ok(Ok(()));
        }
        let owner = match case.shown.owner(target) {
            Some(owner) => owner,
            None => {
                let found = self.cluster.get(&case.caller, target).await;
                let found = found.map_err(|error| permission(&error))?;
                let label = found
                    .as_ref()
                    .and_then(|found| object::label(found, OWNED_BY_UID));
                label.unwrap_or_default().to_owned()
            }
        };
        let other = others.iter().find(|job| object::uid(job) == owner);
        Ok(other.map_or(Ok(()), |job| {
            Err(format!(
                "names {}, which is of {}, a job that is under way",
                object::describe(target),
                object::describe(&object::reference(job))
            ))
        }))
    }

    /// The jobs that are under way beside this one.
    async fn other_jobs(&self, case: &Case) -> Result<Vec<Arc<Value>>, ApiError> {
        let job = &case.request.job;
        let mut others = Vec::new();
        for namespace in &case.allowed_namespaces {
            for kind in ["BackupJob", "RestoreJob"] {
                others.extend(self.cluster.live_jobs(kind, Some(namespace)).await?);
            }
        }
        others.retain(|other| object::uid(other) != job.uid);
        Ok(others)
    }

    /// What an action does to an object among those of others, held to the very object that is there; unchanged where
    /// there is none.
    async fn shared(
        &self,
        case: &Case,
        action: &Action,
        target: &ObjectRef,
    ) -> Result<Result<Action, String>, Stop> {
        let found = self.cluster.get(&case.caller, target).await;
        let found = found.map_err(|error| permission(&error))?;
        let name = object::describe(target);
        let Some(found) = found else {
            return Ok(Ok(labelled(case, action, None)));
        };
        if target.namespace.is_some() {
            if !case.owners.have(&found) {
                return Ok(Err(format!(
                    "names {name}, which carries neither the job's nor the Backup's labels"
                )));
            }
            return Ok(Ok(labelled(case, action, Some(&found))));
        }
        if !belongs(case, &found) {
            return Ok(Err(format!(
                "names {name}, which belongs to no namespace of the job's"
            )));
        }
        Ok(stays(case, action, target).map(|()| pinned(action, &found, true)))
    }

    /// An action as it is to be carried out: among the objects of others held to the one that was looked at.
    ///
    /// # Errors
    /// `PlanRejected` where the object has become another's since the plan was looked at.
    pub(crate) async fn held(&self, case: &Case, action: &Action) -> Result<Option<Action>, Stop> {
        let Some(target) = written(action) else {
            return Ok(None);
        };
        if place(case, target.namespace.as_deref()) == Some(Place::Own) {
            return Ok(None);
        }
        let held = self.shared(case, action, &target).await?;
        held.map(Some)
            .map_err(|rule| rejected(case, &case.secrets().redact(&rule)))
    }

    /// The objects that `delete-all` is about.
    pub(crate) async fn to_delete(
        &self,
        case: &Case,
        matching: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        let mut found = self.cluster.list(&case.caller, matching).await?;
        match place(case, matching.namespace.as_deref()) {
            Some(Place::Own) => {
                let others = self.other_jobs(case).await?;
                found.retain(|object| {
                    let owner = object::label(object, OWNED_BY_UID).unwrap_or_default();
                    others.iter().all(|job| object::uid(job) != owner)
                });
            }
            Some(Place::System) => found.retain(|object| case.owners.have(object)),
            _ => found.retain(|object| belongs(case, object)),
        }
        Ok(found)
    }
}

/// Where a read goes.
///
/// # Errors
/// `PlanRejected` where the strategy has no business there.
fn readable(case: &Case, target: &ObjectRef) -> Result<Place, Stop> {
    let refused = |rule: String| rejected(case, &format!("a read {rule}"));
    let place = place(case, target.namespace.as_deref())
        .ok_or_else(|| refused(outside(case, &object::describe(target))))?;
    in_its_place(case, target).map_err(refused)?;
    Ok(place)
}

/// The object that an action changes or deletes by its name. What is created must not be there.
fn written(action: &Action) -> Option<ObjectRef> {
    match action {
        Action::Apply { object } => Some(object::reference(object)),
        Action::Merge { target, .. } | Action::Delete { target, .. } => Some(target.clone()),
        _ => None,
    }
}

/// Whether a cluster-scoped object belongs to a namespace of the job's.
fn belongs(case: &Case, found: &Value) -> bool {
    let target = object::reference(found);
    let namespace = match &target.namespace {
        Some(namespace) => Some(namespace.as_str()),
        None => owner_namespace(&target.api_version, &target.kind, found),
    };
    namespace.is_some_and(|namespace| place(case, Some(namespace)) == Some(Place::Own))
}

/// Whether a cluster-scoped object still belongs to a namespace of the job's when a patch is through.
fn stays(case: &Case, action: &Action, target: &ObjectRef) -> Result<(), String> {
    let Action::Merge { patch, .. } = action else {
        return Ok(());
    };
    let pointer = owner_pointer(&target.api_version, &target.kind).unwrap_or_default();
    // Each step on the way to the namespace: what a patch leaves out stays, what it replaces must say it.
    let mut at = patch;
    for member in pointer.split('/').skip(1) {
        match at {
            Value::Object(members) => match members.get(member) {
                Some(next) => at = next,
                None => return Ok(()),
            },
            _ => break,
        }
    }
    let stays = at
        .as_str()
        .is_some_and(|namespace| place(case, Some(namespace)) == Some(Place::Own));
    if stays {
        return Ok(());
    }
    Err(format!(
        "would give {} to another namespace: {pointer} is {at}",
        object::describe(target)
    ))
}

/// An action held to an object that is there, with the labels that it has; with those of the job where there is none.
fn labelled(case: &Case, action: &Action, found: Option<&Value>) -> Action {
    let mut action = found.map_or_else(|| action.clone(), |found| pinned(action, found, false));
    if let Action::Apply { object } = &mut action
        && let Some(metadata) = object::metadata_mut(object)
    {
        let job = &case.request.job;
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            match found {
                Some(found) => labels.extend(OWNERS.iter().filter_map(|name| {
                    let value = object::label(found, name)?;
                    Some(((*name).to_owned(), json!(value)))
                })),
                None => labels.extend(job_labels(&job.name, &job.namespace, &job.uid)),
            }
        }
    }
    action
}

/// An action with the object that was looked at as its precondition, and where whose it is can change, its version.
fn pinned(action: &Action, found: &Value, with_version: bool) -> Action {
    let mut action = action.clone();
    let uid = object::uid(found);
    match &mut action {
        Action::Apply { object: document }
        | Action::Merge {
            patch: document, ..
        } => {
            if let Some(metadata) = object::metadata_mut(document) {
                // One that the strategy gave is a precondition of its own, which fails where it is another.
                metadata.entry("uid").or_insert_with(|| json!(uid));
                if with_version {
                    let version = object::resource_version(found);
                    metadata
                        .entry("resourceVersion")
                        .or_insert_with(|| json!(version));
                }
            }
        }
        Action::Delete { uid: wanted, .. } => {
            wanted.get_or_insert_with(|| uid.to_owned());
        }
        _ => {}
    }
    action
}

/// Whose labels an object carries that a case finds and writes among those of others.
#[derive(Default)]
pub(crate) struct Owners {
    uids: Vec<String>,
    /// Name and namespace of the job of a Backup that the old controllers made. Their labels have no UID.
    old: Option<(String, String)>,
}

impl Owners {
    /// The job, and the Backup that it is about.
    pub(crate) fn new(job: &str, backup: Option<&backup_api::Backup>) -> Self {
        let mut uids = vec![job.to_owned()];
        let mut old = None;
        if let Some(backup) = backup {
            let metadata = &backup.metadata;
            uids.extend(metadata.uid.clone());
            let labels = metadata.labels.as_ref();
            match labels.and_then(|labels| labels.get(OWNED_BY_UID)) {
                Some(uid) => uids.push(uid.clone()),
                None => old = metadata.name.clone().zip(metadata.namespace.clone()),
            }
        }
        Self { uids, old }
    }

    /// Whether an object carries the labels.
    pub(crate) fn have(&self, found: &Value) -> bool {
        match object::label(found, OWNED_BY_UID) {
            Some(uid) => self.uids.iter().any(|ours| ours == uid),
            None => self.old.as_ref().is_some_and(|(name, namespace)| {
                object::label(found, OWNED_BY_NAME) == Some(name)
                    && object::label(found, OWNED_BY_NAMESPACE) == Some(namespace)
            }),
        }
    }
}
