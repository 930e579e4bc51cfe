//! The kinds of the requests: a Widget has a schema and a status, a Note has neither; the others are the API
//! server's own.

use serde_json::{Value, json};

/// The definitions of the kinds that are not the API server's own.
pub(crate) fn definitions() -> Vec<Value> {
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    vec![
        definition("Widget", json!({ "status": {} }), widget_schema()),
        definition("Note", json!({}), open),
    ]
}

fn definition(kind: &str, subresources: Value, schema: Value) -> Value {
    let singular = kind.to_lowercase();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{singular}s.example.com") },
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"),
                "plural": format!("{singular}s"), "singular": singular,
            },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": subresources,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

/// One field of each sort that merges or is checked in a way of its own.
fn widget_schema() -> Value {
    let text = json!({ "type": "string" });
    let spec = json!({ "type": "object", "properties": {
        "size": { "type": "integer", "minimum": 1, "maximum": 10 },
        "colour": { "type": "string", "enum": ["red", "blue"] },
        "mode": { "type": "string", "default": "slow" },
        "note": { "type": "string", "nullable": true },
        "tags": { "type": "array", "items": text, "x-kubernetes-list-type": "set" },
        "list": { "type": "array", "items": text },
        "parts": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": { "type": "object", "required": ["name"], "properties": {
                "name": text, "weight": { "type": "integer" }, "grade": { "type": "string", "default": "plain" },
            } },
        },
        "whole": { "type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text },
        "map": { "type": "object", "additionalProperties": text },
        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    } });
    let status = json!({ "type": "object", "properties": {
        "phase": text,
        "count": { "type": "integer" },
        "conditions": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": { "type": "object", "required": ["type"], "properties": { "type": text, "status": text } },
        },
    } });
    json!({ "type": "object", "properties": { "spec": spec, "status": status } })
}

/// What the requests are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Widget,
    Note,
    ConfigMap,
    Secret,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Widget, Self::Note, Self::ConfigMap, Self::Secret];

    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::Widget | Self::Note => "example.com/v1",
            Self::ConfigMap | Self::Secret => "v1",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Widget => "Widget",
            Self::Note => "Note",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}
