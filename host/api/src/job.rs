//! What the statuses of jobs have in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    backup::StorageLocation,
    condition::Condition,
    reference::{ApplicationReference, StrategyReference},
};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum JobPhase {
    /// A precondition is missing.
    Pending,
    /// The work is under way.
    Running,
    /// The work is done.
    Succeeded,
    /// The work failed for good.
    Failed,
}

impl JobPhase {
    /// Whether the job has ended; it is never touched again.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// How far a BackupJob or RestoreJob is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Pending, Running, Succeeded or Failed; absent until the host has seen the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<JobPhase>,
    /// When work on the job began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the job ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// The message of the `Ready` condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the host keeps between two evaluations of the strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyProgress>,
    /// `Ready`, and the strategy's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Which plugin did the work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginIdentity {
    /// Name of the StrategyPlugin.
    pub name: String,
    /// Version that the plugin gives itself.
    pub version: String,
    /// Digest of the component, `sha256:<hex>`.
    pub digest: String,
}

/// What the host keeps between two evaluations of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyProgress {
    /// The plugin that works on the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginIdentity>,
    /// The strategy object that the job works with, so that undoing needs neither class nor Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_ref: Option<StrategyReference>,
    /// The application that the job works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_ref: Option<ApplicationReference>,
    /// The application's namespace, where it is not the job's: the author of the job was allowed to restore into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_namespace: Option<String>,
    /// Applications that the job holds beside its own, so that no other job works on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<ApplicationReference>,
    /// By when the job must have ended: set when work begins, by the class or the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The storage that the job began with: what the Backup will record, wherever the platform's storage is by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageLocation>,
    /// What the strategy remembers, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub state: Option<String>,
    /// What the job waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// What went wrong in the last pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setback: Option<Setback>,
    /// Set once the work has failed, while what it left behind is being undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// HelmReleases that were suspended for this job, with what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspended: Vec<SuspendedRelease>,
    /// The version of the state that the plugin writes: the newest of its manifest's `stateVersions`. Where its component
    /// is lost, only a version that reads this one may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub state_version: Option<u32>,
}

/// A failure that is being cleaned up behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failing {
    /// Why the work failed: the message that the job will end with.
    pub message: String,
    /// Since when.
    pub since: Time,
}

/// What a job waits for, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The strategy's own reason, or the host's.
    pub reason: String,
    /// Since when it has waited for this and nothing else.
    pub since: Time,
}

/// What went wrong in the last pass, and how often in a row. The same setback five times ends a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setback {
    /// The host's reason, for example `ActionRefused` or `PluginError`.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// When it happened last.
    pub at: Time,
    /// The action that ended the run of the plan, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RefusedAction>,
}

/// An action that the API server refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedAction {
    /// The function of the plan, for example `create`.
    pub verb: String,
    /// API version of the object that it was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As Kubernetes names it: `Invalid`, `Conflict`, `NotFound`, `Forbidden`, `AlreadyExists`.
    pub reason: String,
    /// The API server's message.
    pub message: String,
}

/// A HelmRelease that was suspended for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuspendedRelease {
    /// Namespace of the HelmRelease.
    pub namespace: String,
    /// Name of the HelmRelease.
    pub name: String,
    /// What `spec.suspend` was before.
    pub was_suspended: bool,
}
