//! JSON as Go writes it: sorted keys, `<`, `>`, `&` and two line separators escaped, and its own form of numbers.

use std::fmt::Write;

use super::Kind::{Any, Text};
use super::{Call, Function, Row, check_length};
use crate::data;
use crate::error::Outcome;
use crate::print;
use crate::value::{self, Value};

pub(super) const TABLE: &[Row] = &[
    (
        "toJson",
        Function::fixed(&[Any], |call| lenient(call, COMPACT)),
    ),
    (
        "toPrettyJson",
        Function::fixed(&[Any], |call| lenient(call, PRETTY)),
    ),
    (
        "toRawJson",
        Function::fixed(&[Any], |call| written(call, RAW)),
    ),
    (
        "mustToJson",
        Function::fixed(&[Any], |call| written(call, COMPACT)),
    ),
    (
        "mustToPrettyJson",
        Function::fixed(&[Any], |call| written(call, PRETTY)),
    ),
    (
        "mustToRawJson",
        Function::fixed(&[Any], |call| written(call, RAW)),
    ),
    (
        "fromJson",
        Function::fixed(&[Text], |call| Ok(read(call).unwrap_or(Value::Nil))),
    ),
    ("mustFromJson", Function::fixed(&[Text], read)),
];

#[derive(Clone, Copy)]
struct Style {
    escapes_html: bool,
    indents: bool,
}

const COMPACT: Style = Style {
    escapes_html: true,
    indents: false,
};
const PRETTY: Style = Style {
    escapes_html: true,
    indents: true,
};
const RAW: Style = Style {
    escapes_html: false,
    indents: false,
};

fn read(call: &Call<'_>) -> Outcome<Value> {
    match serde_json::from_str(call.text(0)?) {
        Ok(json) => Ok(data::decoded(json)),
        Err(error) => Err(format!(
            "the text is no JSON (line {}, column {})",
            error.line(),
            error.column()
        )
        .into()),
    }
}

fn written(call: &Call<'_>, style: Style) -> Outcome<Value> {
    let mut writer = Writer {
        out: String::new(),
        style,
    };
    writer.value(call.any(0), 0)?;
    Ok(value::text(writer.out))
}

/// The lenient forms give an empty text for what JSON cannot say, which is infinity and what is no number. Where
/// markers must not be printed, they fail.
fn lenient(call: &Call<'_>, style: Style) -> Outcome<Value> {
    match written(call, style) {
        Err(_) if call.rendering.prints_markers() => Ok(value::text("")),
        outcome => outcome,
    }
}

struct Writer {
    out: String,
    style: Style,
}

impl Writer {
    fn value(&mut self, value: &Value, level: usize) -> Outcome<()> {
        match value {
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(int) => self.out.push_str(&int.to_string()),
            Value::Float(float) if float.is_finite() => {
                self.out.push_str(&print::json_number(*float))
            }
            Value::Float(_) => return Err("JSON has no such number".into()),
            Value::String(text) => self.string(text),
            Value::List(items) => {
                self.items(['[', ']'], level, items.iter().map(|item| (None, item)))?
            }
            Value::Map(entries) => {
                self.items(
                    ['{', '}'],
                    level,
                    entries.iter().map(|(key, item)| (Some(&**key), item)),
                )?;
            }
            _ => self.out.push_str("null"),
        }
        check_length(self.out.len())
    }

    fn items<'a>(
        &mut self,
        brackets: [char; 2],
        level: usize,
        items: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    ) -> Outcome<()> {
        self.out.push(brackets[0]);
        let mut is_empty = true;
        for (key, item) in items {
            if !is_empty {
                self.out.push(',');
            }
            is_empty = false;
            self.line(level + 1);
            if let Some(key) = key {
                self.string(key);
                self.out
                    .push_str(if self.style.indents { ": " } else { ":" });
            }
            self.value(item, level + 1)?;
        }
        if !is_empty {
            self.line(level);
        }
        self.out.push(brackets[1]);
        Ok(())
    }

    fn line(&mut self, level: usize) {
        if self.style.indents {
            self.out.push('\n');
            self.out.push_str(&"  ".repeat(level));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => self.escape(c),
                '<' | '>' | '&' if self.style.escapes_html => self.escape(c),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "\\u{:04x}", u32::from(c));
    }
}
