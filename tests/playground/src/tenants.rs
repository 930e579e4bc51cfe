//! Two tenants, each with an application of each kind, and the rights of a tenant.

use std::path::Path;

use anyhow::{Context as _, Result};
use controlplane::ControlPlane;
use serde_json::{Value, json};

/// The tenants: namespaces, and names of their accounts.
pub(crate) const TENANTS: [&str; 2] = ["tenant-acme", "tenant-umbrella"];

/// What each has, by kind and name: the same names for both, and no path of one meets one of the other's.
pub(crate) const APPLICATIONS: [(&str, &str); 9] = [
    ("Postgres", "orders-db"),
    ("MariaDB", "shop"),
    ("ClickHouse", "events"),
    ("Etcd", "etcd"),
    ("FoundationDB", "ledger"),
    ("VMDisk", "web-root"),
    ("VMDisk", "web-data"),
    ("VMInstance", "web"),
    ("VMDisk", "archive"),
];

/// The chart's roles for tenants. Cozystack gathers them into its own.
const ROLES: [&str; 2] = ["cozy:backups:view", "cozy:backups:admin"];

/// For how long a token is valid: longer than anybody plays, in seconds.
const MONTH: u32 = 30 * 24 * 3600;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Makes the tenants, with their applications.
///
/// # Errors
/// When the API server does not take something.
pub(crate) async fn settle(plane: &ControlPlane) -> Result<()> {
    for tenant in TENANTS {
        plane.apply(&account(tenant)).await?;
        let applications = APPLICATIONS.map(|(kind, name)| application(tenant, kind, name));
        plane.apply(&applications).await?;
    }
    Ok(())
}

/// A tenant's namespace, and an account with the chart's roles in it and nothing else.
fn account(tenant: &str) -> Vec<Value> {
    let subject = json!({ "kind": "ServiceAccount", "name": tenant, "namespace": tenant });
    let mut objects = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": tenant } }),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": tenant, "namespace": tenant },
        }),
    ];
    objects.extend(ROLES.map(|role| {
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding",
            "metadata": { "name": role, "namespace": tenant },
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
            "subjects": [subject],
        })
    }));
    objects
}

/// An application as a tenant orders it.
fn application(tenant: &str, kind: &str, name: &str) -> Value {
    let spec = match kind {
        "Postgres" => json!({ "size": "10Gi", "databases": { "orders": {} } }),
        "MariaDB" => json!({ "size": "10Gi", "replicas": 2, "databases": { "orders": {} } }),
        "ClickHouse" => json!({
            "shards": 1, "replicas": 1, "backup": { "enabled": true, "useSystemBucket": true },
        }),
        "Etcd" => json!({ "size": "4Gi", "replicas": 3 }),
        "FoundationDB" => json!({ "cluster": { "processCounts": { "storage": 3 } } }),
        "VMInstance" => json!({
            "runStrategy": "Always", "disks": [{ "name": "web-root" }, { "name": "web-data" }],
        }),
        _ => json!({ "storage": "5Gi" }),
    };
    json!({
        "apiVersion": "apps.cozystack.io/v1alpha1",
        "kind": kind,
        "metadata": { "name": name, "namespace": tenant },
        "spec": spec,
    })
}

/// Writes the kubeconfig of a ServiceAccount, which looks into its own namespace where it is told no other.
///
/// # Errors
/// When there is no such account, or the file cannot be written.
pub(crate) async fn write_kubeconfig(
    plane: &ControlPlane,
    (namespace, name): (&str, &str),
    path: &Path,
) -> Result<()> {
    let token = plane.token_for(namespace, name, MONTH).await?;
    let mut kubeconfig: Value = serde_json::from_str(&plane.kubeconfig_with(&token))?;
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(namespace);
    std::fs::write(path, format!("{kubeconfig:#}\n"))
        .with_context(|| format!("could not write {}", path.display()))
}
