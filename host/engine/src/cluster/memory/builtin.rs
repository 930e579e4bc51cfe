//! The API server's own kinds, as far as backups meet them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    kinds::{Generation, Kind, Kinds, StatusWrite},
    shape,
};

pub(super) fn install(kinds: &mut Kinds) {
    for (api_version, kind, plural, namespaced) in [
        ("v1", "ConfigMap", "configmaps", true),
        ("v1", "Event", "events", true),
        ("v1", "Namespace", "namespaces", false),
        ("v1", "PersistentVolume", "persistentvolumes", false),
        (
            "v1",
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            true,
        ),
        ("v1", "Pod", "pods", true),
        ("v1", "Secret", "secrets", true),
        ("v1", "ServiceAccount", "serviceaccounts", true),
        ("batch/v1", "Job", "jobs", true),
        ("events.k8s.io/v1", "Event", "events", true),
        ("coordination.k8s.io/v1", "Lease", "leases", true),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        ),
    ] {
        let mut known = Kind::open(api_version, kind, plural, namespaced, false);
        known.status = match kind {
            "Namespace"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "Pod"
            | "Job"
            | "CustomResourceDefinition" => StatusWrite::WithMetadata,
            _ => StatusWrite::Absent,
        };
        known.generation = match kind {
            "Pod" | "Job" | "CustomResourceDefinition" => Generation::Content,
            _ => Generation::Absent,
        };
        known.native = true;
        known.unconditional_update = !matches!(kind, "Lease" | "CustomResourceDefinition");
        known.shape = Arc::new(shape::of_kind(Some(&merge_schema(kind))));
        kinds.add(known);
    }
}

/// Where lists of these kinds are not atomic, and maps are. Everything else is left open, since nothing here
/// validates it.
fn merge_schema(kind: &str) -> Value {
    let open = |properties: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": properties});
    let keyed = |keys: Value, items: Value| json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, "items": items});
    let conditions = keyed(json!(["type"]), open(json!({})));
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    match kind {
        "ConfigMap" => open(json!({"data": texts, "binaryData": texts})),
        "Secret" => open(json!({"data": texts, "stringData": texts, "type": {"type": "string"}})),
        "ServiceAccount" => open(json!({"secrets": keyed(json!(["name"]), open(json!({})))})),
        "Namespace" | "PersistentVolumeClaim" | "CustomResourceDefinition" => {
            open(json!({"status": open(json!({"conditions": conditions}))}))
        }
        "Pod" => {
            let container = open(json!({
                "env": keyed(json!(["name"]), open(json!({}))),
                "ports": keyed(json!(["containerPort", "protocol"]), open(json!({"protocol": {"default": "TCP"}}))),
                "volumeMounts": keyed(json!(["mountPath"]), open(json!({}))),
                "volumeDevices": keyed(json!(["devicePath"]), open(json!({}))),
            }));
            open(json!({
                "spec": open(json!({
                    "containers": keyed(json!(["name"]), container.clone()),
                    "initContainers": keyed(json!(["name"]), container),
                    "volumes": keyed(json!(["name"]), open(json!({}))),
                    "imagePullSecrets": keyed(json!(["name"]), open(json!({}))),
                    "nodeSelector": {"type": "object", "x-kubernetes-map-type": "atomic"},
                })),
                "status": open(json!({"conditions": conditions})),
            }))
        }
        _ => open(json!({})),
    }
}
