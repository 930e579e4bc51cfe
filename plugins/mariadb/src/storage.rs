//! Where dumps lie.

use backup_strategy::{bucket_and_key, prelude::*, set};
use serde::{Deserialize, Serialize};

use crate::{
    MariaDb,
    metadata::STORAGE_URI,
    operator,
    spec::{self, SecretKeyRef},
};

/// The document that is kept with a Backup.
const RESOURCES: &str = "MariaDBBackupSnapshot";

/// The keys of the platform's Secret.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What every dump's name begins with.
pub const DUMP: &str = "backup.";

/// The storage of an operator's Backup, word for word as it stands there: one of these.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    pub s3: Option<S3>,
    /// The operator makes a volume that is called like its Backup.
    pub persistent_volume_claim: Option<Value>,
    pub volume: Option<Value>,
}

/// A place in a bucket, word for word as the operator has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3 {
    pub bucket: String,
    /// Without its scheme.
    pub endpoint: String,
    pub prefix: Option<String>,
    pub region: Option<String>,
    pub access_key_id_secret_key_ref: Option<SecretKeyRef>,
    pub secret_access_key_secret_key_ref: Option<SecretKeyRef>,
    pub session_token_secret_key_ref: Option<SecretKeyRef>,
    pub tls: Option<Tls>,
}

/// TLS of the S3 service, word for word as the operator has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tls {
    pub enabled: bool,
    pub ca_secret_key_ref: Option<SecretKeyRef>,
}

impl Storage {
    /// What the settings ask for. What they leave out follows the platform's storage.
    pub fn of_settings(cx: &Context<MariaDb>, settings: &spec::Storage) -> Outcome<Self> {
        let s3 = settings.s3.as_ref().map(|s3| S3::of_settings(cx, s3));
        Ok(Self {
            s3: s3.transpose()?,
            persistent_volume_claim: settings.persistent_volume_claim.clone(),
            volume: settings.volume.clone(),
        })
    }

    /// Where the dump of a finished backup was stored.
    ///
    /// The document that was kept with the Backup says it. Where it cannot be read, the operator's own Backup does, if
    /// it is there still, and for the platform's bucket the URI is enough.
    pub fn of_backup(cx: &Context<MariaDb>, source: &FinishedBackup) -> Outcome<Self> {
        let kept = source.resources::<Resources>().ok().flatten();
        let kept = kept.filter(|kept| kept.kind == RESOURCES);
        if let Some(storage) = kept.map(|kept| kept.storage).filter(Self::is_set) {
            return Ok(storage);
        }
        if let Some(ordered) = operator::Backup::of_finished(cx, source)?
            && ordered.storage().is_set()
        {
            return Ok(ordered.storage());
        }
        let uri = source.metadata(STORAGE_URI).and_then(bucket_and_key);
        let platforms = uri.and_then(|(bucket, key)| S3::of_platform(cx, bucket, key));
        let s3 = platforms.or_fail(
            "MetadataMissing",
            format!(
                "neither status.underlyingResources nor spec.driverMetadata[{STORAGE_URI}] of Backup {} says where its \
                 dump lies",
                source.name
            ),
        )?;
        Ok(Self {
            s3: Some(s3),
            ..Self::default()
        })
    }

    fn is_set(&self) -> bool {
        self.s3.is_some() || self.persistent_volume_claim.is_some() || self.volume.is_some()
    }

    /// As it stands in an object of the operator's.
    pub fn written(&self) -> Value {
        pruned(json!(self))
    }

    /// Kept with the Backup.
    pub fn resources(&self, databases: &[&str], parameters: &Value) -> Value {
        let databases = (!databases.is_empty()).then_some(databases);
        pruned(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": RESOURCES,
            "storage": self,
            "databases": databases,
            "parameters": parameters,
        }))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    kind: String,
    storage: Storage,
    databases: Vec<String>,
}

/// Whether a Backup says that it holds all databases.
pub fn holds_everything(source: &FinishedBackup) -> bool {
    let kept = source.resources::<Resources>().ok().flatten();
    kept.is_none_or(|kept| kept.databases.is_empty())
}

impl S3 {
    fn of_settings(cx: &Context<MariaDb>, settings: &spec::S3) -> Outcome<Self> {
        let platform = cx.bucket();
        let key_id = secret(settings.access_key_id_secret_key_ref.as_ref())
            .unwrap_or_else(|| key_of(&platform.credentials_secret, KEY_ID));
        // Settings with credentials of their own are about a storage of their own.
        let follows = key_id.name == platform.credentials_secret;
        let first = |setting: &Option<String>, platforms: &str| {
            let said = set(setting.as_deref()).or(Some(platforms).filter(|_| follows));
            set(said).map(ToOwned::to_owned)
        };
        let (is_tls, host) = service(&platform.endpoint);
        let endpoint =
            first(&settings.endpoint, host).or_fail("InvalidSpec", missing("endpoint"))?;
        let tls = &settings.tls;
        let is_tls = tls.enabled.unwrap_or(is_tls && platform.is_at(&endpoint));
        let prefixes = cx.prefixes();
        let prefix = set(settings.prefix.as_deref())
            .or(prefixes.first().map(String::as_str))
            .or_fail("InvalidSpec", missing("prefix"))?;
        Ok(Self {
            bucket: first(&settings.bucket, &platform.name)
                .or_fail("InvalidSpec", missing("bucket"))?,
            prefix: Some(format!("{}/", prefix.trim_matches('/'))),
            region: first(&settings.region, &platform.region),
            secret_access_key_secret_key_ref: secret(
                settings.secret_access_key_secret_key_ref.as_ref(),
            )
            .or_else(|| Some(key_of(&key_id.name, SECRET_KEY))),
            access_key_id_secret_key_ref: Some(key_id),
            session_token_secret_key_ref: secret(settings.session_token_secret_key_ref.as_ref()),
            tls: is_tls.then(|| Tls {
                enabled: true,
                ca_secret_key_ref: secret(tls.ca_secret_key_ref.as_ref())
                    .or_else(|| authority(cx, &endpoint)),
            }),
            endpoint,
        })
    }

    /// The platform's bucket, if that is the one.
    fn of_platform(cx: &Context<MariaDb>, bucket: &str, key: &str) -> Option<Self> {
        let platform = cx.bucket();
        let (folder, _) = key.rsplit_once('/')?;
        let (is_tls, host) = service(&platform.endpoint);
        let secret = &platform.credentials_secret;
        (platform.name == bucket).then(|| Self {
            bucket: bucket.into(),
            endpoint: host.into(),
            prefix: Some(format!("{folder}/")),
            region: set(Some(platform.region.clone())),
            access_key_id_secret_key_ref: Some(key_of(secret, KEY_ID)),
            secret_access_key_secret_key_ref: Some(key_of(secret, SECRET_KEY)),
            session_token_secret_key_ref: None,
            tls: is_tls.then(|| Tls {
                enabled: true,
                ca_secret_key_ref: authority(cx, host),
            }),
        })
    }

    /// The same with the authority that the platform's storage has by now, where that is the service.
    pub fn trusting(mut self, cx: &Context<MariaDb>) -> Self {
        let endpoint = self.endpoint.as_str();
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.enabled)
            && tls.ca_secret_key_ref.is_none()
        {
            tls.ca_secret_key_ref = authority(cx, endpoint);
        }
        self
    }

    /// The folder, without slashes around it; empty for the bucket itself.
    pub fn folder(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default().trim_matches('/')
    }

    /// The URI of what lies in the folder; of the folder itself for an empty name.
    pub fn uri(&self, name: &str) -> String {
        let (bucket, folder) = (&self.bucket, self.folder());
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("s3://{bucket}/{folder}{slash}{name}")
    }

    /// What the key of each of its dumps begins with.
    pub fn stem(&self) -> String {
        match self.folder() {
            "" => DUMP.into(),
            folder => format!("{folder}/{DUMP}"),
        }
    }

    /// Whether this strategy may look into the folder: it is in the platform's bucket, and the application's.
    pub fn is_in_sight(&self, cx: &Context<MariaDb>) -> bool {
        cx.in_sight(&self.bucket, &self.endpoint, self.folder())
            .is_some()
    }
}

fn missing(field: &str) -> String {
    format!("template.storage.s3.{field} is empty, and credentials of one's own need it")
}

/// A key of a Secret, where it is named as a whole: a template may have nothing to set.
fn secret(setting: Option<&SecretKeyRef>) -> Option<SecretKeyRef> {
    let is_whole = |key: &&SecretKeyRef| !key.name.is_empty() && !key.key.is_empty();
    setting.filter(is_whole).cloned()
}

fn key_of(secret: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef {
        name: secret.into(),
        key: key.into(),
    }
}

/// The certificate authority of an endpoint, if it is the platform's and has one of its own.
fn authority(cx: &Context<MariaDb>, endpoint: &str) -> Option<SecretKeyRef> {
    let (secret, key) = cx.authority_of(endpoint)?;
    Some(key_of(&secret, &key))
}

/// Whether a URL is one of TLS, and its host, with a port if it has one.
fn service(url: &str) -> (bool, &str) {
    let (scheme, host) = url.split_once("://").unwrap_or(("", url));
    (scheme == "https", host.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(prefix: Option<&str>) -> S3 {
        S3 {
            bucket: "b".into(),
            prefix: prefix.map(Into::into),
            ..S3::default()
        }
    }

    // TestMariaDBBackupURI, TestMariaDBBackupURI_EmptyPrefix
    #[test]
    fn a_folder_ends_in_one_slash_and_the_bucket_in_none() {
        for prefix in ["tenant-acme/orders", "tenant-acme/orders/"] {
            let s3 = s3(Some(prefix));
            assert_eq!(s3.uri("x.sql"), "s3://b/tenant-acme/orders/x.sql");
            assert_eq!(s3.uri(""), "s3://b/tenant-acme/orders/");
            assert_eq!(s3.stem(), "tenant-acme/orders/backup.");
        }
        for prefix in [None, Some(""), Some("/")] {
            assert_eq!(s3(prefix).uri("x.sql"), "s3://b/x.sql");
            assert_eq!(s3(prefix).stem(), "backup.");
        }
    }

    // TestMarshalMariaDBBackupSnapshot_RoundTrip
    #[test]
    fn what_is_kept_with_a_backup_can_be_read_again() {
        let storage = Storage {
            s3: Some(s3(Some("tenant-acme/orders/"))),
            ..Storage::default()
        };
        let kept = storage.resources(&["orders"], &json!({ "compression": "gzip" }));
        assert_eq!(
            kept,
            json!({
                "apiVersion": "backups.cozystack.io/v1alpha1",
                "kind": "MariaDBBackupSnapshot",
                "storage": { "s3": { "bucket": "b", "endpoint": "", "prefix": "tenant-acme/orders/" } },
                "databases": ["orders"],
                "parameters": { "compression": "gzip" },
            })
        );
        let read = Resources::deserialize(&kept).map(|read| read.storage);
        assert_eq!(read.ok(), Some(storage));
    }

    #[test]
    fn a_secret_is_named_with_its_key_or_not_at_all() {
        let own = key_of("own", "id");
        assert_eq!(secret(Some(&own)), Some(own.clone()));
        for part in [key_of("own", ""), key_of("", "id")] {
            assert_eq!(secret(Some(&part)), None);
        }
    }

    #[test]
    fn the_operator_wants_the_host_alone() {
        assert_eq!(service("https://s3.example.org/"), (true, "s3.example.org"));
        assert_eq!(
            service("http://s3.example.org:8333"),
            (false, "s3.example.org:8333")
        );
        assert_eq!(service("s3.example.org"), (false, "s3.example.org"));
    }
}
