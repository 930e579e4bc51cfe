//! The chart's policy of restores into other namespaces.

use backup_engine::cluster::{
    Account, ApiError, ApiReason,
    memory::{MemoryCluster, Operation, Verb, Verdict},
};
use serde_json::Value;

use crate::stage::{HOST_NAMESPACE, Stage};

/// The name of the policy, and of its binding.
pub const RESTORE_POLICY: &str = "restore-target.backups.cozystack.io";

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The kinds of a policy and of its binding, with their plurals.
const KINDS: [(&str, &str); 2] = [
    ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
    (
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    ),
];

/// The policy as the chart has it, its binding, and the account by which the host proves that it is in force.
///
/// # Errors
/// When the chart's file is not in order.
pub fn restore_policy() -> anyhow::Result<Vec<Value>> {
    let text = include_str!(
        "../../../charts/backupstrategy-controller/templates/policies/restore-target.yaml"
    );
    let text = text.replace("{{ .Release.Namespace }}", HOST_NAMESPACE);
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// Puts the policy and its binding. The cluster in memory does not evaluate a policy: this one has it refuse what the
    /// host tries out, as long as both are there.
    ///
    /// # Errors
    /// When one is not accepted.
    pub fn restore_policy(&self) -> anyhow::Result<()> {
        keep_to_policy(&self.cluster, &restore_policy()?)
    }
}

/// The same for a cluster that is not a [`Stage`]'s, with what [`restore_policy`] gives.
///
/// # Errors
/// When one is not accepted.
pub fn keep_to_policy(cluster: &MemoryCluster, policy: &[Value]) -> anyhow::Result<()> {
    for (kind, plural) in KINDS {
        cluster.install_kind(API_VERSION, kind, plural, false, false);
    }
    for object in policy {
        if object["apiVersion"] == API_VERSION {
            cluster.put(object.clone())?;
        }
    }
    let handle = cluster.clone();
    cluster.set_interceptor(move |operation| by_restore_policy(&handle, operation));
    Ok(())
}

/// What becomes of a request where the policy and its binding are there: the trial of the account without rights is
/// refused in the API server's words, everything else passes.
#[must_use]
pub fn by_restore_policy(cluster: &MemoryCluster, operation: &Operation) -> Verdict {
    let is_prober =
        matches!(&operation.account, Account::Strategy { name, .. } if name == "restore-prober");
    let is_trial = operation.verb == Verb::Create && operation.kind == "RestoreJob";
    let is_there = |kind| {
        cluster
            .read(API_VERSION, kind, None, RESTORE_POLICY)
            .is_some()
    };
    if !(is_prober && is_trial && KINDS.iter().all(|(kind, _)| is_there(kind))) {
        return Verdict::Pass;
    }
    let name = operation.name.as_deref().unwrap_or_default();
    Verdict::Fail(ApiError::new(
        ApiReason::Forbidden,
        format!(
            "restorejobs.backups.cozystack.io {name:?} is forbidden: ValidatingAdmissionPolicy '{RESTORE_POLICY}' with \
             binding '{RESTORE_POLICY}' denied request: a restore into namespace restore-target-probe needs the right to \
             create RestoreJobs there"
        ),
    ))
}
