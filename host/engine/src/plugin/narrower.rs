//! Whether a structural schema refuses, or drops, something that another accepts.
//!
//! What cannot be compared counts as narrower: a definition that is left as it was harms nobody, one that refuses an
//! object which is stored does.

use serde_json::{Map, Value, json};

/// Where and how `new` is narrower than `old`; none where everything that `old` accepts stays.
pub(super) fn narrower(old: &Value, new: &Value) -> Option<String> {
    compare("", old, new)
}

/// Members that bound a value from below, and from above: a bound that is new, or tighter, is narrower.
const LOWER: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const UPPER: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];

/// Members that narrow where they are new, or another.
const EXACT: [&str; 11] = [
    "pattern",
    "format",
    "multipleOf",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

/// Members that narrow where they become true.
const FLAGS: [&str; 4] = [
    "exclusiveMinimum",
    "exclusiveMaximum",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
];

fn compare(at: &str, old: &Value, new: &Value) -> Option<String> {
    let here = if at.is_empty() { "the root" } else { at };
    accepts_type(old, new)
        .or_else(|| accepts_values(old, new))
        .or_else(|| accepts_bounds(old, new))
        .map(|how| format!("{here}: {how}"))
        .or_else(|| accepts_members(at, old, new))
        .or_else(|| match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => compare(&format!("{at}/*"), old, new),
            (None, Some(new)) if is_open(old) && !is_anything(new) => {
                Some(format!("{here}: items have a schema"))
            }
            _ => None,
        })
}

fn is_true(schema: &Value, member: &str) -> bool {
    schema.get(member) == Some(&json!(true))
}

/// Whether whatever is below is accepted and kept.
fn is_open(schema: &Value) -> bool {
    is_true(schema, "x-kubernetes-preserve-unknown-fields")
        || schema.get("additionalProperties") == Some(&json!(true))
        || schema.as_object().is_none_or(Map::is_empty)
}

/// Whether a schema says nothing about a value.
fn is_anything(schema: &Value) -> bool {
    let says = |member: &str| {
        !matches!(
            member,
            "description"
                | "title"
                | "default"
                | "example"
                | "x-kubernetes-preserve-unknown-fields"
                | "nullable"
        )
    };
    let members = schema.as_object();
    members.is_none_or(|members| !members.keys().any(|member| says(member)))
}

fn accepts_type(old: &Value, new: &Value) -> Option<String> {
    if is_true(old, "nullable") && !is_true(new, "nullable") {
        return Some("null is refused".to_owned());
    }
    let is_either = |schema: &Value| is_true(schema, "x-kubernetes-int-or-string");
    if is_either(new) {
        let old = old.get("type").and_then(Value::as_str);
        return match old {
            None | Some("integer" | "string") => None,
            Some(old) => Some(format!("{old} is refused")),
        };
    }
    if is_either(old) {
        return new.get("type").map(|new| format!("only {new} is accepted"));
    }
    match (old.get("type"), new.get("type")) {
        (_, None) => None,
        (old, new) if old == new => None,
        (Some(old), Some(new)) if old == "integer" && new == "number" => None,
        (Some(old), Some(new)) => Some(format!("the type is {new}, not {old}")),
        (None, Some(new)) => Some(format!("only {new} is accepted")),
    }
}

fn accepts_values(old: &Value, new: &Value) -> Option<String> {
    let new = new.get("enum")?.as_array()?;
    let Some(old) = old.get("enum").and_then(Value::as_array) else {
        return Some("only some values are accepted".to_owned());
    };
    let missing = old.iter().find(|value| !new.contains(value))?;
    Some(format!("{missing} is refused"))
}

fn accepts_bounds(old: &Value, new: &Value) -> Option<String> {
    let number = |schema: &Value, member: &str| schema.get(member).and_then(Value::as_f64);
    for (members, is_tighter) in [
        (LOWER, (|old, new| new > old) as fn(f64, f64) -> bool),
        (UPPER, |old, new| new < old),
    ] {
        for member in members {
            let Some(bound) = number(new, member) else {
                continue;
            };
            if number(old, member).is_none_or(|old| is_tighter(old, bound)) {
                return Some(format!("{member} is {bound}"));
            }
        }
    }
    for member in EXACT {
        let Some(rule) = new.get(member) else {
            continue;
        };
        let is_default = matches!(rule.as_str(), Some("atomic" | "granular"));
        if old.get(member) != Some(rule) && !(is_default && old.get(member).is_none()) {
            return Some(format!("{member} is {rule}"));
        }
    }
    let flag = FLAGS
        .into_iter()
        .find(|flag| is_true(new, flag) && !is_true(old, flag))?;
    Some(format!("{flag} is new"))
}

fn accepts_members(at: &str, old: &Value, new: &Value) -> Option<String> {
    let here = if at.is_empty() { "the root" } else { at };
    let members = |schema: &Value| {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.cloned().unwrap_or_default()
    };
    let (olds, news) = (members(old), members(new));
    let required = |schema: &Value| -> Vec<Value> {
        let required = schema.get("required").and_then(Value::as_array);
        required.cloned().unwrap_or_default()
    };
    let was_required = required(old);
    let has_default = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        news.get(name)
            .is_some_and(|new| new.get("default").is_some())
    };
    let demanded = required(new);
    let mut demanded = demanded.iter();
    if let Some(name) = demanded.find(|name| !was_required.contains(name) && !has_default(name)) {
        return Some(format!("{here}: {name} is required"));
    }
    let below = |name: &str| format!("{at}/{name}");
    let rest = new
        .get("additionalProperties")
        .filter(|rest| rest.is_object());
    for (name, schema) in &olds {
        let found = match (news.get(name), rest) {
            (Some(new), _) => compare(&below(name), schema, new),
            (None, Some(rest)) => compare(&below(name), schema, rest),
            (None, None) if is_open(new) => None,
            (None, None) => Some(format!("{} is gone", below(name))),
        };
        if found.is_some() {
            return found;
        }
    }
    let old_rest = old
        .get("additionalProperties")
        .filter(|rest| rest.is_object());
    for (name, schema) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
        let found = match old_rest {
            Some(rest) => compare(&below(name), rest, schema),
            // What is dropped today is not there to be refused.
            None if is_open(old) && !is_anything(schema) => {
                Some(format!("{} has a schema", below(name)))
            }
            None => None,
        };
        if found.is_some() {
            return found;
        }
    }
    match (old_rest, rest) {
        (Some(old), Some(new)) => compare(&below("*"), old, new),
        (Some(_), None) if !is_open(new) => Some(format!("{here}: other members are dropped")),
        (None, Some(new)) if is_open(old) && !is_anything(new) => {
            Some(format!("{} has a schema", below("*")))
        }
        (None, None) if is_open(old) && !is_open(new) => {
            Some(format!("{here}: unknown members are dropped"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
