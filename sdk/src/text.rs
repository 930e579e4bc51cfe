//! JSON text, read into small structs, with errors that name the field.
//!
//! Documents are parsed into a tree, and structs read from the tree by the reader below. Reading them straight
//! from the text saves the tree, but `serde_json` then writes its parser into the code for each struct anew,
//! and its errors name a column of a text that nobody sees.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess,
    Unexpected, Visitor,
    value::{MapAccessDeserializer, StrDeserializer},
};
use serde::forward_to_deserialize_any;

use crate::Value;

/// Why a document is not what it should be, and where.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// From the inside out.
    path: Vec<String>,
    what: String,
}

impl Misfit {
    /// The field as a JSON pointer, empty for the whole document.
    pub(crate) fn pointer(&self) -> String {
        let escaped = |step: &String| format!("/{}", step.replace('~', "~0").replace('/', "~1"));
        self.path.iter().rev().map(escaped).collect()
    }

    /// What is wrong with the field.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// Serde's own words would bring along how floating point numbers are written: 11 KB.
    #[inline(never)]
    fn unfit(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(match found {
            Unexpected::Bool(value) => format!("`{value}` where {expected} is expected"),
            Unexpected::Unsigned(value) => format!("`{value}` where {expected} is expected"),
            Unexpected::Signed(value) => format!("`{value}` where {expected} is expected"),
            Unexpected::Float(_) => format!("a fraction where {expected} is expected"),
            Unexpected::Str(text) => format!("\"{text}\" where {expected} is expected"),
            Unexpected::Seq => format!("a list where {expected} is expected"),
            Unexpected::Map => format!("an object where {expected} is expected"),
            _ => format!("nothing where {expected} is expected"),
        })
    }

    #[inline(never)]
    fn within(mut self, step: &str) -> Self {
        self.path.push(step.into());
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.path.iter().rev().enumerate() {
            f.write_str(if depth == 0 { "" } else { "." })?;
            f.write_str(step)?;
        }
        f.write_str(if self.path.is_empty() { "" } else { ": " })?;
        f.write_str(&self.what)
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    #[inline(never)]
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self {
            path: Vec::new(),
            what: what.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unfit(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unfit(found, expected)
    }
}

/// Reads a document that was handed over as text.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Misfit> {
    read_value(&parse(text)?)
}

/// The same of a document that was parsed already.
pub(crate) fn read_value<T: DeserializeOwned>(document: &Value) -> Result<T, Misfit> {
    T::deserialize(Reader(document))
}

#[inline(never)]
pub(crate) fn parse(text: &str) -> Result<Value, Misfit> {
    serde_json::from_str(text).map_err(Misfit::custom)
}

/// Reads from a value. Structs are read from objects only.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

impl<'de> Reader<'de> {
    #[inline(never)]
    fn misfit(self, expected: &dyn Expected) -> Misfit {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Unexpected::Unsigned(value),
                (None, Some(value)) => Unexpected::Signed(value),
                (None, None) => Unexpected::Float(0.0),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Misfit::unfit(found, expected)
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if let Some(value) = self.0.as_u64() {
            visitor.visit_u64(value)
        } else if let Some(value) = self.0.as_i64() {
            visitor.visit_i64(value)
        } else if let Some(value) = self.0.as_f64() {
            visitor.visit_f64(value)
        } else {
            Err(self.misfit(&visitor))
        }
    }
}

/// Numbers of all sizes are read alike: the visitor says which values fit.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            self.number(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(_) => self.number(visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_str(text),
            _ => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Array(elements) => visitor.visit_seq(Elements { elements, next: 0 }),
            _ => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members {
                members: members.iter(),
                member: None,
            }),
            _ => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Object(members) => visitor.visit_enum(MapAccessDeserializer::new(Members {
                members: members.iter(),
                member: None,
            })),
            _ => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier }
}

struct Members<'de> {
    members: serde_json::map::Iter<'de>,
    member: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.member = self.members.next();
        match self.member {
            Some((name, _)) => seed
                .deserialize(StrDeserializer::new(name))
                .map(Some)
                .map_err(|misfit: Misfit| misfit.within(name)),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        // Serde asks for a value only after its key.
        let Some((name, value)) = self.member else {
            return Err(Misfit::custom("a value without a name"));
        };
        seed.deserialize(Reader(value))
            .map_err(|misfit| misfit.within(name))
    }
}

struct Elements<'de> {
    elements: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(element) = self.elements.get(self.next) else {
            return Ok(None);
        };
        let read = seed
            .deserialize(Reader(element))
            .map_err(|misfit| misfit.within(&self.next.to_string()));
        self.next += 1;
        read.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Mixed(Vec<f64>),
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {
        name: String,
        jobs: Option<u32>,
        colour: Option<Colour>,
        rest: Option<Value>,
    }

    #[track_caller]
    fn says(text: &str, expected: &str) {
        assert_eq!(
            read::<Outer>(text).expect_err("it reads").to_string(),
            expected
        );
    }

    #[test]
    fn errors_name_the_field() {
        says(
            r#"{"inner":[{"name":"a"},{"name":"b","jobs":"two"}]}"#,
            "inner.1.jobs: \"two\" where u32 is expected",
        );
        says(
            r#"{"inner":[{"name":"a","jobs":-1}]}"#,
            "inner.0.jobs: `-1` where u32 is expected",
        );
        says(
            r#"{"map":{"x":{"name":{}}}}"#,
            "map.x.name: an object where a string is expected",
        );
        says(r#"{"map":{"x":{"jobs":1}}}"#, "map.x: missing field `name`");
        says(
            r#"{"inner":[{"name":"a","colour":"blue"}]}"#,
            "inner.0.colour: unknown variant `blue`, expected `red` or `mixed`",
        );
        says(
            r#"{"other":1}"#,
            "other: unknown field `other`, expected `inner` or `map`",
        );
        says("[]", "a list where struct Outer is expected");
        says("{", "EOF while parsing an object at line 1 column 1");
    }

    #[test]
    fn pointers_are_escaped() {
        let misfit = read::<Outer>(r#"{"map":{"a/b~c":{"name":true}}}"#).expect_err("it reads");
        assert_eq!(misfit.pointer(), "/map/a~1b~0c/name");
        assert_eq!(misfit.what(), "`true` where a string is expected");
    }

    #[test]
    fn all_shapes_are_read() {
        let read: Inner =
            read(r#"{"name":"a","jobs":7,"colour":{"mixed":[1,-2,0.5]},"rest":{"a":[null,-1,{}]},"more":[1]}"#)
                .expect("it does not read");
        assert_eq!((read.name.as_str(), read.jobs), ("a", Some(7)));
        assert_eq!(read.colour, Some(Colour::Mixed(vec![1.0, -2.0, 0.5])));
        assert_eq!(read.rest, Some(json!({ "a": [null, -1, {}] })));
    }
}
