//! Backups that were taken once and must be restored, checked and forgotten by every later version.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use backup_api::names::OWNED_BY_UID;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Bucket, Stage};

/// Set to write what this version writes in the place of what is kept.
const UPDATE: &str = "UPDATE_BACKUPS";

/// A Backup with what lay in the bucket, from `backups/<strategy>/<version>.yaml`.
///
/// The file's first document is the Backup as the API server shows it; the second has a list `stored` of `key` and
/// `sizeBytes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The Backup, without what the API server says of it.
    pub backup: Value,
    /// Key and size of each object in the bucket.
    pub stored: Vec<(String, u64)>,
}

impl Kept {
    /// What is kept of a strategy, such as `Kept::of("etcd", "v0")`.
    ///
    /// # Errors
    /// When nothing is, or it cannot be read.
    pub fn of(strategy: &str, version: &str) -> anyhow::Result<Self> {
        let path = file(strategy, version);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        let [backup, rest] = documents.as_slice() else {
            anyhow::bail!("{} has not two documents", path.display());
        };
        let stored = rest["stored"].as_array().context("`stored` is missing")?;
        let stored = stored.iter().map(|object| {
            let key = object["key"].as_str().context("an object without a key")?;
            let size = object["sizeBytes"].as_u64().context("no size")?;
            Ok((key.to_owned(), size))
        });
        Ok(Self {
            backup: backup.clone(),
            stored: stored.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.backup["metadata"]["name"].as_str().unwrap_or_default()
    }
}

impl Stage {
    /// Puts a kept Backup into a namespace and its data into the bucket. The names of other objects in it are as they
    /// were.
    ///
    /// # Errors
    /// When the Backup is not accepted.
    pub async fn put_kept(&self, kept: &Kept, namespace: &str) -> anyhow::Result<()> {
        let mut backup = kept.backup.clone();
        backup["metadata"]["namespace"] = json!(namespace);
        self.cluster.put(backup)?;
        for (key, size) in &kept.stored {
            let at = Timestamp::from_second(self.cluster.now())?;
            Bucket::put(self.storage.as_ref(), key, *size, at).await;
        }
        Ok(())
    }

    /// A Backup of this stage is as the one that is kept, but for what differs from run to run. With `UPDATE_BACKUPS`
    /// set it is kept from now on.
    ///
    /// # Errors
    /// When it differs, and when files cannot be read or written.
    pub async fn is_as_kept(
        &self,
        strategy: &str,
        version: &str,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<()> {
        let backup = without_the_run(self.read("Backup", namespace, name));
        let stored: Vec<Value> = self
            .storage
            .sizes()
            .into_iter()
            .map(|(key, size)| json!({ "key": key, "sizeBytes": size }))
            .collect();
        let path = file(strategy, version);
        if std::env::var_os(UPDATE).is_some() {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let text = format!(
                "# Written by UPDATE_BACKUPS=1.\n{}---\n{}",
                serde_saphyr::to_string(&backup)?,
                serde_saphyr::to_string(&json!({ "stored": stored }))?
            );
            std::fs::write(&path, text)?;
            return Ok(());
        }
        let kept = Kept::of(strategy, version)?;
        ensure!(
            without_job(&kept.backup) == without_job(&backup),
            "{} is not what this version writes:\n{}\nin place of\n{}",
            path.display(),
            serde_json::to_string_pretty(&backup)?,
            serde_json::to_string_pretty(&kept.backup)?,
        );
        let kept: Vec<Value> = kept
            .stored
            .iter()
            .map(|(key, size)| json!({ "key": key, "sizeBytes": size }))
            .collect();
        ensure!(
            masked(&json!(kept).to_string()) == masked(&json!(stored).to_string()),
            "the bucket holds {stored:?} in place of {kept:?}"
        );
        Ok(())
    }
}

fn file(strategy: &str, version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("backups/{strategy}/{version}.yaml"))
}

/// In words, without which job it was: its UID is another one as soon as anything else is made before it.
fn without_job(backup: &Value) -> String {
    let text = backup.to_string();
    match backup["metadata"]["labels"][OWNED_BY_UID].as_str() {
        Some(uid) => masked(&text.replace(uid, "<job>")),
        None => masked(&text),
    }
}

/// Without the ends of names that are made for a job: ten hexadecimal digits behind a hyphen.
fn masked(text: &str) -> String {
    let mut parts = text.split('-');
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !matches!(c, '0'..='9' | 'a'..='f'))
            .unwrap_or(part.len());
        let (mark, rest) = part.split_at(end);
        let shown = if end == 10 { "<job>" } else { mark };
        masked.extend(["-", shown, rest]);
    }
    masked
}

/// Without what the API server says of an object, and with a version and a digest of the plugin that no build changes.
fn without_the_run(mut backup: Value) -> Value {
    if let Some(metadata) = backup["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    if let Some(plugin) = backup["spec"]["plugin"].as_object_mut() {
        plugin.insert("version".to_owned(), json!("0.0.0"));
        plugin.insert(
            "digest".to_owned(),
            json!(format!("sha256:{}", "0".repeat(64))),
        );
    }
    backup
}
