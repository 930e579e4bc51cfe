//! What may be set.

use std::time::Duration;

use backup_strategy::{Knob, Rule, Templated, Value, asked_for, is_bucket_name, knob, schema::*};

use serde::{Deserialize, Serialize};

use crate::rules::{is_database, is_host, is_prefix, is_retention};

/// How long a dump or a restore may take, as the first controller had it.
pub const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How MariaDB applications are dumped by mariadb-operator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spec {
    /// The settings. Every text in it may be a template.
    pub template: Template,
}

/// What is rendered for each application.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Where dumps are stored.
    pub storage: Storage,
    /// The databases that are dumped. Accounts are never part of a dump. When absent or empty: all of them.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Compression of dumps. When absent: none.
    #[serde(default)]
    pub compression: Option<Templated<Compression>>,
    /// With each dump the operator removes the dumps in the same folder that are older than this, such as `720h`, also
    /// those that a Backup still names: its check then finds it lost. When absent: none, and a dump stays as long as its
    /// Backup does.
    #[serde(default)]
    pub max_retention: Option<String>,
    /// What the operator's Job writes to its log. When absent: `info`.
    #[serde(default)]
    pub log_level: Option<Templated<LogLevel>>,
    /// How many seconds a dump may take. When absent: 1800.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub backup_timeout_seconds: Option<u32>,
}

/// Where dumps are stored: exactly one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend(
    "x-kubernetes-validations" = [{
        "rule": "[has(self.s3), has(self.persistentVolumeClaim), has(self.volume)].filter(set, set).size() == 1",
        "message": "exactly one of s3, persistentVolumeClaim and volume is set",
    }],
    "example" = { "s3": {} },
))]
pub struct Storage {
    /// An S3 bucket.
    #[serde(default)]
    pub s3: Option<S3>,
    /// A volume for each dump. It can be restored from in its own namespace only, and is deleted with its Backup.
    #[serde(default)]
    #[schemars(with = "Option<VolumeClaim>")]
    pub persistent_volume_claim: Option<Value>,
    /// A volume that is there already. What is dumped there has to be removed by hand.
    #[serde(default)]
    #[schemars(with = "Option<Volume>")]
    pub volume: Option<Value>,
}

/// An S3 bucket. Whatever is left out follows the platform's storage.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// Name of the bucket. When absent: the platform's, if its credentials are used.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Host of the S3 service, with its port if it has one of its own, and without a scheme. When absent: the
    /// platform's, if its credentials are used.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Folder of the dumps, such as `tenant-acme/orders/`, without a dot in it. When absent: the folder that the
    /// platform gives the application.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Region. When absent: the platform's, if its credentials are used.
    #[serde(default)]
    pub region: Option<String>,
    /// Secret with the ID of the access key. When absent: the platform's.
    #[serde(default)]
    pub access_key_id_secret_key_ref: Option<SecretKeyRef>,
    /// Secret with the access key itself. When absent: the platform's, or that of the ID, with the key
    /// `AWS_SECRET_ACCESS_KEY`.
    #[serde(default)]
    pub secret_access_key_secret_key_ref: Option<SecretKeyRef>,
    /// Secret with the session's token, where there is one.
    #[serde(default)]
    pub session_token_secret_key_ref: Option<SecretKeyRef>,
    /// TLS.
    #[serde(default)]
    pub tls: Tls,
}

/// TLS of the S3 service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Whether TLS is used. When absent: as the platform has it, if its endpoint is used, and not otherwise.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Secret with the certificate authority of the service. When absent: that of the platform's storage, if its
    /// endpoint is used and has one of its own.
    #[serde(default)]
    pub ca_secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a Secret of the application's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
// A class may name the one, and the strategy the other.
#[serde(default)]
#[schemars(extend("x-kubernetes-map-type" = "atomic", "required" = ["name", "key"]))]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A volume for each dump, in the words of a PersistentVolumeClaim, as far as the operator knows them.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "only the schema is used: it is handed on as it is"
)]
pub struct VolumeClaim {
    /// Such as `ReadWriteOnce`.
    #[serde(default)]
    pub access_modes: Option<Vec<String>>,
    /// Its size, as `requests.storage`.
    #[serde(default)]
    pub resources: Option<Value>,
    /// Which volumes may be bound.
    #[serde(default)]
    pub selector: Option<Value>,
    /// Storage class; the cluster's default when absent.
    #[serde(default)]
    pub storage_class_name: Option<String>,
}

/// A volume that is there already, in the words of a Pod's volume: exactly one of these.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "only the schema is used: it is handed on as it is"
)]
pub struct Volume {
    /// A volume of a CSI driver.
    #[serde(default)]
    pub csi: Option<Value>,
    /// A folder of the node.
    #[serde(default)]
    pub host_path: Option<Value>,
    /// A folder of an NFS server.
    #[serde(default)]
    pub nfs: Option<Value>,
    /// A PersistentVolumeClaim of the application's namespace.
    #[serde(default)]
    pub persistent_volume_claim: Option<Value>,
}

/// What the operator can compress dumps with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "names of programs")]
pub enum Compression {
    None,
    Bzip2,
    Gzip,
}

/// How much the operator's Job writes to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the usual words")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What a BackupClass may set, too.
pub const KNOBS: &[Knob] = &[
    knob("databases").ruled(DATABASE),
    knob("compression"),
    knob("maxRetention").ruled(RETENTION),
    knob("logLevel"),
    knob("backupTimeoutSeconds"),
    in_bucket("storage.s3.bucket").ruled(BUCKET),
    in_bucket("storage.s3.endpoint").ruled(HOST),
    in_bucket("storage.s3.prefix").ruled(FOLDER),
    in_bucket("storage.s3.region"),
    in_bucket("storage.s3.accessKeyIdSecretKeyRef.name")
        .about("Secret of the application's namespace with the ID of the access key."),
    in_bucket("storage.s3.accessKeyIdSecretKeyRef.key").about(KEY),
    in_bucket("storage.s3.secretAccessKeySecretKeyRef.name")
        .about("Secret of the application's namespace with the access key itself."),
    in_bucket("storage.s3.secretAccessKeySecretKeyRef.key").about(KEY),
    in_bucket("storage.s3.sessionTokenSecretKeyRef.name")
        .about("Secret of the application's namespace with the session's token."),
    in_bucket("storage.s3.sessionTokenSecretKeyRef.key").about(KEY),
    in_bucket("storage.s3.tls.enabled"),
    in_bucket("storage.s3.tls.caSecretKeyRef.name").about(
        "Secret of the application's namespace with the certificate authority of the S3 service.",
    ),
    in_bucket("storage.s3.tls.caSecretKeyRef.key").about(KEY),
    on_volume("storage.persistentVolumeClaim.storageClassName")
        .about("Storage class of the volume for each dump."),
    on_volume("storage.persistentVolumeClaim.resources.requests.storage")
        .about("Size of the volume for each dump, such as `10Gi`."),
];

const KEY: &str = "The key of that Secret that holds it.";

/// What is about a bucket says nothing where dumps lie on volumes.
const fn in_bucket(name: &'static str) -> Knob {
    knob(name).only_in("/template/storage/s3")
}

const fn on_volume(name: &'static str) -> Knob {
    knob(name).only_in("/template/storage/persistentVolumeClaim")
}

const BUCKET: Rule = Rule::new(
    is_bucket_name,
    "is the name of a bucket; the folder is `prefix`",
);
const FOLDER: Rule = Rule::new(
    is_prefix,
    "is a folder of the bucket, such as tenant-acme/orders/, without a dot in it: the operator takes the names of dumps \
     apart at their dots",
);
const HOST: Rule = Rule::new(
    is_host,
    "is a host, with its port if it has one of its own; whether TLS is used says tls.enabled",
)
.pattern("^[^/]+$");
const RETENTION: Rule = Rule::new(
    is_retention,
    "is a duration of more than nothing, such as 720h",
)
.pattern(r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$");
const DATABASE: Rule = Rule::new(
    is_database,
    "is made of letters, digits, `_`, `-` and `.`: the operator hands it to a shell",
)
.pattern(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*( *, *[A-Za-z0-9_][A-Za-z0-9_.-]*)*$");

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// How many seconds the MariaDB may take to be there, and then the restore to be done. 1800 when absent, zero or
    /// less.
    #[serde(default)]
    pub restore_timeout_seconds: Option<i64>,
    /// Namespace of the application that is restored into; that of the RestoreJob when absent. The author of the
    /// RestoreJob needs the right to create RestoreJobs there, and a dump in a bucket of one's own needs its Secrets there.
    #[serde(default)]
    #[allow(dead_code, reason = "the host reads it: it tells who is restored into")]
    pub target_namespace: Option<String>,
}

impl Options {
    /// How long the target is waited for, and how long its restore may take.
    pub fn deadline(&self) -> Duration {
        asked_for(self.restore_timeout_seconds).unwrap_or(DEADLINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_zero_or_less_is_none() {
        let asked = |seconds| {
            let options = Options {
                restore_timeout_seconds: seconds,
                ..Options::default()
            };
            options.deadline().as_secs()
        };
        assert_eq!(asked(None), 1800);
        assert_eq!(asked(Some(0)), 1800);
        assert_eq!(asked(Some(-1)), 1800);
        assert_eq!(asked(Some(7200)), 7200);
        assert_eq!(asked(Some(i64::MAX)), i64::MAX.unsigned_abs());
    }
}
