//! CustomResourceDefinitions: which kinds they bring, and how they end.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    deletion, endings,
    kinds::{Generation, Kind, StatusWrite},
    object, shape,
    store::{Key, State},
};

/// The group of the definitions themselves.
pub(super) const GROUP: &str = "apiextensions.k8s.io";

/// Holds a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

fn key(name: &str) -> Key {
    Key {
        group: GROUP.to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// The kinds of a definition, one for each served version.
fn kinds(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"] != json!(false))
        .map(|version| {
            let schema = version["schema"]["openAPIV3Schema"].clone();
            let schema = schema.is_object().then_some(schema);
            let has_status = !version["subresources"]["status"].is_null();
            Kind {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                kind: text(&spec["names"]["kind"]),
                plural: text(&spec["names"]["plural"]),
                namespaced: spec["scope"] != "Cluster",
                status: if has_status {
                    StatusWrite::StatusOnly
                } else {
                    StatusWrite::Absent
                },
                generation: Generation::Content,
                native: false,
                unconditional_update: false,
                shape: Arc::new(shape::of_kind(schema.as_ref())),
                schema: schema.map(Arc::new),
            }
        })
        .collect()
}

/// Makes a definition's kinds the ones that are served; versions that it does not name any more are not.
pub(super) fn learn(state: &mut State, definition: &Value) {
    let kinds = kinds(definition);
    if let Some(kind) = kinds.first() {
        state.kinds.remove(&kind.group, &kind.kind);
    }
    for kind in kinds {
        state.kinds.add(kind);
    }
}

/// The definition as the API server's controllers leave it, which here takes no time.
pub(super) fn established(definition: &Value, state: &State) -> Value {
    let mut definition = definition.clone();
    let mut finalizers = object::strings(&definition, "finalizers");
    if !finalizers.contains(&CLEANUP) && !object::has(&definition, "deletionTimestamp") {
        finalizers.push(CLEANUP);
        let finalizers = json!(finalizers);
        object::set(&mut definition, "finalizers", finalizers);
    }
    if definition["status"]["acceptedNames"] == definition["spec"]["names"] {
        return definition;
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": state.time(),
        })
    };
    let versions = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten();
    let stored: Vec<Value> = versions
        .filter(|version| version["storage"] == json!(true))
        .map(|version| version["name"].clone())
        .collect();
    let status = json!({
        "acceptedNames": definition["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    });
    object::set_top(&mut definition, "status", Some(status));
    definition
}

/// Whether the definition of a kind waits for its objects to go.
pub(super) fn is_ending(state: &State, kind: &Kind) -> bool {
    let stored = state.objects.get(&key(&kind.resource()));
    stored.is_some_and(|stored| object::has(&stored.object, "deletionTimestamp"))
}

/// Deletes the objects of a definition, and the definition once there are none.
pub(super) fn end(state: &mut State, key: &Key) {
    let Some(stored) = state.objects.get(key) else {
        return;
    };
    let spec = &stored.object["spec"];
    let group = spec["group"].as_str().unwrap_or_default().to_owned();
    let kind = spec["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let is_of_it = |other: &Key| other.group == group && other.kind == kind;
    endings::delete_all(state, is_of_it);
    if state.objects.keys().any(is_of_it) {
        return;
    }
    let held = object::strings(&state.objects[key].object, "finalizers").contains(&CLEANUP);
    if held {
        deletion::remove_finalizer(state, key, CLEANUP);
    }
    if !state.objects.contains_key(key) {
        state.kinds.remove(&group, &kind);
    }
}
