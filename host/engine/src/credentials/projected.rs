//! The projected Secret: its keys, and how a copy is brought into being or up to date.
//!
//! | key | is | for |
//! |---|---|---|
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | the keys | CNPG, MariaDB, etcd |
//! | `accessKey`, `secretKey`, `bucketName`, `region`, `forcePathStyle` | the storage, piece by piece | ClickHouse |
//! | `endpoint` | host and port | ClickHouse, MariaDB |
//! | `endpointURL` | the same with its scheme | ClickHouse: its backup tool refuses a bare host |
//! | `cloud` | a credentials file of AWS's | Velero |
//! | `blob_credentials.json` | accounts by host | FoundationDB |
//! | `ca.crt` | the certificate authority, where it is a private one | all of them |
//!
//! No format can change: these programs read them.

use std::collections::BTreeMap;

use backup_api::names::{CREDENTIALS_SECRET, MANAGED_BY, MANAGED_BY_VALUE};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{Credentials, ProjectionError};
use crate::{
    cluster::{ApiError, Caller, Cluster, DeleteOptions, Part},
    object,
    storage::Location,
};

/// The host's field manager for Secrets.
const MANAGER: &str = "backups.cozystack.io/credentials";

/// The key of the projected Secret with the storage's certificate authority.
pub(crate) const AUTHORITY_KEY: &str = "ca.crt";

/// Whether a Secret is one of the host's copies.
pub(super) fn is_ours(secret: &Value) -> bool {
    object::label(secret, MANAGED_BY) == Some(MANAGED_BY_VALUE)
}

/// What brings a copy up to date.
pub(super) enum Change {
    /// There is none.
    Create(Value),
    /// Members of `data`: a value, or null where the key must not be there.
    Merge(Map<String, Value>),
    /// It differs, and nobody can change it where it is.
    Replace(Value),
}

/// What brings the copy in a namespace up to date; none where it is.
///
/// # Errors
/// When a Secret of that name is somebody else's.
pub(super) fn change(
    found: Option<&Value>,
    credentials: &Credentials,
    namespace: &str,
) -> Result<Option<Change>, ProjectionError> {
    let wanted = credentials.keys();
    let Some(found) = found else {
        return Ok(Some(Change::Create(secret(namespace, &wanted))));
    };
    if !is_ours(found) {
        return Err(ProjectionError::TargetSecretNotOwned(namespace.to_owned()));
    }
    let patch = difference(found.get("data"), &wanted);
    if patch.is_empty() {
        return Ok(None);
    }
    if found.get("immutable") == Some(&Value::Bool(true)) {
        return Ok(Some(Change::Replace(secret(namespace, &wanted))));
    }
    Ok(Some(Change::Merge(patch)))
}

/// Writes a change of the copy that was found. Whoever wrote in between is not overwritten.
pub(super) async fn write<C: Cluster>(
    cluster: &C,
    found: Option<&Value>,
    change: Change,
) -> Result<(), ApiError> {
    let host = Caller::host();
    match (change, found) {
        (Change::Merge(patch), Some(found)) => {
            let version = object::resource_version(found);
            let patch = json!({ "metadata": { "resourceVersion": version }, "data": patch });
            let target = object::reference(found);
            cluster
                .merge(&host, MANAGER, &target, &patch, Part::Main)
                .await?;
        }
        (Change::Replace(secret), Some(found)) => {
            remove(cluster, found).await?;
            cluster.create(&host, MANAGER, &secret, false).await?;
        }
        (Change::Create(secret) | Change::Replace(secret), None) => {
            cluster.create(&host, MANAGER, &secret, false).await?;
        }
        // Nothing else comes from `change`.
        (Change::Create(_), Some(_)) | (Change::Merge(_), None) => {}
    }
    Ok(())
}

/// Removes the very copy that was found, as it was found.
pub(super) async fn remove<C: Cluster>(cluster: &C, found: &Value) -> Result<(), ApiError> {
    let options = DeleteOptions {
        uid: Some(object::uid(found).to_owned()),
        resource_version: Some(object::resource_version(found).to_owned()),
        propagation: None,
    };
    cluster
        .delete(&Caller::host(), &object::reference(found), &options)
        .await
}

/// The members of `data` that must change. Compared as they are written: bytes that are no text are a difference too.
fn difference(
    found: Option<&Value>,
    wanted: &BTreeMap<&str, Option<String>>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in wanted {
        let value = value.as_ref().map(|value| BASE64.encode(value.as_bytes()));
        let is = found.and_then(|data| data.get(*key));
        if is.and_then(Value::as_str) != value.as_deref() {
            let value = value.map_or(Value::Null, Value::String);
            patch.insert((*key).to_owned(), value);
        }
    }
    patch
}

fn secret(namespace: &str, keys: &BTreeMap<&str, Option<String>>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CREDENTIALS_SECRET,
            "namespace": namespace,
            "labels": { MANAGED_BY: MANAGED_BY_VALUE },
        },
        "type": "Opaque",
        "data": difference(None, keys),
    })
}

impl Credentials {
    /// The keys of the projected Secret; none where the key must not be there.
    fn keys(&self) -> BTreeMap<&'static str, Option<String>> {
        let Location {
            endpoint,
            bucket,
            region,
            authority,
            access_key,
            secret_key,
            ..
        } = &self.location;
        let optional = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", Some(access_key.clone())),
            ("AWS_SECRET_ACCESS_KEY", Some(secret_key.clone())),
            ("accessKey", Some(access_key.clone())),
            ("secretKey", Some(secret_key.clone())),
            (
                "cloud",
                Some(format!(
                    "[default]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n"
                )),
            ),
            ("blob_credentials.json", Some(self.blob_credentials())),
            ("endpoint", Some(self.host.clone())),
            ("endpointURL", Some(endpoint.clone())),
            ("bucketName", optional(bucket)),
            ("region", optional(region)),
            (
                "forcePathStyle",
                self.force_path_style.map(|flag| flag.to_string()),
            ),
            (AUTHORITY_KEY, authority.clone()),
        ])
    }

    /// FoundationDB's own format, compact, with the characters escaped that Go's encoder escapes.
    ///
    /// FoundationDB looks an account up as `<key>@<host>`, or as `@<host>` where it is to find the key too, without
    /// the port. The host with its port alone is what the reference writes.
    fn blob_credentials(&self) -> String {
        let key = &self.location.access_key;
        let bare = without_port(&self.host);
        let account = json!({ "api_key": key, "secret": self.location.secret_key });
        // Sorted, as Go's encoder writes a map.
        let accounts: BTreeMap<String, &Value> = [
            self.host.clone(),
            format!("{key}@{bare}"),
            format!("@{bare}"),
        ]
        .into_iter()
        .map(|name| (name, &account))
        .collect();
        json!({ "accounts": accounts })
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    }
}

/// A host without its port and its path.
fn without_port(host: &str) -> &str {
    let host = host.split('/').next().unwrap_or(host);
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_loses_its_port_and_nothing_else() {
        for (host, bare) in [
            ("s3.example", "s3.example"),
            ("s3.example:9000", "s3.example"),
            ("s3.example:9000/path", "s3.example"),
            ("[fd00::1]:9000", "[fd00::1]"),
            ("[fd00::1]", "[fd00::1]"),
        ] {
            assert_eq!(without_port(host), bare);
        }
    }
}
