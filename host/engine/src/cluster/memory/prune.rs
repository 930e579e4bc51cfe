//! Removes the fields that a schema does not have. `apiextensions-apiserver/pkg/apiserver/schema/pruning`.

use serde_json::{Map, Value, json};

/// Prunes a whole object, which has apiVersion, kind and metadata whether its schema says so or not. Gives where there
/// were unknown fields, as `spec.parts[0].misspelt`, sorted. Of a field that is unknown nothing below it is told.
pub(super) fn prune(object: &mut Value, schema: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    value(object, Some(schema), true, "", &mut unknown);
    unknown.sort();
    unknown
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Without a schema nothing is known: everything goes.
fn value(
    value: &mut Value,
    schema: Option<&Value>,
    whole: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    match value {
        Value::Object(content) => map(content, schema, whole, path, unknown),
        Value::Array(content) => list(content, schema, path, unknown),
        _ => {}
    }
}

fn map(
    content: &mut Map<String, Value>,
    schema: Option<&Value>,
    whole: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    let whole = whole
        || schema.is_some_and(|schema| schema["x-kubernetes-embedded-resource"] == json!(true));
    let keep = schema.is_some_and(keeps_unknown);
    content.retain(|name, inner| {
        if whole && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            return true;
        }
        let place = below(path, name);
        let property = schema.and_then(|schema| schema["properties"].get(name));
        let rest = schema.map_or(&Value::Null, |schema| &schema["additionalProperties"]);
        match (property, rest) {
            (Some(property), _) => value(inner, Some(property), false, &place, unknown),
            (None, rest @ Value::Object(_)) => value(inner, Some(rest), false, &place, unknown),
            (None, Value::Bool(true)) => {}
            _ if keep => {}
            _ => {
                unknown.push(place);
                return false;
            }
        }
        true
    });
}

/// Below a list without a schema for its elements everything is unknown, unless unknown things are kept.
fn list(content: &mut [Value], schema: Option<&Value>, path: &str, unknown: &mut Vec<String>) {
    let items = schema.and_then(|schema| schema.get("items"));
    if items.is_none() && schema.is_some_and(keeps_unknown) {
        return;
    }
    for (index, inner) in content.iter_mut().enumerate() {
        value(inner, items, false, &format!("{path}[{index}]"), unknown);
    }
}
