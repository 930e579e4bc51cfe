//! BackupClass: which strategy backs up which kind of application.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    CustomResource, KubeSchema,
    core::{Selector, SelectorExt as _},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    backup::DeletionPolicy, condition::Condition, names::APPLICATION_GROUP, plan::RetentionPolicy,
    reference::StrategyReference,
};

/// Binds kinds of applications to strategies. Tenants know nothing of a class but its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "BackupClass",
    plural = "backupclasses",
    status = "BackupClassStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "cozystack-backups",
    doc = "A way of backing up applications that tenants name in their jobs and plans.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Kinds","type":"string","jsonPath":".status.kinds"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassSpec {
    /// One binding for each kind; the first that fits counts.
    pub strategies: Vec<StrategyBinding>,
    /// The namespaces whose jobs, restores and plans may use the class; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
    /// Which Backups of this class to keep that no Plan covers; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_policy: Option<RetentionPolicy>,
    /// What becomes of a Backup's data when the Backup is deleted; `Delete` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// How long a job of this class may take in all, in seconds; the host's own limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub job_timeout_seconds: Option<u32>,
}

impl BackupClassSpec {
    /// Whether a namespace that carries these labels may use the class.
    ///
    /// # Errors
    /// What is wrong with the selector.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> Result<bool, String> {
        let Some(allowed) = &self.allowed_namespaces else {
            return Ok(true);
        };
        let selector = Selector::try_from(allowed.clone())
            .map_err(|error| format!("spec.allowedNamespaces: {error}"))?;
        Ok(selector.matches(labels))
    }
}

/// Binds one kind of application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyBinding {
    /// The kind that is bound.
    pub application: ApplicationSelector,
    /// The strategy object that says how.
    pub strategy_ref: StrategyReference,
    /// Values for the strategy and its templates. Tenants can read them: never put credentials here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// A kind of application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSelector {
    /// API group; `apps.cozystack.io` when empty or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Kind, for example `Postgres`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

impl ApplicationSelector {
    /// The API group that is meant.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_group
            .as_deref()
            .filter(|group| !group.is_empty())
            .unwrap_or(APPLICATION_GROUP)
    }
}

/// Whether a binding is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindingStatus {
    /// The kind of application that is bound.
    pub kind: String,
    /// Whether jobs of that kind can be carried out.
    pub ready: bool,
    /// The host's reason where they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether the bindings are in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassStatus {
    /// The kinds of the applications that are bound, with commas between them. A column of `kubectl get` shows one text and
    /// never more of a list than its first item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<String>,
    /// The bindings of the spec, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<BindingStatus>,
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: every binding's strategy, plugin and parameters are in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allows(selector: serde_json::Value, label: &str) -> Result<bool, String> {
        let spec = BackupClassSpec {
            allowed_namespaces: Some(serde_json::from_value(selector).unwrap()),
            ..BackupClassSpec::default()
        };
        spec.allows(&BTreeMap::from([("tier".to_owned(), label.to_owned())]))
    }

    #[test]
    fn a_class_is_for_everybody_unless_it_says_otherwise() {
        assert_eq!(
            BackupClassSpec::default().allows(&BTreeMap::new()),
            Ok(true)
        );
        let gold = json!({ "matchLabels": { "tier": "gold" } });
        assert_eq!(allows(gold.clone(), "gold"), Ok(true));
        assert_eq!(allows(gold, "silver"), Ok(false));
        let not_free = json!({ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["free"] }] });
        assert_eq!(allows(not_free.clone(), "gold"), Ok(true));
        assert_eq!(allows(not_free, "free"), Ok(false));
    }

    #[test]
    fn a_selector_that_makes_no_sense_is_an_error() {
        let wrong = json!({ "matchExpressions": [{ "key": "tier", "operator": "Near", "values": ["gold"] }] });
        assert!(
            allows(wrong, "gold")
                .unwrap_err()
                .contains("spec.allowedNamespaces")
        );
    }
}
