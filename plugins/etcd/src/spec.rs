//! What may be set.

use std::time::Duration;

use backup_strategy::{Knob, Rule, asked_for, is_bucket_name, is_folder, knob, schema::*};
use serde::Deserialize;

/// How long a restored cluster may take to come up, as the first controller had it.
const RESTORE_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How Etcd applications are backed up by snapshots of the etcd operator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spec {
    /// The settings. Every text in it may be a template.
    pub template: Template,
}

/// What is rendered for each application.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Template {
    /// Where snapshots are stored.
    pub destination: Destination,
}

/// Where snapshots are stored.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Destination {
    /// An S3 bucket. Volumes are not supported: a backup has to outlive its cluster.
    pub s3: Bucket,
}

/// An S3 bucket. Whatever is left out follows the platform's storage.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Name of the bucket. When absent: the platform's, if its credentials are used.
    #[serde(default)]
    pub bucket: Option<String>,
    /// URL of the S3 service, with its scheme. When absent: the platform's, if its credentials are used.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Folder of the snapshots, such as `tenant-acme/etcd/`. When absent: the folder that the platform gives the
    /// application.
    #[serde(default)]
    pub key: Option<String>,
    /// Region. When absent: the platform's, if its credentials are used.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether the bucket stands in the path rather than in the host name. When absent: as the platform has it, if
    /// its credentials are used, and as the operator has it otherwise.
    #[serde(default)]
    pub force_path_style: Option<bool>,
    /// Secret of the application's namespace with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. When
    /// absent: the platform's.
    #[serde(default)]
    pub credentials_secret_ref: Option<SecretRef>,
}

/// Names a Secret of the application's namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SecretRef {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// What a BackupClass may set, too.
pub const KNOBS: &[Knob] = &[
    knob("destination.s3.bucket").ruled(BUCKET),
    knob("destination.s3.endpoint").ruled(Rule::URL),
    knob("destination.s3.key").ruled(FOLDER),
    knob("destination.s3.region"),
    knob("destination.s3.forcePathStyle"),
    knob("destination.s3.credentialsSecretRef.name")
        .about("Secret of the application's namespace with the S3 keys."),
];

const BUCKET: Rule = Rule::new(is_bucket_name, "is a name; the folder is `key`");
const FOLDER: Rule = Rule::new(
    is_folder,
    "is a folder of the bucket, such as tenant-acme/etcd/",
);

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// How many seconds the restored cluster may take to come up. 1800 when absent, zero or less. The operator itself
    /// gives up after 600 seconds, or after what the EtcdCluster says; this raises that, too.
    #[serde(default)]
    pub restore_timeout_seconds: Option<i64>,
    /// Namespace whose etcd is to hold what the backup holds; that of the RestoreJob when absent. Its own data is lost.
    /// The author of the RestoreJob needs the right to create RestoreJobs there.
    #[serde(default)]
    #[allow(dead_code, reason = "the host reads it: it tells who is restored into")]
    pub target_namespace: Option<String>,
}

impl Options {
    /// What was asked for, if anything was. The API server takes no larger `progressDeadlineSeconds`.
    pub fn seconds(&self) -> Option<u32> {
        let seconds = asked_for(self.restore_timeout_seconds)?.as_secs();
        u32::try_from(seconds.min(i32::MAX.unsigned_abs().into())).ok()
    }

    /// How long the restored cluster may take to come up.
    pub fn deadline(&self) -> Duration {
        self.seconds().map_or(RESTORE_DEADLINE, |seconds| {
            Duration::from_secs(seconds.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_zero_or_less_is_none() {
        let asked = |seconds| {
            Options {
                restore_timeout_seconds: seconds,
                ..Options::default()
            }
            .deadline()
            .as_secs()
        };
        assert_eq!(asked(None), 1800);
        assert_eq!(asked(Some(0)), 1800);
        assert_eq!(asked(Some(-3600)), 1800);
        assert_eq!(asked(Some(120)), 120);
        assert_eq!(asked(Some(i64::MAX)), 2_147_483_647);
    }
}
