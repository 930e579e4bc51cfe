//! The garbage collector: what becomes of objects whose owners go. `kubernetes/pkg/controller/garbagecollector`.

use backup_sandbox::contract::Propagation;
use serde_json::{Value, json};

use super::{
    super::DeleteOptions,
    deletion,
    metadata::{FOREGROUND, ORPHAN},
    object,
    store::{Key, State},
};

/// How an owner stands to an object that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is there, or nobody can tell: its kind is unknown, or cannot own across that border.
    Solid,
    /// It is being deleted and waits for its dependents.
    Waiting,
    /// It is gone, or another of the same name is in its place.
    Dangling,
}

/// Goes on until nothing is left to do.
pub(super) fn collect(state: &mut State) {
    while std::mem::take(&mut state.gc_due) {
        let before = state.revision;
        let keys: Vec<Key> = state
            .objects
            .iter()
            .filter(|(_, stored)| {
                let metadata = &stored.object["metadata"];
                !metadata["ownerReferences"].is_null() || !metadata["deletionTimestamp"].is_null()
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            attend(state, key);
        }
        state.gc_due |= state.revision != before;
    }
}

fn attend(state: &mut State, key: &Key) {
    let Some(stored) = state.objects.get(key) else {
        return;
    };
    let object = stored.object.clone();
    if object::has(&object, "deletionTimestamp") {
        let finalizers = object::strings(&object, "finalizers");
        if finalizers.contains(&ORPHAN) {
            orphan_dependents(state, &object);
            deletion::remove_finalizer(state, key, ORPHAN);
        } else if finalizers.contains(&FOREGROUND) && !is_blocked(state, &object) {
            deletion::remove_finalizer(state, key, FOREGROUND);
        }
    } else if object::has(&object, "ownerReferences") {
        judge(state, key, &object);
    }
}

fn references(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

/// The objects that name this one as their owner.
fn dependents(state: &State, owner: &Value) -> Vec<Key> {
    let uid = object::text(owner, "uid");
    let names_it = |object: &Value| references(object).any(|reference| reference["uid"] == uid);
    state
        .objects
        .iter()
        .filter(|(_, stored)| names_it(&stored.object))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Whether a dependent asks the owner to wait for it.
fn is_blocked(state: &State, owner: &Value) -> bool {
    let uid = object::text(owner, "uid");
    dependents(state, owner)
        .iter()
        .filter_map(|key| state.objects.get(key))
        .any(|stored| {
            references(&stored.object).any(|reference| {
                reference["uid"] == uid && reference["blockOwnerDeletion"] == json!(true)
            })
        })
}

fn orphan_dependents(state: &mut State, owner: &Value) {
    let uid = object::text(owner, "uid");
    for key in dependents(state, owner) {
        drop_references(state, &key, |reference| reference["uid"] == uid);
    }
}

fn drop_references(state: &mut State, key: &Key, unwanted: impl Fn(&Value) -> bool) {
    let Some(stored) = state.objects.get(key) else {
        return;
    };
    let left: Vec<Value> = references(&stored.object)
        .filter(|reference| !unwanted(reference))
        .cloned()
        .collect();
    let (mut object, owners) = ((*stored.object).clone(), stored.owners.clone());
    let left = if left.is_empty() {
        Value::Null
    } else {
        Value::Array(left)
    };
    object::set(&mut object, "ownerReferences", left);
    state.write(key.clone(), object, owners);
}

fn owner(state: &State, dependent: &Key, reference: &Value) -> Owner {
    let text = |name: &str| reference[name].as_str().unwrap_or_default();
    let Some(kind) = state.kinds.find(text("apiVersion"), text("kind")) else {
        return Owner::Solid;
    };
    if kind.namespaced && dependent.namespace.is_empty() {
        return Owner::Solid;
    }
    let namespace = if kind.namespaced {
        dependent.namespace.as_str()
    } else {
        ""
    };
    match state.objects.get(&Key::new(&kind, namespace, text("name"))) {
        Some(stored) if object::text(&stored.object, "uid") == text("uid") => {
            let waits = object::has(&stored.object, "deletionTimestamp")
                && object::strings(&stored.object, "finalizers").contains(&FOREGROUND);
            if waits { Owner::Waiting } else { Owner::Solid }
        }
        _ => Owner::Dangling,
    }
}

/// Keeps an object while one owner is there, without the references to those that are not.
fn judge(state: &mut State, key: &Key, object: &Value) {
    let owners: Vec<(Owner, String)> = references(object)
        .map(|reference| {
            (
                owner(state, key, reference),
                reference["uid"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let gone: Vec<&str> = owners
        .iter()
        .filter(|(owner, _)| *owner != Owner::Solid)
        .map(|(_, uid)| uid.as_str())
        .collect();
    if gone.len() < owners.len() {
        if !gone.is_empty() {
            drop_references(state, key, |reference| {
                gone.contains(&reference["uid"].as_str().unwrap_or_default())
            });
        }
        return;
    }
    let Some(kind) = state.kinds.of_group(&key.group, &key.kind) else {
        return;
    };
    let finalizers = object::strings(object, "finalizers");
    let is_awaited = owners.iter().any(|(owner, _)| *owner == Owner::Waiting);
    let propagation = if is_awaited && !dependents(state, object).is_empty() {
        Some(Propagation::Foreground)
    } else if finalizers.contains(&ORPHAN) || finalizers.contains(&FOREGROUND) {
        None
    } else {
        Some(Propagation::Background)
    };
    let options = DeleteOptions {
        propagation,
        ..DeleteOptions::default()
    };
    // The object is there and has no preconditions against it; an immortal namespace stays.
    deletion::delete(state, &kind, key, &options).ok();
}
