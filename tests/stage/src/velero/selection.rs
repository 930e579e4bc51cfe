//! Which objects Velero takes and restores, and how its modifiers change them.

use serde_json::{Value, json};

use super::{CDI, HELM, KUBEVIRT};
use crate::play::text;

/// The resources that are played, as Velero names them, in the order in which they are restored.
pub(super) const RESOURCES: [(&str, &str, &str); 7] = [
    ("persistentvolumeclaims", "v1", "PersistentVolumeClaim"),
    ("configmaps", "v1", "ConfigMap"),
    ("pods", "v1", "Pod"),
    ("datavolumes.cdi.kubevirt.io", CDI, "DataVolume"),
    ("helmreleases.helm.toolkit.fluxcd.io", HELM, "HelmRelease"),
    (
        "virtualmachineinstances.kubevirt.io",
        KUBEVIRT,
        "VirtualMachineInstance",
    ),
    ("virtualmachines.kubevirt.io", KUBEVIRT, "VirtualMachine"),
];

/// The name of an object's resource.
pub(super) fn resource_of(object: &Value) -> &'static str {
    let of = (text(object, "/apiVersion"), text(object, "/kind"));
    let found = RESOURCES
        .iter()
        .find(|(_, api_version, kind)| (*api_version, *kind) == of);
    found.map_or("", |(resource, _, _)| *resource)
}

/// Whether the spec of a Backup or a Restore selects an object.
pub(super) fn selects(spec: &Value, object: &Value) -> bool {
    includes(spec, resource_of(object)) && labels(spec, object)
}

fn includes(spec: &Value, resource: &str) -> bool {
    let has = |list: &str| {
        let list = spec[list].as_array();
        list.is_some_and(|list| list.iter().any(|named| named == resource || named == "*"))
    };
    let all = spec["includedResources"]
        .as_array()
        .is_none_or(Vec::is_empty);
    (all || has("includedResources")) && !has("excludedResources")
}

fn labels(spec: &Value, object: &Value) -> bool {
    let matches = |selector: &Value| {
        let wanted = selector["matchLabels"].as_object();
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| object["metadata"]["labels"][key] == *value)
    };
    match (&spec["labelSelector"], spec["orLabelSelectors"].as_array()) {
        (_, Some(any)) if !any.is_empty() => any.iter().any(matches),
        (Value::Null, _) => true,
        (selector, _) => matches(selector),
    }
}

/// What Velero says against a spec.
pub(super) fn refused(spec: &Value) -> Option<&'static str> {
    let is_set = |name: &str| match &spec[name] {
        Value::Array(items) => !items.is_empty(),
        other => !other.is_null(),
    };
    (is_set("labelSelector") && is_set("orLabelSelectors")).then_some(
        "encountered labelSelector as well as orLabelSelectors in backup spec, only one can be specified",
    )
}

/// Changes an object by the rules of a modifier. Velero looks at it before it maps its namespace.
pub(super) fn modified(mut object: Value, rules: &Value) -> Value {
    let original = object.clone();
    let rules = rules["resourceModifierRules"].as_array();
    for rule in rules.into_iter().flatten() {
        let conditions = &rule["conditions"];
        let namespaces = conditions["namespaces"].as_array();
        let is_in = namespaces.is_none_or(|list| {
            list.iter()
                .any(|named| *named == original["metadata"]["namespace"])
        });
        let name = text(&original, "/metadata/name");
        let is_meant = conditions["groupResource"] == resource_of(&original)
            && is_in
            && fits(text(conditions, "/resourceNameRegex"), name);
        if !is_meant {
            continue;
        }
        let patches = rule["mergePatches"].as_array();
        for patch in patches.into_iter().flatten() {
            let patch = text(patch, "/patchData").parse().unwrap_or(Value::Null);
            patched(&mut object, &patch);
        }
    }
    object
}

/// Patterns as the strategy writes them: everything, or one of some names.
fn fits(pattern: &str, name: &str) -> bool {
    let names = pattern
        .strip_prefix("^(")
        .and_then(|rest| rest.strip_suffix(")$"));
    match names {
        Some(names) => names.split('|').any(|one| one.replace("[.]", ".") == name),
        None => matches!(pattern, "" | ".*"),
    }
}

/// JSON merge patch.
fn patched(value: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, member) in members {
        if member.is_null() {
            if let Some(value) = value.as_object_mut() {
                value.remove(name);
            }
        } else {
            patched(&mut value[name], member);
        }
    }
}

/// The merge patch that makes one value the other.
pub(super) fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return to.clone();
    };
    let mut patch = json!({});
    for (name, value) in new {
        if old.get(name) != Some(value) {
            patch[name] = difference(old.get(name).unwrap_or(&Value::Null), value);
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch[name] = Value::Null;
    }
    patch
}
