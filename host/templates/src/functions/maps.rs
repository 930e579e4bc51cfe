//! Maps. What comes in random order in Go comes sorted here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Kind::{Any, Map as AMap, Text};
use super::{Call, Function, Row, as_map, wrong};
use crate::error::Outcome;
use crate::value::{self, Map, Value};

pub(super) const TABLE: &[Row] = &[
    ("dict", Function::open(&[], Any, dict)),
    ("get", Function::fixed(&[AMap, Text], get).picking()),
    (
        "hasKey",
        Function::fixed(&[AMap, Text], |call| {
            Ok(Value::Bool(call.map(0)?.contains_key(call.text(1)?)))
        })
        .picking(),
    ),
    ("keys", Function::open(&[], AMap, keys)),
    (
        "values",
        Function::fixed(&[AMap], |call| {
            Ok(value::list(call.map(0)?.values().cloned().collect()))
        }),
    ),
    (
        "pick",
        Function::open(&[AMap], Text, |call| filtered(call, true)),
    ),
    (
        "omit",
        Function::open(&[AMap], Text, |call| filtered(call, false)),
    ),
    ("pluck", Function::open(&[Text], AMap, pluck)),
    ("dig", Function::open(&[Any, Any, Any], Any, dig).picking()),
];

fn dict(call: &Call<'_>) -> Outcome<Value> {
    let mut entries = Map::new();
    for pair in call.args.chunks(2) {
        let key = pair.first().unwrap_or(&Value::Nil);
        let item = pair.get(1).cloned().unwrap_or_else(|| value::text(""));
        entries.insert(Arc::from(call.show(key)?), item);
    }
    Ok(value::map(entries))
}

fn get(call: &Call<'_>) -> Outcome<Value> {
    let found = call.map(0)?.get(call.text(1)?).cloned();
    Ok(found.unwrap_or_else(|| value::text("")))
}

fn keys(call: &Call<'_>) -> Outcome<Value> {
    let mut keys = Vec::new();
    for map in call.args {
        keys.extend(as_map(map)?.keys().cloned().map(Value::String));
    }
    Ok(value::list(keys))
}

fn filtered(call: &Call<'_>, keep_named: bool) -> Outcome<Value> {
    let named: BTreeSet<&str> = call.rest(1).iter().filter_map(Value::as_str).collect();
    let entries = call.map(0)?;
    let kept = entries
        .iter()
        .filter(|(key, _)| named.contains(key.as_ref()) == keep_named);
    Ok(value::map(
        kept.map(|(key, item)| (Arc::clone(key), item.clone()))
            .collect(),
    ))
}

fn pluck(call: &Call<'_>) -> Outcome<Value> {
    let key = call.text(0)?;
    let mut found = Vec::new();
    for map in call.rest(1) {
        found.extend(as_map(map)?.get(key).cloned());
    }
    Ok(value::list(found))
}

/// `dig key… default map`: the value at the end of the keys, or the default where a key is absent.
fn dig(call: &Call<'_>) -> Outcome<Value> {
    let [keys @ .., default, root] = call.args else {
        return Err("wants at least one key, a default and a map".into());
    };
    let mut at = root;
    for key in keys {
        let Value::String(key) = key else {
            return Err(wrong("strings as keys", key));
        };
        let Value::Map(map) = at else {
            return Err(wrong("maps all the way", at));
        };
        match map.get(key) {
            Some(value) => at = value,
            None => return Ok(default.clone()),
        }
    }
    Ok(at.clone())
}
