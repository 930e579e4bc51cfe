//! JSON values, written as they look.

use serde::Serialize;

use crate::Value;

/// A JSON value, written as it looks: an object to create, a patch, a document to keep.
///
/// Values are anything that serde can serialize. It reads like the macro of that name of `serde_json`, which
/// writes the code that builds an object into the strategy anew for every member.
///
/// ```
/// use backup_strategy::json;
///
/// let name = "orders-db";
/// let object = json!({
///     "apiVersion": "example.org/v1",
///     "metadata": { "name": name, "labels": { "copy": format!("{name}-copy") } },
///     "spec": { "hosts": ["a", "b"], "size": Some(3), "suspend": null },
/// });
/// assert_eq!(object["metadata"]["labels"]["copy"], "orders-db-copy");
/// assert_eq!(object["spec"].to_string(), r#"{"hosts":["a","b"],"size":3,"suspend":null}"#);
/// ```
///
/// # Panics
///
/// When a value cannot be JSON, such as a map of which the keys are no text.
#[macro_export]
macro_rules! json {
    (@members [$($done:expr,)*]) => {
        $crate::object_of(&mut [$($done,)*])
    };
    (@members [$($done:expr,)*] $name:literal: { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $crate::json!(@members [$($done,)* ($name, $crate::json!({ $($inner)* })),] $($($rest)*)?)
    };
    (@members [$($done:expr,)*] $name:literal: [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $crate::json!(@members [$($done,)* ($name, $crate::json!([ $($inner)* ])),] $($($rest)*)?)
    };
    (@members [$($done:expr,)*] $name:literal: null $(, $($rest:tt)*)?) => {
        $crate::json!(@members [$($done,)* ($name, $crate::Value::Null),] $($($rest)*)?)
    };
    (@members [$($done:expr,)*] $name:literal: $value:expr $(, $($rest:tt)*)?) => {
        $crate::json!(@members [$($done,)* ($name, $crate::value_of(&$value)),] $($($rest)*)?)
    };
    (@elements [$($done:expr,)*]) => {
        $crate::array_of(&mut [$($done,)*])
    };
    (@elements [$($done:expr,)*] { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $crate::json!(@elements [$($done,)* $crate::json!({ $($inner)* }),] $($($rest)*)?)
    };
    (@elements [$($done:expr,)*] [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $crate::json!(@elements [$($done,)* $crate::json!([ $($inner)* ]),] $($($rest)*)?)
    };
    (@elements [$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::json!(@elements [$($done,)* $crate::Value::Null,] $($($rest)*)?)
    };
    (@elements [$($done:expr,)*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::json!(@elements [$($done,)* $crate::value_of(&$value),] $($($rest)*)?)
    };
    ({ $($members:tt)* }) => { $crate::json!(@members [] $($members)*) };
    ([ $($elements:tt)* ]) => { $crate::json!(@elements [] $($elements)*) };
    (null) => { $crate::Value::Null };
    ($value:expr) => { $crate::value_of(&$value) };
}

/// For [`json!`].
#[doc(hidden)]
#[inline(never)]
pub fn object_of(members: &mut [(&str, Value)]) -> Value {
    // Collecting would bring along code that sorts: 3 KB.
    let mut object = serde_json::Map::new();
    for (name, value) in members {
        object.insert((*name).into(), value.take());
    }
    Value::Object(object)
}

/// For [`json!`].
#[doc(hidden)]
#[inline(never)]
pub fn array_of(elements: &mut [Value]) -> Value {
    Value::Array(elements.iter_mut().map(Value::take).collect())
}

/// For [`json!`].
#[doc(hidden)]
#[inline(never)]
#[track_caller]
#[allow(
    clippy::panic,
    reason = "a mistake of the strategy's author, who gets to see the line"
)]
pub fn value_of<T: Serialize + ?Sized>(value: &T) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => value,
        Err(error) => panic!("not a JSON value: {error}"),
    }
}

/// Drops the members that are null, and the objects that are empty then: what is not set is left out of an
/// object, not written as null.
///
/// ```
/// use backup_strategy::{json, pruned};
///
/// let size: Option<u32> = None;
/// assert_eq!(pruned(json!({ "name": "a", "limits": { "size": size } })), json!({ "name": "a" }));
/// ```
#[must_use]
pub fn pruned(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        for member in members.values_mut() {
            *member = pruned(member.take());
        }
        members.retain(|_, member| {
            !member.is_null() && member.as_object().is_none_or(|inner| !inner.is_empty())
        });
    }
    value
}

/// Sets the members that are missing in an object, and in the objects in it.
///
/// ```
/// use backup_strategy::{fill, json};
///
/// let mut pod = json!({ "securityContext": { "runAsUser": 1000 } });
/// fill(&mut pod, json!({ "securityContext": { "runAsUser": 1, "runAsNonRoot": true }, "hostNetwork": false }));
/// let filled = json!({ "hostNetwork": false, "securityContext": { "runAsNonRoot": true, "runAsUser": 1000 } });
/// assert_eq!(pod, filled);
/// ```
pub fn fill(value: &mut Value, defaults: Value) {
    let Value::Object(defaults) = defaults else {
        return;
    };
    for (name, default) in defaults {
        match &mut value[&name] {
            missing @ Value::Null => *missing = default,
            object @ Value::Object(_) => fill(object, default),
            _ => {}
        }
    }
}

/// The merge patch (RFC 7386) that makes `to` of `from`: members that `to` lacks become null, and what is the same in
/// both is left out. For [`Context::merge`](crate::Context::merge), where a map is to hold these members and no others.
///
/// ```
/// use backup_strategy::{json, merge_patch};
///
/// let found = json!({ "a": { "x": 1, "y": 2 }, "b": {} });
/// let wanted = json!({ "a": { "x": 1, "y": 3 }, "c": { "z": 4 } });
/// assert_eq!(merge_patch(&found, &wanted), json!({ "a": { "y": 3 }, "b": null, "c": { "z": 4 } }));
/// ```
#[must_use]
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(found), Value::Object(wanted)) = (from, to) else {
        return to.clone();
    };
    let mut patch = serde_json::Map::new();
    for name in found.keys() {
        if !wanted.contains_key(name) {
            patch.insert(name.clone(), Value::Null);
        }
    }
    for (name, value) in wanted {
        let before = found.get(name).unwrap_or(&Value::Null);
        if before != value {
            patch.insert(name.clone(), merge_patch(before, value));
        }
    }
    Value::Object(patch)
}
