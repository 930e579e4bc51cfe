//! The kinds that the cluster has from its start.

use anyhow::Result;
use serde_json::{Value, json};
use stage::Kind;

/// Where Velero keeps what it stores.
const LOCATION: Kind = Kind {
    group: "velero.io",
    version: "v1",
    kind: "BackupStorageLocation",
    plural: "backupstoragelocations",
};

/// Kinds of Cozystack's and of the operators': the real definitions where somebody has put them, small open ones
/// otherwise. And the host's own, which its chart brings as well: the controllers learn of kinds that are there when they
/// start at once, of others within half a minute.
///
/// # Errors
/// When a file with a definition cannot be read.
pub(crate) fn all() -> Result<Vec<Value>> {
    let mut definitions = charts::HOST.definitions()?;
    let real = controlplane::operator_crds()?;
    for kind in stage::kinds().iter().chain([&LOCATION]) {
        let stand_in = listed(stage::crd(kind), kind);
        if find(&definitions, &stand_in).is_none() {
            let definition = find(&real, &stand_in).unwrap_or(&stand_in);
            definitions.push(definition.clone());
        }
    }
    Ok(definitions)
}

/// The definition of the same kind.
fn find<'a>(definitions: &'a [Value], of: &Value) -> Option<&'a Value> {
    let name = &of["metadata"]["name"];
    let mut definitions = definitions.iter();
    definitions.find(|definition| definition["metadata"]["name"] == *name)
}

/// Cozystack lists what tenants order under one name: `kubectl get cozystack`.
fn listed(mut definition: Value, kind: &Kind) -> Value {
    if kind.group == "apps.cozystack.io" {
        definition["spec"]["names"]["categories"] = json!(["cozystack"]);
    }
    definition
}
