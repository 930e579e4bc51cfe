//! What a Pod can reach by who it is: Secrets, ServiceAccounts and their tokens. Of every level.

use serde_json::{Map, Value};

use super::{super::Form, templates};

/// Fields that refer to a Secret by `name`, wherever they stand.
const REFERENCES: [&str; 2] = ["secretKeyRef", "nodePublishSecretRef"];

/// Marks of a Secret that is a token, or is to become one.
const TOKEN_MARKS: [&str; 2] = [
    "kubernetes.io/service-account-token",
    "kubernetes.io/service-account.name",
];

/// What a field says, wherever it stands.
pub(super) fn member(
    secrets: &[String],
    pointer: &str,
    name: &str,
    value: &Value,
    form: Form,
) -> Result<(), String> {
    if TOKEN_MARKS.contains(&name)
        || value
            .as_str()
            .is_some_and(|text| TOKEN_MARKS.contains(&text))
    {
        return Err(
            "uses a token of a ServiceAccount: Secrets that hold one are not made".to_owned(),
        );
    }
    match name {
        "serviceAccountName" | "serviceAccount" if value.is_string() => account(value),
        "serviceAccountToken" | "podCertificate" if !value.is_null() => {
            Err(format!("uses a token of a ServiceAccount: {name}"))
        }
        "automountServiceAccountToken" if *value != false => {
            // A patch that removes it lets it be true.
            let says = form == Form::Patch || !value.is_null();
            fail_if(says, || {
                format!("uses a token of a ServiceAccount: {name} is {value}")
            })
        }
        "imagePullSecrets" | "sources" | "envFrom" => list(value)
            .flat_map(|item| names_in(name, item))
            .try_for_each(|named| secret(secrets, named)),
        "secret" => secret_of(secrets, value, "secretName"),
        _ if REFERENCES.contains(&name) => secret_of(secrets, value, "name"),
        // Of volumes of storage services, and of nothing else in a Pod.
        "secretRef" if is_in_volume(pointer) => secret_of(secrets, value, "name"),
        "secretName" if is_in_volume(pointer) => secret(secrets, value),
        _ => Ok(()),
    }
}

/// What the spec of a Pod must say.
pub(super) fn spec(spec: &Map<String, Value>, form: Form) -> Result<(), String> {
    let says_no = spec.get("automountServiceAccountToken") == Some(&Value::Bool(false));
    fail_if(templates::is_whole(spec, form) && !says_no, || {
        "uses a token of a ServiceAccount: automountServiceAccountToken is not false".to_owned()
    })
}

/// The Secret that an item of a list names.
fn names_in<'a>(list: &str, item: &'a Value) -> Option<&'a Value> {
    match list {
        "imagePullSecrets" => item.get("name"),
        "sources" => item.get("secret")?.get("name"),
        _ => item.get("secretRef").map(|reference| &reference["name"]),
    }
}

fn account(name: &Value) -> Result<(), String> {
    let is_plain = matches!(name.as_str(), Some("" | "default"));
    fail_if(!is_plain, || {
        format!("runs under ServiceAccount {name}; only default is open to it")
    })
}

/// The Secret that a member of a reference names, if it has that member.
fn secret_of(secrets: &[String], reference: &Value, member: &str) -> Result<(), String> {
    match reference.get(member) {
        Some(Value::Null) | None => Ok(()),
        Some(named) => secret(secrets, named),
    }
}

fn secret(secrets: &[String], named: &Value) -> Result<(), String> {
    let is_granted = named
        .as_str()
        .is_some_and(|name| secrets.iter().any(|pattern| matches(pattern, name)));
    fail_if(!is_granted && !named.is_null(), || {
        let granted = if secrets.is_empty() {
            "no Secret".to_owned()
        } else {
            secrets.join(", ")
        };
        format!("uses Secret {named}; {granted} is granted")
    })
}

/// Whether a JSON pointer stands for something below a list of volumes.
fn is_in_volume(pointer: &str) -> bool {
    pointer.split('/').any(|member| member == "volumes")
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fail_if(broken: bool, rule: impl FnOnce() -> String) -> Result<(), String> {
    if broken { Err(rule()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, fits) in [
            ("creds", "creds", true),
            ("creds", "creds2", false),
            ("creds-*", "creds-1", true),
            ("creds-*", "creds", false),
            ("*-auth", "clickhouse-backup-auth", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
