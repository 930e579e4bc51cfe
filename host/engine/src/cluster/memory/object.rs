//! Reading and changing parts of objects that are JSON values.

use serde_json::{Map, Value};

/// A string of the metadata; empty when absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(super) fn has(object: &Value, field: &str) -> bool {
    !object["metadata"][field].is_null()
}

pub(super) fn strings<'a>(object: &'a Value, field: &str) -> Vec<&'a str> {
    object["metadata"][field]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The metadata of a decoded object; none of a value that is no object.
pub(super) fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object
        .as_object_mut()?
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    metadata.as_object_mut()
}

/// Sets a field of the metadata; null removes it.
pub(super) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    let value = value.into();
    let Some(metadata) = metadata(object) else {
        return;
    };
    if value.is_null() {
        metadata.shift_remove(field);
    } else {
        metadata.insert(field.to_owned(), value);
    }
}

/// Takes a field of the metadata over from another state of the object.
pub(super) fn copy(object: &mut Value, field: &str, from: &Value) {
    set(object, field, from["metadata"][field].clone());
}

/// Sets a top-level field; none removes it.
pub(super) fn set_top(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    match value {
        Some(value) => map.insert(field.to_owned(), value),
        None => map.shift_remove(field),
    };
}

/// Whether two states are the same but for their metadata.
pub(super) fn same_content(left: &Value, right: &Value) -> bool {
    let content = |value: &Value| -> Map<String, Value> {
        let mut map = value.as_object().cloned().unwrap_or_default();
        map.shift_remove("metadata");
        map
    };
    content(left) == content(right)
}

/// `group` and `version` of an apiVersion; the core group is empty.
pub(super) fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}
