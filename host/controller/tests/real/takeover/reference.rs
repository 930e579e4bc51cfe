//! A cluster as the reference's two charts have it: its kinds, its releases, its default class.
//!
//! The definitions are small, and written after what the reference's say: groups, versions, scopes, which status is a
//! subresource, which fields are required. They are installed as ordinary templates, so that Helm would remove them with the
//! release.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::Site;

const GROUP: &str = "backups.cozystack.io";
const STRATEGIES: &str = "strategy.backups.cozystack.io";

/// A reference to an object, of which kind and name are required.
fn reference() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object", "x-kubernetes-map-type": "atomic", "required": ["kind", "name"],
        "properties": { "apiGroup": text, "kind": text, "name": text },
    })
}

/// A name of an object.
fn name() -> Value {
    json!({ "type": "object", "x-kubernetes-map-type": "atomic", "properties": { "name": { "type": "string", "default": "" } } })
}

fn open() -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// What the status of a job says.
fn status() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    json!({
        "type": "object",
        "properties": {
            "phase": text, "message": text, "startedAt": time, "completedAt": time, "backupRef": name(),
            "conditions": { "type": "array", "items": open() },
        },
    })
}

fn definition(group: &str, kind: &str, plural: &str, scope: &str, schema: &Value) -> Value {
    // The one kind of the reference whose status is written with the rest.
    let subresources = match kind {
        "Backup" => json!({}),
        _ => json!({ "status": {} }),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": scope,
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase(),
            },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": subresources,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn of(spec: Value, status: Value) -> Value {
    json!({ "type": "object", "properties": { "spec": spec, "status": status } })
}

/// The five kinds of the core.
fn core() -> Vec<Value> {
    let text = json!({ "type": "string" });
    let job = json!({
        "type": "object", "required": ["applicationRef", "backupClassName"],
        "properties": { "applicationRef": reference(), "backupClassName": text, "planRef": name() },
    });
    let backup = json!({
        "type": "object", "required": ["applicationRef", "strategyRef", "takenAt"],
        "properties": {
            "applicationRef": reference(), "strategyRef": reference(), "planRef": name(),
            "takenAt": { "type": "string", "format": "date-time" },
            "driverMetadata": { "type": "object", "additionalProperties": text },
        },
    });
    let taken = json!({
        "type": "object",
        "properties": {
            "phase": text, "underlyingResources": open(),
            "artifact": {
                "type": "object", "required": ["uri"],
                "properties": { "uri": text, "sizeBytes": { "type": "integer", "format": "int64" }, "checksum": text },
            },
        },
    });
    let plan = json!({
        "type": "object", "required": ["applicationRef", "backupClassName", "schedule"],
        "properties": {
            "applicationRef": reference(), "backupClassName": text,
            "schedule": { "type": "object", "properties": { "type": text, "cron": text } },
        },
    });
    let restore = json!({
        "type": "object", "required": ["backupRef"],
        "properties": { "backupRef": name(), "targetApplicationRef": reference(), "options": open() },
    });
    let kinds = [
        ("BackupClass", "backupclasses", "Cluster", open(), status()),
        ("BackupJob", "backupjobs", "Namespaced", job, status()),
        ("Backup", "backups", "Namespaced", backup, taken),
        ("Plan", "plans", "Namespaced", plan, status()),
        ("RestoreJob", "restorejobs", "Namespaced", restore, status()),
    ];
    let made = kinds.map(|(kind, plural, scope, spec, status)| {
        definition(GROUP, kind, plural, scope, &of(spec, status))
    });
    made.to_vec()
}

/// Its kinds of strategies. Two of them are not the host's.
const STRATEGY_KINDS: [(&str, &str); 8] = [
    ("Job", "jobs"),
    ("Velero", "veleroes"),
    ("CNPG", "cnpgs"),
    ("Altinity", "altinities"),
    ("MariaDB", "mariadbs"),
    ("MongoDB", "mongodbs"),
    ("FoundationDB", "foundationdbs"),
    ("Etcd", "etcds"),
];

fn strategies() -> Vec<Value> {
    let made = STRATEGY_KINDS
        .map(|(kind, plural)| definition(STRATEGIES, kind, plural, "Cluster", &of(open(), open())));
    made.to_vec()
}

/// What its second chart has beside the definitions: the bucket, and a class with a strategy that the host has too, and
/// one that it has not.
fn defaults() -> Vec<Value> {
    let strategy = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": format!("{STRATEGIES}/v1alpha1"), "kind": kind,
            "metadata": { "name": format!("cozy-default-{name}") }, "spec": spec,
        })
    };
    let bound = |application: &str, kind: &str, name: &str| {
        json!({
            "application": { "apiGroup": "apps.cozystack.io", "kind": application },
            "strategyRef": { "apiGroup": STRATEGIES, "kind": kind, "name": format!("cozy-default-{name}") },
        })
    };
    let etcd = json!({ "template": { "destination": { "s3": {
        "bucket": "of-then", "endpoint": "https://of-then.example", "forcePathStyle": true,
        "key": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}/",
        "credentialsSecretRef": { "name": "cozy-backups-creds" },
    } } } });
    let mongodb = json!({ "template": { "storageName": "s3-storage", "type": "logical" } });
    vec![
        json!({
            "apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Bucket",
            "metadata": { "name": "cozy-backups", "namespace": "tenant-root" },
            "spec": { "users": { "system": { "readonly": false } } },
        }),
        strategy("Etcd", "etcd", etcd),
        strategy("MongoDB", "mongodb", mongodb),
        json!({
            "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": { "name": "cozy-default" },
            "spec": { "strategies": [bound("Etcd", "Etcd", "etcd"), bound("MongoDB", "MongoDB", "mongodb")] },
        }),
    ]
}

/// What runs of a release.
fn deployment(name: &str) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "cozy-backup-controller" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": name, "image": "example.com/of-then" }] },
            },
        },
    })
}

/// What tenants and the core's controller can do; the former under the names of the host's.
fn roles() -> Vec<Value> {
    let role = |name: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
            "rules": [{ "apiGroups": [GROUP], "resources": ["plans"], "verbs": ["get"] }],
        })
    };
    let core = "backups.cozystack.io:core-controller";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": core },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": core },
        "subjects": [{ "kind": "ServiceAccount", "name": "backup-controller", "namespace": "cozy-backup-controller" }],
    });
    let names = ["cozy:backups:view", "cozy:backups:admin", core];
    names.into_iter().map(role).chain([binding]).collect()
}

/// A chart of some objects, as files that Helm takes as they are.
fn chart(folder: &Path, name: &str, objects: &[Value]) -> PathBuf {
    let chart = folder.join(name);
    for below in ["templates", "files"] {
        std::fs::create_dir_all(chart.join(below)).unwrap();
    }
    let about = format!("apiVersion: v2\nname: cozy-{name}\nversion: 1.6.0\n");
    std::fs::write(chart.join("Chart.yaml"), about).unwrap();
    let all =
        "{{ range $path, $_ := .Files.Glob \"files/*\" }}\n---\n{{ $.Files.Get $path }}\n{{ end }}";
    std::fs::write(chart.join("templates/all.yaml"), all).unwrap();
    for (index, object) in objects.iter().enumerate() {
        std::fs::write(
            chart.join(format!("files/{index:02}.json")),
            object.to_string(),
        )
        .unwrap();
    }
    chart
}

/// Installs both releases, under the names that Cozystack gives them.
pub fn install(site: &Site) {
    let folder = TempDir::new().unwrap();
    let first = [core(), roles(), vec![deployment("backup-controller")]].concat();
    // Helm knows the kinds of a release before it installs any of its objects: Cozystack's second render brings the rest.
    let second = [strategies(), vec![deployment("backupstrategy-controller")]].concat();
    for (name, objects) in [
        ("backup-controller", first),
        ("backupstrategy-controller", second.clone()),
    ] {
        helm(site, "install", name, &chart(folder.path(), name, &objects));
    }
    let name = "backupstrategy-controller";
    let later = chart(folder.path(), name, &[second, defaults()].concat());
    helm(site, "upgrade", name, &later);
}

fn helm(site: &Site, verb: &str, release: &str, chart: &Path) {
    let chart = chart.display();
    let typed = format!("helm {verb} {release} {chart} --namespace cozy-backup-controller");
    site.admin.run(&typed).unwrap();
}
