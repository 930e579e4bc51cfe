//! The platform's policy of restores into other namespaces. It is in force in every case: the tenant of a story may
//! restore wherever it does. The cluster in memory does not evaluate policies, so that its refusal is played.

use backup_engine::cluster::{
    Account, ApiError, ApiReason,
    memory::{MemoryCluster, Operation, Verb},
};
use serde_json::{Value, json};

/// The name of the policy, and of its binding.
const NAME: &str = "restore-target.backups.cozystack.io";

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The account without rights that the host tries the policy with.
const PROBER: &str = "restore-prober";

/// As far as the host looks at the policy and its binding. Both are older than any story.
fn objects() -> [Value; 2] {
    let metadata = json!({ "name": NAME, "creationTimestamp": "2026-01-01T00:00:00Z" });
    let rule = json!({
        "apiGroups": ["backups.cozystack.io"], "apiVersions": ["*"], "resources": ["restorejobs"],
        "operations": ["CREATE", "UPDATE"],
    });
    [
        json!({
            "apiVersion": API_VERSION, "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
            "spec": { "failurePolicy": "Fail", "matchConstraints": { "resourceRules": [rule] } },
        }),
        json!({
            "apiVersion": API_VERSION, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": { "policyName": NAME, "validationActions": ["Deny"] },
        }),
    ]
}

/// Puts the policy in force.
pub(crate) fn enforce(cluster: &MemoryCluster) -> Result<(), ApiError> {
    for object in objects() {
        let kind = object["kind"].as_str().unwrap_or_default();
        let plural = format!("{}s", kind.to_lowercase());
        cluster.install_kind(API_VERSION, kind, &plural, false, false);
        cluster.put(object)?;
    }
    Ok(())
}

/// Whether a request is the host's trial of the policy.
pub(crate) fn is_trial(operation: &Operation) -> bool {
    let is_prober = matches!(&operation.account, Account::Strategy { name, .. } if name == PROBER);
    is_prober && operation.verb == Verb::Create && operation.kind == "RestoreJob"
}

/// What the API server answers to it.
pub(crate) fn refusal() -> ApiError {
    let message = format!(
        "ValidatingAdmissionPolicy '{NAME}' with binding '{NAME}' denied request: a restore into another namespace \
         needs the right to create RestoreJobs there"
    );
    ApiError::new(ApiReason::Forbidden, message)
}
