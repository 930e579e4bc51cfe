//! Settings of which the text may be a template.

use serde::{Deserialize, Deserializer, de::Error};

use crate::{Outcome, fail};

/// A setting that is no free text, such as one of a list of words, but may be written as a template all the same.
///
/// [`Strategy::validate`](crate::Strategy::validate) meets templates; a spec that was rendered holds values only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Templated<T> {
    /// The value.
    Value(T),
    /// Text that holds a template.
    Template(String),
    /// An empty text: the way in which a template says that there is nothing to set.
    Unset,
}

impl<T> Templated<T> {
    /// The value of a setting that was rendered.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidSpec` when it still is a template.
    pub fn value(&self) -> Outcome<Option<&T>> {
        match self {
            Self::Value(value) => Ok(Some(value)),
            Self::Unset => Ok(None),
            Self::Template(text) => fail(
                "InvalidSpec",
                format!("the strategy's spec: `{text}` is a template still"),
            ),
        }
    }
}

/// The value of a setting that was rendered; none where it is absent or empty.
///
/// # Errors
///
/// With a failure `InvalidSpec` when it still is a template.
pub fn rendered<T: Copy>(setting: Option<&Templated<T>>) -> Outcome<Option<T>> {
    setting.map_or(Ok(None), |setting| Ok(setting.value()?.copied()))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Templated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains("{{") {
            return Ok(Self::Template(text));
        }
        if text.is_empty() {
            return Ok(Self::Unset);
        }
        let value = serde::de::value::StrDeserializer::<D::Error>::new(&text);
        T::deserialize(value)
            .map(Self::Value)
            .map_err(Error::custom)
    }
}

#[cfg(feature = "build")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Templated<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Templated_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "anyOf": [generator.subschema_for::<T>(), { "pattern": r"^$|\{\{" }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    fn read(text: &str) -> Result<Templated<Colour>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_value_is_read_and_a_template_is_kept() {
        assert_eq!(read(r#""red""#).ok(), Some(Templated::Value(Colour::Red)));
        assert_eq!(
            read(r#""{{ .Parameters.colour }}""#).ok(),
            Some(Templated::Template("{{ .Parameters.colour }}".into()))
        );
        assert_eq!(read(r#""""#).ok(), Some(Templated::Unset));
        assert!(read(r#""blue""#).is_err());
    }
}
