//! What must never stand where a tenant reads: one list of rules.
//!
//! | rule | what it finds |
//! |---|---|
//! | platform credentials | a current or previous access key or secret key of the platform's storage, anywhere in a text |
//! | application's secret | the value of a field named like a password, a key or a token in an object that this evaluation was shown, the application before all, anywhere in a text |
//! | private key | a PEM header of a private key |
//! | AWS access key id | `AKIA` or `ASIA` and 16 capital letters or digits, as a word of its own |
//! | literal password | a value, not a reference, in a field, or in a variable of a container, named like one: `password`, `secretKey`, `token`, … |
//!
//! The first two compare with known values: of eight characters or more, in capitals or not (names of objects have none),
//! as they are, in base64, hexadecimal, percent-encoded, and as JSON writes them inside a text (`needles`). A value of
//! the application that stands in what everybody reads, such as a namespace or an API group, is no secret.
//!
//! A value is found wherever it is one text, also in the names of fields, labels and objects. One that is cut into pieces,
//! or encrypted, is not found: this wall stops mistakes and makes lies costly; what a strategy must not know it must not
//! be shown.
//!
//! In a plan and in an answer such a text is refused. In a strategy's log, and in words that quote a strategy or the API
//! server, it is blacked out ([`Secrets::redact`]).

mod fields;
mod needles;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

pub(crate) use fields::sensitive_values;
pub(crate) use needles::Needles;

use crate::object::visit_members;

/// What stands in the place of a secret that is blacked out.
const BLACKED_OUT: &str = "[redacted]";

/// What the rules compare with.
pub(crate) struct Secrets {
    platform: Arc<Needles>,
    application: Needles,
}

impl Secrets {
    /// The platform's keys, and the application's secrets without those that are public anyway.
    pub(crate) fn new(
        platform: Arc<Needles>,
        application: &BTreeSet<String>,
        is_public: impl Fn(&str) -> bool,
    ) -> Self {
        let hidden = application.iter().filter(|value| !is_public(value));
        Self {
            platform,
            application: Needles::new(hidden.map(String::as_str)),
        }
    }

    /// The rule that a document breaks, with the place as a JSON pointer.
    pub(crate) fn find(&self, document: &Value) -> Option<String> {
        self.find_where(document, true)
    }

    /// The same for the application itself: what it holds already is no secret in it.
    pub(crate) fn find_in_application(&self, document: &Value) -> Option<String> {
        self.find_where(document, false)
    }

    fn find_where(&self, document: &Value, with_application: bool) -> Option<String> {
        let mut found = None;
        visit_members(document, &mut |pointer, name, value| {
            if found.is_none() {
                let text = value.as_str().unwrap_or_default();
                found = self
                    .known(text, with_application)
                    .or_else(|| self.known(name, with_application))
                    .or_else(|| looks_like_credential(name, text))
                    .or_else(|| fields::is_literal_variable(value).then_some(LITERAL))
                    .map(|rule| format!("{pointer} holds {rule}"));
            }
        });
        found
    }

    /// The rule that a text breaks.
    pub(crate) fn find_text(&self, text: &str) -> Option<&'static str> {
        self.known(text, true)
            .or_else(|| looks_like_credential("", text))
    }

    fn known(&self, text: &str, with_application: bool) -> Option<&'static str> {
        if self.platform.is_in(text) {
            return Some("the platform's own credentials");
        }
        (with_application && self.application.is_in(text)).then_some("a secret of the application")
    }

    /// A text with what breaks a rule blacked out.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.find_text(text).is_none() {
            return Cow::Borrowed(text);
        }
        let known = self
            .application
            .black_out(&self.platform.black_out(text, BLACKED_OUT), BLACKED_OUT);
        Cow::Owned(without_private_keys(&without_access_key_ids(&known)))
    }
}

/// What is wrong with the parameters of a class, which tenants can read.
pub(crate) fn in_parameters(parameters: &BTreeMap<String, String>) -> Option<String> {
    parameters.iter().find_map(|(key, value)| {
        let rule = looks_like_credential(key, value)?;
        Some(in_parameter(key, rule))
    })
}

/// The same against the platform's own keys.
pub(crate) fn platform_keys_in_parameters(
    platform: &Needles,
    parameters: &BTreeMap<String, String>,
) -> Option<String> {
    let holds =
        |(key, value): &(&String, &String)| platform.is_in(value) || platform.is_in(key.as_str());
    let (key, _) = parameters.iter().find(holds)?;
    Some(in_parameter(key, "the platform's own credentials"))
}

fn in_parameter(key: &str, rule: &str) -> String {
    format!("parameter {key} holds {rule}; tenants can read parameters, so name a Secret instead")
}

const LITERAL: &str = "a literal password or key";

/// The rule that a value breaks by its looks.
pub(crate) fn looks_like_credential(field: &str, text: &str) -> Option<&'static str> {
    if has_private_key(text) {
        return Some("a private key");
    }
    if words(text).any(is_access_key_id) {
        return Some("an AWS access key id");
    }
    // `accessKeyIDKey: AWS_ACCESS_KEY_ID` names a key of a Secret; `secretKey: s3cr3t` holds one.
    (!text.is_empty() && fields::is_literal_field(field)).then_some(LITERAL)
}

fn has_private_key(text: &str) -> bool {
    text.contains(PEM_BEGIN) && text.contains(PEM_KEY)
}

const PEM_BEGIN: &str = "-----BEGIN";
const PEM_KEY: &str = "PRIVATE KEY-----";

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

fn is_access_key_id(word: &str) -> bool {
    word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn without_access_key_ids(text: &str) -> String {
    let ids: BTreeSet<&str> = words(text).filter(|word| is_access_key_id(word)).collect();
    ids.into_iter()
        .fold(text.to_owned(), |text, id| text.replace(id, BLACKED_OUT))
}

/// From the first header on: where a key ends is not worth a guess.
fn without_private_keys(text: &str) -> String {
    match text.find(PEM_BEGIN).filter(|_| has_private_key(text)) {
        Some(begin) => format!("{}{BLACKED_OUT}", &text[..begin]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
