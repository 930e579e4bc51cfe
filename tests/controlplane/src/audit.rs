//! What was asked of the API server. It writes a line when a request comes in and more as it is answered, before the
//! client has the answer in the first case: a request that was answered is in the log for certain.

use std::{collections::HashMap, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who proved to be whom: the user of a certificate or of a token.
    pub user: String,
    /// Whose rights were used instead, by impersonation. Known when the request has been answered.
    pub impersonated: Option<String>,
    /// The client program, with what it says of its purpose.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, ...
    pub verb: String,
    /// The API group of the resource; empty for the core group and for paths that are no resource.
    pub group: String,
    /// The plural of the kind; empty for paths that are no resource, such as `/readyz`.
    pub resource: String,
    /// `status`, `token`, ...; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped resources and lists of all namespaces.
    pub namespace: String,
    /// Empty for lists and generated names.
    pub name: String,
    /// The path and the query.
    pub uri: String,
    /// The HTTP status, once the request has been answered; of a watch, once it has begun.
    pub code: Option<u16>,
}

/// A line of the log, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    id: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Value,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

impl Line {
    /// Adds what it tells to what is known.
    fn onto(self, entry: &mut AuditEntry) {
        let of = |field: &str| {
            self.object_ref[field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        *entry = AuditEntry {
            user: self.user.username,
            impersonated: self
                .impersonated_user
                .map(|user| user.username)
                .or(entry.impersonated.take()),
            group: of("apiGroup"),
            resource: of("resource"),
            subresource: of("subresource"),
            namespace: of("namespace"),
            name: of("name"),
            user_agent: self.user_agent,
            verb: self.verb,
            uri: self.uri,
            code: self
                .response_status
                .and_then(|status| status.code)
                .or(entry.code),
        };
    }
}

/// Reads the log: the requests, in the order in which they came in.
pub(crate) fn read(path: &Path) -> Result<Vec<AuditEntry>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read {}", path.display()))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<AuditEntry> {
    let mut places = HashMap::new();
    let mut entries: Vec<AuditEntry> = Vec::new();
    // The last line may be half written: it then says nothing yet.
    for line in text
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
    {
        let place = *places.entry(line.id.clone()).or_insert(entries.len());
        if place == entries.len() {
            entries.push(AuditEntry::default());
        }
        if let Some(entry) = entries.get_mut(place) {
            line.onto(entry);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_request_are_one_entry_and_half_a_line_is_none() {
        let come = r#"{"auditID":"1","stage":"RequestReceived","verb":"get","requestURI":"/api","user":{"username":"a"},"userAgent":"x"}"#;
        let other = r#"{"auditID":"2","verb":"list","requestURI":"/apis","user":{"username":"b"}}"#;
        let done = r#"{"auditID":"1","verb":"get","requestURI":"/api","user":{"username":"a"},"impersonatedUser":{"username":"c"},"userAgent":"x","objectRef":{"resource":"pods"},"responseStatus":{"code":200}}"#;
        let entries = parse(&[come, other, done, &done[..40]].join("\n"));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].impersonated.as_deref(), Some("c"));
        assert_eq!(
            (entries[0].resource.as_str(), entries[0].code),
            ("pods", Some(200))
        );
        assert_eq!((entries[1].user.as_str(), entries[1].code), ("b", None));
    }
}
