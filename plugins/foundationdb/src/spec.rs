//! What may be set.

use std::time::Duration;

use backup_strategy::{
    Knob, Rule, Templated, Value, asked_for, is_bucket_name, is_folder, knob, schema::*,
};
use serde::{Deserialize, Serialize};

/// How long a restore may run, as the first controller had it.
const RESTORE_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How FoundationDB applications are backed up by backup agents of the FoundationDB operator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spec {
    /// The settings. Every text in it may be a template.
    pub template: Template,
}

/// What is rendered for each application.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Where backups are stored. Whatever is left out follows the platform's storage.
    #[serde(default)]
    pub blob_store_configuration: BlobStore,
    /// What becomes of the stream of changes once the backup can be restored. When absent: `continuous`.
    #[serde(default)]
    pub backup_mode: Option<Templated<Mode>>,
    /// How many backup agents run. When absent: 2, as the operator has it.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub agent_count: Option<i32>,
    /// Seconds from one snapshot of the data to the next, as long as the stream goes on. When absent: 864000, as the
    /// operator has it.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub snapshot_period_seconds: Option<i32>,
    /// Parameters of the backup agents and of the operator's commands, such as `knob_blobstore_request_timeout=30`. The
    /// operator puts `--` before each. `--blob_credentials=<file>` tells the agents where their credentials are.
    #[serde(default)]
    pub custom_parameters: Vec<String>,
    /// File with the key that the backup is encrypted with, in the agents and in the operator's Pod. FoundationDB 7.3.73
    /// or 7.4.6 is needed.
    #[serde(default)]
    pub encryption_key_path: Option<String>,
    /// Template of the agents' Pods. Their container is called `foundationdb`. What it does not say of credentials and of
    /// security is added. When absent: agents with the platform's credentials.
    #[serde(default)]
    pub backup_deployment_pod_template_spec: Option<Value>,
}

/// A bucket of an S3 service, as FoundationDB's URLs name it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobStore {
    /// Account and host of the S3 service: `<access key ID>@<host>[:<port>]`, or `@<host>[:<port>]` where the file of
    /// credentials tells the key, too. Never with a secret: tenants can read it. When absent: the platform's storage.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub account_name: Option<String>,
    /// Name of the bucket. When absent: the platform's.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub bucket: Option<String>,
    /// Folder of the application's backups, such as `tenant-acme/fdb`: each backup has a name of its own below it. When
    /// absent: the folder that the platform gives the application.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub backup_name: Option<String>,
    /// Parameters of the URL, such as `region=eu-1` or `secure_connection=0`. When absent: these two follow the platform's
    /// storage, if its account is used.
    #[serde(default)]
    pub url_parameters: Vec<String>,
}

/// What becomes of the stream of changes once a backup can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// It goes on until the next backup of the application begins, or until this one is removed. A restore can choose any
    /// state in between.
    Continuous,
    /// It ends.
    OneTime,
}

/// What a BackupClass may set, too.
pub const KNOBS: &[Knob] = &[
    knob("blobStoreConfiguration.accountName").ruled(ACCOUNT),
    knob("blobStoreConfiguration.bucket").ruled(BUCKET),
    knob("blobStoreConfiguration.backupName").ruled(FOLDER),
    knob("blobStoreConfiguration.urlParameters")
        .ruled(URL_PARAMETER)
        .parted_by('&'),
    knob("backupMode"),
    knob("agentCount"),
    knob("snapshotPeriodSeconds"),
    knob("customParameters").parted_by(' '),
    knob("encryptionKeyPath"),
];

const ACCOUNT: Rule = Rule::new(
    has_no_secret,
    "is <access key ID>@<host> without a secret: tenants can read it",
);
const BUCKET: Rule = Rule::new(is_bucket_name, "is a name; the folder is `backupName`");
const FOLDER: Rule = Rule::new(
    is_folder,
    "is a folder of the bucket, such as tenant-acme/fdb",
);
const URL_PARAMETER: Rule = Rule::new(
    is_url_parameter,
    "is <name>=<value>, such as region=eu-1; the bucket and the folder have settings of their own",
);

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// How many seconds the restore may run once the new cluster is there. 1800 when absent, zero or less.
    #[serde(default)]
    pub restore_timeout_seconds: Option<i64>,
    /// The state to restore, as a version of FoundationDB: one that the stream of the backup covers. That of the Backup
    /// when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub backup_version: Option<i64>,
    /// Restore the last state that the stream of the backup has stored, and not that of the Backup.
    #[serde(default)]
    pub latest: bool,
}

impl Options {
    /// How long the restore may run.
    pub fn deadline(&self) -> Duration {
        asked_for(self.restore_timeout_seconds).unwrap_or(RESTORE_DEADLINE)
    }
}

/// Whether this can be a parameter of the URL. Another bucket or a prefix would lead to where nobody looks.
fn is_url_parameter(text: &str) -> bool {
    match text.split_once('=') {
        Some((name, value)) => {
            !name.is_empty() && !value.contains(['=', '&']) && !matches!(name, "bucket" | "prefix")
        }
        None => false,
    }
}

/// Whether an account says no secret: `<key>:<secret>@<host>` does.
fn has_no_secret(account: &str) -> bool {
    account
        .rsplit_once('@')
        .is_none_or(|(key, _)| !key.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_holds_no_secret_and_a_url_names_no_other_place() {
        for account in [
            "@s3.example.org:8333",
            "key@s3.example.org",
            "s3.example.org",
        ] {
            assert!(ACCOUNT.fits(account), "{account}");
        }
        for account in ["key:word@s3.example.org", "key:word:token@s3.example.org"] {
            assert!(!ACCOUNT.fits(account), "{account}");
        }
        // The last as the first controller's default has it, which is no parameter of FoundationDB's.
        for text in ["secure_connection=0", "sc=1", "bucket_path=tenant-acme/fdb"] {
            assert!(URL_PARAMETER.fits(text), "{text}");
        }
        for text in ["bucket=other", "prefix=x", "region", "a=b=c"] {
            assert!(!URL_PARAMETER.fits(text), "{text}");
        }
    }

    // TestFoundationDBRestoreOptions_EffectiveDeadline
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
    }
}
