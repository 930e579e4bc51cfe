//! StrategyPlugin: how a strategy reaches the host, and what it is granted.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{condition::Condition, job::PluginIdentity};

/// Where a component comes from, and what it may do. What a component says of itself grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "StrategyPlugin",
    plural = "strategyplugins",
    status = "StrategyPluginStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "cozystack-backups",
    doc = "A backup strategy as a WebAssembly component, with what the administrator grants it.",
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.strategyKind"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.serving.version"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Backups","type":"integer","jsonPath":".status.backups"}"#,
    printcolumn = r#"{"name":"Jobs","type":"integer","jsonPath":".status.jobs"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Digest","type":"string","priority":1,"jsonPath":".status.serving.digest"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct StrategyPluginSpec {
    /// Where the component is.
    pub source: PluginSource,
    /// The only digest that is accepted, `sha256:<hex>`; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// The strategy kind that it serves.
    #[schemars(regex(pattern = r"^[A-Z][A-Za-z0-9]{0,62}$"))]
    pub strategy_kind: String,
    /// The kinds of applications that it may work on.
    #[schemars(length(min = 1))]
    pub applications: Vec<GrantedApplication>,
    /// Where in the bucket it may write: patterns with `{namespace}`, `{application}` and `{release}`. The first
    /// is the usual place.
    #[schemars(length(min = 1))]
    pub storage_paths: Vec<String>,
    /// The ServiceAccount whose rights it uses.
    pub service_account: PluginAccount,
    /// Namespaces beside the job's that it may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system_namespaces: Vec<String>,
    /// What an evaluation may use, where it differs from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PluginLimits>,
    /// How many jobs it may work on at a time, in all namespaces together; any number when absent. Jobs beyond it wait
    /// for their turn, and namespaces take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_running_jobs: Option<u32>,
    /// What its Pods may do. Restricted, and without Secrets, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PluginPods>,
}

impl StrategyPluginSpec {
    /// Whether a namespace is one of the system namespaces that it may touch.
    #[must_use]
    pub fn is_system_namespace(&self, namespace: Option<&str>) -> bool {
        let mut system = self.system_namespaces.iter();
        system.any(|system| Some(system.as_str()) == namespace)
    }
}

/// What the Pods may do that a strategy has run, by itself or by an operator. None runs under a ServiceAccount other than
/// `default`, and none has a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginPods {
    /// The level of Kubernetes' Pod Security Standards that every Pod template keeps.
    #[serde(default)]
    pub security_level: PodSecurityLevel,
    /// Names of the Secrets that they may use, as patterns with `{namespace}`, `{application}`, `{release}`, and `*` for
    /// any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// A level of the Pod Security Standards, the strictest first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurityLevel {
    /// As hardened as a Pod can be.
    #[default]
    Restricted,
    /// What a Pod has that asks for nothing.
    Baseline,
    /// Anything, access to the node included.
    Privileged,
}

impl PodSecurityLevel {
    /// As Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

/// Where a component is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginSource {
    /// Name of a file in the plugin folder.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][-A-Za-z0-9_.]*\.wasm$"))]
    pub file: String,
}

/// A kind of application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantedApplication {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// A ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Limits of an evaluation. What is absent has the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginLimits {
    /// Wall clock, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60_000))]
    pub deadline_milliseconds: Option<u32>,
    /// WebAssembly instructions, in millions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub fuel_millions: Option<u32>,
    /// Linear memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub memory_mebibytes: Option<u32>,
    /// Actions of one plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub actions: Option<u32>,
    /// Rounds of reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub rounds: Option<u32>,
}

/// How far a plugin came.
///
/// `Fetched`, `Compiled` and `Conformant` are about what the source holds now, `Ready` about what serves: a newer version
/// that cannot be used leaves the last good one serving, and both are told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyPluginStatus {
    /// The component that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<PluginIdentity>,
    /// The component that served last, where none serves: an older version does not take its place by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_served: Option<PluginIdentity>,
    /// How many Backups need the plugin: those of its strategy kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backups: Option<u32>,
    /// How many jobs that have begun and not ended need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub jobs: Option<u32>,
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Fetched`, `Compiled`, `Conformant`, `DefinitionInstalled` and `InUse`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
