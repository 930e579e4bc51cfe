//! Lists.

use super::Kind::{Any, Int};
use super::defaults::is_empty;
use super::{Call, Function, Row, numbers, wrong};
use crate::error::{Failure, Outcome};
use crate::limits;
use crate::value::{self, Size, Value, deep_equal};

const FIRST: Function = Function::fixed(&[Any], |call| {
    Ok(call.list(0)?.first().cloned().unwrap_or(Value::Nil))
})
.picking();
const LAST: Function = Function::fixed(&[Any], |call| {
    Ok(call.list(0)?.last().cloned().unwrap_or(Value::Nil))
})
.picking();
const REST: Function = Function::fixed(&[Any], |call| {
    Ok(value::list(call.list(0)?.iter().skip(1).cloned().collect()))
});
const INITIAL: Function = Function::fixed(&[Any], |call| {
    Ok(value::list(
        call.list(0)?
            .split_last()
            .map_or_else(Vec::new, |(_, initial)| initial.to_vec()),
    ))
});
const APPEND: Function = Function::fixed(&[Any, Any], |call| {
    Ok(value::list(
        [call.list(0)?, &[call.any(1).clone()]].concat(),
    ))
});
const PREPEND: Function = Function::fixed(&[Any, Any], |call| {
    Ok(value::list(
        [&[call.any(1).clone()], call.list(0)?].concat(),
    ))
});
const REVERSE: Function = Function::fixed(&[Any], |call| {
    Ok(value::list(call.list(0)?.iter().rev().cloned().collect()))
});
const UNIQ: Function = Function::fixed(&[Any], uniq);
const COMPACT: Function = Function::fixed(&[Any], |call| {
    Ok(value::list(
        call.list(0)?
            .iter()
            .filter(|item| !is_empty(item))
            .cloned()
            .collect(),
    ))
});
const WITHOUT: Function = Function::open(&[Any], Any, without);
const HAS: Function = Function::fixed(&[Any, Any], has);
const SLICE: Function = Function::open(&[Any], Any, slice);
const CHUNK: Function = Function::fixed(&[Int, Any], chunk);
const LIST: Function = Function::open(&[], Any, |call| Ok(value::list(call.args.to_vec())));

pub(super) const TABLE: &[Row] = &[
    ("list", LIST),
    ("tuple", LIST),
    ("first", FIRST),
    ("mustFirst", FIRST),
    ("last", LAST),
    ("mustLast", LAST),
    ("rest", REST),
    ("mustRest", REST),
    ("initial", INITIAL),
    ("mustInitial", INITIAL),
    ("append", APPEND),
    ("mustAppend", APPEND),
    ("push", APPEND),
    ("mustPush", APPEND),
    ("prepend", PREPEND),
    ("mustPrepend", PREPEND),
    ("concat", Function::open(&[], Any, concat)),
    ("reverse", REVERSE),
    ("mustReverse", REVERSE),
    ("uniq", UNIQ),
    ("mustUniq", UNIQ),
    ("compact", COMPACT),
    ("mustCompact", COMPACT),
    ("without", WITHOUT),
    ("mustWithout", WITHOUT),
    ("has", HAS),
    ("mustHas", HAS),
    ("slice", SLICE),
    ("mustSlice", SLICE),
    ("chunk", CHUNK),
    ("mustChunk", CHUNK),
];

fn concat(call: &Call<'_>) -> Outcome<Value> {
    let mut items = Vec::new();
    for list in call.args {
        match list {
            Value::List(more) => items.extend_from_slice(more),
            other => return Err(wrong("lists", other)),
        }
    }
    Ok(value::list(items))
}

fn uniq(call: &Call<'_>) -> Outcome<Value> {
    let items = call.list(0)?;
    if items.len() > limits::UNIQ_ELEMENTS {
        return Err(Failure(format!(
            "the list has over {} elements",
            limits::UNIQ_ELEMENTS
        )));
    }
    // Each element is compared with each before it, which is cheap next to the copying that work is counted in.
    let mut size = Size::default();
    size.add(call.any(0), limits::ARGUMENT_SIZE)?;
    call.rendering
        .charge(size.work() * items.len() as u64 / 16)?;

    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.iter().any(|known| deep_equal(known, item)) {
            kept.push(item.clone());
        }
    }
    Ok(value::list(kept))
}

fn without(call: &Call<'_>) -> Outcome<Value> {
    let (items, omitted) = (call.list(0)?, call.rest(1));
    call.rendering
        .charge(items.len() as u64 * omitted.len() as u64)?;
    let kept = items
        .iter()
        .filter(|item| !omitted.iter().any(|omitted| deep_equal(omitted, item)));
    Ok(value::list(kept.cloned().collect()))
}

fn has(call: &Call<'_>) -> Outcome<Value> {
    if matches!(call.any(1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let needle = call.any(0);
    let found = call.list(1)?.iter().any(|item| deep_equal(needle, item));
    Ok(Value::Bool(found))
}

/// `slice list [from [to]]`. A slice of an empty list is nothing.
fn slice(call: &Call<'_>) -> Outcome<Value> {
    let items = call.list(0)?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, otherwise: usize| match call.args.get(index) {
        Some(bound) => usize::try_from(numbers::to_int(bound))
            .map_err(|_| Failure::from("a bound is negative")),
        None => Ok(otherwise),
    };
    match items.get(bound(1, 0)?..bound(2, items.len())?) {
        Some(slice) => Ok(value::list(slice.to_vec())),
        None => Err("the bounds are out of range".into()),
    }
}

fn chunk(call: &Call<'_>) -> Outcome<Value> {
    let size = usize::try_from(call.int(0)?).unwrap_or(0);
    if size == 0 {
        return Err("the size must be positive".into());
    }
    let chunks = call.list(1)?.chunks(size);
    Ok(value::list(
        chunks.map(|chunk| value::list(chunk.to_vec())).collect(),
    ))
}
