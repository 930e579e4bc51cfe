//! Fields whose value is a secret, by their names.
//!
//! Two lists, because they weigh differently. What a strategy writes into a field of the first is refused whatever it is,
//! so the list is short and exact. The value of a field of the second is looked for in everything that a strategy writes,
//! so the list is long: nothing is refused that does not show the value.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::visit_members;

/// Fields whose literal value is a secret, compared in lower case without `-`, `_` and `.`.
const LITERAL_FIELDS: [&str; 12] = [
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

/// How the name of a field ends whose value is a secret, compared in the same way. `passwordSecretRef` and
/// `secretAccessKeyKey` end otherwise: they name a Secret, and a key in it.
const SENSITIVE_ENDINGS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secretkey",
    "accesskey",
    "accesskeyid",
    "apikey",
    "privatekey",
    "encryptionkey",
    "clientsecret",
    "token",
];

/// Of a longer value its beginning is looked for: enough to tell it from everything else.
const LONGEST: usize = 256;

/// Whether a literal value of a field is a secret.
pub(super) fn is_literal_field(name: &str) -> bool {
    !name.is_empty() && LITERAL_FIELDS.contains(&folded(name).as_str())
}

/// Whether a member of a list is a variable of a container whose literal value is a secret.
pub(super) fn is_literal_variable(item: &Value) -> bool {
    variable(item).is_some_and(|(name, value)| !value.is_empty() && is_sensitive(name))
}

/// The values of sensitive fields anywhere in an object, and of container variables named like them.
pub(crate) fn sensitive_values(object: &Value, found: &mut BTreeSet<String>) {
    visit_members(object, &mut |_, name, value| {
        if let Some((name, value)) = variable(value)
            && is_sensitive(name)
        {
            found.extend(beginning(value));
        }
        if !name.is_empty() && is_sensitive(name) {
            literals(value, found);
        }
    });
}

/// A text, a number, or several of them. An object is a reference to a Secret, or has fields of its own.
fn literals(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(beginning(text)),
        Value::Number(number) => found.extend(beginning(&number.to_string())),
        Value::Array(items) => {
            for item in items {
                if !item.is_array() {
                    literals(item, found);
                }
            }
        }
        _ => {}
    }
}

/// The beginning of a value; none where it is too short to be told from other text.
fn beginning(value: &str) -> Option<String> {
    let value = value.trim();
    let end = value.floor_char_boundary(LONGEST);
    (value.len() >= super::needles::SHORTEST).then(|| value[..end].to_owned())
}

/// `{ name, value }`, as containers have their variables.
fn variable(item: &Value) -> Option<(&str, &str)> {
    let item = item.as_object()?;
    Some((item.get("name")?.as_str()?, item.get("value")?.as_str()?))
}

fn is_sensitive(name: &str) -> bool {
    let folded = folded(name);
    SENSITIVE_ENDINGS
        .iter()
        .any(|ending| folded.ends_with(ending))
}

fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | '.'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
