//! How settings have to be, where a schema cannot say it: any text may be a template until it is rendered.

use crate::{Problem, Value, is_url};

/// How a setting has to be, for [`Knob::ruled`](crate::Knob::ruled). A setting that is absent, empty, or still a template
/// is not judged.
///
/// ```
/// use backup_strategy::Rule;
///
/// const ONE_OR_MORE: Rule = Rule::new(|text| text.parse().is_ok_and(|number: u32| number > 0), "is 1 or more");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    fits: fn(&str) -> bool,
    words: &'static str,
    #[cfg_attr(not(feature = "build"), allow(dead_code, reason = "for the schema"))]
    pub(crate) pattern: Option<&'static str>,
}

impl Rule {
    /// The URL of an S3 service.
    pub const URL: Self =
        Self::new(is_url, "begins with https:// or http://").pattern("^https?://");

    /// Whether a text fits, and the rule in words that go on behind the setting's name. A number is told as text.
    #[must_use]
    pub const fn new(fits: fn(&str) -> bool, words: &'static str) -> Self {
        Self {
            fits,
            words,
            pattern: None,
        }
    }

    /// What of it a schema can say of a parameter, as a regular expression.
    #[must_use]
    pub const fn pattern(self, pattern: &'static str) -> Self {
        Self {
            pattern: Some(pattern),
            ..self
        }
    }

    /// Whether a text fits that was rendered and is set.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        (self.fits)(text)
    }

    /// Adds a problem for a setting, or for each item of a list, that does not fit.
    pub(crate) fn judge(&self, pointer: &str, setting: &Value, problems: &mut Vec<Problem>) {
        let is_broken = match setting {
            Value::String(text) => !text.is_empty() && !text.contains("{{") && !self.fits(text),
            Value::Number(number) => !self.fits(&number.to_string()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.judge(&format!("{pointer}/{index}"), item, problems);
                }
                false
            }
            Value::Null | Value::Bool(_) | Value::Object(_) => false,
        };
        if is_broken {
            problems.push(Problem::at(pointer, self.words));
        }
    }
}
