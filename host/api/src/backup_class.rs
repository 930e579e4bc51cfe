//! BackupClass: which strategy backs up which kind of application.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{condition::Condition, reference::StrategyReference};

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
    printcolumn = r#"{"name":"Kinds","type":"string","jsonPath":".spec.strategies[*].application.kind"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassSpec {
    /// One binding for each kind; the first that fits counts.
    pub strategies: Vec<StrategyBinding>,
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

/// Whether the bindings are in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupClassStatus {
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: every binding's strategy, plugin and parameters are in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
