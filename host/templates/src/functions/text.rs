//! Text. Lengths and places count bytes, as in Go.

use super::Kind::{Any, Int, Text};
use super::{Call, Function, Row, check_length};
use crate::error::{Failure, Outcome};
use crate::print;
use crate::value::{self, Map, Value, lossy};

const TRIM_ALL: Function = Function::fixed(&[Text, Text], |call| {
    let unwanted = call.text(0)?;
    Ok(value::text(
        call.text(1)?.trim_matches(|c| unwanted.contains(c)),
    ))
});

pub(super) const TABLE: &[Row] = &[
    (
        "trim",
        Function::fixed(&[Text], |call| Ok(value::text(call.text(0)?.trim()))),
    ),
    ("trimAll", TRIM_ALL),
    ("trimall", TRIM_ALL),
    (
        "trimPrefix",
        Function::fixed(&[Text, Text], |call| {
            let text = call.text(1)?;
            Ok(value::text(
                text.strip_prefix(call.text(0)?).unwrap_or(text),
            ))
        }),
    ),
    (
        "trimSuffix",
        Function::fixed(&[Text, Text], |call| {
            let text = call.text(1)?;
            Ok(value::text(
                text.strip_suffix(call.text(0)?).unwrap_or(text),
            ))
        }),
    ),
    (
        "upper",
        Function::fixed(&[Text], |call| {
            Ok(value::text(mapped(call.text(0)?, upper)))
        }),
    ),
    (
        "lower",
        Function::fixed(&[Text], |call| {
            Ok(value::text(mapped(call.text(0)?, lower)))
        }),
    ),
    ("title", Function::fixed(&[Text], title)),
    ("trunc", Function::fixed(&[Int, Text], trunc)),
    ("substr", Function::fixed(&[Int, Int, Text], substr)),
    ("repeat", Function::fixed(&[Int, Text], repeat)),
    ("replace", Function::fixed(&[Text, Text, Text], replace)),
    (
        "contains",
        Function::fixed(&[Text, Text], |call| {
            Ok(Value::Bool(call.text(1)?.contains(call.text(0)?)))
        }),
    ),
    (
        "hasPrefix",
        Function::fixed(&[Text, Text], |call| {
            Ok(Value::Bool(call.text(1)?.starts_with(call.text(0)?)))
        }),
    ),
    (
        "hasSuffix",
        Function::fixed(&[Text, Text], |call| {
            Ok(Value::Bool(call.text(1)?.ends_with(call.text(0)?)))
        }),
    ),
    (
        "quote",
        Function::open(&[], Any, |call| joined(call, |shown| print::quoted(&shown))),
    ),
    (
        "squote",
        Function::open(&[], Any, |call| joined(call, |shown| format!("'{shown}'"))),
    ),
    (
        "cat",
        Function::open(&[], Any, |call| joined(call, |shown| shown)),
    ),
    (
        "indent",
        Function::fixed(&[Int, Text], |call| indented(call).map(value::text)),
    ),
    (
        "nindent",
        Function::fixed(&[Int, Text], |call| {
            Ok(value::text(format!("\n{}", indented(call)?)))
        }),
    ),
    (
        "plural",
        Function::fixed(&[Text, Text, Int], |call| {
            Ok(value::text(if call.int(2)? == 1 {
                call.text(0)?
            } else {
                call.text(1)?
            }))
        }),
    ),
    ("join", Function::fixed(&[Text, Any], join)),
    (
        "split",
        Function::fixed(&[Text, Text], |call| {
            Ok(numbered(split(call.text(1)?, call.text(0)?, -1)))
        }),
    ),
    (
        "splitn",
        Function::fixed(&[Text, Int, Text], |call| {
            Ok(numbered(split(call.text(2)?, call.text(0)?, call.int(1)?)))
        }),
    ),
    (
        "splitList",
        Function::fixed(&[Text, Text], |call| {
            Ok(value::texts(split(call.text(1)?, call.text(0)?, -1)))
        }),
    ),
    ("sortAlpha", Function::fixed(&[Any], sort_alpha)),
    (
        "toString",
        Function::fixed(&[Any], |call| call.show(call.any(0)).map(value::text)),
    ),
    (
        "toStrings",
        Function::fixed(&[Any], |call| Ok(value::texts(strings(call, call.any(0))?))),
    ),
];

/// Maps character by character, as Go does: what would become several characters stays as it is.
fn mapped(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

fn upper(c: char) -> char {
    match c {
        // Greek letters with an iota below, whose capitals as a single character have it beside.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
        _ => single(c.to_uppercase(), c),
    }
}

fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => single(c.to_lowercase(), c),
    }
}

fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => c,
        _ => original,
    }
}

fn title(call: &Call<'_>) -> Outcome<Value> {
    let mut at_start = true;
    let titled: String = call
        .text(0)?
        .chars()
        .map(|c| {
            let titled = if at_start { upper(c) } else { c };
            at_start = match c {
                _ if c.is_ascii() => !(c.is_ascii_alphanumeric() || c == '_'),
                _ if c.is_alphanumeric() => false,
                _ => c.is_whitespace(),
            };
            titled
        })
        .collect();
    Ok(value::text(titled))
}

/// The first bytes, or with a negative count the last ones.
fn trunc(call: &Call<'_>) -> Outcome<Value> {
    let (count, text) = (call.int(0)?, call.text(1)?);
    let bytes = text.as_bytes();
    let length = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if length >= bytes.len() {
        return Ok(value::text(text));
    }
    Ok(value::text(lossy(if count < 0 {
        &bytes[bytes.len() - length..]
    } else {
        &bytes[..length]
    })))
}

fn substr(call: &Call<'_>) -> Outcome<Value> {
    let (start, end, bytes) = (call.int(0)?, call.int(1)?, call.text(2)?.as_bytes());
    // A negative start means from the beginning, where the end must be in range; else an end out of range is the end.
    let end = match usize::try_from(end) {
        Ok(end) if end <= bytes.len() => Some(end),
        _ if start < 0 => None,
        _ => Some(bytes.len()),
    };
    let start = usize::try_from(start).unwrap_or(0);
    match end.and_then(|end| bytes.get(start..end)) {
        Some(part) => Ok(value::text(lossy(part))),
        None => Err("the places are out of range".into()),
    }
}

fn repeat(call: &Call<'_>) -> Outcome<Value> {
    let (count, text) = (count(call, 0)?, call.text(1)?);
    check_length(count.saturating_mul(text.len()))?;
    // Nothing repeated is nothing, however often.
    let count = if text.is_empty() { 0 } else { count };
    Ok(value::text(text.repeat(count)))
}

fn count(call: &Call<'_>, index: usize) -> Outcome<usize> {
    usize::try_from(call.int(index)?).map_err(|_| Failure::from("the count is negative"))
}

fn replace(call: &Call<'_>) -> Outcome<Value> {
    let (old, new, text) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let matches = text.matches(old).count();
    check_length(text.len().saturating_add(matches.saturating_mul(new.len())))?;
    Ok(value::text(text.replace(old, new)))
}

/// Values as text, each in its dress, with blanks between them; nothing is left out.
fn joined(call: &Call<'_>, dressed: fn(String) -> String) -> Outcome<Value> {
    let mut shown = Vec::new();
    for arg in call.args.iter().filter(|arg| !matches!(arg, Value::Nil)) {
        shown.push(dressed(call.show(arg)?));
    }
    Ok(value::text(shown.join(" ")))
}

fn indented(call: &Call<'_>) -> Outcome<String> {
    let (count, text) = (count(call, 0)?, call.text(1)?);
    let lines = text.matches('\n').count() + 1;
    check_length(text.len().saturating_add(lines.saturating_mul(count)))?;
    let pad = " ".repeat(count);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

fn join(call: &Call<'_>) -> Outcome<Value> {
    let separator = call.text(0)?;
    let strings = strings(call, call.any(1))?;
    let length: usize = strings
        .iter()
        .map(|string| string.len() + separator.len())
        .sum();
    check_length(length)?;
    Ok(value::text(strings.join(separator)))
}

/// Sprig's `strslice`: the elements of a list as text, without those that are nothing; else the one value.
fn strings(call: &Call<'_>, value: &Value) -> Outcome<Vec<String>> {
    let items = match value {
        Value::List(items) => items,
        single => std::slice::from_ref(single),
    };
    items
        .iter()
        .filter(|item| !matches!(item, Value::Nil))
        .map(|item| call.show(item))
        .collect()
}

fn sort_alpha(call: &Call<'_>) -> Outcome<Value> {
    let mut strings = match call.any(0) {
        Value::Nil => vec![call.show(&Value::Nil)?],
        value => strings(call, value)?,
    };
    strings.sort();
    Ok(value::texts(strings))
}

/// Go's `strings.SplitN`: at most `count` parts, all of them if it is negative. Nothing splits between characters.
fn split<'a>(text: &'a str, separator: &str, count: i64) -> Vec<&'a str> {
    if count == 0 {
        return Vec::new();
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    if !separator.is_empty() {
        return text.splitn(most, separator).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == most {
            parts.push(rest);
            break;
        }
        let (part, after) = rest.split_at(first.len_utf8());
        parts.push(part);
        rest = after;
    }
    parts
}

/// Parts as a map with the keys `_0`, `_1` and so on.
fn numbered(parts: Vec<&str>) -> Value {
    let parts = parts.into_iter().enumerate();
    value::map(
        parts
            .map(|(index, part)| (format!("_{index}").into(), value::text(part)))
            .collect::<Map>(),
    )
}
