//! The source: the Secret that describes the platform's storage, and the one with its certificate authority.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::Value;

use super::{Credentials, ProjectionError, authority};
use crate::{
    cluster::{Caller, Cluster},
    object,
    settings::{AuthoritySettings, StorageSettings},
    storage::Location,
};

/// Reads the source Secret, and the certificate authority where the settings name one.
///
/// # Errors
/// When a Secret is absent, or lacks what the settings do not give either.
pub(crate) async fn read<C: Cluster>(
    cluster: &C,
    caller: &Caller,
    settings: &StorageSettings,
) -> Result<Credentials, ProjectionError> {
    let (namespace, name) = (&settings.source_namespace, &settings.source_name);
    let what = format!("source Secret {namespace}/{name}");
    let values = values_of(cluster, caller, namespace, name, &what).await?;
    let mut credentials = parse(&values, settings)
        .map_err(|problem| ProjectionError::SourceSecretMalformed(what, problem))?;
    if let Some(settings) = &settings.authority {
        credentials.location.authority = Some(read_authority(cluster, caller, settings).await?);
    }
    Ok(credentials)
}

async fn read_authority<C: Cluster>(
    cluster: &C,
    caller: &Caller,
    settings: &AuthoritySettings,
) -> Result<String, ProjectionError> {
    let AuthoritySettings {
        namespace,
        name,
        key,
    } = settings;
    let what = format!("Secret {namespace}/{name} with the storage's certificate authority");
    let values = values_of(cluster, caller, namespace, name, &what).await?;
    let text = values.get(key).map_or("", |text| text.trim());
    authority::check(text)
        .map_err(|problem| ProjectionError::SourceSecretMalformed(what, format!("{key} {problem}")))
}

/// The values of a Secret that must be there.
async fn values_of<C: Cluster>(
    cluster: &C,
    caller: &Caller,
    namespace: &str,
    name: &str,
    what: &str,
) -> Result<BTreeMap<String, String>, ProjectionError> {
    let target = object::target("v1", "Secret", Some(namespace), name);
    let found = cluster.get(caller, &target).await?;
    let found = found.ok_or_else(|| ProjectionError::SourceSecretMissing(what.to_owned()))?;
    Ok(decode(&found))
}

/// A Secret's values as text. What is not UTF-8 cannot be a credential and is left out.
pub(super) fn decode(secret: &Value) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (key, value) in secret
        .get("data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let bytes = BASE64
            .decode(value.as_str().unwrap_or_default().as_bytes())
            .unwrap_or_default();
        if let Ok(text) = String::from_utf8(bytes) {
            values.insert(key.clone(), text);
        }
    }
    for (key, value) in secret
        .get("stringData")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        values.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    values
}

/// From either format: flat keys win, COSI's `BucketInfo` fills the gaps, settings fill the rest.
fn parse(
    values: &BTreeMap<String, String>,
    settings: &StorageSettings,
) -> Result<Credentials, String> {
    let info = values
        .get("BucketInfo")
        .map(|text| serde_json::from_str::<Value>(text));
    let cosi = |path: &str| -> Option<String> {
        let value = info
            .as_ref()?
            .as_ref()
            .ok()?
            .pointer(path)?
            .as_str()?
            .trim()
            .to_owned();
        (!value.is_empty()).then_some(value)
    };
    let field = |flat: &str, path: &str| -> Option<String> {
        let value = values
            .get(flat)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty());
        value.map(ToOwned::to_owned).or_else(|| cosi(path))
    };
    let missing = |key: &str| match &info {
        Some(Err(error)) => format!("{key} is missing, and BucketInfo is not JSON: {error}"),
        _ => format!("{key} is missing"),
    };
    let access_key =
        field("accessKey", "/spec/secretS3/accessKeyID").ok_or_else(|| missing("accessKey"))?;
    let secret_key =
        field("secretKey", "/spec/secretS3/accessSecretKey").ok_or_else(|| missing("secretKey"))?;
    let endpoint = field("endpoint", "/spec/secretS3/endpoint")
        .or_else(|| {
            Some(settings.endpoint.trim().to_owned()).filter(|endpoint| !endpoint.is_empty())
        })
        .ok_or_else(|| {
            "endpoint is missing, in the Secret and in backupStorage.endpoint".to_owned()
        })?;
    let or_setting =
        |value: Option<String>, setting: &str| value.unwrap_or_else(|| setting.trim().to_owned());
    let host = without_scheme(&endpoint).to_owned();
    Ok(Credentials {
        location: Location {
            endpoint: with_scheme(&endpoint, settings.endpoint.trim()),
            bucket: or_setting(
                field("bucketName", "/spec/bucketName"),
                &settings.bucket_name,
            ),
            region: or_setting(field("region", "/spec/secretS3/region"), &settings.region),
            force_path_style: settings.force_path_style.unwrap_or(false),
            authority: None,
            access_key,
            secret_key,
        },
        host,
        force_path_style: settings.force_path_style,
        earlier_keys: vec![],
    })
}

/// Host and port, and a path that is more than `/`.
fn without_scheme(endpoint: &str) -> &str {
    let rest = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"))
        .unwrap_or(endpoint);
    rest.strip_suffix('/')
        .filter(|host| !host.contains('/'))
        .unwrap_or(rest)
}

/// A bare host gets the scheme of the setting for the same host, else https, as COSI's endpoints have it.
fn with_scheme(endpoint: &str, setting: &str) -> String {
    if endpoint.contains("://") {
        return endpoint.trim_end_matches('/').to_owned();
    }
    if setting.contains("://") && without_scheme(setting) == without_scheme(endpoint) {
        return setting.trim_end_matches('/').to_owned();
    }
    format!("https://{}", endpoint.trim_end_matches('/'))
}
