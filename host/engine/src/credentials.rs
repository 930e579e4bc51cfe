//! The platform's credentials: read from one source Secret, projected into the namespaces that need them.
//!
//! The keys of the projected Secret and their formats are what CNPG, MariaDB, etcd, ClickHouse, Velero and
//! FoundationDB read; none of them can change.

use std::collections::BTreeMap;

use backup_api::names::{CREDENTIALS_SECRET, MANAGED_BY, MANAGED_BY_VALUE};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::{
    cluster::{ApiReason, Caller, Cluster, Part},
    object,
    settings::StorageSettings,
    storage::Location,
};

/// The host's field manager for Secrets.
const MANAGER: &str = "backups.cozystack.io/credentials";

/// The platform's storage as its source Secret and the settings describe it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where the bucket is, and the keys.
    pub location: Location,
    /// The endpoint without its scheme, as MariaDB, ClickHouse and FoundationDB want it.
    pub host: String,
    /// What the settings say of path style, to be passed on as it is.
    pub force_path_style: Option<bool>,
}

/// Why credentials could not be projected. The reasons are the reference's, and labels of metrics.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// May come.
    #[error("the source Secret {0} does not exist yet")]
    SourceSecretMissing(String),
    /// Must be mended by the platform.
    #[error("the source Secret {0} is not usable: {1}")]
    SourceSecretMalformed(String, String),
    /// Must be removed by whoever made it.
    #[error(
        "Secret {CREDENTIALS_SECRET} in {0} is not the platform's (label {MANAGED_BY} is missing); remove or rename it"
    )]
    TargetSecretNotOwned(String),
    /// May pass.
    #[error("the API server refused to read or write a credentials Secret: {0}")]
    ApiError(#[from] crate::cluster::ApiError),
}

impl ProjectionError {
    /// As it stands in metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SourceSecretMissing(_) => "SourceSecretMissing",
            Self::SourceSecretMalformed(..) => "SourceSecretMalformed",
            Self::TargetSecretNotOwned(_) => "TargetSecretNotOwned",
            Self::ApiError(_) => "APIError",
        }
    }

    /// Whether it can pass without anybody changing the job.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        matches!(self, Self::SourceSecretMissing(_) | Self::ApiError(_))
    }
}

/// Reads the source Secret.
///
/// # Errors
/// When it is absent, or lacks a key or an endpoint that the settings do not give either.
pub(crate) async fn read<C: Cluster>(
    cluster: &C,
    settings: &StorageSettings,
) -> Result<Credentials, ProjectionError> {
    let name = format!("{}/{}", settings.source_namespace, settings.source_name);
    let target = object::target(
        "v1",
        "Secret",
        Some(&settings.source_namespace),
        &settings.source_name,
    );
    let Some(secret) = cluster.get(&Caller::host(), &target).await? else {
        return Err(ProjectionError::SourceSecretMissing(name));
    };
    parse(&decode(&secret), settings)
        .map_err(|problem| ProjectionError::SourceSecretMalformed(name, problem))
}

/// Writes the projected Secret into a namespace, unless it is there and the same.
///
/// # Errors
/// When a Secret of that name is somebody else's, or the API server refuses.
pub(crate) async fn project<C: Cluster>(
    cluster: &C,
    credentials: &Credentials,
    namespace: &str,
) -> Result<(), ProjectionError> {
    let host = Caller::host();
    let target = object::target("v1", "Secret", Some(namespace), CREDENTIALS_SECRET);
    let wanted = credentials.keys();
    let Some(found) = cluster.get(&host, &target).await? else {
        cluster
            .create(&host, MANAGER, &secret(namespace, &wanted), false)
            .await?;
        return Ok(());
    };
    if object::label(&found, MANAGED_BY) != Some(MANAGED_BY_VALUE) {
        return Err(ProjectionError::TargetSecretNotOwned(namespace.to_owned()));
    }
    let patch = difference(&decode(&found), &wanted);
    if patch.is_empty() {
        return Ok(());
    }
    let patch = json!({
        // Whoever replaced the Secret in between is not overwritten.
        "metadata": { "resourceVersion": object::resource_version(&found) },
        "data": patch,
    });
    cluster
        .merge(&host, MANAGER, &target, &patch, Part::Main)
        .await?;
    Ok(())
}

/// The members of `data` that must change: a value, or null to remove an optional key.
fn difference(
    found: &BTreeMap<String, String>,
    wanted: &BTreeMap<&str, Option<String>>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in wanted {
        if found.get(*key) != value.as_ref() {
            let value = value.as_ref().map_or(Value::Null, |value| {
                Value::String(BASE64.encode(value.as_bytes()))
            });
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
        "data": difference(&BTreeMap::new(), keys),
    })
}

/// The Secret's values as text. What is not UTF-8 cannot be a credential and is left out.
fn decode(secret: &Value) -> BTreeMap<String, String> {
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
            endpoint: with_scheme(&endpoint, &settings.endpoint),
            bucket: or_setting(
                field("bucketName", "/spec/bucketName"),
                &settings.bucket_name,
            ),
            region: or_setting(field("region", "/spec/secretS3/region"), &settings.region),
            force_path_style: settings.force_path_style.unwrap_or(false),
            access_key,
            secret_key,
        },
        host,
        force_path_style: settings.force_path_style,
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

impl Credentials {
    /// The keys of the projected Secret; none where the key must not be there.
    fn keys(&self) -> BTreeMap<&'static str, Option<String>> {
        let Location {
            bucket,
            region,
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
            ("bucketName", optional(bucket)),
            ("region", optional(region)),
            (
                "forcePathStyle",
                self.force_path_style.map(|flag| flag.to_string()),
            ),
        ])
    }

    /// FoundationDB's own format, compact, with the characters escaped that Go's encoder escapes.
    fn blob_credentials(&self) -> String {
        let account =
            json!({ "api_key": self.location.access_key, "secret": self.location.secret_key });
        let document = json!({ "accounts": { self.host.as_str(): account } });
        document
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    }
}

impl From<ProjectionError> for crate::stop::Stop {
    fn from(error: ProjectionError) -> Self {
        if let ProjectionError::ApiError(api) = &error
            && (api.can_pass()
                || matches!(api.reason, ApiReason::Conflict | ApiReason::AlreadyExists))
        {
            return Self::Api(api.clone());
        }
        if error.can_pass() {
            return Self::Wait {
                reason: backup_api::Reason::CredentialsProjectionPending,
                message: error.to_string(),
                give_up_after: None,
            };
        }
        Self::Fail(error.to_string())
    }
}
