//! Regular expressions, as Go's package `regexp` has them.

use regex::{Captures, Regex, RegexBuilder};

use super::Kind::{Int, Text};
use super::{Call, Function, Row, check_length, pattern};
use crate::error::Outcome;
use crate::limits;
use crate::value::{self, Value};

const FIND: Function = Function::fixed(&[Text, Text], |call| {
    let found = compiled(call)?
        .find(call.text(1)?)
        .map_or("", |found| found.as_str());
    Ok(value::text(found))
});
const FIND_ALL: Function = Function::fixed(&[Text, Text, Int], |call| {
    let regex = compiled(call)?;
    Ok(value::texts(
        regex
            .find_iter(call.text(1)?)
            .take(at_most(call)?)
            .map(|found| found.as_str()),
    ))
});
const REPLACE_ALL: Function = Function::fixed(&[Text, Text, Text], |call| {
    let template = call.text(2)?;
    replaced(call, |captures, out| expand(template, captures, out))
});
const REPLACE_ALL_LITERAL: Function = Function::fixed(&[Text, Text, Text], |call| {
    let text = call.text(2)?;
    replaced(call, |_, out| out.push_str(text))
});
const SPLIT: Function = Function::fixed(&[Text, Text, Int], split);

pub(super) const TABLE: &[Row] = &[
    (
        "regexMatch",
        Function::fixed(&[Text, Text], |call| {
            // Alone among the lenient forms it passes over a bad pattern.
            Ok(Value::Bool(compiled(call).is_ok_and(|regex| {
                call.text(1).is_ok_and(|text| regex.is_match(text))
            })))
        }),
    ),
    (
        "mustRegexMatch",
        Function::fixed(&[Text, Text], |call| {
            Ok(Value::Bool(compiled(call)?.is_match(call.text(1)?)))
        }),
    ),
    ("regexFind", FIND),
    ("mustRegexFind", FIND),
    ("regexFindAll", FIND_ALL),
    ("mustRegexFindAll", FIND_ALL),
    ("regexReplaceAll", REPLACE_ALL),
    ("mustRegexReplaceAll", REPLACE_ALL),
    ("regexReplaceAllLiteral", REPLACE_ALL_LITERAL),
    ("mustRegexReplaceAllLiteral", REPLACE_ALL_LITERAL),
    ("regexSplit", SPLIT),
    ("mustRegexSplit", SPLIT),
    (
        "regexQuoteMeta",
        Function::fixed(&[Text], |call| Ok(value::text(quote_meta(call.text(0)?)))),
    ),
];

/// What an expression may cost: its size when compiled, the work of compiling it, and the work per byte of text.
struct Class {
    bytes: usize,
    compile: u64,
    per_byte: u64,
}

/// A search takes time by the product of both sizes, at worst. So large expressions cost more.
const CLASSES: [Class; 2] = [
    Class {
        bytes: limits::REGEX_BYTES / 8,
        compile: 32 * 1024,
        per_byte: 16,
    },
    Class {
        bytes: limits::REGEX_BYTES,
        compile: 1024 * 1024,
        per_byte: 256,
    },
];

fn compiled(call: &Call<'_>) -> Outcome<Regex> {
    let pattern = pattern::translated(call.text(0)?)?;
    let length = call.text(1)?.len() as u64;
    for class in CLASSES {
        call.rendering
            .charge(class.compile + class.per_byte * length)?;
        match RegexBuilder::new(&pattern).size_limit(class.bytes).build() {
            Ok(regex) => return Ok(regex),
            Err(regex::Error::CompiledTooBig(_)) => {}
            // The error itself would show the pattern, which may come from data.
            Err(_) => return Err(pattern::invalid()),
        }
    }
    Err("the regular expression is too large".into())
}

/// How many matches are wanted: all, if the number is negative.
fn at_most(call: &Call<'_>) -> Outcome<usize> {
    Ok(usize::try_from(call.int(2)?).unwrap_or(usize::MAX))
}

fn replaced(call: &Call<'_>, replacement: impl Fn(&Captures<'_>, &mut String)) -> Outcome<Value> {
    let (regex, text) = (compiled(call)?, call.text(1)?);
    let mut out = String::new();
    let mut last = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(&text[last..whole.start()]);
        replacement(&captures, &mut out);
        check_length(out.len())?;
        last = whole.end();
    }
    out.push_str(&text[last..]);
    Ok(value::text(out))
}

/// Writes a replacement, in which `$1`, `${1}`, `$name` and `${name}` stand for groups, and `$$` for a dollar.
fn expand(template: &str, captures: &Captures<'_>, out: &mut String) {
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(rest) {
            let group = match name.parse::<usize>() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

/// The name of a group after a dollar, and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let (inner, braced) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let length = inner
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(inner.len());
    let (name, after) = inner.split_at(length);
    let after = if braced {
        after.strip_prefix('}')?
    } else {
        after
    };
    (!name.is_empty()).then_some((name, after))
}

fn split(call: &Call<'_>) -> Outcome<Value> {
    let (regex, text, count) = (compiled(call)?, call.text(1)?, call.int(2)?);
    if count == 0 {
        return Ok(value::list(Vec::new()));
    }
    if text.is_empty() && !call.text(0)?.is_empty() {
        return Ok(value::texts([""]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in regex.find_iter(text).take(at_most(call)?) {
        if count > 0 && parts.len() as i64 == count - 1 {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[start..end]);
        }
        start = found.end();
    }
    if end != text.len() {
        parts.push(&text[start..]);
    }
    Ok(value::texts(parts))
}

fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
