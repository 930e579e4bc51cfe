//! The definition of a strategy kind, made from the manifest of the plugin that serves it.

use backup_api::names::{STRATEGY_GROUP, VERSION};
use backup_sandbox::Manifest;
use serde_json::{Value, json};

/// The CustomResourceDefinition of a strategy's own kind: cluster-scoped, with the schema that the manifest gives
/// for `spec`.
#[must_use]
pub fn strategy_definition(manifest: &Manifest) -> Value {
    let kind = &manifest.strategy_kind;
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{STRATEGY_GROUP}", kind.plural) },
        "spec": {
            "group": STRATEGY_GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": format!("{}List", kind.kind),
                "plural": kind.plural,
                "singular": kind.kind.to_lowercase(),
                "categories": ["cozystack-backups"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
                ],
                "schema": { "openAPIV3Schema": {
                    "description": manifest.description,
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "spec": kind.schema,
                        "status": {
                            "type": "object",
                            "properties": {
                                "conditions": {
                                    "type": "array",
                                    "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                                },
                            },
                        },
                    },
                } },
            }],
        },
    })
}
