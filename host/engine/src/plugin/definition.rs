//! The definition of a plugin's strategy kind: applied by the host where there is none or it is the host's own, and never
//! narrowed.

use std::fmt;

use backup_api::names::{
    COMPONENT, MANAGED_BY, MANAGED_BY_VALUE, STRATEGY_API_VERSION, STRATEGY_GROUP,
};
use backup_sandbox::Strategy;
use serde_json::{Value, json};

use super::{Plugins, narrower::narrower};
use crate::{
    cluster::{ApiError, Caller, Cluster, Part},
    definition::strategy_definition,
    object, upkeep,
};

const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

/// What came of the definition of a strategy kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// It is the host's, and is what the manifest says.
    Installed,
    /// It is somebody else's, and serves the kind.
    Foreign,
    /// It is the host's, and what the manifest says would refuse what it accepts: where, and how.
    WouldNarrow(String),
    /// It is somebody else's, and serves another kind.
    InTheWay(String),
    /// The API server refused it.
    Refused(String),
}

impl Definition {
    pub(super) fn is_installed(&self) -> bool {
        matches!(self, Self::Installed | Self::Foreign)
    }

    /// Whether there is no sense in trying again.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Installed => "Installed",
            Self::Foreign => "InstalledByOthers",
            Self::WouldNarrow(_) => "WouldNarrow",
            Self::InTheWay(_) => "InTheWay",
            Self::Refused(_) => "Refused",
        }
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => f.write_str("the schema is the manifest's"),
            Self::Foreign => f.write_str("somebody else has made it, and it is left as it is"),
            Self::WouldNarrow(how) => write!(
                f,
                "the schema stays as it is, since the manifest's would refuse what this one accepts: {how}"
            ),
            Self::InTheWay(name) => {
                write!(f, "{name} is somebody else's, and of another kind")
            }
            Self::Refused(why) => write!(f, "the API server refused it: {why}"),
        }
    }
}

impl<C: Cluster> Plugins<C> {
    /// Sees to it that a strategy's kind is defined.
    pub(super) async fn define(&self, strategy: &Strategy) -> Result<Definition, ApiError> {
        let host = Caller::host();
        let manifest = strategy.manifest();
        let mut wanted = strategy_definition(manifest);
        wanted["metadata"]["labels"] = json!({ MANAGED_BY: MANAGED_BY_VALUE });
        wanted["metadata"]["annotations"] = json!({ COMPONENT: strategy.digest() });
        let target = object::target(
            DEFINITIONS.0,
            DEFINITIONS.1,
            None,
            object::text(&wanted, &["metadata", "name"]),
        );
        let found = self.cluster.get(&host, &target).await?;
        let kind = &manifest.strategy_kind.kind;
        match &found {
            None => {
                if self.cluster.serves(STRATEGY_API_VERSION, kind).await? {
                    return Ok(Definition::Foreign);
                }
            }
            Some(found) if object::label(found, MANAGED_BY) != Some(MANAGED_BY_VALUE) => {
                let serves = object::text(found, &["spec", "names", "kind"]) == kind
                    && object::text(found, &["spec", "group"]) == STRATEGY_GROUP;
                return Ok(match serves {
                    true => Definition::Foreign,
                    false => Definition::InTheWay(target.name),
                });
            }
            Some(found) => {
                let noted = found
                    .pointer("/metadata/annotations")
                    .and_then(|all| all.get(COMPONENT));
                if noted.and_then(Value::as_str) == Some(strategy.digest()) {
                    return Ok(Definition::Installed);
                }
                if let Some(how) = narrower(schema(found), schema(&wanted)) {
                    return Ok(Definition::WouldNarrow(how));
                }
                // Whoever changed it in between is not overwritten.
                wanted["metadata"]["resourceVersion"] = json!(object::resource_version(found));
            }
        }
        let applied = self
            .cluster
            .apply(&host, upkeep::MANAGER, &wanted, Part::Main)
            .await;
        match applied {
            Ok(_) => Ok(Definition::Installed),
            Err(error)
                if error.can_pass() || error.reason == crate::cluster::ApiReason::Conflict =>
            {
                Err(error)
            }
            Err(error) => Ok(Definition::Refused(error.to_string())),
        }
    }
}

/// The schema of a definition's only version.
fn schema(definition: &Value) -> &Value {
    static ANYTHING: Value = Value::Null;
    definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .unwrap_or(&ANYTHING)
}
