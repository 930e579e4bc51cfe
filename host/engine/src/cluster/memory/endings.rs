//! What ends only when everything in it has: namespaces, and definitions with their objects. The namespace
//! controller and the finalizer of `apiextensions-apiserver`.

use super::{
    super::DeleteOptions,
    definitions, deletion, garbage, object,
    store::{Key, State},
};

/// What controllers do between two requests: here at once, so that a caller sees the state they lead to.
pub(super) fn settle(state: &mut State) {
    loop {
        let before = state.revision;
        garbage::collect(state);
        for key in ending(state) {
            if key.kind == "Namespace" {
                end_namespace(state, &key);
            } else {
                definitions::end(state, &key);
            }
        }
        if state.revision == before {
            return;
        }
    }
}

fn ending(state: &State) -> Vec<Key> {
    let kinds = [
        ("", "Namespace"),
        (definitions::GROUP, "CustomResourceDefinition"),
    ];
    let mut found = Vec::new();
    for kind in kinds
        .into_iter()
        .filter_map(|(group, kind)| state.kinds.of_group(group, kind))
    {
        let ending = state
            .of_kind(&kind, None)
            .filter(|(_, stored)| object::has(&stored.object, "deletionTimestamp"));
        found.extend(ending.map(|(key, _)| key.clone()));
    }
    found
}

fn end_namespace(state: &mut State, key: &Key) {
    let is_within = |other: &Key| other.namespace == key.name;
    delete_all(state, is_within);
    let is_empty = !state.objects.keys().any(is_within);
    let is_free = state
        .objects
        .get(key)
        .is_some_and(|stored| !object::has(&stored.object, "finalizers"));
    if is_empty && is_free {
        state.remove(key);
    }
}

/// Asks for the deletion of all objects that are meant, but for those that are on their way already.
pub(super) fn delete_all(state: &mut State, is_meant: impl Fn(&Key) -> bool) {
    let keys: Vec<Key> = state
        .objects
        .iter()
        .filter(|(key, stored)| is_meant(key) && !object::has(&stored.object, "deletionTimestamp"))
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        if let Some(kind) = state.kinds.of_group(&key.group, &key.kind) {
            // Gone already is as good.
            deletion::delete(state, &kind, &key, &DeleteOptions::default()).ok();
        }
    }
}
