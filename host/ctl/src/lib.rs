//! What an administrator applies to install a plugin, as objects.
//!
//! The library of `strategyctl`, for tests and tools that install plugins by themselves.

use std::collections::BTreeSet;

use backup_api::{
    StrategyPlugin,
    names::{GROUP, STRATEGY_GROUP},
};
use backup_engine::{is_writable, proposed_grant, strategy_definition};
use backup_sandbox::{Manifest, Strategy};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

/// The ServiceAccount of the host.
#[derive(Clone, Debug)]
pub struct HostAccount {
    /// Its namespace, where the plugin's own account goes too.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// As the chart names it.
impl Default for HostAccount {
    fn default() -> Self {
        Self {
            namespace: "cozy-backup-controller".to_owned(),
            name: "backupstrategy-controller".to_owned(),
        }
    }
}

/// The definition of the strategy kind, a StrategyPlugin that grants what the manifest asks for, a ServiceAccount with
/// the least rights that the manifest asks for, everywhere or in the system namespaces alone, and the host's rights to
/// act as it and to read the strategy kind.
///
/// # Errors
/// Never for a strategy that was loaded.
pub fn installation(
    strategy: &Strategy,
    file: &str,
    host: &HostAccount,
) -> serde_json::Result<Vec<Value>> {
    let manifest = strategy.manifest();
    let mut grant = proposed_grant(manifest, file, &host.namespace);
    grant.digest = Some(strategy.digest().to_owned());
    let account = grant.service_account.name.clone();
    let system = grant.system_namespaces.clone();
    let plugin = serde_json::to_value(StrategyPlugin::new(&manifest.name, grant))?;
    let mut documents = vec![strategy_definition(manifest), plugin];
    documents.extend(account_and_rights(manifest, &account, host));
    documents.extend(rights_in_system_namespaces(
        manifest, &system, &account, host,
    ));
    documents.extend(right_to_read(manifest, host));
    Ok(documents)
}

fn account_and_rights(manifest: &Manifest, account: &str, host: &HostAccount) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io";
    let subject =
        |name: &str| json!({ "kind": "ServiceAccount", "name": name, "namespace": host.namespace });
    let namespaced = |name: &str| json!({ "name": name, "namespace": host.namespace });
    let role = format!("{GROUP}:strategy-{}", manifest.name);
    let impersonation = format!("{account}-impersonation");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": namespaced(account), "automountServiceAccountToken": false }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole",
            "metadata": { "name": role }, "rules": rules(manifest, Place::Everywhere),
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
            "metadata": { "name": role },
            "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": role },
            "subjects": [subject(account)],
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "Role",
            "metadata": namespaced(&impersonation),
            "rules": [{
                "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [account],
                "verbs": ["impersonate"],
            }],
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": namespaced(&impersonation),
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": impersonation },
            "subjects": [subject(&host.name)],
        }),
    ]
}

/// The rights that a strategy needs in system namespaces and nowhere else.
fn rights_in_system_namespaces(
    manifest: &Manifest,
    namespaces: &[String],
    account: &str,
    host: &HostAccount,
) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io";
    let role = format!("{GROUP}:strategy-{}", manifest.name);
    let rules = rules(manifest, Place::SystemNamespaces);
    let namespaces = namespaces.iter().filter(|_| !rules.is_empty());
    let rights = namespaces.flat_map(|namespace| {
        let metadata = json!({ "name": role, "namespace": namespace });
        [
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "Role",
                "metadata": metadata, "rules": rules,
            }),
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": { "apiGroup": rbac, "kind": "Role", "name": role },
                "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": host.namespace }],
            }),
        ]
    });
    rights.collect()
}

/// The host's right to read the strategies of this kind, which it can have for no kind that it does not know.
fn right_to_read(manifest: &Manifest, host: &HostAccount) -> [Value; 2] {
    let rbac = "rbac.authorization.k8s.io";
    let role = format!("{GROUP}:strategy-{}-host", manifest.name);
    [
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole",
            "metadata": { "name": role },
            "rules": [{
                "apiGroups": [STRATEGY_GROUP], "resources": [manifest.strategy_kind.plural],
                "verbs": ["get", "list", "watch"],
            }],
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
            "metadata": { "name": role },
            "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": host.name, "namespace": host.namespace }],
        }),
    ]
}

/// Where rights hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In all namespaces, and in none.
    Everywhere,
    /// In the system namespaces, for the kinds that the strategy says it has there only.
    SystemNamespaces,
}

/// The least rights: what the manifest reads and writes, and everywhere also its applications and their Helm releases by
/// label.
fn rules(manifest: &Manifest, place: Place) -> Vec<Value> {
    let mut rights: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut grant = |group: &str, resource: &str, verbs: &[&str]| {
        for verb in verbs {
            rights.insert((group.to_owned(), resource.to_owned(), (*verb).to_owned()));
        }
    };
    if place == Place::Everywhere {
        for application in &manifest.applications {
            let kind = GroupVersionKind::gvk(&application.group, "v1alpha1", &application.kind);
            grant(
                &application.group,
                &ApiResource::from_gvk(&kind).plural,
                &["get", "list", "watch"],
            );
        }
        grant(
            "helm.toolkit.fluxcd.io",
            "helmreleases",
            &["get", "list", "watch"],
        );
    }
    let is_here = |is_bound: bool| is_bound == (place == Place::SystemNamespaces);
    let reads = manifest.reads.iter();
    for read in reads.filter(|read| is_here(read.in_system_namespaces)) {
        let (group, resource) = resource(&read.api_version, &read.kind);
        grant(&group, &resource, &["get", "list", "watch"]);
        if read.logs {
            grant(&group, "pods/log", &["get"]);
        }
    }
    // What the host refuses in any case needs no right.
    let writes = manifest.writes.iter();
    let writes = writes
        .filter(|written| is_here(written.in_system_namespaces))
        .filter(|written| is_writable(&written.api_version, &written.kind));
    for written in writes {
        let (group, resource) = resource(&written.api_version, &written.kind);
        for action in &written.actions {
            grant(&group, &resource, verbs(action));
        }
    }
    let mut rules: Vec<(String, String, Vec<String>)> = vec![];
    for (group, resource, verb) in rights {
        match rules
            .last_mut()
            .filter(|(g, r, _)| *g == group && *r == resource)
        {
            Some((_, _, verbs)) => verbs.push(verb),
            None => rules.push((group, resource, vec![verb])),
        }
    }
    let rule = |(group, resource, verbs)| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    rules.into_iter().map(rule).collect()
}

/// What an action needs: server-side apply is a patch that may create, and what is created is watched by its label.
fn verbs(action: &str) -> &'static [&'static str] {
    match action {
        "create" => &["get", "list", "watch", "create"],
        "apply" => &["create", "patch"],
        "merge" => &["patch"],
        _ => &["list", "delete"],
    }
}

/// Group and plural of a kind.
fn resource(api_version: &str, kind: &str) -> (String, String) {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    (group.to_owned(), resource.plural)
}
