//! What may stand in a file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::faults::Refusal;

/// A case, as it was read.
#[derive(Default)]
pub(crate) struct Case {
    /// What is there before anything happens.
    pub(crate) setting: Setting,
    /// The definitions of `crds`.
    pub(crate) definitions: Vec<Value>,
    /// The objects of `given`, those of other files among them.
    pub(crate) given: Vec<Value>,
    /// What happens, each with its line.
    pub(crate) steps: Vec<(u64, Value)>,
}

/// What a case says, but for its story.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Setting {
    /// What the case shows, for a person.
    #[serde(rename = "case")]
    _case: String,
    /// The `spec` of the strategy object. Where it is absent, the object is one of `given`.
    pub(crate) strategy: Option<Value>,
    /// The parameters of the BackupClass.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What differs from the grant that the manifest proposes: members of a StrategyPlugin's `spec`.
    pub(crate) grant: Value,
    /// The platform's storage, where it differs.
    pub(crate) storage: Storage,
    /// Files of CustomResourceDefinitions, or folders of them.
    crds: Vec<PathBuf>,
    /// Objects, and files of them.
    given: Vec<Value>,
    /// Keys that lie in the bucket, each with its size.
    pub(crate) stored: BTreeMap<String, u64>,
    /// What happens.
    story: Vec<Spanned<Value>>,
}

/// The platform's storage.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Storage {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) region: String,
    /// Whether its certificate is signed by an authority of the platform's own.
    pub(crate) private_authority: bool,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            endpoint: "https://s3.example".to_owned(),
            bucket: "backups".to_owned(),
            region: "eu-1".to_owned(),
            private_authority: false,
        }
    }
}

/// One step: what happens, in the order of these members, and what is expected once the host has reacted.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Step {
    /// What the API server refuses the strategy, from now on and in place of what it refused before.
    pub(crate) refuse: Option<Vec<Refusal>>,
    /// Whether the storage answers the host, from now on.
    pub(crate) storage_answers: Option<bool>,
    /// What a container has written.
    pub(crate) log: Option<Log>,
    /// What somebody stores: keys with their sizes.
    pub(crate) store: BTreeMap<String, u64>,
    /// What somebody removes from the bucket: keys.
    pub(crate) lose: Vec<String>,
    /// What somebody deletes: what names it.
    pub(crate) delete: Many,
    /// What somebody creates: objects.
    pub(crate) create: Many,
    /// What somebody changes, status included: the members that become other ones; null removes.
    pub(crate) change: Many,
    /// How long nothing happens, such as `35m`.
    pub(crate) time: Option<String>,
    /// The host begins anew.
    pub(crate) restart: bool,
    /// A tenant creates a BackupJob.
    pub(crate) backup: Option<BackupStep>,
    /// A tenant creates a RestoreJob.
    pub(crate) restore: Option<RestoreStep>,
    /// Somebody wants to know whether a Backup is there still.
    pub(crate) check: Option<BackupName>,
    /// A tenant deletes a Backup.
    pub(crate) forget: Option<BackupName>,
    /// What is expected then.
    pub(crate) expect: Option<Expected>,
}

/// One document, or several.
#[derive(Default, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Many(pub(crate) Vec<Value>);

impl From<Value> for Many {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::default(),
            Value::Array(items) => Self(items),
            one => Self(vec![one]),
        }
    }
}

/// What a container has written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    /// In its run before the last restart.
    #[serde(default)]
    pub(crate) previous: bool,
    pub(crate) text: String,
}

/// A BackupJob.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BackupStep {
    /// Its name; `backup` when absent.
    pub(crate) name: Option<String>,
    /// The application's name; that of the only one when absent.
    pub(crate) of: Option<String>,
}

/// A RestoreJob.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RestoreStep {
    /// Its name; `restore` when absent.
    pub(crate) name: Option<String>,
    /// The Backup's name; that of the only one when absent.
    pub(crate) backup: Option<String>,
    /// `spec.targetApplicationRef`; in place when absent.
    pub(crate) into: Option<Value>,
    /// `spec.options`.
    pub(crate) options: Option<Value>,
}

/// Which Backup.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BackupName {
    /// Its name; that of the only one when absent.
    pub(crate) backup: Option<String>,
}

/// What is expected. What is not named is not looked at.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Expected {
    /// Of the job, or of the Backup that is checked: `status.phase`.
    pub(crate) phase: Option<String>,
    /// The reason of its condition `Ready`.
    pub(crate) reason: Option<String>,
    /// The message of its condition `Ready`.
    pub(crate) message: Option<String>,
    /// Its conditions by their types: true, false, or the members of the condition.
    pub(crate) conditions: BTreeMap<String, Value>,
    /// The Backup: its members, or `gone`.
    pub(crate) backup: Option<Value>,
    /// Objects that are there.
    pub(crate) objects: Many,
    /// Objects of which there is none.
    pub(crate) gone: Many,
    /// The HelmReleases that are suspended, all of them.
    pub(crate) suspended: Option<Vec<String>>,
    /// The keys that lie in the bucket, all of them.
    pub(crate) stored: Option<Vec<String>>,
    /// The kinds of the objects that jobs have made and that are there, all of them.
    pub(crate) left: Option<Vec<String>>,
    /// The places that the strategy names for a backup, all of them.
    pub(crate) paths: Option<Vec<String>>,
    /// The problems that the strategy has with its settings, all of them: paths with messages.
    pub(crate) problems: Option<BTreeMap<String, String>>,
}

impl Case {
    /// Reads a case: one document with a story, or objects only, which are tried without one.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = text_of(path)?;
        let documents: Vec<Value> = parsed(path, serde_saphyr::from_multiple(&text))?;
        let is_story = documents
            .iter()
            .any(|document| document.get("kind").is_none() && document.is_object());
        if !is_story {
            return Ok(Self {
                given: objects(path)?,
                ..Self::default()
            });
        }
        let mut setting: Setting = parsed(path, serde_saphyr::from_str(&text))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut definitions = vec![];
        for file in std::mem::take(&mut setting.crds) {
            definitions.extend(definitions_below(&folder.join(file))?);
        }
        let mut given = vec![];
        for object in std::mem::take(&mut setting.given) {
            match object.get("file").and_then(Value::as_str) {
                Some(file) => given.extend(objects(&folder.join(file))?),
                None => given.push(named(path, object)?),
            }
        }
        let steps = std::mem::take(&mut setting.story);
        Ok(Self {
            setting,
            definitions,
            given,
            steps: steps
                .into_iter()
                .map(|step| (step.referenced.line(), step.value))
                .collect(),
        })
    }
}

/// A part of a case.
///
/// # Errors
/// What it has that it may not, and what it lacks.
pub(crate) fn part<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn text_of(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn parsed<T>(path: &Path, parsed: Result<T, serde_saphyr::Error>) -> Result<T, String> {
    parsed.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// The objects of a file.
fn objects(path: &Path) -> Result<Vec<Value>, String> {
    let text = text_of(path)?;
    let documents: Vec<Value> = parsed(path, serde_saphyr::from_multiple(&text))?;
    let mut objects = vec![];
    for document in documents {
        match document.get("items").and_then(Value::as_array) {
            _ if document.is_null() => {}
            Some(items) => objects.extend(items.iter().cloned()),
            None => objects.push(document),
        }
    }
    let named = objects.into_iter().map(|object| named(path, object));
    named.collect()
}

fn named(path: &Path, object: Value) -> Result<Value, String> {
    let has = |pointer: &str| object.pointer(pointer).is_some_and(Value::is_string);
    if has("/apiVersion") && has("/kind") && has("/metadata/name") {
        return Ok(object);
    }
    Err(format!(
        "{} holds an object without apiVersion, kind or metadata.name: {}",
        path.display(),
        crate::matching::shown(&object)
    ))
}

/// The definitions in a file, or in the YAML files of a folder.
fn definitions_below(path: &Path) -> Result<Vec<Value>, String> {
    let files = match path.is_dir() {
        true => yaml_files(path)?,
        false => vec![path.to_owned()],
    };
    let mut definitions = vec![];
    for file in files {
        let found = objects(&file)?.into_iter();
        definitions.extend(found.filter(|one| one["kind"] == "CustomResourceDefinition"));
    }
    Ok(definitions)
}

/// The files of a folder that end in `.yaml`, in the order of their names.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
