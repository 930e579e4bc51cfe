//! Kubernetes objects as JSON: what the engine reads from them.

use backup_sandbox::contract::{ApplicationRef, ObjectRef};
use serde_json::{Map, Value};

/// A string at a path of members, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    let mut at = object;
    for member in path {
        match at.get(member) {
            Some(next) => at = next,
            None => return "",
        }
    }
    at.as_str().unwrap_or_default()
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

/// `metadata.resourceVersion`.
pub(crate) fn resource_version(object: &Value) -> &str {
    text(object, &["metadata", "resourceVersion"])
}

/// A label's value.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// Whether a job has ended.
#[must_use]
pub fn has_ended(job: &Value) -> bool {
    matches!(text(job, &["status", "phase"]), "Succeeded" | "Failed")
}

/// Whether the object waits for its finalizers.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, &["metadata", "deletionTimestamp"]).is_empty()
}

/// Whether a finalizer holds the object.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    finalizers(object).any(|held| held == finalizer)
}

/// The other finalizers.
pub(crate) fn finalizers_without(object: &Value, finalizer: &str) -> Vec<String> {
    finalizers(object)
        .filter(|held| *held != finalizer)
        .map(ToOwned::to_owned)
        .collect()
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The reference that names the object.
#[must_use]
pub fn reference(object: &Value) -> ObjectRef {
    let namespace = text(object, &["metadata", "namespace"]);
    ObjectRef {
        api_version: text(object, &["apiVersion"]).to_owned(),
        kind: text(object, &["kind"]).to_owned(),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: text(object, &["metadata", "name"]).to_owned(),
    }
}

/// A reference to an object of a known kind.
pub(crate) fn target(
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        name: name.to_owned(),
    }
}

/// For messages: `Cluster tenant-acme/postgres-orders-db`.
pub(crate) fn describe(target: &ObjectRef) -> String {
    match &target.namespace {
        Some(namespace) => format!("{} {namespace}/{}", target.kind, target.name),
        None => format!("{} {}", target.kind, target.name),
    }
}

/// The API group of an `apiVersion`; empty for the core group.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The API version of a group's applications. They have one.
pub(crate) fn application_version(group: &str) -> String {
    format!("{group}/v1alpha1")
}

/// Where an application is read.
pub(crate) fn application_target(application: &ApplicationRef) -> ObjectRef {
    target(
        &application_version(&application.group),
        &application.kind,
        Some(&application.namespace),
        &application.name,
    )
}

/// The object behind `metadata`, made when absent.
pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object
        .as_object_mut()?
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// The texts at a JSON pointer in which `*` stands for every item of a list. What is no text, or empty, is left out.
pub(crate) fn texts_at(value: &Value, pointer: &str) -> Vec<String> {
    let mut at = vec![value];
    for member in pointer.split('/').skip(1) {
        at = at
            .into_iter()
            .flat_map(|value| match (member, value) {
                ("*", Value::Array(items)) => items.iter().collect(),
                ("*", _) => vec![],
                (name, value) => value.get(name).into_iter().collect(),
            })
            .collect();
    }
    let texts = at.into_iter().filter_map(Value::as_str);
    texts
        .filter(|text| !text.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// Calls `visit` with each string of a document and its JSON pointer.
pub(crate) fn visit_strings(value: &Value, visit: &mut impl FnMut(&str, &str)) {
    visit_members(value, &mut |pointer, _, value| {
        if let Value::String(text) = value {
            visit(pointer, text);
        }
    });
}

/// Calls `visit` with each value of a document, its JSON pointer and its name. The whole and items of lists have no name.
pub(crate) fn visit_members<'a>(
    value: &'a Value,
    visit: &mut impl FnMut(&str, &'a str, &'a Value),
) {
    fn walk<'a>(
        value: &'a Value,
        name: &'a str,
        pointer: &mut String,
        visit: &mut impl FnMut(&str, &'a str, &'a Value),
    ) {
        visit(pointer, name, value);
        let length = pointer.len();
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    walk(item, "", pointer, visit);
                    pointer.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    walk(member, name, pointer, visit);
                    pointer.truncate(length);
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    walk(value, "", &mut String::new(), visit);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_every_item() {
        let machine = json!({ "spec": { "disks": [{ "name": "root" }, {}, { "name": 1 }, { "name": "data" }] } });
        assert_eq!(texts_at(&machine, "/spec/disks/*/name"), ["root", "data"]);
        assert!(texts_at(&machine, "/spec/nets/*/name").is_empty());
        assert!(
            texts_at(
                &json!({ "spec": { "disks": "root" } }),
                "/spec/disks/*/name"
            )
            .is_empty()
        );
    }
}
