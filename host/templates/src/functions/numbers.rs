//! Numbers: conversions as lenient as sprig's, arithmetic that wraps as Go's does.

use super::Kind::{Any, Float, Int, Text};
use super::{Call, Function, Row};
use crate::error::{Failure, Outcome};
use crate::limits;
use crate::print;
use crate::value::{self, Value};

const MAX: Function = Function::open(&[Any], Any, |call| Ok(Value::Int(folded(call, i64::max))));

pub(super) const TABLE: &[Row] = &[
    (
        "int",
        Function::fixed(&[Any], |call| Ok(Value::Int(to_int(call.any(0))))),
    ),
    (
        "int64",
        Function::fixed(&[Any], |call| Ok(Value::Int(to_int(call.any(0))))),
    ),
    (
        "float64",
        Function::fixed(&[Any], |call| Ok(Value::Float(to_float(call.any(0))))),
    ),
    ("atoi", Function::fixed(&[Text], atoi)),
    ("toDecimal", Function::fixed(&[Any], to_decimal)),
    (
        "add",
        Function::open(&[], Any, |call| {
            Ok(Value::Int(
                call.args.iter().map(to_int).fold(0, i64::wrapping_add),
            ))
        }),
    ),
    (
        "add1",
        Function::fixed(&[Any], |call| {
            Ok(Value::Int(to_int(call.any(0)).wrapping_add(1)))
        }),
    ),
    (
        "sub",
        Function::fixed(&[Any, Any], |call| {
            Ok(Value::Int(folded(call, i64::wrapping_sub)))
        }),
    ),
    (
        "mul",
        Function::open(&[Any], Any, |call| {
            Ok(Value::Int(folded(call, i64::wrapping_mul)))
        }),
    ),
    (
        "div",
        Function::fixed(&[Any, Any], |call| divided(call, i64::wrapping_div)),
    ),
    (
        "mod",
        Function::fixed(&[Any, Any], |call| divided(call, i64::wrapping_rem)),
    ),
    ("max", MAX),
    ("biggest", MAX),
    (
        "min",
        Function::open(&[Any], Any, |call| Ok(Value::Int(folded(call, i64::min)))),
    ),
    (
        "maxf",
        Function::open(&[Any], Any, |call| {
            Ok(Value::Float(extreme(call, f64::max)))
        }),
    ),
    (
        "minf",
        Function::open(&[Any], Any, |call| {
            Ok(Value::Float(extreme(call, f64::min)))
        }),
    ),
    (
        "floor",
        Function::fixed(&[Any], |call| {
            Ok(Value::Float(to_float(call.any(0)).floor()))
        }),
    ),
    (
        "ceil",
        Function::fixed(&[Any], |call| {
            Ok(Value::Float(to_float(call.any(0)).ceil()))
        }),
    ),
    ("round", Function::open(&[Any, Int], Float, round)),
    ("until", Function::fixed(&[Int], until)),
    (
        "untilStep",
        Function::fixed(&[Int, Int, Int], |call| {
            steps(call.int(0)?, call.int(1)?, call.int(2)?)
                .map(|steps| value::list(steps.map(Value::Int).collect()))
        }),
    ),
    ("seq", Function::open(&[], Int, seq)),
    ("duration", Function::fixed(&[Any], duration)),
];

/// Sprig's `toInt64`: what is no number is zero.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(int) => *int,
        Value::Float(float) => truncated(*float),
        Value::String(text) => text.parse().unwrap_or(0),
        Value::Bool(truth) => i64::from(*truth),
        _ => 0,
    }
}

/// A float that no integer holds becomes the least one, as the processors do it that Go leaves this to.
fn truncated(float: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&float) {
        float as i64
    } else {
        i64::MIN
    }
}

/// Sprig's `toFloat64`: what is no number is zero.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(int) => *int as f64,
        Value::Float(float) => *float,
        Value::String(text) => {
            let float: f64 = text.parse().unwrap_or(0.0);
            // A number too large is an error to Go, so zero; infinity by name is not.
            let is_named = text.contains(['i', 'I']);
            if float.is_infinite() && !is_named {
                0.0
            } else {
                float
            }
        }
        Value::Bool(truth) => f64::from(*truth),
        _ => 0.0,
    }
}

fn folded(call: &Call<'_>, step: fn(i64, i64) -> i64) -> i64 {
    let mut numbers = call.args.iter().map(to_int);
    let first = numbers.next().unwrap_or(0);
    numbers.fold(first, step)
}

fn extreme(call: &Call<'_>, step: fn(f64, f64) -> f64) -> f64 {
    let numbers = call.args.iter().map(to_float);
    // Rust passes over what is not a number, Go does not.
    let step = |a: f64, b: f64| {
        if a.is_nan() || b.is_nan() {
            f64::NAN
        } else {
            step(a, b)
        }
    };
    numbers.reduce(step).unwrap_or(0.0)
}

fn divided(call: &Call<'_>, step: fn(i64, i64) -> i64) -> Outcome<Value> {
    match to_int(call.any(1)) {
        0 => Err("division by zero".into()),
        divisor => Ok(Value::Int(step(to_int(call.any(0)), divisor))),
    }
}

/// What is no number is zero, a number too large is the largest.
fn atoi(call: &Call<'_>) -> Outcome<Value> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    Ok(Value::Int(match call.text(0)?.parse::<i64>() {
        Ok(number) => number,
        Err(error) => match error.kind() {
            PosOverflow => i64::MAX,
            NegOverflow => i64::MIN,
            _ => 0,
        },
    }))
}

/// Reads an octal number, such as a file's mode.
fn to_decimal(call: &Call<'_>) -> Outcome<Value> {
    let digits = print::show(call.any(0))?;
    Ok(Value::Int(i64::from_str_radix(&digits, 8).unwrap_or(0)))
}

fn round(call: &Call<'_>) -> Outcome<Value> {
    let round_on = if call.args.len() > 2 {
        call.float(2)?
    } else {
        0.5
    };
    let power = 10f64.powf(call.int(1)? as f64);
    let digit = power * to_float(call.any(0));
    let rounded = if digit.fract() >= round_on {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::Float(rounded / power))
}

fn until(call: &Call<'_>) -> Outcome<Value> {
    let end = call.int(0)?;
    let steps = steps(0, end, if end < 0 { -1 } else { 1 })?;
    Ok(value::list(steps.map(Value::Int).collect()))
}

/// The numbers from a start to before an end; none if the step leads away from it.
fn steps(start: i64, end: i64, step: i64) -> Outcome<impl Iterator<Item = i64>> {
    let towards = if end < start { step < 0 } else { step > 0 };
    let count = if towards {
        let distance = i128::from(end) - i128::from(start);
        let step = i128::from(step);
        (distance + step - step.signum()) / step
    } else {
        0
    };
    if count > i128::from(limits::LIST_ELEMENTS) {
        return Err(Failure(format!("over {} numbers", limits::LIST_ELEMENTS)));
    }
    Ok((0..count as i64).map(move |index| start.wrapping_add(index.wrapping_mul(step))))
}

/// `seq [start [step]] end`, as the shell's.
fn seq(call: &Call<'_>) -> Outcome<Value> {
    let towards = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match call.args {
        [_] => {
            let end = call.int(0)?;
            (1, towards(1, end), end)
        }
        [_, _] => {
            let (start, end) = (call.int(0)?, call.int(1)?);
            (start, towards(start, end), end)
        }
        [_, _, _] => {
            let (start, step, end) = (call.int(0)?, call.int(1)?, call.int(2)?);
            if end < start && step > 0 {
                return Ok(value::text(""));
            }
            (start, step, end)
        }
        _ => return Ok(value::text("")),
    };
    let numbers = steps(start, end.wrapping_add(towards(start, end)), step)?;
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    Ok(value::text(numbers.join(" ")))
}

/// Seconds as Go writes durations: `1h0m5s`. In Go an integer literal counts as none; here it counts.
fn duration(call: &Call<'_>) -> Outcome<Value> {
    let seconds = match call.any(0) {
        Value::String(text) => text.parse().unwrap_or_default(),
        Value::Int(seconds) => *seconds,
        _ => 0,
    };
    // Go counts nanoseconds in 64 bits, and so do we, wrapping included.
    let nanoseconds = seconds.wrapping_mul(1_000_000_000);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let left = nanoseconds.unsigned_abs();
    let (whole, fraction) = (left / 1_000_000_000, left % 1_000_000_000);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let seconds = match fraction {
        0 => seconds.to_string(),
        _ => format!("{seconds}.{fraction:09}")
            .trim_end_matches('0')
            .to_owned(),
    };
    Ok(value::text(match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }))
}
