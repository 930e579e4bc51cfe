//! What Velero is told to back up and to restore: the administrator's settings, and what the strategy adds so that they
//! are about one application.

use backup_strategy::prelude::*;

use crate::{
    Velero,
    capture::{Disk, Resources},
    kubevirt, modifiers,
    spec::is_set,
    target::Target,
    velero::{self, STORAGE_LOCATION},
};

/// Kinds of a virtual machine that are made anew for a copy under another name. What was backed up has the old name.
const NAMED_AFTER_THE_MACHINE: [&str; 7] = [
    "virtualmachines.kubevirt.io",
    "virtualmachineinstances.kubevirt.io",
    "datavolumes.cdi.kubevirt.io",
    "pods",
    "configmaps",
    "secrets",
    "controllerrevisions.apps",
];

/// Velero's Backup of the application.
pub fn backup(cx: &Context<Velero>, name: &str, resources: &Resources) -> Outcome<Value> {
    let application = cx.subject();
    let mut spec = cx.spec()?.template.spec;
    within(&mut spec, "spec", &application.namespace)?;
    select(
        &mut spec,
        Some(&application),
        resources.data_volumes.iter().map(Disk::selector),
    );
    if !is_set(&spec["storageLocation"]) {
        spec["storageLocation"] = STORAGE_LOCATION.into();
    }
    Ok(velero::Backup::object(velero::NAMESPACE, name, spec))
}

/// Velero's Restore of a backup to where the RestoreJob wants it.
pub fn restore(cx: &Context<Velero>, target: &Target, name: &str) -> Outcome<Value> {
    let mut spec = cx
        .spec_for(View::Source)?
        .template
        .restore_spec
        .unwrap_or_else(|| json!({}));
    within(
        &mut spec,
        "restoreSpec",
        &target.source.application.namespace,
    )?;
    select(
        &mut spec,
        None,
        target.captured_disks().iter().map(Disk::selector),
    );
    if target.is_renamed() {
        without(&mut spec, &NAMED_AFTER_THE_MACHINE);
    }
    if !is_set(&spec["existingResourcePolicy"]) {
        spec["existingResourcePolicy"] = "update".into();
    }
    spec["backupName"] = json!(target.backup);
    spec["scheduleName"] = Value::Null;
    spec["namespaceMapping"] = json!(target.mapping());
    spec["resourceModifier"] =
        json!({ "apiGroup": "", "kind": "ConfigMap", "name": modifiers::name(cx) });
    Ok(velero::Restore::object(
        velero::NAMESPACE,
        name,
        pruned(spec),
    ))
}

/// A setting that reaches into another namespace would take a neighbour's objects.
fn within(spec: &mut Value, setting: &str, namespace: &str) -> Outcome<()> {
    let named = spec["includedNamespaces"].as_array();
    let named = named.map_or(&[][..], Vec::as_slice);
    if let Some(other) = named.iter().find(|named| **named != namespace) {
        return fail!(
            "NamespaceOutside",
            "the strategy's template.{setting}.includedNamespaces names {other}, and this is about an application of \
             {namespace}; leave it out, and the application's own is meant"
        );
    }
    spec["includedNamespaces"] = json!([namespace]);
    Ok(())
}

/// Adds selectors of disks to what the settings select. Where they select nothing, that is all of a namespace in a
/// backup, so there it is `otherwise`, and all that was backed up in a restore.
fn select(
    spec: &mut Value,
    otherwise: Option<&ApplicationRef>,
    disks: impl Iterator<Item = Value>,
) {
    let mut any = match spec["orLabelSelectors"].take() {
        Value::Array(any) => any,
        _ => Vec::new(),
    };
    let disks: Vec<Value> = disks.collect();
    if is_set(&spec["labelSelector"]) {
        if disks.is_empty() {
            *spec = pruned(spec.take());
            return;
        }
        // Velero takes either the one or the other.
        any.push(spec["labelSelector"].take());
    }
    if any.is_empty() {
        any.extend(otherwise.into_iter().flat_map(own));
    }
    if !any.is_empty() {
        any.extend(disks);
        spec["orLabelSelectors"] = Value::Array(any);
    }
    *spec = pruned(spec.take());
}

/// What the charts and the platform label an application's objects with.
fn own(application: &ApplicationRef) -> [Value; 2] {
    let ApplicationRef { kind, name, .. } = application;
    [
        json!({ "matchLabels": { "app.kubernetes.io/instance": kubevirt::release_of(kind, name) } }),
        json!({ "matchLabels": {
            "apps.cozystack.io/application.kind": kind,
            "apps.cozystack.io/application.name": name,
        } }),
    ]
}

/// Leaves kinds out.
fn without(spec: &mut Value, kinds: &[&str]) {
    let is_left_out = |kind: &Value| kind.as_str().is_some_and(|kind| kinds.contains(&kind));
    if let Some(included) = spec["includedResources"].as_array_mut() {
        included.retain(|kind| !is_left_out(kind));
    }
    let mut excluded = match spec["excludedResources"].take() {
        Value::Array(excluded) => excluded,
        _ => Vec::new(),
    };
    excluded.retain(|kind| !is_left_out(kind));
    excluded.extend(kinds.iter().map(|kind| json!(kind)));
    spec["excludedResources"] = Value::Array(excluded);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(mut spec: Value, disks: &[&str], in_backup: bool) -> Value {
        let application = ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "VMInstance".into(),
            namespace: "tenant-acme".into(),
            name: "web".into(),
        };
        let disks = disks.iter().map(|name| Disk::of(name).selector());
        select(&mut spec, in_backup.then_some(&application), disks);
        spec
    }

    fn label(name: &str) -> Value {
        json!({ "matchLabels": { "a": name } })
    }

    #[test]
    fn disks_are_selected_beside_what_the_settings_select() {
        let disk = Disk::of("root").selector();
        let any = json!({ "orLabelSelectors": [label("x")] });
        assert_eq!(
            selected(any, &["root"], true),
            json!({ "orLabelSelectors": [label("x"), disk] })
        );
        let one = json!({ "labelSelector": label("x") });
        assert_eq!(
            selected(one.clone(), &["root"], false),
            json!({ "orLabelSelectors": [label("x"), disk] })
        );
        assert_eq!(selected(one.clone(), &[], true), one);
    }

    #[test]
    fn without_selectors_a_backup_is_of_the_application_and_a_restore_of_the_backup() {
        let backup = selected(json!({}), &["root"], true);
        let any = backup["orLabelSelectors"].as_array().map_or(0, Vec::len);
        assert_eq!(any, 3);
        assert_eq!(
            backup["orLabelSelectors"][0]["matchLabels"]["app.kubernetes.io/instance"],
            "vm-instance-web"
        );
        assert_eq!(selected(json!({}), &["root"], false), json!({}));
    }

    #[test]
    fn settings_stay_within_the_namespace() {
        let mut spec = json!({});
        assert!(within(&mut spec, "spec", "tenant-acme").is_ok());
        assert!(within(&mut spec, "spec", "tenant-acme").is_ok());
        assert_eq!(spec, json!({ "includedNamespaces": ["tenant-acme"] }));
        assert!(within(&mut spec, "spec", "tenant-other").is_err());
    }

    #[test]
    fn what_has_the_old_name_is_left_out_of_a_copy() {
        let mut spec =
            json!({ "includedResources": ["pods", "persistentvolumeclaims"], "ttl": "1h" });
        without(&mut spec, &["pods", "secrets"]);
        assert_eq!(
            spec,
            json!({
                "includedResources": ["persistentvolumeclaims"],
                "excludedResources": ["pods", "secrets"],
                "ttl": "1h",
            })
        );
    }
}
