//! What the page does not tell, and whoever follows it relies on: an upgrade can be taken back while jobs run, and what is
//! removed comes back with all its Backups.

use std::collections::BTreeSet;

use ::s3::S3;
use charts::HOST;
use controlplane::Shell;
use kube::{
    Api,
    api::ListParams,
    core::DynamicObject,
    discovery::{Discovery, verbs},
};
use serde_json::Value;
use stage::{Cnpg, Fate, Workplace};

use super::{INSTALLED, TENANT, is_ready, job, postgres};
use crate::{bucket::bucket_of, cluster::API, kubelet::Pod, site::Site};

/// Every object of the cluster, by group, kind, namespace and name; without what Kubernetes keeps for itself.
pub(super) async fn everything(site: &Site) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let client = site.client();
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    for group in discovery.groups() {
        for (kind, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) || kind.kind == "Event" {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            for object in api.list_metadata(&ListParams::default()).await.unwrap() {
                let namespace = object.metadata.namespace.unwrap_or_default();
                let name = object.metadata.name.unwrap_or_default();
                found.insert(format!("{} {} {namespace}/{name}", kind.group, kind.kind));
            }
        }
    }
    found
}

/// An upgrade is taken back while a job waits for its operator: the job ends well under the version before.
pub(super) async fn is_rolled_back(site: &Site, pod: Pod, tenant: &Shell, s3: &S3) -> Pod {
    let stalls = Workplace::new(bucket_of(s3, &s3.bucket)).of_namespace(TENANT);
    let stalling = site.play(&[TENANT], Cnpg::at(stalls, Fate::Stalls));
    let job = job("meanwhile", "cozy-default", ("Postgres", "orders-db"));
    tenant
        .run_on("kubectl apply -f -", &job.to_string())
        .unwrap();
    let is_running = |job: &Value| {
        let message = job["status"]["message"].as_str().unwrap_or_default();
        message.starts_with("BackupRunning")
    };
    site.until(TENANT, (API, "BackupJob", "meanwhile"), is_running)
        .await;

    let back = "helm rollback backupstrategy-controller 1 --namespace cozy-backup-controller";
    site.admin.run(back).unwrap();
    pod.stop();
    let pod = site.pod().await;
    drop(stalling);
    let _operator = postgres(site, TENANT, s3).await;
    is_ready(tenant, TENANT, "backupjob/meanwhile");
    let orders = "kubectl -n tenant-acme get backups.postgresql.cnpg.io -o name";
    let ordered = site.admin.run(orders).unwrap();
    // One of the page's example, one of the class of one's own, and this one.
    assert_eq!(
        ordered.lines().count(),
        3,
        "no order is made twice: {ordered}"
    );
    pod
}

/// An uninstall leaves definitions and bucket, with all that tenants have, and nothing else of the release; a new install
/// takes everything up again.
pub(super) async fn is_removed_and_comes_back(site: &Site, pod: Pod, before: BTreeSet<String>) {
    let list = "kubectl get backups --all-namespaces -o \
                jsonpath={range.items[*]}{.metadata.uid}{.status.phase}{\"\\n\"}{end}";
    let list = list
        .replace("{range.items[*]}", "'{range .items[*]}")
        .replace("{end}", "{end}'");
    let backups = site.admin.run(&list).unwrap();
    for _ in 0..2 {
        let remove = "helm uninstall backupstrategy-controller --namespace cozy-backup-controller";
        site.admin.run(remove).unwrap();
        let after = everything(site).await;
        let left: Vec<_> = after
            .difference(&before)
            .filter(|left| !may_stay(left))
            .collect();
        assert!(left.is_empty(), "{left:#?}");
        assert_eq!(site.admin.run(&list).unwrap(), backups, "no Backup is lost");
        site.admin.run(INSTALLED[0]).unwrap();
    }
    pod.stop();
    let pod = site.pod().await;
    site.plugins_are_ready();
    let ready = "kubectl wait --for=condition=Ready backupclass/cozy-default --timeout=60s";
    site.admin.run(ready).unwrap();
    assert_eq!(site.admin.run(&list).unwrap(), backups);
    pod.stop();
}

/// What is not the release's, or is kept on purpose.
fn may_stay(left: &str) -> bool {
    let [group, kind, name] = [0, 1, 2].map(|at| left.split(' ').nth(at).unwrap_or_default());
    let (namespace, name) = name.split_once('/').unwrap_or_default();
    match (group, kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => true,
        ("apps.cozystack.io", "Bucket") => name == "cozy-backups",
        // Who works, and what jobs still need of components.
        ("coordination.k8s.io", "Lease") => namespace == HOST.namespace,
        ("", "ConfigMap") => namespace == HOST.namespace || namespace.starts_with("tenant-"),
        // The source, its copies, and the records of the other release.
        ("", "Secret") => true,
        ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding") => {
            // A vendor's, which its administrator has applied.
            name.contains("ledger")
        }
        ("rbac.authorization.k8s.io" | "", _) if namespace == HOST.namespace => {
            name.contains("ledger")
        }
        // The vendor's, and what documentation lets an administrator make.
        ("backups.cozystack.io", "StrategyPlugin" | "BackupClass") => {
            name.starts_with("ledger") || name.starts_with("tuned-")
        }
        ("strategy.backups.cozystack.io", kind) => kind == "LedgerExport",
        // What tenants and operators have.
        ("admissionregistration.k8s.io" | "rbac.authorization.k8s.io", _)
            if namespace.is_empty() =>
        {
            false
        }
        ("apps" | "policy" | "networking.k8s.io", _) => namespace != HOST.namespace,
        _ => true,
    }
}
