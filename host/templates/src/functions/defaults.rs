//! Defaults, conditions and the names of types.

use super::Kind::{Any, Bool, Text};
use super::{Call, Function, Row};
use crate::error::{Failure, Outcome};
use crate::value::{self, Value};

pub(super) const TABLE: &[Row] = &[
    ("default", Function::open(&[Any], Any, default).picking()),
    (
        "empty",
        Function::fixed(&[Any], |call| Ok(Value::Bool(is_empty(call.any(0))))).picking(),
    ),
    ("coalesce", Function::open(&[], Any, coalesce).picking()),
    (
        "all",
        Function::open(&[], Any, |call| {
            Ok(Value::Bool(!call.args.iter().any(is_empty)))
        })
        .picking(),
    ),
    (
        "any",
        Function::open(&[], Any, |call| {
            Ok(Value::Bool(!call.args.iter().all(is_empty)))
        })
        .picking(),
    ),
    (
        "ternary",
        Function::fixed(&[Any, Any, Bool], ternary).picking(),
    ),
    (
        "fail",
        Function::fixed(&[Text], |call| Err(Failure(call.text(0)?.to_owned()))),
    ),
    ("hello", Function::fixed(&[], |_| Ok(value::text("Hello!")))),
    (
        "typeOf",
        Function::fixed(&[Any], |call| {
            Ok(value::text(value::type_name(call.any(0))))
        })
        .picking(),
    ),
    ("typeIs", Function::fixed(&[Text, Any], type_is).picking()),
    (
        "typeIsLike",
        Function::fixed(&[Text, Any], type_is).picking(),
    ),
    (
        "kindOf",
        Function::fixed(&[Any], |call| {
            Ok(value::text(value::kind_name(call.any(0))))
        })
        .picking(),
    ),
    ("kindIs", Function::fixed(&[Text, Any], kind_is).picking()),
    (
        "deepEqual",
        Function::fixed(&[Any, Any], |call| {
            Ok(Value::Bool(value::deep_equal(call.any(0), call.any(1))))
        }),
    ),
];

/// `false`, zero, and what has no elements count as unset.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_truthy()
}

fn default(call: &Call<'_>) -> Outcome<Value> {
    let given = call.any(1);
    Ok(if is_empty(given) { call.any(0) } else { given }.clone())
}

fn coalesce(call: &Call<'_>) -> Outcome<Value> {
    let found = call.args.iter().find(|arg| !is_empty(arg));
    Ok(found.cloned().unwrap_or(Value::Nil))
}

fn ternary(call: &Call<'_>) -> Outcome<Value> {
    Ok(call.any(if call.bool(2)? { 0 } else { 1 }).clone())
}

/// Nothing here is a pointer, so that the like of a type is the type.
fn type_is(call: &Call<'_>) -> Outcome<Value> {
    Ok(Value::Bool(call.text(0)? == value::type_name(call.any(1))))
}

fn kind_is(call: &Call<'_>) -> Outcome<Value> {
    Ok(Value::Bool(call.text(0)? == value::kind_name(call.any(1))))
}
