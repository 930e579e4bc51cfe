//! Values as Go sees them: their names, their emptiness, their equality, their size.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use gotmpl::Value;

use crate::error::{Failure, Outcome};
use crate::limits;

/// A map value: sorted, as Go prints and ranges over maps.
pub(crate) type Map = BTreeMap<Arc<str>, Value>;

pub(crate) fn text(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

pub(crate) fn list(items: Vec<Value>) -> Value {
    Value::List(Arc::from(items))
}

pub(crate) fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    list(items.into_iter().map(text).collect())
}

pub(crate) fn map(entries: Map) -> Value {
    Value::Map(Arc::new(entries))
}

/// The name of a value's type, as `%T` and `typeOf` print it.
///
/// One integer type stands for all of Go's, one list type and one map type likewise.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        Value::Function(_) => "func",
    }
}

/// The name of a value's kind, as Go's reflection calls it.
pub(crate) fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        other => type_name(other),
    }
}

/// What an error calls a value: its type in plain words, never the value.
pub(crate) fn description(value: &Value) -> &'static str {
    match value {
        Value::Nil => "an absent or null value",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Uint(_) => "an integer",
        Value::Float(_) => "a number (float64)",
        Value::String(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Function(_) => "a function",
    }
}

/// Equality as `reflect.DeepEqual` has it: an integer never equals a float.
pub(crate) fn deep_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| deep_equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|((ka, a), (kb, b))| ka == kb && deep_equal(a, b))
        }
        _ => false,
    }
}

/// How large a value is when it is walked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) elements: usize,
}

impl Size {
    /// Adds a value.
    ///
    /// # Errors
    ///
    /// Fails as soon as the sum passes `limit`, so the walk itself is bounded even where lists are shared, or when
    /// lists and maps are nested too deeply.
    pub(crate) fn add(&mut self, value: &Value, limit: usize) -> Outcome<()> {
        self.add_nested(value, limit, limits::VALUE_NESTING)
    }

    fn add_nested(&mut self, value: &Value, limit: usize, levels: usize) -> Outcome<()> {
        self.elements += 1;
        if let Value::String(text) = value {
            self.bytes += text.len();
        }
        if self.bytes + self.elements > limit {
            return Err(Failure(format!(
                "a value is too large: over {limit} bytes and elements"
            )));
        }
        if !matches!(value, Value::List(_) | Value::Map(_)) {
            return Ok(());
        }
        let Some(levels) = levels.checked_sub(1) else {
            return Err(Failure(format!(
                "a value is nested too deeply: over {} levels",
                limits::VALUE_NESTING
            )));
        };
        match value {
            Value::List(items) => {
                for item in items.iter() {
                    self.add_nested(item, limit, levels)?;
                }
            }
            Value::Map(entries) => {
                for (key, item) in entries.iter() {
                    self.bytes += key.len();
                    self.add_nested(item, limit, levels)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a walk over the value costs. An element of a list takes about 16 bytes of memory besides its text.
    pub(crate) fn work(self) -> u64 {
        (self.bytes + 16 * self.elements) as u64
    }
}

/// Text of bytes that may have been cut inside a character: each byte that belongs to none becomes U+FFFD, as Go's
/// JSON does it with strings.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}
