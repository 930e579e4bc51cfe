//! JSON merge patch as the API server carries it out: RFC 7386, but nulls also fall out of objects inside lists
//! that the patch brings (`evanphx/json-patch`).

use serde_json::{Map, Value};

pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    match (&mut *target, patch) {
        (Value::Object(target), Value::Object(patch)) => merge_maps(target, patch),
        // Where something else takes the place of an object, it is taken as it is.
        (Value::Object(_), _) => *target = patch.clone(),
        _ => *target = without_nulls(patch),
    }
}

fn merge_maps(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, change) in patch {
        if change.is_null() {
            target.shift_remove(name);
            continue;
        }
        match target.get_mut(name).filter(|current| !current.is_null()) {
            Some(current) => merge_patch(current, change),
            None => {
                target.insert(name.clone(), without_nulls(change));
            }
        }
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, inner)| !inner.is_null());
            Value::Object(
                kept.map(|(name, inner)| (name.clone(), without_nulls(inner)))
                    .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
