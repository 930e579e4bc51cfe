//! Metadata: its shape when it comes in, and what is invalid about it. `apimachinery/pkg/api/validation`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{kinds::Kind, names, object};

/// The finalizers that the garbage collector acts on.
pub(super) const ORPHAN: &str = "orphan";
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What all annotations may weigh together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The fields of Go's `ObjectMeta`.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Metadata as Go's `ObjectMeta` would hold it: unknown and empty fields fall away.
///
/// With `drop_malformed`, as in what is read from the store, so do fields of another type.
///
/// # Errors
/// A value of another type.
pub(super) fn coerce(metadata: &Value, drop_malformed: bool) -> Result<Value, String> {
    let fields = match metadata {
        Value::Object(fields) => fields,
        Value::Null => return Ok(Value::Object(Map::new())),
        other => return Err(wrong("metadata", "v1.ObjectMeta", other)),
    };
    let mut kept = Map::new();
    for (name, value) in fields {
        if value.is_null() {
            continue;
        }
        let known = match name.as_str() {
            "name" | "generateName" | "namespace" | "uid" | "resourceVersion" => text(name, value),
            "creationTimestamp" | "deletionTimestamp" => time(name, value),
            "generation" | "deletionGracePeriodSeconds" => number(name, value),
            "labels" | "annotations" => texts(name, value),
            "finalizers" => finalizers(value),
            "ownerReferences" => owner_references(value),
            _ => Ok(None),
        };
        match known {
            Ok(Some(value)) => {
                kept.insert(name.clone(), value);
            }
            Err(why) if !drop_malformed => return Err(why),
            _ => {}
        }
    }
    Ok(Value::Object(kept))
}

/// Where metadata has fields that Go's `ObjectMeta` does not have.
pub(super) fn unknown(metadata: &Value) -> Vec<String> {
    let fields = metadata.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !FIELDS.contains(&name.as_str()))
        .map(|(name, _)| format!("metadata.{name}"))
        .collect()
}

fn wrong(field: &str, wanted: &str, value: &Value) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!(
        "json: cannot unmarshal {found} into Go struct field ObjectMeta.{field} of type {wanted}"
    )
}

fn text(field: &str, value: &Value) -> Result<Option<Value>, String> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong(field, "string", value))?;
    Ok((!text.is_empty()).then(|| text.into()))
}

fn time(field: &str, value: &Value) -> Result<Option<Value>, String> {
    match value.as_str() {
        Some(text) if text.parse::<jiff::Timestamp>().is_err() => Err(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        )),
        _ => text(field, value),
    }
}

/// A generation of 0 counts as none; a grace period of 0 is one.
fn number(field: &str, value: &Value) -> Result<Option<Value>, String> {
    let number = value.as_i64().ok_or_else(|| wrong(field, "int64", value))?;
    Ok((field != "generation" || number != 0).then(|| number.into()))
}

fn texts(field: &str, value: &Value) -> Result<Option<Value>, String> {
    let map = value
        .as_object()
        .ok_or_else(|| wrong(field, "map[string]string", value))?;
    let mut kept = Map::new();
    for (key, value) in map {
        let value = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => return Err(wrong(field, "string", other)),
        };
        kept.insert(key.clone(), value.into());
    }
    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}

fn finalizers(value: &Value) -> Result<Option<Value>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong("finalizers", "[]string", value))?;
    if let Some(other) = list.iter().find(|entry| !entry.is_string()) {
        return Err(wrong("finalizers", "string", other));
    }
    Ok((!list.is_empty()).then(|| value.clone()))
}

/// Each reference once, as the API server does before it stores them.
fn owner_references(value: &Value) -> Result<Option<Value>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong("ownerReferences", "[]v1.OwnerReference", value))?;
    let mut kept: Vec<Value> = Vec::new();
    for entry in list {
        let fields = entry
            .as_object()
            .ok_or_else(|| wrong("ownerReferences", "v1.OwnerReference", entry))?;
        let mut reference = Map::new();
        for name in ["apiVersion", "kind", "name", "uid"] {
            let value = fields
                .get(name)
                .filter(|value| !value.is_null())
                .cloned()
                .unwrap_or_else(|| "".into());
            if !value.is_string() {
                return Err(wrong(&format!("ownerReferences.{name}"), "string", &value));
            }
            reference.insert(name.to_owned(), value);
        }
        for name in ["controller", "blockOwnerDeletion"] {
            match fields.get(name) {
                None | Some(Value::Null) => {}
                Some(value @ Value::Bool(_)) => {
                    reference.insert(name.to_owned(), value.clone());
                }
                Some(other) => {
                    return Err(wrong(&format!("ownerReferences.{name}"), "bool", other));
                }
            }
        }
        let reference = Value::Object(reference);
        if !kept.contains(&reference) {
            kept.push(reference);
        }
    }
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

pub(super) fn problem(field: &str, value: &Value, why: &str) -> String {
    format!("{field}: Invalid value: {value}: {why}")
}

/// What is invalid about the metadata of any object.
pub(super) fn problems(kind: &Kind, object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let name = object::text(object, "name");
    if name.is_empty() {
        problems.push("metadata.name: Required value: name or generateName is required".to_owned());
    } else {
        let rule = if kind.is_namespace() {
            names::label_problems
        } else {
            names::subdomain_problems
        };
        problems.extend(
            rule(name)
                .iter()
                .map(|why| problem("metadata.name", &name.into(), why)),
        );
    }
    let namespace = object::text(object, "namespace");
    if kind.namespaced {
        let found = names::label_problems(namespace);
        problems.extend(
            found
                .iter()
                .map(|why| problem("metadata.namespace", &namespace.into(), why)),
        );
    } else if !namespace.is_empty() {
        problems.push("metadata.namespace: Forbidden: not allowed on this type".to_owned());
    }
    problems.extend(label_problems(object));
    problems.extend(annotation_problems(object));
    problems.extend(owner_problems(object));
    problems.extend(finalizer_problems(object));
    problems
}

fn label_problems(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let text = value.as_str().unwrap_or_default();
        let of_key = names::key_problems(key);
        problems.extend(
            of_key
                .iter()
                .map(|why| problem("metadata.labels", &key.as_str().into(), why)),
        );
        let of_value = names::value_problems(text);
        problems.extend(
            of_value
                .iter()
                .map(|why| problem("metadata.labels", value, why)),
        );
    }
    problems
}

/// Keys may be of any case.
fn annotation_problems(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut size = 0;
    for (key, value) in object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        size += key.len() + value.as_str().map_or(0, str::len);
        let of_key = names::key_problems(&key.to_lowercase());
        problems.extend(
            of_key
                .iter()
                .map(|why| problem("metadata.annotations", &key.as_str().into(), why)),
        );
    }
    if size > ANNOTATIONS_LIMIT {
        problems.push(format!(
            "metadata.annotations: Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"
        ));
    }
    problems
}

fn owner_problems(object: &Value) -> Vec<String> {
    const FIELD: &str = "metadata.ownerReferences";
    let mut problems = Vec::new();
    let mut controller: Option<String> = None;
    let references = &object["metadata"]["ownerReferences"];
    for reference in references.as_array().into_iter().flatten() {
        let text = |name: &str| reference[name].as_str().unwrap_or_default();
        if object::group_version(text("apiVersion")).1.is_empty() {
            let field = format!("{FIELD}.apiVersion");
            problems.push(problem(
                &field,
                &text("apiVersion").into(),
                "version must not be empty",
            ));
        }
        for name in ["kind", "name", "uid"]
            .into_iter()
            .filter(|name| text(name).is_empty())
        {
            problems.push(problem(
                &format!("{FIELD}.{name}"),
                &text(name).into(),
                "must not be empty",
            ));
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            problems.push(problem(
                FIELD,
                reference,
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if reference["controller"] == Value::Bool(true) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => problems.push(problem(
                    FIELD,
                    references,
                    &format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for \
                         {first} and {this}"
                    ),
                )),
            }
        }
    }
    problems
}

fn finalizer_problems(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let finalizers = object::strings(object, "finalizers");
    for name in &finalizers {
        let of_name = names::key_problems(name);
        problems.extend(
            of_name
                .iter()
                .map(|why| problem("metadata.finalizers", &(*name).into(), why)),
        );
    }
    if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
        problems.push(problem(
            "metadata.finalizers",
            &object["metadata"]["finalizers"],
            &format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set"),
        ));
    }
    problems
}

/// What is invalid about a change of metadata.
pub(super) fn update_problems(new: &Value, old: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if object::has(old, "deletionTimestamp") {
        let before: BTreeSet<&str> = object::strings(old, "finalizers").into_iter().collect();
        let after: BTreeSet<&str> = object::strings(new, "finalizers").into_iter().collect();
        let extra: Vec<String> = after
            .difference(&before)
            .map(|name| format!("{name:?}"))
            .collect();
        if !extra.is_empty() {
            problems.push(format!(
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
                 found new finalizers []string{{{}}}",
                extra.join(", ")
            ));
        }
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (own, before) = (&new["metadata"][field], &old["metadata"][field]);
        if own != before {
            problems.push(problem(
                &format!("metadata.{field}"),
                own,
                "field is immutable",
            ));
        }
    }
    problems
}
