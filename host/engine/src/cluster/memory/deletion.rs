//! Deleting one object: `Delete` of `registry/generic/registry/store.go`.

use backup_sandbox::contract::Propagation;
use serde_json::{Value, json};

use super::{
    super::{ApiError, DeleteOptions},
    errors,
    kinds::Kind,
    metadata::{FOREGROUND, ORPHAN},
    object,
    store::{Key, State},
};

/// Namespaces that the API server does not let go.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) fn delete(
    state: &mut State,
    kind: &Kind,
    key: &Key,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    if kind.is_namespace() && IMMORTAL.contains(&key.name.as_str()) {
        return Err(errors::forbidden(
            kind,
            Some(&key.name),
            "this namespace may not be deleted",
        ));
    }
    let Some(stored) = state.objects.get(key) else {
        return Err(errors::not_found(kind, &key.name));
    };
    check_preconditions(kind, &key.name, &stored.object, options)?;
    let finalizers = finalizers(&stored.object, options.propagation);
    let (mut object, raw, owners) = (
        (*stored.object).clone(),
        stored.raw.clone(),
        stored.owners.clone(),
    );
    object::set(
        &mut object,
        "finalizers",
        if finalizers.is_empty() {
            Value::Null
        } else {
            json!(finalizers)
        },
    );
    if kind.is_namespace() {
        object::set_top(&mut object, "status", Some(json!({"phase": "Terminating"})));
    } else if finalizers.is_empty() {
        if options.resource_version.is_some() && !object::strings(&raw, "finalizers").is_empty() {
            return Err(lost_precondition(kind, key, &raw));
        }
        state.remove(key);
        return Ok(());
    }
    mark(state, kind, &mut object);
    state.gc_due = true;
    if object != *raw {
        state.write(key.clone(), object, owners);
    }
    Ok(())
}

/// Where the delete itself takes off the last finalizer, the API server compares the version in the precondition
/// with that of an object that it has not read. Such a delete never succeeds.
fn lost_precondition(kind: &Kind, key: &Key, object: &Value) -> ApiError {
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: ResourceVersion in precondition: , ResourceVersion in object meta: {}",
        key.group,
        kind.plural,
        key.namespace,
        key.name,
        object::text(object, "resourceVersion"),
    );
    errors::conflict(&kind.resource(), &key.name, &why)
}

fn check_preconditions(
    kind: &Kind,
    name: &str,
    object: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let found = object::text(object, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != found) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({found}). The object might \
             have been deleted and then recreated"
        );
        return Err(errors::conflict(&kind.subject(), name, &why));
    }
    let found = object::text(object, "resourceVersion");
    if let Some(wanted) = options
        .resource_version
        .as_deref()
        .filter(|wanted| *wanted != found)
    {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({found}). The object might have been modified"
        );
        return Err(errors::conflict(&kind.subject(), name, &why));
    }
    Ok(())
}

/// The finalizers after the garbage collector's have been put as the propagation asks. Without one, those that
/// the object has decide.
fn finalizers(object: &Value, propagation: Option<Propagation>) -> Vec<String> {
    let before = object::strings(object, "finalizers");
    let asked = match propagation {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) => None,
        None => before
            .iter()
            .copied()
            .find(|name| [ORPHAN, FOREGROUND].contains(name)),
    };
    let own = before
        .iter()
        .copied()
        .filter(|name| ![ORPHAN, FOREGROUND].contains(name));
    let after: Vec<&str> = own.chain(asked).collect();
    let same = after.len() == before.len() && after.iter().all(|name| before.contains(name));
    (if same { before } else { after })
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Marks an object that lives on until its finalizers are gone.
fn mark(state: &State, kind: &Kind, object: &mut Value) {
    if !object::has(object, "deletionTimestamp") {
        if let Some(generation) = object["metadata"]["generation"]
            .as_i64()
            .filter(|number| *number > 0)
        {
            object::set(object, "generation", generation + 1);
        }
        object::set(object, "deletionTimestamp", state.time());
    }
    if !kind.is_namespace() {
        object::set(object, "deletionGracePeriodSeconds", 0);
    }
}

/// Takes a finalizer off; the last one of an object that is to be deleted takes the object with it.
pub(super) fn remove_finalizer(state: &mut State, key: &Key, finalizer: &str) {
    let Some(stored) = state.objects.get(key) else {
        return;
    };
    let left: Vec<&str> = object::strings(&stored.object, "finalizers")
        .into_iter()
        .filter(|name| *name != finalizer)
        .collect();
    if left.is_empty()
        && object::has(&stored.object, "deletionTimestamp")
        && key.kind != "Namespace"
    {
        return state.remove(key);
    }
    let (mut object, owners) = ((*stored.object).clone(), stored.owners.clone());
    let left = if left.is_empty() {
        Value::Null
    } else {
        json!(left)
    };
    object::set(&mut object, "finalizers", left);
    state.write(key.clone(), object, owners);
}
