//! What a strategy says of itself: the document of `wit/manifest.schema.json`.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::imports;

/// The schema, which is part of the contract.
const SCHEMA: &str = include_str!("../../../wit/manifest.schema.json");

/// The schema, ready to be used: making it takes some hundred microseconds, using it a few.
static VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(|| {
    let schema = serde_json::from_str(SCHEMA).map_err(|error| error.to_string())?;
    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
});

/// A strategy's answer to `describe`. Members that this host does not know are dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Short name, a DNS label.
    pub name: String,
    /// Version of the strategy.
    pub version: semver::Version,
    /// Version of the contract that it was built against.
    pub contract: semver::Version,
    /// One sentence for an administrator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The kind whose objects configure it.
    pub strategy_kind: StrategyKind,
    /// The application kinds that it can work on.
    pub applications: Vec<ApplicationKind>,
    /// Which questions it answers by itself; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<Vec<String>>,
    /// JSON schema of the BackupClass parameters; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// JSON schema of a RestoreJob's options; none are allowed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_options: Option<Value>,
    /// Kinds that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ReadKind>,
    /// Kinds that it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<WrittenKind>,
    /// Applications that a job works on beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HeldKind>,
    /// What it asks an administrator to grant.
    #[serde(default)]
    pub asks: Asks,
    /// Whether it suspends the application's HelmRelease.
    #[serde(default)]
    pub suspends_releases: bool,
    /// Whether applications go on using the projected credentials when no job runs.
    #[serde(default)]
    pub uses_credentials_between_jobs: bool,
    /// Versions of a Backup's metadata that it can read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_versions: Vec<u32>,
    /// Versions of the state that it can read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_versions: Vec<u32>,
}

/// A kind of `strategy.backups.cozystack.io/v1alpha1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyKind {
    /// `CNPG`.
    pub kind: String,
    /// `cnpgs`.
    pub plural: String,
    /// JSON schema of `spec`.
    pub schema: Value,
}

/// An application kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApplicationKind {
    /// `apps.cozystack.io`.
    pub group: String,
    /// `Postgres`.
    pub kind: String,
}

/// What a strategy asks an administrator to grant beside its account, in the words of a StrategyPlugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asks {
    /// Where its backups lie, the usual place first; the host's usual place when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_paths: Vec<String>,
    /// Namespaces of the platform that it works in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system_namespaces: Vec<String>,
    /// Patterns of the Secrets that its Pods use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_secrets: Vec<String>,
}

/// Applications that a job works on beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKind {
    /// The kind of the job's own application.
    pub of: String,
    /// Group of the others.
    pub group: String,
    /// Kind of the others.
    pub kind: String,
    /// Where their names stand in the job's own application: a JSON pointer, `*` for every item of a list.
    pub names: String,
}

/// A kind that a strategy reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadKind {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Whether it can be watched whole.
    #[serde(default)]
    pub small: bool,
    /// Whether logs of these Pods are read.
    #[serde(default)]
    pub logs: bool,
    /// Whether they are read in system namespaces only.
    #[serde(default)]
    pub in_system_namespaces: bool,
}

/// A kind that a strategy writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenKind {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// `create`, `apply`, `merge`, `delete`.
    pub actions: Vec<String>,
    /// JSON pointers to places in object storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_paths: Vec<String>,
    /// Whether they are written in system namespaces only.
    #[serde(default)]
    pub in_system_namespaces: bool,
}

impl ReadKind {
    /// Whether this is what it says of a kind.
    #[must_use]
    pub fn is(&self, api_version: &str, kind: &str) -> bool {
        self.api_version == api_version && self.kind == kind
    }
}

impl WrittenKind {
    /// Whether this is what it says of a kind.
    #[must_use]
    pub fn is(&self, api_version: &str, kind: &str) -> bool {
        self.api_version == api_version && self.kind == kind
    }

    /// Whether objects of the kind are created for jobs, with their labels.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.actions.iter().any(|action| action == "create")
    }
}

impl Manifest {
    /// Whether objects of a kind are read and written in system namespaces only.
    #[must_use]
    pub fn is_in_system_namespaces(&self, api_version: &str, kind: &str) -> bool {
        self.mentions(api_version, kind)
            .any(|in_system_namespaces| in_system_namespaces)
    }

    /// What each mention of a kind says of where it is.
    fn mentions<'a>(
        &'a self,
        api_version: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = bool> + 'a {
        let reads = self.reads.iter();
        let reads = reads.filter(move |read| read.is(api_version, kind));
        let writes = self.writes.iter();
        let writes = writes.filter(move |written| written.is(api_version, kind));
        reads
            .map(|read| read.in_system_namespaces)
            .chain(writes.map(|written| written.in_system_namespaces))
    }

    /// Reads what a strategy answered to `describe`, and checks it by the schema and by what a schema cannot say.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let validator = VALIDATOR
            .as_ref()
            .map_err(|error| format!("the schema cannot be used: {error}"))?;
        let problems: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", place(&error.instance_path().to_string())))
            .collect();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let manifest: Self = serde_json::from_value(document).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let host = imports::offered();
        if !imports::is_compatible(&host, &self.contract) {
            return Err(format!(
                "/contract: {} is not compatible with this host's {host}",
                self.contract
            ));
        }
        for (at, written) in self.writes.iter().enumerate() {
            let WrittenKind {
                api_version,
                kind,
                in_system_namespaces,
                ..
            } = written;
            if self
                .mentions(api_version, kind)
                .any(|other| other != *in_system_namespaces)
            {
                return Err(format!(
                    "/writes/{at}/inSystemNamespaces: what else is said of {kind} differs"
                ));
            }
            if let Some(odd) = written.storage_paths.iter().find(|path| !is_pointer(path)) {
                return Err(format!(
                    "/writes/{at}/storagePaths: {odd:?} is not a JSON pointer"
                ));
            }
        }
        Ok(())
    }
}

/// The root has no path.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() {
        "the document"
    } else {
        pointer
    }
}

/// RFC 6901, not the whole document: `~` only stands before 0 or 1.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
        && text
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with(['0', '1']))
}
