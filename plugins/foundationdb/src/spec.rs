//! What may be set.

use std::time::Duration;

use backup_strategy::{Parsed, Problem, Templated, Value, is_bucket_name, is_folder, schema::*};
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
    /// What becomes of the stream of changes once the backup can be restored. `continuous` when absent.
    #[serde(default)]
    pub backup_mode: Option<Templated<Mode>>,
    /// How many backup agents run. 2 when absent, as the operator has it.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub agent_count: Option<i32>,
    /// Seconds from one snapshot of the data to the next, as long as the stream goes on. 864000 when absent, as the
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
    /// `<access key ID>@<host>[:<port>]`, or `@<host>[:<port>]` where the file of credentials tells the key, too. The
    /// platform's storage when absent. Never with a secret: tenants can read it.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub account_name: Option<String>,
    /// Name of the bucket. The platform's when absent.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub bucket: Option<String>,
    /// Folder of the application's backups, such as `tenant-acme/fdb`: each backup has a name of its own below it. The
    /// folder that the platform gives the application when absent.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub backup_name: Option<String>,
    /// Parameters of the URL, such as `region=eu-1` or `secure_connection=0`. These two follow the platform's storage when
    /// absent, if its account is used.
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

/// What a BackupClass may set besides; it wins over the strategy's own setting.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Parameters {
    /// Account and host of the S3 service, such as `@s3.example.org`.
    #[serde(default, rename = "blobStoreConfiguration.accountName")]
    #[schemars(length(max = 100))]
    pub account_name: Option<String>,
    /// Name of the bucket.
    #[serde(default, rename = "blobStoreConfiguration.bucket")]
    #[schemars(length(max = 63))]
    pub bucket: Option<String>,
    /// Folder of the application's backups.
    #[serde(default, rename = "blobStoreConfiguration.backupName")]
    #[schemars(length(max = 1024))]
    pub backup_name: Option<String>,
    /// Parameters of the URL, as a URL has them: `region=eu-1&secure_connection=0`.
    #[serde(default, rename = "blobStoreConfiguration.urlParameters")]
    pub url_parameters: Option<String>,
    /// What becomes of the stream of changes once the backup can be restored.
    #[serde(default, rename = "backupMode")]
    pub backup_mode: Option<Mode>,
    /// How many backup agents run.
    #[serde(default, rename = "agentCount")]
    #[schemars(regex(pattern = "^[1-9][0-9]*$"))]
    pub agent_count: Option<Parsed<u32>>,
    /// Seconds from one snapshot of the data to the next.
    #[serde(default, rename = "snapshotPeriodSeconds")]
    #[schemars(regex(pattern = "^[1-9][0-9]*$"))]
    pub snapshot_period_seconds: Option<Parsed<u32>>,
    /// Parameters of the backup agents and of the operator's commands, with spaces between.
    #[serde(default, rename = "customParameters")]
    pub custom_parameters: Option<String>,
    /// File with the key that the backup is encrypted with.
    #[serde(default, rename = "encryptionKeyPath")]
    pub encryption_key_path: Option<String>,
}

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
        match self.restore_timeout_seconds {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
            _ => RESTORE_DEADLINE,
        }
    }
}

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let blob = &spec.template.blob_store_configuration;
    let account = "is <access key ID>@<host> without a secret: tenants can read it";
    let bucket = "is a name; the folder is `backupName`";
    let folder = "is a folder of the bucket, such as tenant-acme/fdb";
    let (at, of) = (
        "/spec/template/blobStoreConfiguration",
        "/parameters/blobStoreConfiguration",
    );
    let pointer = |end: &str| format!("{at}/{end}");
    let parameter = |end: &str| format!("{of}.{end}");
    let mut problems: Vec<Problem> = [
        Problem::unless(
            has_no_secret,
            &pointer("accountName"),
            blob.account_name.as_ref(),
            account,
        ),
        Problem::unless(
            has_no_secret,
            &parameter("accountName"),
            parameters.account_name.as_ref(),
            account,
        ),
        Problem::unless(
            is_bucket_name,
            &pointer("bucket"),
            blob.bucket.as_ref(),
            bucket,
        ),
        Problem::unless(
            is_bucket_name,
            &parameter("bucket"),
            parameters.bucket.as_ref(),
            bucket,
        ),
        Problem::unless(
            is_folder,
            &pointer("backupName"),
            blob.backup_name.as_ref(),
            folder,
        ),
        Problem::unless(
            is_folder,
            &parameter("backupName"),
            parameters.backup_name.as_ref(),
            folder,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (index, text) in blob.url_parameters.iter().enumerate() {
        let pointer = format!("{at}/urlParameters/{index}");
        problems.extend(Problem::unless(
            is_url_parameter,
            &pointer,
            Some(text),
            URL_PARAMETER,
        ));
    }
    for text in parameters
        .url_parameters
        .iter()
        .flat_map(|all| all.split('&'))
    {
        let text = text.to_owned();
        problems.extend(Problem::unless(
            is_url_parameter,
            &parameter("urlParameters"),
            Some(&text),
            URL_PARAMETER,
        ));
    }
    problems
}

/// What [`is_url_parameter`] asks for.
pub const URL_PARAMETER: &str =
    "is <name>=<value>, such as region=eu-1; the bucket and the folder have settings of their own";

/// Whether this can be a parameter of the URL. Another bucket or a prefix would lead to where nobody looks.
pub fn is_url_parameter(text: &str) -> bool {
    match text.split_once('=') {
        Some((name, value)) => {
            !name.is_empty() && !value.contains(['=', '&']) && !matches!(name, "bucket" | "prefix")
        }
        None => false,
    }
}

/// Whether an account says no secret: `<key>:<secret>@<host>` does.
pub fn has_no_secret(account: &str) -> bool {
    account
        .rsplit_once('@')
        .is_none_or(|(key, _)| !key.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(blob_store_configuration: BlobStore, parameters: &Parameters) -> Vec<String> {
        let spec = Spec {
            template: Template {
                blob_store_configuration,
                backup_mode: None,
                agent_count: None,
                snapshot_period_seconds: None,
                custom_parameters: vec![],
                encryption_key_path: None,
                backup_deployment_pod_template_spec: None,
            },
        };
        problems(&spec, parameters)
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    fn blob(account: &str, bucket: &str, folder: &str, parameters: &[&str]) -> BlobStore {
        BlobStore {
            account_name: Some(account.into()),
            bucket: Some(bucket.into()),
            backup_name: Some(folder.into()),
            url_parameters: parameters.iter().map(|text| (*text).into()).collect(),
        }
    }

    #[test]
    fn templates_and_what_is_empty_are_not_judged() {
        let none = Parameters::default();
        assert!(pointers(BlobStore::default(), &none).is_empty());
        assert!(pointers(blob("", "", "", &[]), &none).is_empty());
        let templated = blob(
            "{{ .Parameters.accountName }}",
            "{{ .Storage.bucket }}",
            "{{ .Storage.prefix }}",
            &["region={{ .Storage.region }}", "{{ .Parameters.more }}"],
        );
        assert!(pointers(templated, &none).is_empty());
        let usual = blob(
            "@s3.example.org:8333",
            "b",
            "tenant-acme/fdb",
            &["secure_connection=0", "sc=1"],
        );
        assert!(pointers(usual, &none).is_empty());
        // As the first controller's default has it, which lacks the `@` and names no parameter of FoundationDB's.
        let old = blob("s3.example.org", "b", "", &["bucket_path=tenant-acme/fdb"]);
        assert!(pointers(old, &none).is_empty());
    }

    #[test]
    fn problems_name_the_setting() {
        let parameters = Parameters {
            account_name: Some("key:word@s3.example.org".into()),
            url_parameters: Some("region=eu-1&prefix=x".into()),
            ..Parameters::default()
        };
        let wrong = pointers(
            blob(
                "key:word:token@s3.example.org",
                "s3://b",
                "../fdb",
                &["region=eu-1", "bucket=other", "region"],
            ),
            &parameters,
        );
        assert_eq!(
            wrong,
            [
                "/spec/template/blobStoreConfiguration/accountName",
                "/parameters/blobStoreConfiguration.accountName",
                "/spec/template/blobStoreConfiguration/bucket",
                "/spec/template/blobStoreConfiguration/backupName",
                "/spec/template/blobStoreConfiguration/urlParameters/1",
                "/spec/template/blobStoreConfiguration/urlParameters/2",
                "/parameters/blobStoreConfiguration.urlParameters",
            ]
        );
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
