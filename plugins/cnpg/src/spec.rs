//! What may be set, and what may be asked for.

use std::time::Duration;

use backup_strategy::{Parsed, Problem, Templated, Timestamp, is_url, schema::*, set};
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
    /// Folder of base backups and WAL below `destinationPath`; the name of the CloudNativePG Cluster
    /// (`postgres-<application>`) when absent. A Cluster that archives already keeps the folder that it has, and where
    /// that of another one is there, something is added to the name.
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
    /// How long base backups and their WAL are kept: a number of days, weeks or months, such as `30d`. For ever
    /// when absent.
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
pub struct EndpointCa {
    /// The Secret.
    pub secret_ref: SecretRef,
    /// The key of the Secret that holds it; `ca.crt` when absent.
    #[serde(default)]
    pub key: Option<String>,
}

/// S3 keys in a Secret of the application's namespace.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// The Secret.
    pub secret_ref: SecretRef,
    /// The key of the Secret that holds the access key's ID; `AWS_ACCESS_KEY_ID` when absent.
    #[serde(default, rename = "accessKeyIDKey")]
    pub access_key_id_key: Option<String>,
    /// The key of the Secret that holds the secret access key; `AWS_SECRET_ACCESS_KEY` when absent.
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
    /// Compression of WAL; none when absent.
    #[serde(default)]
    pub compression: Option<Templated<WalCompression>>,
    /// Encryption by the S3 service; its own default when absent.
    #[serde(default)]
    pub encryption: Option<Templated<Encryption>>,
}

/// How base backups are stored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Data {
    /// Compression of base backups; none when absent.
    #[serde(default)]
    pub compression: Option<Templated<DataCompression>>,
    /// Encryption by the S3 service; its own default when absent.
    #[serde(default)]
    pub encryption: Option<Templated<Encryption>>,
    /// How many files are uploaded at a time.
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

/// What a BackupClass may set besides; it wins over the strategy's own setting.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Parameters {
    /// Folder of base backups and WAL below the destination.
    #[serde(default, rename = "serverName")]
    pub server_name: Option<String>,
    /// For example `s3://bucket/prefix/`.
    #[serde(default, rename = "barmanObjectStore.destinationPath")]
    #[schemars(regex(pattern = "^s3://"))]
    pub destination_path: Option<String>,
    /// URL of the S3 service, with its scheme.
    #[serde(default, rename = "barmanObjectStore.endpointURL")]
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint_url: Option<String>,
    /// How long base backups and their WAL are kept, such as `14d`.
    #[serde(default, rename = "barmanObjectStore.retentionPolicy")]
    #[schemars(regex(pattern = r"^[1-9][0-9]*[dwm]$"))]
    pub retention_policy: Option<String>,
    /// Secret of the application's namespace with the certificate authority of the S3 service.
    #[serde(default, rename = "barmanObjectStore.endpointCA.secretRef.name")]
    pub endpoint_ca: Option<String>,
    /// The key of that Secret.
    #[serde(default, rename = "barmanObjectStore.endpointCA.key")]
    pub endpoint_ca_key: Option<String>,
    /// Secret of the application's namespace with the S3 keys.
    #[serde(default, rename = "barmanObjectStore.s3Credentials.secretRef.name")]
    pub secret: Option<String>,
    /// The key of that Secret that holds the access key's ID.
    #[serde(default, rename = "barmanObjectStore.s3Credentials.accessKeyIDKey")]
    pub access_key_id_key: Option<String>,
    /// The key of that Secret that holds the secret access key.
    #[serde(default, rename = "barmanObjectStore.s3Credentials.secretAccessKeyKey")]
    pub secret_access_key_key: Option<String>,
    /// Compression of WAL.
    #[serde(default, rename = "wal.compression")]
    #[schemars(with = "Option<WalCompression>")]
    pub wal_compression: Option<Templated<WalCompression>>,
    /// Encryption of WAL by the S3 service.
    #[serde(default, rename = "wal.encryption")]
    #[schemars(with = "Option<Encryption>")]
    pub wal_encryption: Option<Templated<Encryption>>,
    /// Compression of base backups.
    #[serde(default, rename = "data.compression")]
    #[schemars(with = "Option<DataCompression>")]
    pub data_compression: Option<Templated<DataCompression>>,
    /// Encryption of base backups by the S3 service.
    #[serde(default, rename = "data.encryption")]
    #[schemars(with = "Option<Encryption>")]
    pub data_encryption: Option<Templated<Encryption>>,
    /// How many files of a base backup are uploaded at a time.
    #[serde(default, rename = "data.jobs")]
    pub data_jobs: Option<Parsed<u32>>,
}

impl Template {
    /// The settings with those of a BackupClass before them.
    #[must_use]
    pub fn with(mut self, class: Parameters) -> Self {
        let store = &mut self.barman_object_store;
        win(&mut self.server_name, set(class.server_name));
        if let Some(path) = set(class.destination_path) {
            store.destination_path = path;
        }
        win(&mut store.endpoint_url, set(class.endpoint_url));
        win(&mut store.retention_policy, set(class.retention_policy));

        let ca = store.endpoint_ca.get_or_insert_default();
        if let Some(name) = set(class.endpoint_ca) {
            ca.secret_ref.name = name;
        }
        win(&mut ca.key, set(class.endpoint_ca_key));
        let keys = store.s3_credentials.get_or_insert_default();
        if let Some(name) = set(class.secret) {
            keys.secret_ref.name = name;
        }
        win(&mut keys.access_key_id_key, set(class.access_key_id_key));
        win(
            &mut keys.secret_access_key_key,
            set(class.secret_access_key_key),
        );

        let (wal, data) = (&mut store.wal, &mut store.data);
        win(&mut wal.compression, class.wal_compression);
        win(&mut wal.encryption, class.wal_encryption);
        win(&mut data.compression, class.data_compression);
        win(&mut data.encryption, class.data_encryption);
        let jobs = class
            .data_jobs
            .map(|jobs| i32::try_from(jobs.0).unwrap_or(i32::MAX));
        win(&mut data.jobs, jobs);
        self
    }
}

fn win<T>(setting: &mut Option<T>, parameter: Option<T>) {
    if parameter.is_some() {
        *setting = parameter;
    }
}

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
        seconds(self.restore_timeout_seconds).unwrap_or(RESTORE_DEADLINE)
    }

    /// How long WAL may take to be archived.
    #[must_use]
    pub fn wal_deadline(&self) -> Duration {
        seconds(self.wal_archive_timeout_seconds).unwrap_or(WAL_DEADLINE)
    }

    /// The moment to bring the data back to.
    #[must_use]
    pub fn moment(&self) -> &RecoveryTime {
        self.recovery_time.as_ref().unwrap_or(&RecoveryTime::Backup)
    }
}

fn seconds(option: Option<i64>) -> Option<Duration> {
    let seconds = option.and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
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

/// How a text must be, where it stands, the text, and the rule in words.
type Rule<'a> = (fn(&str) -> bool, &'a str, Option<&'a String>, &'a str);

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    const PATH: &str = "begins with s3:// and goes on with the name of the bucket";
    const URL: &str = "begins with https:// or http://";
    const RETENTION: &str = "is a number of days, weeks or months, such as 30d";
    const FOLDER: &str = "is the name of one folder, without slashes";
    let template = &spec.template;
    let store = &template.barman_object_store;
    let texts: [Rule<'_>; 8] = [
        (
            is_folder_name,
            "/spec/template/serverName",
            template.server_name.as_ref(),
            FOLDER,
        ),
        (
            is_place,
            "/spec/template/barmanObjectStore/destinationPath",
            Some(&store.destination_path),
            PATH,
        ),
        (
            is_url,
            "/spec/template/barmanObjectStore/endpointURL",
            store.endpoint_url.as_ref(),
            URL,
        ),
        (
            is_retention,
            "/spec/template/barmanObjectStore/retentionPolicy",
            store.retention_policy.as_ref(),
            RETENTION,
        ),
        (
            is_folder_name,
            "/parameters/serverName",
            parameters.server_name.as_ref(),
            FOLDER,
        ),
        (
            is_place,
            "/parameters/barmanObjectStore.destinationPath",
            parameters.destination_path.as_ref(),
            PATH,
        ),
        (
            is_url,
            "/parameters/barmanObjectStore.endpointURL",
            parameters.endpoint_url.as_ref(),
            URL,
        ),
        (
            is_retention,
            "/parameters/barmanObjectStore.retentionPolicy",
            parameters.retention_policy.as_ref(),
            RETENTION,
        ),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(fits, pointer, text, rule)| Problem::unless(fits, pointer, text, rule));
    let jobs = [
        (
            "/spec/template/barmanObjectStore/data/jobs",
            store.data.jobs.is_some_and(|jobs| jobs < 1),
        ),
        (
            "/parameters/data.jobs",
            parameters.data_jobs.is_some_and(|jobs| jobs.0 < 1),
        ),
    ];
    let jobs = jobs
        .into_iter()
        .filter(|(_, is_wrong)| *is_wrong)
        .map(|(pointer, _)| Problem::at(pointer, "is 1 or more"));
    texts.chain(jobs).collect()
}

fn is_place(text: &str) -> bool {
    text.strip_prefix("s3://")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn is_folder_name(text: &str) -> bool {
    !text.contains('/') && !matches!(text, "." | "..")
}

/// As the ObjectStore's schema has it: `^[1-9][0-9]*[dwm]$`.
fn is_retention(text: &str) -> bool {
    let number = text.strip_suffix(['d', 'w', 'm']).unwrap_or_default();
    number.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        && number.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
#[path = "spec/tests.rs"]
mod tests;
