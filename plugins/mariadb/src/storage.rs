//! Where dumps lie.

use backup_strategy::{bucket_and_key, prelude::*, set};
use serde::{Deserialize, Serialize};

use crate::{
    MariaDb,
    metadata::STORAGE_URI,
    operator,
    spec::{self, Parameters, SecretKeyRef},
};

/// The document that is kept with a Backup.
const RESOURCES: &str = "MariaDBBackupSnapshot";

/// What every dump's name begins with.
const DUMP: &str = "backup.";

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
    /// What the settings ask for. What they leave out follows the BackupClass, then the platform's storage.
    pub fn of_settings(
        cx: &Context<MariaDb>,
        settings: &spec::Storage,
        parameters: &Parameters,
    ) -> Outcome<Self> {
        let s3 = settings.s3.clone();
        let claim = settings.persistent_volume_claim.clone();
        Ok(Self {
            s3: s3
                .map(|s3| S3::of_settings(cx, s3, parameters))
                .transpose()?,
            persistent_volume_claim: claim.map(|claim| claimed(claim, parameters)),
            volume: settings.volume.as_ref().map(|volume| json!(volume)),
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
            && ordered.spec.storage.is_set()
        {
            return Ok(ordered.spec.storage);
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
    pub fn resources(&self, databases: &[String], parameters: &Value) -> Value {
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

/// A volume for each dump.
fn claimed(mut claim: spec::VolumeClaim, parameters: &Parameters) -> Value {
    if let Some(class) = set(parameters.storage_class_name.clone()) {
        claim.storage_class_name = Some(class);
    }
    if let Some(size) = set(parameters.volume_size.clone()) {
        claim
            .resources
            .requests
            .insert("storage".into(), size.into());
    }
    json!(claim)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    kind: String,
    storage: Storage,
}

/// The databases that a Backup says it holds; empty for all of them.
pub fn databases_of(source: &FinishedBackup) -> Vec<String> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Kept {
        databases: Vec<String>,
    }
    let kept = source.resources::<Kept>().ok().flatten();
    kept.unwrap_or_default().databases
}

impl S3 {
    fn of_settings(
        cx: &Context<MariaDb>,
        settings: spec::S3,
        parameters: &Parameters,
    ) -> Outcome<Self> {
        let platform = cx.bucket();
        let of_platform = |key: &str| key_of(&platform.credentials_secret, key);
        let key_id = secret(
            &parameters.access_key_id_secret,
            &parameters.access_key_id_key,
            settings.access_key_id_secret_key_ref,
        )
        .unwrap_or_else(|| of_platform("AWS_ACCESS_KEY_ID"));
        let secret_key = secret(
            &parameters.secret_access_key_secret,
            &parameters.secret_access_key_key,
            settings.secret_access_key_secret_key_ref,
        )
        .unwrap_or_else(|| key_of(&key_id.name, "AWS_SECRET_ACCESS_KEY"));
        // Settings with credentials of their own are about a storage of their own.
        let follows = key_id.name == platform.credentials_secret;
        let first = |parameter: &Option<String>, setting, platforms: &str| {
            let platforms = follows.then(|| platforms.to_owned());
            set(parameter.clone()).or(set(setting)).or(set(platforms))
        };
        let missing = |field: &str| {
            format!("template.storage.s3.{field} is empty, and credentials of one's own need it")
        };
        let (is_tls, host) = service(&platform.endpoint);
        let endpoint = first(&parameters.endpoint, settings.endpoint, host)
            .or_fail("InvalidSpec", missing("endpoint"))?;
        let ca = secret(
            &parameters.ca_secret,
            &parameters.ca_key,
            settings.tls.ca_secret_key_ref,
        );
        let is_tls = parameters
            .tls_enabled
            .map(|enabled| enabled.0)
            .or(settings.tls.enabled)
            .unwrap_or(is_tls && platform.is_at(&endpoint));
        let prefix = set(parameters.prefix.clone())
            .or(set(settings.prefix))
            .or(cx.prefixes().first().cloned())
            .or_fail("InvalidSpec", missing("prefix"))?;
        Ok(Self {
            bucket: first(&parameters.bucket, settings.bucket, &platform.name)
                .or_fail("InvalidSpec", missing("bucket"))?,
            prefix: Some(format!("{}/", prefix.trim_matches('/'))),
            region: first(&parameters.region, settings.region, &platform.region),
            access_key_id_secret_key_ref: Some(key_id),
            secret_access_key_secret_key_ref: Some(secret_key),
            session_token_secret_key_ref: secret(
                &parameters.session_token_secret,
                &parameters.session_token_key,
                settings.session_token_secret_key_ref,
            ),
            tls: is_tls.then(|| Tls {
                enabled: true,
                ca_secret_key_ref: ca.or_else(|| authority(cx, &endpoint)),
            }),
            endpoint,
        })
    }

    /// The platform's bucket, if that is the one.
    fn of_platform(cx: &Context<MariaDb>, bucket: &str, key: &str) -> Option<Self> {
        let platform = cx.bucket();
        let (folder, _) = key.rsplit_once('/')?;
        let (is_tls, host) = service(&platform.endpoint);
        let of_platform = |key: &str| Some(key_of(&platform.credentials_secret, key));
        (platform.name == bucket).then(|| Self {
            bucket: bucket.into(),
            endpoint: host.into(),
            prefix: Some(format!("{folder}/")),
            region: set(Some(platform.region.clone())),
            access_key_id_secret_key_ref: of_platform("AWS_ACCESS_KEY_ID"),
            secret_access_key_secret_key_ref: of_platform("AWS_SECRET_ACCESS_KEY"),
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
        cx.in_sight(&self.bucket, &self.endpoint, &self.stem())
            .is_some()
    }
}

/// A key of a Secret: what the class says of it wins, piece by piece.
fn secret(
    name: &Option<String>,
    key: &Option<String>,
    setting: Option<SecretKeyRef>,
) -> Option<SecretKeyRef> {
    let setting = setting.unwrap_or_default();
    Some(SecretKeyRef {
        name: set(name.clone()).or(set(Some(setting.name)))?,
        key: set(key.clone()).or(set(Some(setting.key)))?,
    })
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
        let kept = storage.resources(&["orders".into()], &json!({ "compression": "gzip" }));
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
        let setting = || Some(key_of("own", "id"));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(secret(&None, &None, setting()), setting());
        assert_eq!(
            secret(&some("other"), &None, setting()),
            Some(key_of("other", "id"))
        );
        assert_eq!(
            secret(&some("other"), &some("k"), None),
            Some(key_of("other", "k"))
        );
        assert_eq!(secret(&None, &None, None), None);
        assert_eq!(
            secret(&None, &None, Some(key_of("", "id"))),
            None,
            "a template that has nothing to set"
        );
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
