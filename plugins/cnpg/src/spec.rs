//! What may be set.

use backup_strategy::{Problem, Templated, schema::*};
use serde::{Deserialize, Serialize};

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
    /// (`postgres-<application>`) when absent. A Cluster that archives already keeps the folder that it has.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Where backups are stored, and how.
    pub barman_object_store: BarmanObjectStore,
}

/// An S3 bucket and what Barman does with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BarmanObjectStore {
    /// For example `s3://bucket/prefix/`.
    #[schemars(length(min = 1))]
    pub destination_path: String,
    /// URL of the S3 service, with its scheme. When absent: that of the platform's storage, if `s3Credentials`
    /// is absent, too, and Amazon's otherwise.
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCa {
    /// The Secret.
    pub secret_ref: SecretRef,
    /// The key of the Secret that holds it; `ca.crt` when absent.
    #[serde(default)]
    pub key: Option<String>,
}

/// S3 keys in a Secret of the application's namespace.
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    /// How long base backups and their WAL are kept, such as `14d`.
    #[serde(default, rename = "barmanObjectStore.retentionPolicy")]
    #[schemars(regex(pattern = r"^[1-9][0-9]*[dwm]$"))]
    pub retention_policy: Option<String>,
    /// Compression of base backups.
    #[serde(default, rename = "data.compression")]
    pub data_compression: Option<DataCompression>,
    /// Compression of WAL.
    #[serde(default, rename = "wal.compression")]
    pub wal_compression: Option<WalCompression>,
}

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let store = &spec.template.barman_object_store;
    let retention = "is a number of days, weeks or months, such as 30d";
    let mut problems = Vec::new();
    let mut check = |pointer: &str, text: Option<&String>, fits: fn(&str) -> bool, rule: &str| {
        if text.is_some_and(|text| !text.contains("{{") && !fits(text)) {
            problems.push(Problem::at(pointer, rule));
        }
    };
    check(
        "/spec/template/barmanObjectStore/destinationPath",
        Some(&store.destination_path),
        |text| text.starts_with("s3://"),
        "begins with s3://",
    );
    check(
        "/spec/template/barmanObjectStore/endpointURL",
        store.endpoint_url.as_ref(),
        |text| text.is_empty() || text.starts_with("https://") || text.starts_with("http://"),
        "begins with https:// or http://",
    );
    check(
        "/spec/template/barmanObjectStore/retentionPolicy",
        store.retention_policy.as_ref(),
        |text| text.is_empty() || is_retention(text),
        retention,
    );
    check(
        "/parameters/barmanObjectStore.retentionPolicy",
        parameters.retention_policy.as_ref(),
        is_retention,
        retention,
    );
    problems
}

/// As the ObjectStore's schema has it: `^[1-9][0-9]*[dwm]$`.
fn is_retention(text: &str) -> bool {
    let number = text.strip_suffix(['d', 'w', 'm']).unwrap_or_default();
    number.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        && number.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(store: BarmanObjectStore, retention: Option<&str>) -> Vec<String> {
        let spec = Spec {
            template: Template {
                server_name: None,
                barman_object_store: store,
            },
        };
        let parameters = Parameters {
            retention_policy: retention.map(Into::into),
            data_compression: None,
            wal_compression: None,
        };
        problems(&spec, &parameters)
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    fn store(destination: &str, endpoint: &str, retention: &str) -> BarmanObjectStore {
        BarmanObjectStore {
            destination_path: destination.into(),
            endpoint_url: Some(endpoint.into()),
            retention_policy: Some(retention.into()),
            endpoint_ca: None,
            s3_credentials: None,
            wal: Wal::default(),
            data: Data::default(),
        }
    }

    #[test]
    fn templates_and_what_is_empty_are_not_judged() {
        let templated = store(
            "{{ .Parameters.path }}",
            "{{ .Storage.endpoint }}",
            "{{ .Parameters.keep }}",
        );
        assert!(pointers(templated, None).is_empty());
        assert!(
            pointers(
                store("s3://bucket/{{ .Application.metadata.name }}", "", ""),
                Some("2w")
            )
            .is_empty()
        );
    }

    #[test]
    fn problems_name_the_setting() {
        let wrong = pointers(store("bucket", "s3.example.org", "0d"), Some("30"));
        assert_eq!(
            wrong,
            [
                "/spec/template/barmanObjectStore/destinationPath",
                "/spec/template/barmanObjectStore/endpointURL",
                "/spec/template/barmanObjectStore/retentionPolicy",
                "/parameters/barmanObjectStore.retentionPolicy",
            ]
        );
    }
}
