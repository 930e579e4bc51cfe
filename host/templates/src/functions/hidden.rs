//! Functions that only [`crate::rewrite`] puts into trees. Their names cannot be written in a template.

use super::Kind::{Any, Bool, Int, Text};
use super::{Call, Function, Row, wrong};
use crate::error::{Failure, Outcome, Position};
use crate::print;
use crate::rendering::Missing;
use crate::value::{self, Value};

/// Notes the position; called before each node.
pub(crate) const AT: &str = "#at";
/// Reads a chain of fields.
pub(crate) const FIELD: &str = "#field";
/// Reads a chain of fields to be printed.
pub(crate) const PRINT_FIELD: &str = "#print-field";
/// Turns any other value into the text that an action prints.
pub(crate) const PRINT: &str = "#print";
/// Checks what is ranged over.
pub(crate) const RANGE: &str = "#range";
/// Gives nothing.
pub(crate) const NOTHING: &str = "#nothing";

pub(super) const TABLE: &[Row] = &[
    (AT, Function::fixed(&[Int, Int], at).picking()),
    (
        FIELD,
        Function::open(&[Text, Bool, Any], Text, field).picking(),
    ),
    (
        PRINT_FIELD,
        Function::open(&[Text, Bool, Any], Text, print_field),
    ),
    (PRINT, Function::fixed(&[Text, Any], print)),
    (RANGE, Function::fixed(&[Int, Any], range).picking()),
    (NOTHING, Function::fixed(&[], |_| Ok(Value::Nil)).picking()),
];

/// A failure's message with its function's name before it, unless the function is hidden.
pub(super) fn named(name: &str, message: String) -> String {
    if name.starts_with('#') {
        return message;
    }
    format!("{name}: {message}")
}

fn at(call: &Call<'_>) -> Outcome<Value> {
    call.rendering.at(Some(Position {
        line: call.int(0)? as usize,
        column: call.int(1)? as usize,
    }));
    Ok(value::text(""))
}

/// What a chain of fields leads to.
enum Found<'a> {
    Value(&'a Value),
    /// Nothing, and what of the chain it is that is absent or null.
    Nothing(String),
}

/// Follows a chain of fields as Go does: what is absent has only absent fields, what is null has none.
fn follow<'a>(call: &'a Call<'_>) -> Outcome<Found<'a>> {
    let of = call.text(0)?;
    let fields = call.rest(3);
    let named = |count: usize| {
        let mut path = of.to_owned();
        for field in fields.iter().take(count) {
            if let Value::String(field) = field {
                path.push('.');
                path.push_str(field);
            }
        }
        if path.is_empty() {
            "the dot".to_owned()
        } else {
            path
        }
    };
    let mut at = call.any(2);
    // The receiver itself is null if it is an element of a list or map, and absent otherwise.
    let mut is_present = call.bool(1)?;
    for (index, field) in fields.iter().enumerate() {
        let Value::String(field) = field else {
            return Err(wrong("a field", field));
        };
        match at {
            Value::Map(map) => match map.get(field) {
                Some(value) => {
                    at = value;
                    is_present = true;
                }
                None if call.rendering.missing == Missing::Error => {
                    return Err(Failure(format!("{} is absent", named(index + 1))));
                }
                None => return Ok(Found::Nothing(format!("{} is absent", named(index + 1)))),
            },
            Value::Nil if is_present => {
                return Err(Failure(format!(
                    "{} is null and has no field {field}",
                    named(index)
                )));
            }
            Value::Nil if call.rendering.missing == Missing::Error => {
                return Err(Failure(format!("{} is absent", named(index))));
            }
            Value::Nil => return Ok(Found::Nothing(format!("{} is absent", named(index)))),
            other => {
                return Err(Failure(format!(
                    "{} is {} and has no field {field}",
                    named(index),
                    value::description(other)
                )));
            }
        }
    }
    Ok(match at {
        Value::Nil => Found::Nothing(format!("{} is null", named(fields.len()))),
        value => Found::Value(value),
    })
}

fn field(call: &Call<'_>) -> Outcome<Value> {
    Ok(match follow(call)? {
        Found::Value(value) => value.clone(),
        Found::Nothing(_) => Value::Nil,
    })
}

fn print_field(call: &Call<'_>) -> Outcome<Value> {
    match follow(call)? {
        Found::Value(value) => printed(value),
        Found::Nothing(what) => marker(call, &what),
    }
}

fn print(call: &Call<'_>) -> Outcome<Value> {
    match call.any(1) {
        Value::Nil => marker(call, &format!("{} is absent or null", call.text(0)?)),
        value => printed(value),
    }
}

fn printed(value: &Value) -> Outcome<Value> {
    match value {
        Value::String(_) => Ok(value.clone()),
        other => print::show(other).map(value::text),
    }
}

/// The text that stands for nothing, where it may.
fn marker(call: &Call<'_>, what: &str) -> Outcome<Value> {
    if call.rendering.prints_markers() {
        return Ok(value::text(print::NO_VALUE));
    }
    Err(Failure(format!("nothing to print: {what}")))
}

/// `range` goes over lists, maps, whole numbers and nothing.
fn range(call: &Call<'_>) -> Outcome<Value> {
    match call.any(1) {
        Value::Int(_) if call.int(0)? > 1 => {
            Err("range over an integer sets one variable only".into())
        }
        value @ (Value::Int(_) | Value::List(_) | Value::Map(_) | Value::Nil) => Ok(value.clone()),
        other => Err(Failure(format!(
            "range cannot go over {}",
            value::description(other)
        ))),
    }
}
