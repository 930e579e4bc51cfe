//! What may be set.

use std::time::Duration;

use backup_strategy::{Parsed, Problem, is_bucket_name, is_folder, is_url, schema::*};
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

/// What a BackupClass may set besides; it wins over the strategy's own setting.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Parameters {
    /// Name of the bucket.
    #[serde(default, rename = "destination.s3.bucket")]
    pub bucket: Option<String>,
    /// URL of the S3 service, with its scheme.
    #[serde(default, rename = "destination.s3.endpoint")]
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: Option<String>,
    /// Folder of the snapshots.
    #[serde(default, rename = "destination.s3.key")]
    pub key: Option<String>,
    /// Region.
    #[serde(default, rename = "destination.s3.region")]
    pub region: Option<String>,
    /// Whether the bucket stands in the path rather than in the host name.
    #[serde(default, rename = "destination.s3.forcePathStyle")]
    pub force_path_style: Option<Parsed<bool>>,
    /// Secret of the application's namespace with the S3 keys.
    #[serde(default, rename = "destination.s3.credentialsSecretRef.name")]
    pub secret: Option<String>,
}

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
    /// What was asked for, if anything was.
    pub fn seconds(&self) -> Option<u32> {
        let seconds = self
            .restore_timeout_seconds
            .filter(|seconds| *seconds > 0)?;
        // The API server takes no larger `progressDeadlineSeconds`.
        Some(
            u32::try_from(seconds)
                .unwrap_or(u32::MAX)
                .min(i32::MAX.unsigned_abs()),
        )
    }

    /// How long the restored cluster may take to come up.
    pub fn deadline(&self) -> Duration {
        self.seconds().map_or(RESTORE_DEADLINE, |seconds| {
            Duration::from_secs(seconds.into())
        })
    }
}

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let s3 = &spec.template.destination.s3;
    let mut problems = Vec::new();
    for (root, bucket, endpoint, key) in [
        (
            "/spec/template/destination/s3/",
            &s3.bucket,
            &s3.endpoint,
            &s3.key,
        ),
        (
            "/parameters/destination.s3.",
            &parameters.bucket,
            &parameters.endpoint,
            &parameters.key,
        ),
    ] {
        for (field, setting, fits, rule) in [
            (
                "bucket",
                bucket,
                is_bucket_name as fn(&str) -> bool,
                "is a name; the folder is `key`",
            ),
            (
                "endpoint",
                endpoint,
                is_url,
                "begins with https:// or http://",
            ),
            (
                "key",
                key,
                is_folder,
                "is a folder of the bucket, such as tenant-acme/etcd/",
            ),
        ] {
            let pointer = format!("{root}{field}");
            problems.extend(Problem::unless(fits, &pointer, setting.as_ref(), rule));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(s3: Bucket, parameters: &Parameters) -> Vec<String> {
        let spec = Spec {
            template: Template {
                destination: Destination { s3 },
            },
        };
        problems(&spec, parameters)
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    fn bucket(bucket: &str, endpoint: &str, key: &str) -> Bucket {
        Bucket {
            bucket: Some(bucket.into()),
            endpoint: Some(endpoint.into()),
            key: Some(key.into()),
            ..Bucket::default()
        }
    }

    #[test]
    fn templates_and_what_is_empty_are_not_judged() {
        let none = Parameters::default();
        assert!(pointers(Bucket::default(), &none).is_empty());
        assert!(pointers(bucket("", "", ""), &none).is_empty());
        let templated = bucket(
            "{{ .Parameters.bucket }}",
            "{{ .Storage.endpoint }}",
            "{{ .Storage.prefix }}/",
        );
        assert!(pointers(templated, &none).is_empty());
        assert!(
            pointers(
                bucket("b", "https://s3.example.org", "tenant-acme/etcd/"),
                &none
            )
            .is_empty()
        );
    }

    #[test]
    fn problems_name_the_setting() {
        let parameters = Parameters {
            key: Some("a//b".into()),
            ..Parameters::default()
        };
        let wrong = pointers(bucket("s3://b", "s3.example.org", "../etcd"), &parameters);
        assert_eq!(
            wrong,
            [
                "/spec/template/destination/s3/bucket",
                "/spec/template/destination/s3/endpoint",
                "/spec/template/destination/s3/key",
                "/parameters/destination.s3.key",
            ]
        );
    }

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
