//! The words that the tests are told in: a cluster with the namespace `team`, and two custom kinds. A Widget has a
//! schema and a status, a Note has neither.

use backup_engine::cluster::{
    Account, ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part, memory::MemoryCluster,
};
use backup_sandbox::contract::{ObjectRef, Propagation};
use serde_json::{Value, json};

pub(crate) const ALICE: &str = "alice";
pub(crate) const BOB: &str = "bob";

pub(crate) fn cluster() -> MemoryCluster {
    let cluster = MemoryCluster::new();
    cluster.set_now(1_700_000_000);
    cluster.install_crd(&widget_definition()).unwrap();
    cluster.install_kind("example.com/v1", "Note", "notes", true, false);
    cluster
        .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}))
        .unwrap();
    cluster
}

pub(crate) fn widget_definition() -> Value {
    let text = json!({"type": "string"});
    let spec = json!({"type": "object", "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "mode": {"type": "string", "default": "slow"},
        "note": {"type": "string", "nullable": true},
        "tags": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "list": {"type": "array", "items": text},
        "parts": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": text, "weight": {"type": "integer"}, "grade": {"type": "string", "default": "plain"},
            }},
        },
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
        "map": {"type": "object", "additionalProperties": text},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "deep": {"type": "object", "properties": {"a": text, "b": text}},
    }});
    let status = json!({"type": "object", "properties": {
        "phase": text, "count": {"type": "integer"},
        "conditions": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "required": ["type"], "properties": {"type": text, "status": text}},
        },
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": spec, "status": status},
                }},
            }],
        },
    })
}

pub(crate) fn host() -> Caller {
    Caller::host()
}

pub(crate) fn strategy() -> Caller {
    let account = Account::Strategy {
        namespace: "system".to_owned(),
        name: "cnpg".to_owned(),
    };
    Caller {
        account,
        purpose: String::new(),
    }
}

/// A Widget of `team` with a spec.
pub(crate) fn widget(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": "team"}, "spec": spec,
    })
}

pub(crate) fn note(name: &str, content: Value) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Note",
        "metadata": {"name": name, "namespace": "team"}, "content": content,
    })
}

/// The object with something laid over its metadata.
pub(crate) fn with(mut object: Value, metadata: Value) -> Value {
    for (field, value) in metadata.as_object().unwrap() {
        object["metadata"][field] = value.clone();
    }
    object
}

pub(crate) fn object_ref(object: &Value) -> ObjectRef {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ObjectRef {
        api_version: text(&object["apiVersion"]),
        kind: text(&object["kind"]),
        namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        name: text(&object["metadata"]["name"]),
    }
}

pub(crate) fn the(kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "example.com/v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("team".to_owned()),
        name: name.to_owned(),
    }
}

/// What `owner` is called by those it owns.
pub(crate) fn owned_by(owner: &Value, block: bool) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": block,
    }])
}

/// Short forms: everything as the host, the answer unwrapped.
pub(crate) trait Story {
    async fn created(&self, object: Value) -> Value;
    async fn applied(&self, manager: &str, object: Value) -> Value;
    async fn merged(&self, manager: &str, target: &ObjectRef, patch: Value) -> Value;
    async fn deleted(&self, target: &ObjectRef, propagation: Option<Propagation>);
    async fn found(&self, target: &ObjectRef) -> Option<Value>;
}

impl Story for MemoryCluster {
    async fn created(&self, object: Value) -> Value {
        self.create(&host(), ALICE, &object, false).await.unwrap()
    }

    async fn applied(&self, manager: &str, object: Value) -> Value {
        self.apply(&host(), manager, &object, Part::Main)
            .await
            .unwrap()
    }

    async fn merged(&self, manager: &str, target: &ObjectRef, patch: Value) -> Value {
        self.merge(&host(), manager, target, &patch, Part::Main)
            .await
            .unwrap()
    }

    async fn deleted(&self, target: &ObjectRef, propagation: Option<Propagation>) {
        let options = DeleteOptions {
            propagation,
            ..DeleteOptions::default()
        };
        self.delete(&host(), target, &options).await.unwrap();
    }

    async fn found(&self, target: &ObjectRef) -> Option<Value> {
        self.get(&host(), target).await.unwrap()
    }
}

pub(crate) fn reason<T>(answer: Result<T, ApiError>) -> Option<ApiReason> {
    answer.err().map(|error| error.reason)
}

pub(crate) fn message<T>(answer: Result<T, ApiError>) -> String {
    answer.err().map(|error| error.message).unwrap_or_default()
}
