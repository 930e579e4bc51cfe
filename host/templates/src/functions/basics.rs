//! Go's built-in functions, save `and` and `or`, which are the engine's, and `slice`, which sprig replaces.

use std::cmp::Ordering;

use super::Kind::{Any, Text};
use super::{Call, Function, Row, wrong};
use crate::error::{Failure, Outcome};
use crate::print;
use crate::value::{self, Value};

pub(super) const TABLE: &[Row] = &[
    (
        "not",
        Function::fixed(&[Any], |call| Ok(Value::Bool(!call.any(0).is_truthy()))).picking(),
    ),
    ("len", Function::fixed(&[Any], len).picking()),
    ("index", Function::open(&[Any], Any, index).picking()),
    (
        "call",
        Function::open(&[Any], Any, |_| {
            Err("there are no functions in the data".into())
        })
        .picking(),
    ),
    ("eq", Function::open(&[Any, Any], Any, eq)),
    (
        "ne",
        Function::fixed(&[Any, Any], |call| {
            Ok(Value::Bool(!equal(call.any(0), call.any(1))?))
        }),
    ),
    (
        "lt",
        Function::fixed(&[Any, Any], |call| ordered(call, Ordering::is_lt)),
    ),
    (
        "le",
        Function::fixed(&[Any, Any], |call| ordered(call, Ordering::is_le)),
    ),
    (
        "gt",
        Function::fixed(&[Any, Any], |call| ordered(call, Ordering::is_gt)),
    ),
    (
        "ge",
        Function::fixed(&[Any, Any], |call| ordered(call, Ordering::is_ge)),
    ),
    (
        "print",
        Function::open(&[], Any, |call| printed(call, print::print)),
    ),
    (
        "println",
        Function::open(&[], Any, |call| printed(call, print::println)),
    ),
    ("printf", Function::open(&[Text], Any, printf)),
    (
        "html",
        Function::open(&[], Any, |call| {
            Ok(value::text(gotmpl::html_escape(&joined(call)?)))
        }),
    ),
    ("js", Function::open(&[], Any, js)),
    (
        "urlquery",
        Function::open(&[], Any, |call| {
            Ok(value::text(gotmpl::url_encode(&joined(call)?)))
        }),
    ),
];

fn len(call: &Call<'_>) -> Outcome<Value> {
    match call.any(0).len() {
        Some(length) => Ok(Value::Int(length as i64)),
        None => Err(wrong("a string, list or map", call.any(0))),
    }
}

/// `index` is not bound by the setting for absent values: an absent key of a map is nothing, and of a string map it is
/// the empty string, as in Go.
fn index(call: &Call<'_>) -> Outcome<Value> {
    let mut at = call.any(0).clone();
    if matches!(at, Value::Nil) {
        return Err(wrong("a list, map or string", &at));
    }
    for index in call.rest(1) {
        at = match (&at, index) {
            (Value::List(items), Value::Int(wanted)) => {
                let item = usize::try_from(*wanted)
                    .ok()
                    .and_then(|wanted| items.get(wanted));
                item.cloned().ok_or("the index is out of range")?
            }
            (Value::String(text), Value::Int(wanted)) => {
                let byte = usize::try_from(*wanted)
                    .ok()
                    .and_then(|wanted| text.as_bytes().get(wanted));
                Value::Int(i64::from(*byte.ok_or("the index is out of range")?))
            }
            (Value::Map(map), Value::String(key)) => match map.get(key) {
                Some(value) => value.clone(),
                None if call.rendering.is_string_map(map) => value::text(""),
                None => Value::Nil,
            },
            (at @ (Value::List(_) | Value::String(_) | Value::Map(_)), index) => {
                return Err(Failure(format!(
                    "{} has no index that is {}",
                    value::description(at),
                    value::description(index)
                )));
            }
            (at, _) => return Err(wrong("a list, map or string", at)),
        };
    }
    Ok(at)
}

fn eq(call: &Call<'_>) -> Outcome<Value> {
    let left = call.any(0);
    for right in call.rest(1) {
        if equal(left, right)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Equality as Go's `eq` has it: a number that is a float and one that is an integer cannot be compared.
fn equal(left: &Value, right: &Value) -> Outcome<bool> {
    match (left, right) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        _ => Err(incomparable(left, right)),
    }
}

fn ordered(call: &Call<'_>, wanted: fn(Ordering) -> bool) -> Outcome<Value> {
    let order = match (call.any(0), call.any(1)) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        // Not a number is in no order with anything.
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (left, right) => return Err(incomparable(left, right)),
    };
    Ok(Value::Bool(order.is_some_and(wanted)))
}

fn incomparable(left: &Value, right: &Value) -> Failure {
    Failure(format!(
        "cannot compare {} with {}; numbers of the data may need int or float64",
        value::description(left),
        value::description(right)
    ))
}

/// Refuses to print nothing, where that is refused.
fn check_printable(call: &Call<'_>, args: &[Value]) -> Outcome<()> {
    match args.iter().position(|arg| matches!(arg, Value::Nil)) {
        Some(index) if !call.rendering.prints_markers() => Err(Failure(format!(
            "would print an absent or null value (argument {})",
            call.args.len() - args.len() + index + 1
        ))),
        _ => Ok(()),
    }
}

fn printed(call: &Call<'_>, print: fn(&[Value]) -> Outcome<String>) -> Outcome<Value> {
    check_printable(call, call.args)?;
    print(call.args).map(value::text)
}

fn printf(call: &Call<'_>) -> Outcome<Value> {
    check_printable(call, call.rest(1))?;
    let printed = print::printf(call.text(0)?, call.rest(1))?;
    match printed.complaint {
        Some(complaint) if !call.rendering.prints_markers() => Err(Failure(complaint)),
        _ => Ok(value::text(printed.text)),
    }
}

fn js(call: &Call<'_>) -> Outcome<Value> {
    let mut escaped = String::new();
    for c in gotmpl::js_escape(&joined(call)?).chars() {
        // The engine's function leaves characters that cannot be seen.
        if c.is_ascii() || print::is_printable(c) {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("\\u{:04X}", u32::from(c)));
        }
    }
    Ok(value::text(escaped))
}

/// The arguments of an escaping function as one text.
fn joined(call: &Call<'_>) -> Outcome<String> {
    check_printable(call, call.args)?;
    let args: Vec<Value> = call
        .args
        .iter()
        .map(|arg| match arg {
            Value::Nil => value::text(print::NO_VALUE),
            other => other.clone(),
        })
        .collect();
    print::print(&args)
}
