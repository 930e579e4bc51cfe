//! The operators' kinds, with schemas that let everything through: small stand-ins for the real CRDs.

use serde_json::{Value, json};

/// A kind of an operator or of a platform component.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Its plural.
    pub plural: &'static str,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        group,
        version,
        kind,
        plural,
    }
}

const KINDS: &[Kind] = &[
    kind("apps.cozystack.io", "v1alpha1", "Postgres", "postgreses"),
    kind("apps.cozystack.io", "v1alpha1", "Etcd", "etcds"),
    // The platform's bucket, which the host's chart makes.
    kind("apps.cozystack.io", "v1alpha1", "Bucket", "buckets"),
    kind("apps.cozystack.io", "v1alpha1", "ClickHouse", "clickhouses"),
    kind(
        "clickhouse.altinity.com",
        "v1",
        "ClickHouseInstallation",
        "clickhouseinstallations",
    ),
    kind(
        "helm.toolkit.fluxcd.io",
        "v2",
        "HelmRelease",
        "helmreleases",
    ),
    kind("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
    kind("postgresql.cnpg.io", "v1", "Backup", "backups"),
    kind("barmancloud.cnpg.io", "v1", "ObjectStore", "objectstores"),
    kind(
        "etcd-operator.cozystack.io",
        "v1alpha2",
        "EtcdCluster",
        "etcdclusters",
    ),
    kind(
        "etcd-operator.cozystack.io",
        "v1alpha2",
        "EtcdSnapshot",
        "etcdsnapshots",
    ),
    kind(
        "etcd-operator.cozystack.io",
        "v1alpha2",
        "EtcdMember",
        "etcdmembers",
    ),
    kind(
        "apps.cozystack.io",
        "v1alpha1",
        "FoundationDB",
        "foundationdbs",
    ),
    kind(
        "apps.foundationdb.org",
        "v1beta2",
        "FoundationDBCluster",
        "foundationdbclusters",
    ),
    kind(
        "apps.foundationdb.org",
        "v1beta2",
        "FoundationDBBackup",
        "foundationdbbackups",
    ),
    kind(
        "apps.foundationdb.org",
        "v1beta2",
        "FoundationDBRestore",
        "foundationdbrestores",
    ),
    kind("apps.cozystack.io", "v1alpha1", "MariaDB", "mariadbs"),
    kind("k8s.mariadb.com", "v1alpha1", "MariaDB", "mariadbs"),
    kind("k8s.mariadb.com", "v1alpha1", "Backup", "backups"),
    kind("k8s.mariadb.com", "v1alpha1", "Restore", "restores"),
    kind("apps.cozystack.io", "v1alpha1", "VMInstance", "vminstances"),
    kind("apps.cozystack.io", "v1alpha1", "VMDisk", "vmdisks"),
    kind("velero.io", "v1", "Backup", "backups"),
    kind("velero.io", "v1", "Restore", "restores"),
    kind(
        "velero.io",
        "v1",
        "DeleteBackupRequest",
        "deletebackuprequests",
    ),
    kind("velero.io", "v2alpha1", "DataUpload", "datauploads"),
    kind("velero.io", "v2alpha1", "DataDownload", "datadownloads"),
    kind("kubevirt.io", "v1", "VirtualMachine", "virtualmachines"),
    kind(
        "kubevirt.io",
        "v1",
        "VirtualMachineInstance",
        "virtualmachineinstances",
    ),
    kind("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes"),
];

/// The kinds that the strategies of this repository and their applications need. All are namespaced.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    KINDS
}

/// Velero, and KubeVirt for what runs, write their objects as a whole.
fn has_status(kind: &Kind) -> bool {
    kind.group != "velero.io" && kind.kind != "VirtualMachineInstance"
}

/// A definition with an open schema, and with a status subresource where the real one has it.
#[must_use]
pub fn crd(kind: &Kind) -> Value {
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let subresources = match has_status(kind) {
        true => json!({ "status": {} }),
        false => json!({}),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{}", kind.plural, kind.group) },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": format!("{}List", kind.kind),
                "plural": kind.plural,
                "singular": kind.kind.to_lowercase(),
            },
            "versions": [{
                "name": kind.version,
                "served": true,
                "storage": true,
                "subresources": subresources,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": open, "status": open },
                } },
            }],
        },
    })
}
