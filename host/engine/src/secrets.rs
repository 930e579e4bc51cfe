//! What must never stand where a tenant reads: one list of rules.
//!
//! | rule | what it finds |
//! |---|---|
//! | platform credentials | the exact access key or secret key of the platform's storage, current or earlier, of 8 characters or more, anywhere in a text |
//! | private key | a PEM header of a private key |
//! | AWS access key id | `AKIA` or `ASIA` and 16 capital letters or digits, as a word of its own |
//! | literal password | a value, not a reference, in a field named like one: `password`, `secretKey`, `token`, … |

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{credentials::Credentials, object::visit_strings, storage::Location};

/// Fields whose literal value is a secret, compared in lower case without `-`, `_` and `.`.
const SECRET_FIELDS: [&str; 12] = [
    "password",
    "passwd",
    "secretkey",
    "secretaccesskey",
    "awssecretaccesskey",
    "s3secretkey",
    "accesstoken",
    "authtoken",
    "apikey",
    "privatekey",
    "clientsecret",
    "bearertoken",
];

/// A shorter key is no secret, and is found in half of what is written: `admin`, `minio`. Keys that are made by
/// storage services have 20 characters and more.
const SHORTEST: usize = 8;

/// What the rules compare with.
pub(crate) struct Secrets<'a> {
    location: &'a Location,
    /// Keys that were current before.
    earlier: &'a [String],
}

impl<'a> Secrets<'a> {
    pub(crate) fn new(credentials: &'a Credentials) -> Self {
        Self {
            location: &credentials.location,
            earlier: &credentials.earlier_keys,
        }
    }

    /// The rule that a document breaks, with the place as a JSON pointer.
    pub(crate) fn find(&self, document: &Value) -> Option<String> {
        let mut found = None;
        visit_strings(document, &mut |pointer, text| {
            if found.is_none() {
                let field = pointer.rsplit('/').next().unwrap_or_default();
                found = self
                    .rule(field, text)
                    .map(|rule| format!("{pointer} holds {rule}"));
            }
        });
        found
    }

    /// The rule that a text breaks.
    pub(crate) fn find_text(&self, text: &str) -> Option<&'static str> {
        self.rule("", text)
    }

    fn rule(&self, field: &str, text: &str) -> Option<&'static str> {
        let holds = |secret: &str| secret.len() >= SHORTEST && text.contains(secret);
        let current = [&self.location.secret_key, &self.location.access_key];
        if current
            .into_iter()
            .chain(self.earlier)
            .any(|key| holds(key))
        {
            return Some("the platform's own credentials");
        }
        looks_like_credential(field, text)
    }
}

/// What is wrong with the parameters of a class, which tenants can read.
pub(crate) fn in_parameters(parameters: &BTreeMap<String, String>) -> Option<String> {
    parameters.iter().find_map(|(key, value)| {
        let rule = looks_like_credential(key, value)?;
        Some(format!(
            "parameter {key} holds {rule}; tenants can read parameters, so name a Secret instead"
        ))
    })
}

/// The rule that a value breaks by its looks.
pub(crate) fn looks_like_credential(field: &str, text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_access_key_id)
    {
        return Some("an AWS access key id");
    }
    // `accessKeyIDKey: AWS_ACCESS_KEY_ID` names a key of a Secret; `secretKey: s3cr3t` holds one.
    (!text.is_empty() && is_secret_field(field)).then_some("a literal password or key")
}

fn is_access_key_id(word: &str) -> bool {
    word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn is_secret_field(field: &str) -> bool {
    let folded: String = field
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | '.'))
        .collect::<String>()
        .to_ascii_lowercase();
    SECRET_FIELDS.contains(&folded.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_alone_betray_a_credential() {
        assert!(looks_like_credential("bucket", "cozy-backups").is_none());
        assert!(looks_like_credential("note", "AKIAIOSFODNN7EXAMPLE").is_some());
        assert!(looks_like_credential("note", "xAKIAIOSFODNN7EXAMPLE").is_none());
        assert!(looks_like_credential("s3SecretKey", "x").is_some());
        assert!(looks_like_credential("passwordSecretRef", "x").is_none());
        assert!(looks_like_credential("ca", "-----BEGIN RSA PRIVATE KEY-----\n").is_some());
    }

    #[test]
    fn the_platform_keys_are_found_inside_other_text() {
        let credentials = Credentials {
            location: Location {
                endpoint: String::new(),
                bucket: String::new(),
                region: String::new(),
                force_path_style: false,
                authority: None,
                access_key: "access-key-2".to_owned(),
                secret_key: "secret-key-2".to_owned(),
            },
            host: String::new(),
            force_path_style: None,
            earlier_keys: vec!["secret-key-1".to_owned(), "short".to_owned()],
        };
        let secrets = Secrets::new(&credentials);
        for key in ["secret-key-2", "access-key-2", "secret-key-1"] {
            let document = json!({ "env": [{ "value": format!("key={key}") }] });
            assert_eq!(
                secrets.find(&document).unwrap(),
                "/env/0/value holds the platform's own credentials"
            );
        }
        assert_eq!(secrets.find_text("a short text"), None);
    }
}
