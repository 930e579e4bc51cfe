//! Numbers and booleans of a BackupClass, whose parameters are texts.

use serde::{Deserialize, Deserializer, de::Error};

/// A parameter that is no free text: `Parsed<bool>`, `Parsed<u32>`. Its schema is that of the text.
///
/// ```
/// use backup_strategy::Parsed;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Parameters {
///     #[serde(default, rename = "data.jobs")]
///     jobs: Option<Parsed<u32>>,
/// }
///
/// fn jobs(parameters: &Parameters, setting: Option<u32>) -> Option<u32> {
///     parameters.jobs.map(|jobs| jobs.0).or(setting)
/// }
/// # assert_eq!(jobs(&Parameters { jobs: Some(Parsed(2)) }, None), Some(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<T>(pub T);

/// What a parameter can be parsed to.
pub trait Spelt: std::str::FromStr {
    /// What a text should have been that cannot be parsed.
    const WHAT: &'static str;
    /// The texts that can be parsed, as a regular expression.
    const PATTERN: &'static str;
}

impl Spelt for bool {
    const WHAT: &'static str = "`true` or `false`";
    const PATTERN: &'static str = "^(true|false)$";
}

impl Spelt for u32 {
    const WHAT: &'static str = "a whole number";
    const PATTERN: &'static str = "^[0-9]+$";
}

impl Spelt for i64 {
    const WHAT: &'static str = "a whole number";
    const PATTERN: &'static str = "^-?[0-9]+$";
}

impl<'de, T: Spelt> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| Error::custom(format_args!("\"{text}\" where {} is expected", T::WHAT)))
    }
}

#[cfg(feature = "build")]
impl<T: Spelt> schemars::JsonSchema for Parsed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Parsed_{}", T::PATTERN).into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": T::PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::Parsed;
    use crate::text::read;

    #[test]
    fn a_text_is_parsed_or_told() {
        let number = |text| {
            read::<Parsed<u32>>(text)
                .map(|number| number.0)
                .map_err(|misfit| misfit.to_string())
        };
        assert_eq!(number("\"12\""), Ok(12));
        assert_eq!(
            number("\"soon\""),
            Err("\"soon\" where a whole number is expected".into())
        );
        assert_eq!(
            number("\"-1\""),
            Err("\"-1\" where a whole number is expected".into())
        );
        assert!(number("12").is_err(), "parameters are texts");
        assert_eq!(
            read::<Parsed<bool>>("\"false\"").map(|flag| flag.0).ok(),
            Some(false)
        );
        assert_eq!(
            read::<Parsed<i64>>("\"-1\"").map(|number| number.0).ok(),
            Some(-1)
        );
    }
}
