//! Where snapshots lie.

use backup_strategy::{bucket_and_key, part, prelude::*, set};
use serde::{Deserialize, Serialize};

use crate::{Etcd, metadata};

/// The document that is kept with a Backup.
const RESOURCES: (&str, &str) = ("backups.cozystack.io/v1alpha1", "EtcdBackupSnapshot");
/// Where it says where the snapshot lies.
const PLACE: &str = "/destination/s3";

/// A place in a bucket, word for word as the operator has it: in an EtcdSnapshot `key` is the folder, and the operator
/// adds the file's name; in the bootstrap of an EtcdCluster it is the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3 {
    pub bucket: String,
    pub endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// None leaves it to the operator, also in what is kept for a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,
    pub credentials_secret_ref: SecretRef,
}

/// Names a Secret of the application's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SecretRef {
    pub name: String,
}

impl S3 {
    /// What the settings ask for. What they leave out follows the platform's storage.
    pub fn of_settings(cx: &Context<Etcd>) -> Outcome<Self> {
        let settings = cx.spec()?.template.destination.s3;
        let platform = cx.bucket();

        let secret = set(settings.credentials_secret_ref.map(|secret| secret.name));
        // Settings with credentials of their own are about a storage of their own.
        let follows = secret
            .as_ref()
            .is_none_or(|name| *name == platform.credentials_secret);
        let platforms = |text: &str| follows.then(|| text.to_owned());

        let missing = |field: &str| {
            format!(
                "template.destination.s3.{field} is empty, and credentials of one's own need it"
            )
        };
        let s3 = Self {
            bucket: set(settings.bucket)
                .or(platforms(&platform.name))
                .or_fail("InvalidSpec", missing("bucket"))?,
            endpoint: set(settings.endpoint)
                .or(platforms(&platform.endpoint))
                .or_fail("InvalidSpec", missing("endpoint"))?,
            key: set(settings.key)
                .or(cx.prefixes().first().cloned())
                .map(|key| folder(&key)),
            region: set(settings.region).or(platforms(&platform.region)),
            force_path_style: settings
                .force_path_style
                .or(follows.then_some(platform.force_path_style)),
            credentials_secret_ref: SecretRef {
                name: secret.unwrap_or(platform.credentials_secret),
            },
        };
        // Without a folder of its own a snapshot would lie among those of other tenants.
        if s3.key.is_none() {
            return fail("InvalidSpec", missing("key"));
        }
        Ok(s3)
    }

    /// Where a finished backup lies; `key` is the file.
    ///
    /// The document that was kept with the Backup comes first, then its metadata, which is all that some old Backups
    /// have. The artifact's URI has the last word about the file, as long as it is about the same bucket: agents of the
    /// operator before 0.5 added a revision to the file's name.
    pub fn of_backup(source: &FinishedBackup) -> Outcome<Self> {
        let said = |key: &str| source.metadata(key).filter(|text| !text.is_empty());
        let kept = kept(source)?.or_else(|| {
            Some(Self {
                bucket: said(metadata::BUCKET)?.into(),
                endpoint: said(metadata::ENDPOINT)?.into(),
                key: said(metadata::KEY).map(Into::into),
                region: said(metadata::REGION).map(Into::into),
                force_path_style: said(metadata::FORCE_PATH_STYLE).map(|text| text == "true"),
                credentials_secret_ref: SecretRef {
                    name: said(metadata::SECRET)?.into(),
                },
            })
        });
        let mut s3 = kept.or_fail(
            "MetadataMissing",
            format!(
                "Backup {} does not say where its snapshot lies",
                source.name
            ),
        )?;
        let artifact = source.artifact.as_ref();
        let artifact = artifact.and_then(|artifact| s3.file_of(&artifact.uri));
        s3.key = match artifact {
            Some(key) => Some(key),
            None => s3.file(source.metadata_name(metadata::BACKUP_NAME)?),
        };
        if s3.key.is_none() {
            return fail!(
                "MetadataMissing",
                "Backup {} does not say which object its snapshot is",
                source.name
            );
        }
        Ok(s3)
    }

    /// The key of a snapshot's file, as the operator makes it of the folder.
    pub fn file(&self, snapshot: Option<&str>) -> Option<String> {
        let folder = self.key.as_deref().unwrap_or_default();
        match snapshot {
            Some(name) if folder.is_empty() || folder.ends_with('/') => {
                Some(format!("{folder}{name}.db"))
            }
            Some(name) => Some(format!("{folder}/{name}.db")),
            None => Some(folder.to_owned()).filter(|file| !file.is_empty()),
        }
    }

    /// The key of a URI, if it is a file in this bucket.
    fn file_of(&self, uri: &str) -> Option<String> {
        let (bucket, key) = bucket_and_key(uri)?;
        (bucket == self.bucket && !key.ends_with('/')).then(|| key.to_owned())
    }

    pub fn uri(&self) -> String {
        format!(
            "s3://{}/{}",
            self.bucket,
            self.key.as_deref().unwrap_or_default()
        )
    }

    /// The path of the file in the platform's bucket, if this strategy may look at it.
    pub fn in_sight(&self, cx: &Context<Etcd>) -> Option<&str> {
        cx.in_sight(&self.bucket, &self.endpoint, self.key.as_deref()?)
    }

    /// The same, if it may remove it.
    pub fn in_reach(&self, cx: &Context<Etcd>) -> Option<&str> {
        cx.in_reach(&self.bucket, &self.endpoint, self.key.as_deref()?)
    }

    /// The operator trusts public certificate authorities only and cannot be given another.
    pub fn is_trusted(&self, cx: &Context<Etcd>) -> Outcome<()> {
        if cx.authority_of(&self.endpoint).is_none() {
            return Ok(());
        }
        fail!(
            "PrivateCAUnsupported",
            "{} has a certificate of a private authority, and the etcd operator cannot be told to trust it; give \
             the storage a certificate of a public authority",
            self.endpoint
        )
    }

    /// Kept with the Backup.
    pub fn resources(&self, parameters: &Value) -> Value {
        pruned(json!({
            "apiVersion": RESOURCES.0,
            "kind": RESOURCES.1,
            "destination": { "s3": self },
            "parameters": parameters,
        }))
    }
}

/// The place in the document that was kept with a Backup. One that cannot be read is passed over, because the metadata says
/// the same.
fn kept(source: &FinishedBackup) -> Outcome<Option<S3>> {
    let kept = source.document(RESOURCES)?;
    let s3 = kept.and_then(|kept| part::<S3>(&kept, PLACE));
    Ok(s3.filter(|s3| !s3.bucket.is_empty()))
}

/// Whether the document that was kept with a Backup cannot be read.
pub fn is_malformed(source: &FinishedBackup) -> bool {
    let has_no_place =
        |kept: Value| !kept["destination"].is_null() && part::<S3>(&kept, PLACE).is_none();
    match source.resources::<Value>() {
        Ok(kept) => kept.is_some_and(has_no_place),
        Err(_) => true,
    }
}

/// Operator and host put it together with the file's name in the same way only if it ends in one slash.
fn folder(key: &str) -> String {
    format!("{}/", key.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(key: &str) -> S3 {
        S3 {
            bucket: "b".into(),
            key: Some(key.into()),
            ..S3::default()
        }
    }

    #[test]
    fn the_operator_names_files_after_the_snapshot() {
        let file = |folder: &str, name| s3(folder).file(name).unwrap_or_default();
        assert_eq!(file("", Some("bk")), "bk.db");
        assert_eq!(file("etcd/", Some("bk")), "etcd/bk.db");
        assert_eq!(file("etcd", Some("bk")), "etcd/bk.db");
        assert_eq!(
            file("tenant-acme/etcd/", Some("bk")),
            "tenant-acme/etcd/bk.db"
        );
        assert_eq!(file("etcd/old.db", None), "etcd/old.db");
        assert_eq!(s3("").file(None), None);
        // Only what this strategy writes is brought to one slash; the operator keeps what is there.
        assert_eq!(file("etcd//", Some("bk")), "etcd//bk.db");
        assert_eq!(folder("/etcd//"), "etcd/");
    }

    #[test]
    fn an_artifact_counts_only_in_the_same_bucket() {
        let file_of = |uri| s3("").file_of(uri);
        assert_eq!(
            file_of("s3://b/etcd/bk-rev2.db"),
            Some("etcd/bk-rev2.db".into())
        );
        assert_eq!(file_of("s3://b/bk.db"), Some("bk.db".into()));
        for unusable in [
            "",
            "file:///b/bk.db",
            "s3://other/bk.db",
            "s3://b/etcd/",
            "s3://b/",
            "s3://b",
        ] {
            assert_eq!(file_of(unusable), None, "{unusable}");
        }
    }

    #[test]
    fn what_is_not_set_stays_unset() {
        assert_eq!(
            json!(s3("etcd/")),
            json!({ "bucket": "b", "endpoint": "", "key": "etcd/", "credentialsSecretRef": { "name": "" } })
        );
    }
}
