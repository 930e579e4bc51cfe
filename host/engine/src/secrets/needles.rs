//! Known secrets, looked for in each form that they are likely to be written in, all at once.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};

/// A shorter value is no secret, and is found in half of what is written: `admin`, `minio`. Keys that are made by
/// storage services have 20 characters and more.
pub(super) const SHORTEST: usize = 8;

/// Values that must not be shown. A text is looked through once, however many they are.
pub(crate) struct Needles(Option<AhoCorasick>);

impl Needles {
    /// Needles for these values, without those that are too short.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter().filter(|value| value.len() >= SHORTEST);
        let forms: BTreeSet<String> = values.flat_map(forms).collect();
        if forms.is_empty() {
            return Self(None);
        }
        let automaton = AhoCorasick::builder()
            // Names of objects are in lower case, and so would a key in one be.
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            // Made anew for most evaluations: what is quick to make counts as much as what is quick to use.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms);
        Self(automaton.ok())
    }

    /// Whether one of them stands in a text.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.len() >= SHORTEST
            && self
                .0
                .as_ref()
                .is_some_and(|automaton| automaton.is_match(text))
    }

    /// A text with each of them replaced.
    pub(super) fn black_out(&self, text: &str, with: &str) -> String {
        let Some(automaton) = &self.0 else {
            return text.to_owned();
        };
        let mut shown = String::with_capacity(text.len());
        automaton.replace_all_with(text, &mut shown, |_, _, shown| {
            shown.push_str(with);
            true
        });
        shown
    }
}

/// The forms that a value is looked for in.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![
        value.to_owned(),
        HEXLOWER.encode(value.as_bytes()),
        percent_encoded(value),
        in_json(value),
    ];
    for shift in 0..3 {
        forms.push(shifted(value, shift, |bytes| BASE64_NOPAD.encode(bytes)));
        forms.push(shifted(value, shift, |bytes| BASE64URL_NOPAD.encode(bytes)));
    }
    forms
}

/// The base64 of a value that stands so many bytes behind a multiple of three in a longer text: the characters that
/// depend on the value alone.
fn shifted(value: &str, shift: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value.as_bytes());
    let encoded = encode(&bytes);
    // The first characters hold bits of what stands before, the last of what stands behind.
    let begin = [0, 2, 3][shift];
    let end = encoded.len() - usize::from(!bytes.len().is_multiple_of(3));
    encoded[begin..end].to_owned()
}

/// All but the unreserved characters of RFC 3986 encoded.
fn percent_encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// As it stands between the quotation marks of a JSON text.
fn in_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    const KEY: &str = "s3cr3t/+key=\"1\"";

    #[test]
    fn every_form_is_found() {
        let needles = Needles::new([KEY]);
        for text in [
            format!("key: {KEY}."),
            KEY.to_uppercase(),
            BASE64.encode(KEY.as_bytes()),
            HEXLOWER.encode(KEY.as_bytes()).to_uppercase(),
            "s3cr3t%2f%2Bkey%3D%221%22".to_owned(),
            "{\"key\":\"s3cr3t/+key=\\\"1\\\"\"}".to_owned(),
        ] {
            assert!(needles.is_in(&text), "{text}");
        }
        assert!(!needles.is_in("s3cr3t"));
    }

    #[test]
    fn base64_of_a_text_around_it_is_found_wherever_it_begins() {
        let needles = Needles::new([KEY]);
        for before in ["", "a", "ab", "abc", "abcd"] {
            for behind in ["", "x", "xy", "xyz"] {
                let encoded = BASE64.encode(format!("{before}{KEY}{behind}").as_bytes());
                assert!(needles.is_in(&encoded), "{before}{KEY}{behind}");
            }
        }
    }

    #[test]
    fn what_is_too_short_is_not_looked_for() {
        assert!(!Needles::new(["minio"]).is_in("minio"));
        assert!(!Needles::new([]).is_in("anything at all"));
    }

    #[test]
    fn all_of_a_text_but_the_secret_stays() {
        let needles = Needles::new([KEY]);
        assert_eq!(
            needles.black_out(&format!("a {KEY} b {KEY}"), "*"),
            "a * b *"
        );
    }
}
