//! References between objects. All of them stay within a namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{APPLICATION_GROUP, STRATEGY_GROUP};

fn application_group() -> String {
    APPLICATION_GROUP.to_owned()
}

fn strategy_group() -> String {
    STRATEGY_GROUP.to_owned()
}

/// An application in the namespace of the object that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationReference {
    /// API group of the application.
    #[serde(default = "application_group")]
    pub api_group: String,
    /// Kind of the application, for example `Postgres`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name of the application.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl ApplicationReference {
    /// The API group, where an empty one stands for the group of Cozystack's own applications.
    #[must_use]
    pub fn group(&self) -> &str {
        if self.api_group.is_empty() {
            APPLICATION_GROUP
        } else {
            &self.api_group
        }
    }
}

/// A cluster-scoped strategy object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrategyReference {
    /// API group of the strategy. Another group than the default is left to another controller.
    #[serde(default = "strategy_group")]
    pub api_group: String,
    /// Kind of the strategy, for example `CNPG`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name of the strategy.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// An object of a known kind in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the object.
    #[serde(default)]
    pub name: String,
}
