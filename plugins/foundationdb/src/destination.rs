//! Where a backup lies, and how it is written down in the operator's objects and in a Backup.

use backup_strategy::{is_path, prelude::*, set, text};

use crate::{FoundationDb, metadata};

/// The document that is kept with a Backup.
const RESOURCES: (&str, &str) = (
    "backups.cozystack.io/v1alpha1",
    "FoundationDBBackupSnapshot",
);
/// The bucket of the operator where none is named.
const OPERATORS_BUCKET: &str = "fdb-backups";
/// The first controller's default has the folder here. FoundationDB knows no such parameter, and refuses the URL.
const FOLDER_PARAMETER: &str = "bucket_path";
/// The names that FoundationDB has for whether the service speaks TLS.
const SECURE: [&str; 2] = ["secure_connection", "sc"];
/// The agents' file of credentials, where the first controller's settings have it. The operator would put `--` before it
/// once more.
const CREDENTIALS_PARAMETER: &str = "blob_credentials";

/// A backup in a bucket, word for word as the operator has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blob {
    /// FoundationDB looks for credentials only where there is an `@`.
    pub account_name: String,
    pub bucket: String,
    /// Its data lies in `data/<name>/`; `backups/<name>` says that it is there.
    pub backup_name: String,
    pub url_parameters: Vec<String>,
}

impl Blob {
    /// As it stands in an object; what is absent is empty.
    pub fn shown(value: &Value) -> Self {
        Self {
            account_name: text(value, "/accountName").into(),
            bucket: text(value, "/bucket").into(),
            backup_name: text(value, "/backupName").into(),
            url_parameters: texts(value, "/urlParameters"),
        }
    }

    /// As it is to stand in an object.
    pub fn to_value(&self) -> Value {
        pruned(json!({
            "accountName": self.account_name,
            "bucket": set(Some(&self.bucket)),
            "backupName": set(Some(&self.backup_name)),
            "urlParameters": listed(&self.url_parameters),
        }))
    }

    /// What the settings ask for, with a name of this job's own. What they leave out follows the platform's
    /// storage.
    pub fn of_settings(cx: &Context<FoundationDb>, name: &str) -> Outcome<Self> {
        let settings = cx.spec()?.template.blob_store_configuration;
        let platform = cx.bucket();

        let account = set(settings.account_name);
        let account_name = account_of(account.as_deref().unwrap_or(&platform.endpoint));
        let url_parameters = settings.url_parameters;
        let folder = set(settings.backup_name)
            .or_else(|| value_of(&url_parameters, &[FOLDER_PARAMETER]).map(Into::into))
            .or_else(|| cx.prefixes().first().cloned())
            .unwrap_or_default();
        let mut blob = Self {
            account_name,
            bucket: set(settings.bucket).unwrap_or(platform.name.clone()),
            backup_name: format!("{}/{name}", folder.trim_matches('/')),
            url_parameters,
        };
        if platform.is_at(blob.host()) {
            blob.follow(&platform);
        }
        blob.url_parameters.retain(|text| is_understood(text));
        if !is_path(&blob.backup_name) {
            let message =
                format!("blobStoreConfiguration.backupName: {folder:?} is no folder of a bucket");
            return fail("InvalidSpec", message);
        }
        Ok(blob)
    }

    /// How the platform's service is spoken to, where the settings do not say.
    fn follow(&mut self, platform: &Bucket) {
        if value_of(&self.url_parameters, &SECURE).is_none() {
            let secure = u8::from(platform.endpoint.starts_with("https://"));
            self.url_parameters
                .push(format!("secure_connection={secure}"));
        }
        if value_of(&self.url_parameters, &["region"]).is_none() && !platform.region.is_empty() {
            self.url_parameters
                .push(format!("region={}", platform.region));
        }
    }

    /// Where a finished backup lies: what was kept with the Backup comes first, then its metadata, which is all that some
    /// old Backups have.
    pub fn of_backup(source: &FinishedBackup) -> Outcome<Self> {
        let said = |key: &str| source.metadata(key).unwrap_or_default().to_owned();
        let kept = Self::shown(&kept(source)?["storage"]);
        let mut blob = if kept.says_something() {
            kept
        } else {
            let parameters = said(metadata::URL_PARAMETERS);
            Self {
                account_name: said(metadata::ACCOUNT_NAME),
                bucket: said(metadata::BUCKET),
                backup_name: said(metadata::BLOB_BACKUP_NAME),
                url_parameters: parameters.split('&').map(Into::into).collect(),
            }
        };
        if !blob.says_something() {
            let message = format!("Backup {} does not say where it lies", source.name);
            return fail("MetadataMissing", message);
        }
        if blob.bucket.is_empty() {
            blob.bucket = OPERATORS_BUCKET.into();
        }
        if blob.backup_name.is_empty() {
            // The operator has called it after its own object.
            blob.backup_name = said(metadata::BACKUP_NAME);
        }
        if !is_path(&blob.backup_name) {
            let message = format!(
                "Backup {} says that it is called {:?} in its bucket, which cannot be",
                source.name, blob.backup_name
            );
            return fail("InvalidMetadata", message);
        }
        blob.account_name = account_of(&blob.account_name);
        blob.url_parameters.retain(|text| is_understood(text));
        Ok(blob)
    }

    fn says_something(&self) -> bool {
        !(self.account_name.is_empty() && self.bucket.is_empty() && self.backup_name.is_empty())
    }

    /// The host of the service, with its port if that is not the usual one.
    pub fn host(&self) -> &str {
        self.account_name
            .rsplit_once('@')
            .map_or(self.account_name.as_str(), |(_, host)| host)
    }

    /// The folder of its data.
    pub fn data(&self) -> String {
        format!("data/{}", self.backup_name)
    }

    /// The object by which FoundationDB finds it.
    pub fn index(&self) -> String {
        format!("backups/{}", self.backup_name)
    }

    /// Where its data lies.
    pub fn data_uri(&self) -> String {
        format!("s3://{}/{}/", self.bucket, self.data())
    }

    /// As the first controller has it, where the operator does not tell the URL.
    pub fn uri(&self) -> String {
        format!("blobstore://{}/{}", self.bucket, self.backup_name)
    }

    /// Whether a URL of FoundationDB's is about this backup. Account, port and parameters are written in more ways than
    /// one.
    pub fn is_at(&self, url: &str) -> bool {
        let place = url.split_once("://").map(|(_, place)| place);
        let path = place.and_then(|place| place.split_once('/'));
        path.is_some_and(|(_, path)| path.split('?').next() == Some(self.backup_name.as_str()))
    }

    /// The folder of its data, if it lies where this strategy may look.
    pub fn in_sight(&self, cx: &Context<FoundationDb>) -> Option<String> {
        let data = self.data();
        cx.in_sight(&self.bucket, self.host(), &data)?;
        Some(data)
    }

    /// The same, if it may remove it, too.
    pub fn in_reach(&self, cx: &Context<FoundationDb>) -> Option<String> {
        let data = self.data();
        cx.in_reach(&self.bucket, self.host(), &data)?;
        Some(data)
    }

    /// Kept with the Backup.
    pub fn resources(&self, commands: &Commands, parameters: &Value) -> Value {
        pruned(json!({
            "apiVersion": RESOURCES.0,
            "kind": RESOURCES.1,
            "storage": self.to_value(),
            "customParameters": listed(&commands.custom_parameters),
            "encryptionKeyPath": commands.encryption_key_path,
            "parameters": parameters,
        }))
    }
}

/// How the operator's commands and the agents are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Without the dashes that the operator puts before each.
    pub custom_parameters: Vec<String>,
    pub encryption_key_path: Option<String>,
    /// Where the agents find their credentials, where the parameters say it.
    pub credentials: Option<String>,
}

impl Commands {
    /// As they stand in an object.
    pub fn shown(value: &Value) -> Self {
        Self {
            custom_parameters: texts(value, "/customParameters"),
            encryption_key_path: set(Some(text(value, "/encryptionKeyPath").into())),
            credentials: None,
        }
        .understood()
    }

    /// What the settings ask for.
    pub fn of_settings(cx: &Context<FoundationDb>) -> Outcome<Self> {
        let settings = cx.spec()?.template;
        Ok(Self {
            custom_parameters: settings.custom_parameters,
            encryption_key_path: settings.encryption_key_path,
            credentials: None,
        }
        .understood())
    }

    /// What a finished backup was taken with.
    pub fn of_backup(source: &FinishedBackup) -> Outcome<Self> {
        Ok(Self::shown(&kept(source)?))
    }

    fn understood(mut self) -> Self {
        let mut custom = vec![];
        for text in &self.custom_parameters {
            let text = text.trim().trim_start_matches('-');
            match text.split_once('=') {
                Some((CREDENTIALS_PARAMETER, file)) => self.credentials = Some(file.into()),
                _ if text.is_empty() => {}
                _ => custom.push(text.to_owned()),
            }
        }
        self.custom_parameters = custom;
        self.encryption_key_path = set(self.encryption_key_path);
        self
    }
}

/// The document that was kept with a Backup. One that cannot be read is passed over, because the metadata says most of it.
fn kept(source: &FinishedBackup) -> Outcome<Value> {
    Ok(source.document(RESOURCES)?.unwrap_or_default())
}

/// Whether the document that was kept with a Backup cannot be read.
pub fn is_malformed(source: &FinishedBackup) -> bool {
    match source.resources::<Value>() {
        Ok(Some(kept)) => !kept["storage"].is_object(),
        Ok(None) => false,
        Err(_) => true,
    }
}

fn texts(value: &Value, list: &str) -> Vec<String> {
    let said = backup_strategy::texts(value, list).into_iter();
    said.filter(|text| !text.is_empty())
        .map(Into::into)
        .collect()
}

/// A list that says something.
pub fn listed(texts: &[String]) -> Option<&[String]> {
    Some(texts).filter(|texts| !texts.is_empty())
}

/// An account as FoundationDB wants it: `@` before the host, and no scheme.
fn account_of(text: &str) -> String {
    let account = text.split_once("://").map_or(text, |(_, rest)| rest);
    let account = account.trim_end_matches('/');
    if account.contains('@') || account.is_empty() {
        account.to_owned()
    } else {
        format!("@{account}")
    }
}

/// The value of a parameter that has one of these names.
fn value_of<'a>(parameters: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut pairs = parameters.iter().filter_map(|text| text.split_once('='));
    pairs
        .find(|(name, value)| names.contains(name) && !value.is_empty())
        .map(|(_, value)| value)
}

/// Whether a parameter says something that FoundationDB knows.
fn is_understood(text: &str) -> bool {
    text.split_once('=')
        .is_some_and(|(name, value)| name != FOLDER_PARAMETER && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(account: &str, name: &str) -> Blob {
        Blob {
            account_name: account_of(account),
            bucket: "b".into(),
            backup_name: name.into(),
            url_parameters: vec![],
        }
    }

    #[test]
    fn an_account_is_looked_up_by_its_host() {
        for (said, is) in [
            ("s3.example.org", "@s3.example.org"),
            ("https://s3.example.org:8333/", "@s3.example.org:8333"),
            ("@s3.example.org", "@s3.example.org"),
            ("key@s3.example.org", "key@s3.example.org"),
        ] {
            assert_eq!(account_of(said), is);
        }
        assert_eq!(
            blob("key@s3.example.org:80", "n").host(),
            "s3.example.org:80"
        );
    }

    // TestFoundationDBBackupURI_FallsBackToSpec, TestFoundationDBBackupURI_EmptyIsEmpty
    #[test]
    fn data_and_index_lie_apart() {
        let blob = blob("s3.example.org", "tenant-acme/fdb/bk");
        assert_eq!(blob.uri(), "blobstore://b/tenant-acme/fdb/bk");
        assert_eq!(blob.data(), "data/tenant-acme/fdb/bk");
        assert_eq!(blob.index(), "backups/tenant-acme/fdb/bk");
    }

    #[test]
    fn a_url_is_told_by_its_path() {
        let blob = blob("s3.example.org", "tenant-acme/fdb/bk");
        assert!(
            blob.is_at("blobstore://@s3.example.org:443/tenant-acme/fdb/bk?bucket=b&region=eu-1")
        );
        assert!(blob.is_at("blobstore://b/tenant-acme/fdb/bk"));
        for other in [
            "",
            "blobstore://b",
            "blobstore://b/tenant-acme/fdb/bk2",
            "blobstore://b/tenant-acme/fdb",
            "blobstore://tenant-acme/fdb/bk",
        ] {
            assert!(!blob.is_at(other), "{other}");
        }
    }

    #[test]
    fn parameters_that_nobody_knows_are_left_out() {
        assert!(is_understood("region=eu-1"));
        for text in ["bucket_path=tenant-acme/fdb", "region=", "region", ""] {
            assert!(!is_understood(text), "{text}");
        }
        let commands = Commands {
            custom_parameters: vec![
                "--blob_credentials=/var/fdb/blob_credentials.json".into(),
                "--knob_http_verbose_level=1".into(),
                "knob_other=2".into(),
                " ".into(),
            ],
            encryption_key_path: Some(String::new()),
            credentials: None,
        }
        .understood();
        assert_eq!(
            commands.custom_parameters,
            ["knob_http_verbose_level=1", "knob_other=2"]
        );
        assert_eq!(
            commands.credentials.as_deref(),
            Some("/var/fdb/blob_credentials.json")
        );
        assert_eq!(commands.encryption_key_path, None);
    }

    // TestMarshalDecodeFoundationDBBackupSnapshot_RoundTrip
    #[test]
    fn what_is_kept_with_a_backup_is_as_it_was() {
        let commands = Commands::default();
        assert_eq!(
            blob("s3.example.org", "n").resources(&commands, &json!({ "a": "b" })),
            json!({
                "apiVersion": "backups.cozystack.io/v1alpha1",
                "kind": "FoundationDBBackupSnapshot",
                "storage": { "accountName": "@s3.example.org", "bucket": "b", "backupName": "n" },
                "parameters": { "a": "b" },
            })
        );
    }
}
