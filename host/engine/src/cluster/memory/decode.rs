//! How an object is read when it comes in: unknown fields pruned or refused, defaults filled in, metadata brought into
//! its shape. `apiextensions-apiserver/pkg/apiserver/schema`, `defaulting`.

use serde_json::{Map, Number, Value, json};

use super::{kinds::Kind, metadata, object, prune};

/// # Errors
/// What does not even have the form of an object of the kind.
pub(super) fn decode(kind: &Kind, object: &Value) -> Result<Value, String> {
    let mut decoded = read(kind, object, false)?.object;
    even_numbers(&mut decoded);
    Ok(decoded)
}

/// As [`decode`], but nothing is dropped in silence: `fieldValidation=Strict`, with which the host writes.
///
/// # Errors
/// As [`decode`], and fields that the kind does not have.
pub(super) fn decode_strictly(kind: &Kind, object: &Value) -> Result<Value, String> {
    let mut decoded = patched(kind, object)?;
    even_numbers(&mut decoded);
    Ok(decoded)
}

/// As [`decode_strictly`], with numbers as they came: to the API server a patch from `1` to `1.0` is a change, though
/// it stores the same.
///
/// # Errors
/// As [`decode_strictly`].
pub(super) fn patched(kind: &Kind, object: &Value) -> Result<Value, String> {
    let decoded = read(kind, object, false)?;
    if decoded.unknown.is_empty() {
        return Ok(decoded.object);
    }
    let fields: Vec<String> = decoded
        .unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    Err(format!("strict decoding error: {}", fields.join(", ")))
}

/// An object as it comes out of the store, which forgives malformed metadata.
///
/// # Errors
/// What is no object at all.
pub(super) fn stored(kind: &Kind, object: &Value) -> Result<Value, String> {
    Ok(read(kind, object, true)?.object)
}

/// What was made of an object.
struct Decoded {
    object: Value,
    /// Where it had fields that the kind does not have, in the API server's order. Of the API server's own kinds only
    /// metadata is known well enough to tell.
    unknown: Vec<String>,
}

fn read(kind: &Kind, object: &Value, drop_malformed: bool) -> Result<Decoded, String> {
    if !object.is_object() {
        return Err("cannot unmarshal: the object is no JSON object".to_owned());
    }
    let mut decoded = object.clone();
    let metadata = metadata::coerce(&object["metadata"], drop_malformed)?;
    let mut unknown = metadata::unknown(&object["metadata"]);
    if let Some(schema) = &kind.schema {
        unknown.extend(prune::prune(&mut decoded, schema));
        drop_nulls(&mut decoded, schema);
        fill_defaults(&mut decoded, schema);
    } else if kind.native {
        drop_all_nulls(&mut decoded);
        native(kind, &mut decoded);
    }
    object::set_top(&mut decoded, "metadata", Some(metadata));
    object::set_top(&mut decoded, "apiVersion", Some(kind.api_version().into()));
    object::set_top(&mut decoded, "kind", Some(kind.kind.as_str().into()));
    Ok(Decoded {
        object: decoded,
        unknown,
    })
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
