//! What may be set, and what may be asked for.

use std::time::Duration;

use backup_strategy::{Knob, Rule, Templated, Timestamp, asked_for, knob, schema::*};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// How long a Cluster may take to recover, as the first controller had it.
const RESTORE_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long WAL that a restore needs may take to be archived, as the first controller had it.
const WAL_DEADLINE: Duration = Duration::from_secs(3 * 60);

/// How Postgres applications are backed up by CloudNativePG and its Barman Cloud plugin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spec {
    /// The settings. Every text in it may be a template.
    pub template: Template,
}

/// What is rendered for each application.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Folder of base backups and WAL below `destinationPath`. A Cluster that archives already keeps the folder that it
    /// has, and where that of another one is there, something is added to the name. When absent: the name of the
    /// CloudNativePG Cluster, `postgres-<application>`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Where backups are stored, and how.
    pub barman_object_store: BarmanObjectStore,
}

/// An S3 bucket and what Barman does with it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BarmanObjectStore {
    /// For example `s3://bucket/prefix/`.
    #[schemars(length(min = 1))]
    pub destination_path: String,
    /// URL of the S3 service, with its scheme. When absent: that of the platform's storage, if its credentials are
    /// used, and Amazon's otherwise.
    #[serde(default, rename = "endpointURL")]
    pub endpoint_url: Option<String>,
    /// How long base backups and their WAL are kept: a number of days, weeks or months, such as `30d`. When absent: for
    /// ever.
    #[serde(default)]
    pub retention_policy: Option<String>,
    /// Certificate authority of the S3 service. When absent: that of the platform's storage, if its endpoint is
    /// used.
    #[serde(default, rename = "endpointCA")]
    pub endpoint_ca: Option<EndpointCa>,
    /// Credentials of the S3 service. When absent: those of the platform's storage.
    #[serde(default)]
    pub s3_credentials: Option<S3Credentials>,
    /// How WAL is stored.
    #[serde(default)]
    pub wal: Wal,
    /// How base backups are stored.
    #[serde(default)]
    pub data: Data,
}

/// A certificate authority in a Secret of the application's namespace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
// A class may name the one part, and the strategy the other.
#[schemars(extend("required" = ["secretRef"]))]
pub struct EndpointCa {
    /// The Secret.
    #[serde(default)]
    pub secret_ref: SecretRef,
    /// The key of the Secret that holds the certificate authority. When absent: `ca.crt`.
    #[serde(default)]
    pub key: Option<String>,
}

/// S3 keys in a Secret of the application's namespace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["secretRef"]))]
pub struct S3Credentials {
    /// The Secret.
    #[serde(default)]
    pub secret_ref: SecretRef,
    /// The key of the Secret that holds the access key's ID. When absent: `AWS_ACCESS_KEY_ID`.
    #[serde(default, rename = "accessKeyIDKey")]
    pub access_key_id_key: Option<String>,
    /// The key of the Secret that holds the secret access key. When absent: `AWS_SECRET_ACCESS_KEY`.
    #[serde(default)]
    pub secret_access_key_key: Option<String>,
}

/// Names a Secret of the application's namespace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SecretRef {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// How WAL is stored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Wal {
    /// Compression of WAL. When absent: none.
    #[serde(default)]
    pub compression: Option<Templated<WalCompression>>,
    /// Encryption of WAL by the S3 service. When absent: its own default.
    #[serde(default)]
    pub encryption: Option<Templated<Encryption>>,
}

/// How base backups are stored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Data {
    /// Compression of base backups. When absent: none.
    #[serde(default)]
    pub compression: Option<Templated<DataCompression>>,
    /// Encryption of base backups by the S3 service. When absent: its own default.
    #[serde(default)]
    pub encryption: Option<Templated<Encryption>>,
    /// How many files of a base backup are uploaded at a time.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub jobs: Option<i32>,
}

/// What Barman can compress base backups with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "names of programs")]
pub enum DataCompression {
    Bzip2,
    Gzip,
    Lz4,
    Snappy,
}

/// What Barman can compress WAL with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "names of programs")]
pub enum WalCompression {
    Bzip2,
    Gzip,
    Lz4,
    Snappy,
    Xz,
    Zstd,
}

/// Encryption by the S3 service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Encryption {
    /// Keys of the S3 service.
    #[serde(rename = "AES256")]
    Aes256,
    /// Keys of the cloud's key management.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

/// What a BackupClass may set, too.
pub const KNOBS: &[Knob] = &[
    knob("serverName").ruled(FOLDER_NAME),
    knob("barmanObjectStore.destinationPath").ruled(PLACE),
    knob("barmanObjectStore.endpointURL").ruled(Rule::URL),
    knob("barmanObjectStore.retentionPolicy").ruled(RETENTION),
    knob("barmanObjectStore.endpointCA.secretRef.name").about(
        "Secret of the application's namespace with the certificate authority of the S3 service.",
    ),
    knob("barmanObjectStore.endpointCA.key"),
    knob("barmanObjectStore.s3Credentials.secretRef.name")
        .about("Secret of the application's namespace with the S3 keys."),
    knob("barmanObjectStore.s3Credentials.accessKeyIDKey"),
    knob("barmanObjectStore.s3Credentials.secretAccessKeyKey"),
    knob("wal.compression").below(STORE),
    knob("wal.encryption").below(STORE),
    knob("data.compression").below(STORE),
    knob("data.encryption").below(STORE),
    knob("data.jobs").below(STORE).ruled(ONE_OR_MORE),
];

const STORE: &str = "/template/barmanObjectStore";

const FOLDER_NAME: Rule = Rule::new(is_folder_name, "is the name of one folder, without slashes");
const PLACE: Rule = Rule::new(
    is_place,
    "begins with s3:// and goes on with the name of the bucket",
)
.pattern("^s3://");
/// As the ObjectStore's schema has it.
const RETENTION: Rule = Rule::new(
    is_retention,
    "is a number of days, weeks or months, such as 30d",
)
.pattern(r"^[1-9][0-9]*[dwm]$");
const ONE_OR_MORE: Rule = Rule::new(
    |text| text.parse().is_ok_and(|jobs: u32| jobs > 0),
    "is 1 or more",
);

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// The moment to bring the data back to: a time by RFC 3339, such as `2026-08-21T03:04:05.678Z`, that is no earlier
    /// than the end of the Backup; or `latest`, for everything that was archived. When absent: the state that the Backup
    /// itself holds.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub recovery_time: Option<RecoveryTime>,
    /// How many seconds the Cluster may take to recover. 1800 when absent, zero or less.
    #[serde(default)]
    pub restore_timeout_seconds: Option<i64>,
    /// How many seconds to wait for WAL that is needed and not archived yet, before anything is touched. 180 when
    /// absent, zero or less.
    #[serde(default)]
    pub wal_archive_timeout_seconds: Option<i64>,
}

impl Options {
    /// How long the Cluster may take to recover.
    #[must_use]
    pub fn restore_deadline(&self) -> Duration {
        asked_for(self.restore_timeout_seconds).unwrap_or(RESTORE_DEADLINE)
    }

    /// How long WAL may take to be archived.
    #[must_use]
    pub fn wal_deadline(&self) -> Duration {
        asked_for(self.wal_archive_timeout_seconds).unwrap_or(WAL_DEADLINE)
    }

    /// The moment to bring the data back to.
    #[must_use]
    pub fn moment(&self) -> &RecoveryTime {
        self.recovery_time.as_ref().unwrap_or(&RecoveryTime::Backup)
    }
}

/// The moment that data is brought back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryTime {
    /// The end of the base backup.
    Backup,
    /// The end of what was archived.
    Latest,
    /// A time, as it was written, with its parts of a second.
    At(String, Timestamp),
}

impl<'de> Deserialize<'de> for RecoveryTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "" => Ok(Self::Backup),
            "latest" => Ok(Self::Latest),
            // CloudNativePG reads `T` and `Z` in capitals only.
            time => match time.parse() {
                Ok(at) => Ok(Self::At(time.to_ascii_uppercase(), at)),
                Err(_) => Err(D::Error::custom(format_args!(
                    "\"{time}\" is neither `latest` nor a time by RFC 3339, such as 2026-08-21T01:04:05Z"
                ))),
            },
        }
    }
}

fn is_place(text: &str) -> bool {
    text.strip_prefix("s3://")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn is_folder_name(text: &str) -> bool {
    !text.contains('/') && !matches!(text, "." | "..")
}

fn is_retention(text: &str) -> bool {
    let number = text.strip_suffix(['d', 'w', 'm']).unwrap_or_default();
    number.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        && number.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
#[path = "spec/tests.rs"]
mod tests;
