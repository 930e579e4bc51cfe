//! What server-side apply finds wrong with a configuration, in the words of `structured-merge-diff/typed`.

use serde_json::Value;

use super::{
    fields::{Path, Step},
    shape::{self, Form, Relation, Scalar, Shape},
    typed::step,
};

/// What server-side apply refuses in a configuration before it merges it: undeclared fields, other types, two
/// elements with one key.
pub(super) fn check(value: &Value, shape: &Shape) -> Vec<String> {
    problems(value, shape, false)
}

/// Whether a stored object has the types that its schema declares. It may have two elements with one key.
pub(super) fn fits(value: &Value, shape: &Shape) -> bool {
    problems(value, shape, true).is_empty()
}

fn problems(value: &Value, shape: &Shape, allow_duplicates: bool) -> Vec<String> {
    let mut check = Check {
        allow_duplicates,
        path: Vec::new(),
        problems: Vec::new(),
    };
    check.value(value, shape);
    check.problems
}

struct Check {
    allow_duplicates: bool,
    path: Path,
    problems: Vec<String>,
}

impl Check {
    fn refuse(&mut self, why: &str) {
        let place: String = self.path.iter().map(Step::to_string).collect();
        self.problems.push(if place.is_empty() {
            why.to_owned()
        } else {
            format!("{place}: {why}")
        });
    }

    fn value(&mut self, value: &Value, shape: &Shape) {
        match (shape.form(value), value) {
            (_, Value::Null) => {}
            (Form::Scalar(scalar), value) => {
                if let Some(expected) = mismatch(scalar, value) {
                    self.refuse(&format!(
                        "expected {expected}, got {}",
                        in_go(scalar, value)
                    ));
                }
            }
            (Form::Map(map), Value::Object(content)) => {
                for (name, inner) in content {
                    self.path.push(Step::Field(name.clone()));
                    match shape::field(map, name) {
                        Some((shape, _)) => self.value(inner, shape),
                        None => self.refuse("field not declared in schema"),
                    }
                    self.path.pop();
                }
            }
            (Form::List(relation, element), Value::Array(list)) => {
                self.list(list, relation, element)
            }
            (Form::Map(_), value) => {
                self.refuse(&format!("expected map, got &{{{}}}", go_text(value)))
            }
            (Form::List(..), value) => {
                self.refuse(&format!("expected list, got &{{{}}}", go_text(value)))
            }
        }
    }

    fn list(&mut self, list: &[Value], relation: &Relation, element: &Shape) {
        let mut seen: Vec<Step> = Vec::new();
        for (index, inner) in list.iter().enumerate() {
            let step = match relation {
                Relation::Atomic => Step::Index(index),
                _ => match step(relation, element, inner) {
                    Ok(step) => step,
                    Err(why) => return self.refuse(&format!("element {index}: {why}")),
                },
            };
            if !self.allow_duplicates && seen.contains(&step) {
                self.refuse(&format!("duplicate entries for key {step}"));
            }
            seen.push(step.clone());
            self.path.push(step);
            self.value(inner, element);
            self.path.pop();
        }
    }
}

/// What a scalar should have been.
fn mismatch(scalar: Scalar, value: &Value) -> Option<&'static str> {
    let (fits, expected) = match scalar {
        Scalar::Number => (value.is_number(), "numeric (int or float)"),
        Scalar::Text => (value.is_string(), "string"),
        Scalar::Boolean => (value.is_boolean(), "boolean"),
        Scalar::Any => (
            value.is_number() || value.is_string() || value.is_boolean(),
            "any scalar",
        ),
    };
    (!fits).then_some(expected)
}

/// How Go prints the value in the message about a scalar: its type, its source or its text.
fn in_go(scalar: Scalar, value: &Value) -> String {
    match scalar {
        Scalar::Number => match value {
            Value::Bool(_) => "bool",
            Value::String(_) => "string",
            Value::Array(_) => "[]interface {}",
            _ => "map[string]interface {}",
        }
        .to_owned(),
        Scalar::Text => format!("&value.valueUnstructured{{Value:{}}}", go_source(value)),
        Scalar::Boolean | Scalar::Any => format!("&{{{}}}", go_text(value)),
    }
}

/// `%#v`
fn go_source(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let inner: Vec<String> = list.iter().map(go_source).collect();
            format!("[]interface {{}}{{{}}}", inner.join(", "))
        }
        Value::Object(map) => {
            let inner: Vec<String> = map
                .iter()
                .map(|(name, inner)| format!("{name:?}:{}", go_source(inner)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", inner.join(", "))
        }
        Value::Null => "interface {}(nil)".to_owned(),
        other => other.to_string(),
    }
}

/// `%v`
fn go_text(value: &Value) -> String {
    match value {
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(go_text).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let inner: Vec<String> = map
                .iter()
                .map(|(name, inner)| format!("{name}:{}", go_text(inner)))
                .collect();
            format!("map[{}]", inner.join(" "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}
