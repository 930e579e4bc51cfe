//! `strategyctl manifests`

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context as _;
use backup_api::{StrategyPlugin, names::GROUP};
use backup_engine::{proposed_grant, strategy_definition};
use backup_sandbox::Manifest;
use clap::Args;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::{
    load,
    output::{self, Format},
};

/// Prints what an administrator applies to install a plugin
///
/// A StrategyPlugin that grants the usual place in storage, a ServiceAccount with the least rights that the
/// manifest asks for, the host's right to act as it, and the definition of the strategy kind. Read it before you
/// apply it: it is all that the plugin will be able to do.
#[derive(Args)]
#[command(
    after_help = "Example:\n  strategyctl manifests acme.wasm | kubectl apply --server-side -f -"
)]
pub(crate) struct Arguments {
    /// The component
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// The namespace of the host
    #[arg(long, default_value = "cozy-backup-controller")]
    host_namespace: String,
    /// The ServiceAccount of the host
    #[arg(long, default_value = "backupstrategy-controller")]
    host_account: String,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let strategy = load::strategy(&arguments.plugin)?;
    let file = arguments
        .plugin
        .file_name()
        .and_then(|name| name.to_str())
        .context("the component has no file name")?;
    let manifest = strategy.manifest();
    let mut grant = proposed_grant(manifest, file, &arguments.host_namespace);
    grant.digest = Some(strategy.digest().to_owned());
    let account = grant.service_account.name.clone();
    let plugin = serde_json::to_value(StrategyPlugin::new(&manifest.name, grant))?;
    let mut documents = vec![strategy_definition(manifest), plugin];
    documents.extend(account_and_rights(manifest, &account, arguments));
    output::write(arguments.output, &documents)
}

fn account_and_rights(manifest: &Manifest, account: &str, arguments: &Arguments) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io";
    let subject = |name: &str| json!({ "kind": "ServiceAccount", "name": name, "namespace": arguments.host_namespace });
    let namespaced = |name: &str| json!({ "name": name, "namespace": arguments.host_namespace });
    let role = format!("{GROUP}:strategy-{}", manifest.name);
    let impersonation = format!("{account}-impersonation");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": namespaced(account), "automountServiceAccountToken": false }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole",
            "metadata": { "name": role }, "rules": rules(manifest),
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
            "subjects": [subject(&arguments.host_account)],
        }),
    ]
}

/// The least rights: what the manifest reads and writes, its applications, and their Helm releases by label.
fn rules(manifest: &Manifest) -> Vec<Value> {
    let mut rights: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut grant = |group: &str, resource: &str, verbs: &[&str]| {
        for verb in verbs {
            rights.insert((group.to_owned(), resource.to_owned(), (*verb).to_owned()));
        }
    };
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
    for read in &manifest.reads {
        let (group, resource) = resource(&read.api_version, &read.kind);
        grant(&group, &resource, &["get", "list", "watch"]);
        if read.logs {
            grant(&group, "pods/log", &["get"]);
        }
    }
    for written in &manifest.writes {
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

/// What an action needs: server-side apply is a patch that may create.
fn verbs(action: &str) -> &'static [&'static str] {
    match action {
        "create" => &["get", "create"],
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
