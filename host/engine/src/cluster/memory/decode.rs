//! How an object is read when it comes in: unknown fields pruned, defaults filled in, metadata brought into its
//! shape. `apiextensions-apiserver/pkg/apiserver/schema`, `pruning` and `defaulting`.

use serde_json::{Map, Number, Value, json};

use super::{kinds::Kind, metadata, object};

/// # Errors
/// What does not even have the form of an object of the kind.
pub(super) fn decode(kind: &Kind, object: &Value) -> Result<Value, String> {
    let mut decoded = patched(kind, object)?;
    even_numbers(&mut decoded);
    Ok(decoded)
}

/// As [`decode`], with numbers as they came: to the API server a patch from `1` to `1.0` is a change, though it
/// stores the same.
///
/// # Errors
/// As [`decode`].
pub(super) fn patched(kind: &Kind, object: &Value) -> Result<Value, String> {
    read(kind, object, false)
}

/// An object as it comes out of the store, which forgives malformed metadata.
///
/// # Errors
/// What is no object at all.
pub(super) fn stored(kind: &Kind, object: &Value) -> Result<Value, String> {
    read(kind, object, true)
}

fn read(kind: &Kind, object: &Value, drop_malformed: bool) -> Result<Value, String> {
    if !object.is_object() {
        return Err("cannot unmarshal: the object is no JSON object".to_owned());
    }
    let mut decoded = object.clone();
    let metadata = metadata::coerce(&object["metadata"], drop_malformed)?;
    if let Some(schema) = &kind.schema {
        prune(&mut decoded, Some(schema), true);
        drop_nulls(&mut decoded, schema);
        fill_defaults(&mut decoded, schema);
    } else if kind.native {
        drop_all_nulls(&mut decoded);
        native(kind, &mut decoded);
    }
    object::set_top(&mut decoded, "metadata", Some(metadata));
    object::set_top(&mut decoded, "apiVersion", Some(kind.api_version().into()));
    object::set_top(&mut decoded, "kind", Some(kind.kind.as_str().into()));
    Ok(decoded)
}

/// What the API server makes of an applied object before it checks and stores it: less than of one that comes in
/// whole. The rest happens when it is read again.
///
/// # Errors
/// As [`decode`], for the API server's own kinds.
pub(super) fn after_apply(kind: &Kind, mut object: Value) -> Result<Value, String> {
    if kind.native {
        return decode(kind, &object);
    }
    if let Some(schema) = &kind.schema {
        fill_defaults(&mut object, schema);
    }
    if object["metadata"].is_null() {
        object::set_top(&mut object, "metadata", Some(Value::Object(Map::new())));
    }
    Ok(object)
}

/// `1.0` is stored as `1`: Go writes floats without a fraction so.
pub(super) fn even_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0);
            // Beyond 2^53 a float does not name one integer any more.
            if let Some(float) = float.filter(|float| float.abs() < 9_007_199_254_740_992.0) {
                *number = Number::from(float as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(even_numbers),
        Value::Object(map) => map.values_mut().for_each(even_numbers),
        _ => {}
    }
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
}

/// Without a schema nothing is known: everything goes. `whole` is a whole object, which has apiVersion, kind and
/// metadata whether the schema says so or not.
fn prune(value: &mut Value, schema: Option<&Value>, whole: bool) {
    let whole = whole
        || schema.is_some_and(|schema| schema["x-kubernetes-embedded-resource"] == json!(true));
    let keep = schema.is_some_and(keeps_unknown);
    match value {
        Value::Object(map) => map.retain(|name, inner| {
            if whole && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                return true;
            }
            let Some(schema) = schema else { return false };
            if let Some(property) = schema["properties"].get(name) {
                prune(inner, Some(property), false);
                return true;
            }
            match &schema["additionalProperties"] {
                rest @ Value::Object(_) => prune(inner, Some(rest), false),
                Value::Bool(true) => {}
                _ => return keep,
            }
            true
        }),
        // Below a list without a schema for its elements everything is unknown, unless unknown things are kept.
        Value::Array(list) => {
            let items = schema.and_then(|schema| schema.get("items"));
            if items.is_some() || !keep {
                list.iter_mut().for_each(|inner| prune(inner, items, false));
            }
        }
        _ => {}
    }
}

fn drop_nulls(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => map.retain(|name, inner| {
            let property = schema["properties"]
                .get(name)
                .or_else(|| schema.get("additionalProperties"));
            let Some(property) = property.filter(|property| property.is_object()) else {
                return true;
            };
            drop_nulls(inner, property);
            !(inner.is_null() && !is_nullable(property) && property.get("default").is_none())
        }),
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut().for_each(|inner| drop_nulls(inner, items));
            }
        }
        _ => {}
    }
}

fn is_nullable(schema: &Value) -> bool {
    schema["nullable"] == json!(true)
}

fn fill_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let Some(default) = property.get("default").filter(|default| !default.is_null())
                else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|value| value.is_null() && !is_nullable(property))
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, inner) in map.iter_mut() {
                let property = schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties"));
                if let Some(property) = property.filter(|property| property.is_object()) {
                    fill_defaults(inner, property);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut()
                    .for_each(|inner| fill_defaults(inner, items));
            }
        }
        _ => {}
    }
}

/// Go's typed structs know no null.
fn drop_all_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|_, inner| {
            drop_all_nulls(inner);
            !inner.is_null()
        }),
        Value::Array(list) => list.iter_mut().for_each(drop_all_nulls),
        _ => {}
    }
}

/// What the API server fills in for its own kinds, as far as something here reads it.
pub(super) fn native(kind: &Kind, object: &mut Value) {
    match kind.kind.as_str() {
        "Secret" => {
            encode_string_data(object);
            drop_empty(object, &["data"]);
            fill(object, "type", json!("Opaque"));
        }
        "ConfigMap" => drop_empty(object, &["data", "binaryData"]),
        "Namespace" => {
            fill(object, "spec", json!({"finalizers": ["kubernetes"]}));
            fill(object, "status", json!({"phase": "Active"}));
        }
        "Pod" | "PersistentVolumeClaim" => fill(object, "status", json!({"phase": "Pending"})),
        _ => {}
    }
}

fn fill(object: &mut Value, field: &str, default: Value) {
    if object.get(field).is_none() {
        object::set_top(object, field, Some(default));
    }
}

fn drop_empty(object: &mut Value, fields: &[&str]) {
    for field in fields {
        if object[*field].as_object().is_some_and(Map::is_empty) {
            object::set_top(object, field, None);
        }
    }
}

/// `stringData` is for writing only.
fn encode_string_data(object: &mut Value) {
    let Some(texts) = object.get("stringData").cloned() else {
        return;
    };
    object::set_top(object, "stringData", None);
    let mut data = object["data"].as_object().cloned().unwrap_or_default();
    for (key, text) in texts.as_object().into_iter().flatten() {
        let encoded = data_encoding::BASE64.encode(text.as_str().unwrap_or_default().as_bytes());
        data.insert(key.clone(), encoded.into());
    }
    object::set_top(object, "data", Some(Value::Object(data)));
}
