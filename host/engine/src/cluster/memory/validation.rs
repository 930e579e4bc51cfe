//! Whether a custom resource keeps to its schema, in the words of `kube-openapi/pkg/validation`. CEL rules are not
//! looked at.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{super::Part, kinds::Kind, metadata::problem};

/// Each problem as the API server words it. What a change leaves as it was is not held against it.
pub(super) fn problems(kind: &Kind, new: &Value, old: Option<&Value>, part: Part) -> Vec<String> {
    let Some(whole) = &kind.schema else {
        return Vec::new();
    };
    let (prefix, schema, new, old) = match part {
        Part::Main => ("", &**whole, new, old),
        Part::Status => (
            "status",
            &whole["properties"]["status"],
            &new["status"],
            old.map(|old| &old["status"]),
        ),
    };
    if part == Part::Status && new.is_null() {
        return Vec::new();
    }
    let mut checker = Checker {
        prefix,
        problems: Vec::new(),
    };
    checker.value("", new, old, schema);
    let mut duplicates = Vec::new();
    duplicates_in(prefix, new, schema, &mut duplicates);
    let mut before = Vec::new();
    if let Some(old) = old {
        duplicates_in(prefix, old, schema, &mut before);
    }
    if before.is_empty() {
        checker.problems.extend(duplicates);
    }
    if checker.problems.iter().any(|problem| is_blocking(problem)) && has_rules(whole) {
        checker.problems.push(
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation"
                .to_owned(),
        );
    }
    checker.problems
}

/// Whether the API server evaluates no CEL rule because of this problem.
fn is_blocking(problem: &str) -> bool {
    let kinds = [
        ": Unsupported value: ",
        ": Required value",
        ": Too long: ",
        ": Too many: ",
        " in body must be of type ",
    ];
    kinds.iter().any(|kind| problem.contains(kind))
}

/// Whether a schema has CEL rules anywhere.
fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("x-kubernetes-validations") || map.values().any(has_rules)
        }
        Value::Array(list) => list.iter().any(has_rules),
        _ => false,
    }
}

struct Checker<'a> {
    /// Where the checked value is in the object.
    prefix: &'a str,
    problems: Vec<String>,
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The type that JSON schema sees in a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Checker<'_> {
    fn place(&self, path: &str) -> String {
        match (self.prefix.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.prefix.to_owned(),
            (false, false) => format!("{}.{path}", self.prefix),
        }
    }

    /// `why` goes on after the field's name.
    fn invalid(&mut self, path: &str, value: &Value, why: &str) {
        let text = problem(&self.place(path), value, &format!("{path} in body {why}"));
        self.problems.push(text);
    }

    fn value(&mut self, path: &str, value: &Value, old: Option<&Value>, schema: &Value) {
        if old == Some(value) {
            return;
        }
        let has_type = self.has_type(path, value, schema);
        if !value.is_null() {
            self.in_enum(path, value, schema);
        }
        if value.is_f64() && schema["type"] == "integer" {
            self.problems.push(format!(
                "<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in {path}"
            ));
        }
        if !has_type {
            if let Value::Number(_) = value {
                self.number(path, value, schema);
            }
            return;
        }
        match value {
            Value::String(text) => self.text(path, text, value, schema),
            Value::Number(_) => self.number(path, value, schema),
            Value::Array(list) => self.list(path, list, old, schema),
            Value::Object(map) => self.map(path, map, old, schema),
            _ => {}
        }
        self.combinations(path, value, old, schema);
    }

    fn has_type(&mut self, path: &str, value: &Value, schema: &Value) -> bool {
        let found = type_of(value);
        let wanted = match schema["type"].as_str() {
            _ if schema["x-kubernetes-int-or-string"] == json!(true) => "integer,string",
            Some(wanted) => wanted,
            None => return true,
        };
        let fits = wanted.split(',').any(|wanted| wanted == found)
            || (wanted == "number" && found == "integer")
            || (value.is_null() && schema["nullable"] == json!(true));
        if !fits {
            self.invalid(
                path,
                &found.into(),
                &format!("must be of type {wanted}: {found:?}"),
            );
        }
        // Null is nothing to look at further.
        fits && !value.is_null()
    }

    fn in_enum(&mut self, path: &str, value: &Value, schema: &Value) {
        let Some(allowed) = schema["enum"].as_array() else {
            return;
        };
        if allowed.contains(value) {
            return;
        }
        let quoted = |value: &Value| match value {
            Value::String(text) => format!("{text:?}"),
            other => format!("{:?}", other.to_string()),
        };
        let allowed: Vec<String> = allowed.iter().map(quoted).collect();
        let place = self.place(path);
        self.problems.push(format!(
            "{place}: Unsupported value: {value}: supported values: {}",
            allowed.join(", ")
        ));
    }

    fn text(&mut self, path: &str, text: &str, value: &Value, schema: &Value) {
        let length = text.chars().count() as u64;
        if let Some(limit) = schema["maxLength"].as_u64().filter(|limit| length > *limit) {
            let unit = if limit == 1 { "byte" } else { "bytes" };
            let place = self.place(path);
            self.problems.push(format!(
                "{place}: Too long: may not be more than {limit} {unit}"
            ));
        }
        if let Some(limit) = schema["minLength"].as_u64().filter(|limit| length < *limit) {
            self.invalid(
                path,
                value,
                &format!("should be at least {limit} chars long"),
            );
        }
        if let Some(pattern) = schema["pattern"]
            .as_str()
            .filter(|pattern| !matches_pattern(pattern, text))
        {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
        if let Some(format) = schema["format"]
            .as_str()
            .filter(|format| !has_format(format, text))
        {
            self.invalid(path, value, &format!("must be of type {format}: {text:?}"));
        }
    }

    fn number(&mut self, path: &str, value: &Value, schema: &Value) {
        let Some(number) = value.as_f64() else { return };
        let limit = |name: &str| schema[name].as_f64();
        let exclusive = |name: &str| schema[name] == json!(true);
        if let Some(least) = limit("minimum") {
            if exclusive("exclusiveMinimum") && number <= least {
                self.invalid(
                    path,
                    value,
                    &format!("should be greater than {}", schema["minimum"]),
                );
            } else if number < least {
                self.invalid(
                    path,
                    value,
                    &format!("should be greater than or equal to {}", schema["minimum"]),
                );
            }
        }
        if let Some(most) = limit("maximum") {
            if exclusive("exclusiveMaximum") && number >= most {
                self.invalid(
                    path,
                    value,
                    &format!("should be less than {}", schema["maximum"]),
                );
            } else if number > most {
                self.invalid(
                    path,
                    value,
                    &format!("should be less than or equal to {}", schema["maximum"]),
                );
            }
        }
        if let Some(factor) = limit("multipleOf").filter(|factor| number % factor != 0.0) {
            self.invalid(path, value, &format!("should be a multiple of {factor}"));
        }
    }

    fn count(&mut self, path: &str, count: usize, schema: &Value, names: (&str, &str), unit: &str) {
        let count = count as u64;
        if let Some(least) = schema[names.0].as_u64().filter(|least| count < *least) {
            self.invalid(
                path,
                &json!(count),
                &format!("should have at least {least} {unit}"),
            );
        }
        if let Some(most) = schema[names.1].as_u64().filter(|most| count > *most) {
            let items = if most == 1 { "item" } else { "items" };
            let place = self.place(path);
            self.problems.push(format!(
                "{place}: Too many: {count}: must have at most {most} {items}"
            ));
        }
    }

    fn list(&mut self, path: &str, list: &[Value], old: Option<&Value>, schema: &Value) {
        self.count(path, list.len(), schema, ("minItems", "maxItems"), "items");
        let Some(items) = schema.get("items") else {
            return;
        };
        for (index, value) in list.iter().enumerate() {
            let before = old.and_then(|old| counterpart(value, old, schema));
            self.value(&format!("{path}[{index}]"), value, before, items);
        }
    }

    fn map(&mut self, path: &str, map: &Map<String, Value>, old: Option<&Value>, schema: &Value) {
        self.count(
            path,
            map.len(),
            schema,
            ("minProperties", "maxProperties"),
            "properties",
        );
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !map.contains_key(name) {
                let place = self.place(&child(path, name));
                self.problems.push(format!("{place}: Required value"));
            }
        }
        for (name, value) in map {
            let property = schema["properties"]
                .get(name)
                .or_else(|| schema.get("additionalProperties"));
            if let Some(property) = property.filter(|property| property.is_object()) {
                self.value(
                    &child(path, name),
                    value,
                    old.and_then(|old| old.get(name)),
                    property,
                );
            }
        }
    }

    /// How many of the alternatives the value keeps to.
    fn fitting(
        &self,
        path: &str,
        value: &Value,
        old: Option<&Value>,
        alternatives: &[Value],
    ) -> usize {
        let fits = |schema: &&Value| {
            let mut inner = Checker {
                prefix: self.prefix,
                problems: Vec::new(),
            };
            inner.value(path, value, old, schema);
            inner.problems.is_empty()
        };
        alternatives.iter().filter(fits).count()
    }

    fn combinations(&mut self, path: &str, value: &Value, old: Option<&Value>, schema: &Value) {
        let alternatives = |name: &str| schema[name].as_array().map(Vec::as_slice);
        let mut refuse = |why: &str| {
            self.problems
                .push(format!("<nil>: Invalid value: \"\": {path:?} {why}"))
        };
        let checker = Checker {
            prefix: "",
            problems: Vec::new(),
        };
        let fitting = |alternatives: &[Value]| checker.fitting(path, value, old, alternatives);
        if let Some(all) = alternatives("allOf").filter(|all| fitting(all) < all.len()) {
            let none = if fitting(all) == 0 {
                ". None validated"
            } else {
                ""
            };
            refuse(&format!("must validate all the schemas (allOf){none}"));
        }
        if alternatives("anyOf").is_some_and(|any| !any.is_empty() && fitting(any) == 0) {
            refuse("must validate at least one schema (anyOf)");
        }
        match alternatives("oneOf")
            .filter(|one| !one.is_empty())
            .map(fitting)
        {
            None | Some(1) => {}
            Some(0) => refuse("must validate one and only one schema (oneOf). Found none valid"),
            Some(count) => {
                refuse(&format!(
                    "must validate one and only one schema (oneOf). Found {count} valid alternatives"
                ));
            }
        }
        if schema
            .get("not")
            .is_some_and(|not| fitting(std::slice::from_ref(not)) == 1)
        {
            refuse("must not validate the schema (not)");
        }
    }
}

/// The element that an element of a keyed list was before.
fn counterpart<'a>(value: &Value, old: &'a Value, schema: &Value) -> Option<&'a Value> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let same = |other: &&Value| {
        keys.iter()
            .filter_map(Value::as_str)
            .all(|key| value.get(key) == other.get(key))
    };
    old.as_array()?.iter().find(same)
}

/// Elements that occur twice where each must be alone.
fn duplicates_in(path: &str, value: &Value, schema: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if let Some(property) = schema["properties"].get(name) {
                    duplicates_in(&child(path, name), inner, property, out);
                } else if schema["additionalProperties"].is_object() {
                    duplicates_in(
                        &format!("{path}[{name}]"),
                        inner,
                        &schema["additionalProperties"],
                        out,
                    );
                }
            }
        }
        Value::Array(list) => {
            let identities: Vec<Value> = match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => list.clone(),
                Some("map") => {
                    let is_none = |element: &&Value| !element.is_object() && !element.is_null();
                    if let Some((index, other)) = list
                        .iter()
                        .enumerate()
                        .find(|(_, element)| is_none(element))
                    {
                        let why = "must be an object for an array of list-type map";
                        out.push(problem(&format!("{path}[{index}]"), other, why));
                        return;
                    }
                    list.iter()
                        .map(|element| identity(element, schema))
                        .collect()
                }
                _ => Vec::new(),
            };
            for (index, own) in identities.iter().enumerate() {
                // Told once, however often it occurs.
                if identities[..index]
                    .iter()
                    .filter(|other| *other == own)
                    .count()
                    == 1
                {
                    out.push(format!("{path}[{index}]: Duplicate value: {own}"));
                }
            }
            for (index, inner) in list.iter().enumerate() {
                duplicates_in(&format!("{path}[{index}]"), inner, &schema["items"], out);
            }
        }
        _ => {}
    }
}

fn identity(element: &Value, schema: &Value) -> Value {
    let keys = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    Value::Object(
        keys.filter_map(|key| Some((key.to_owned(), element.get(key)?.clone())))
            .collect(),
    )
}

/// A pattern that cannot be compiled, which the API server refuses in a CRD, allows everything.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    static PATTERNS: LazyLock<Mutex<HashMap<String, Option<Regex>>>> =
        LazyLock::new(Mutex::default);
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = patterns
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).ok());
    compiled.as_ref().is_none_or(|regex| regex.is_match(text))
}

/// The formats that something here depends on; others are let pass.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}
