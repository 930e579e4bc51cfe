//! How Velero changes objects while it restores them: its resource modifiers, in a ConfigMap.
//!
//! Velero looks at an object before it maps its namespace, so the rules name the namespace that was backed up, for a
//! copy too. What Velero sets itself for the data of volumes (`spec.selector`, `spec.volumeName`) is left alone.

use backup_strategy::prelude::*;

use crate::{Velero, kubevirt::adopted, target::Target, velero::NAMESPACE};

/// The name of the ConfigMap.
pub fn name(cx: &Context<Velero>) -> String {
    cx.child_name("modifiers")
}

/// The ConfigMap.
pub fn config_map(cx: &Context<Velero>, target: &Target) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name(cx), "namespace": NAMESPACE },
        // Velero takes exactly one key. Every JSON is YAML.
        "data": { "resource-modifier-rules.yaml": rules(target).to_string() },
    })
}

fn rules(target: &Target) -> Value {
    let namespace = target.source.application.namespace.as_str();
    let rule = |resource: &str, name: &str, patch: &Value| {
        json!({
            "conditions": {
                "groupResource": resource,
                "resourceNameRegex": name,
                "namespaces": [namespace],
            },
            "mergePatches": [{ "patchData": patch.to_string() }],
        })
    };
    // Helm would make what Velero has yet to restore.
    let resting = json!({ "spec": { "suspend": true } });
    let releases: Vec<String> = target
        .restored_releases()
        .iter()
        .map(|name| escaped(name))
        .collect();
    let mut rules = vec![
        rule("persistentvolumeclaims", ".*", &adopted()),
        rule(
            "helmreleases.helm.toolkit.fluxcd.io",
            &format!("^({})$", releases.join("|")),
            &resting,
        ),
    ];
    if let Some(addresses) = addresses(target) {
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": addresses } } } });
        rules.push(rule("virtualmachines.kubevirt.io", ".*", &patch));
    }
    json!({ "version": "v1", "resourceModifierRules": rules })
}

/// The addresses that the machine is to have. Those that it was backed up with may stand in its template, too.
fn addresses(target: &Target) -> Option<Value> {
    if !target.is_machine() {
        return None;
    }
    if !target.options.keeps_addresses(target.is_copy()) {
        return Some(
            json!({ "ovn.kubernetes.io/ip_address": null, "ovn.kubernetes.io/mac_address": null }),
        );
    }
    let set = |address: &String| Some(address.clone()).filter(|address| !address.is_empty());
    let addresses = pruned(json!({
        "ovn.kubernetes.io/ip_address": set(&target.found.captured.ip),
        "ovn.kubernetes.io/mac_address": set(&target.found.captured.mac),
    }));
    Some(addresses).filter(|addresses| *addresses != json!({}))
}

/// A name as a pattern for itself.
fn escaped(name: &str) -> String {
    name.split('.').collect::<Vec<_>>().join("[.]")
}
