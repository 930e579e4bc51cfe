//! What the page does not tell, and whoever follows it relies on: an upgrade can be taken back while jobs run, and what is
//! removed comes back with all its Backups.

use std::collections::BTreeSet;

use ::s3::S3;
use controlplane::Shell;
use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::ListParams,
    core::{ApiResource, DynamicObject},
    discovery::{Discovery, verbs},
};
use serde_json::Value;
use stage::{Cnpg, Fate, Workplace};

use super::{INSTALLED, TENANT, is_ready, job, postgres};
use crate::{bucket::bucket_of, cluster::API, kubelet::Pod, site::Site};

/// So many kinds are listed at a time.
const AT_ONCE: usize = 16;

/// Every object of the cluster, by group, kind, namespace and name; without what Kubernetes keeps for itself.
pub(super) async fn everything(site: &Site) -> BTreeSet<String> {
    let client = site.client();
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let kinds = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let listed = kinds
        .filter(|(kind, can)| can.supports_operation(verbs::LIST) && kind.kind != "Event")
        .map(|(kind, _)| all_of(client.clone(), kind));
    let listed: Vec<BTreeSet<String>> = futures::stream::iter(listed)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    listed.into_iter().flatten().collect()
}

async fn all_of(client: Client, kind: ApiResource) -> BTreeSet<String> {
    let api: Api<DynamicObject> = Api::all_with(client, &kind);
    let listed = api.list_metadata(&ListParams::default()).await.unwrap();
    let named = listed.items.into_iter().map(|object| {
        let namespace = object.metadata.namespace.unwrap_or_default();
        let name = object.metadata.name.unwrap_or_default();
        format!("{} {} {namespace}/{name}", kind.group, kind.kind)
    });
    named.collect()
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

/// The identity and the phase of every Backup.
const BACKUPS: &str = "kubectl get backups --all-namespaces --output \
    jsonpath='{range .items[*]}{.metadata.uid} {.status.phase}{\"\\n\"}{end}'";

/// An uninstall leaves definitions and bucket, with all that tenants have, and nothing else that the release had brought; a
/// new install takes everything up again.
pub(super) async fn is_removed_and_comes_back(site: &Site, pod: Pod, release: &BTreeSet<String>) {
    let backups = site.admin.run(BACKUPS).unwrap();
    let remove = "helm uninstall backupstrategy-controller --namespace cozy-backup-controller";
    site.admin.run(remove).unwrap();
    let after = everything(site).await;
    let left: Vec<_> = release
        .intersection(&after)
        .filter(|left| !is_kept(left))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(
        site.admin.run(BACKUPS).unwrap(),
        backups,
        "no Backup is lost"
    );
    site.admin.run(INSTALLED[0]).unwrap();
    pod.stop();
    let pod = site.pod().await;
    site.plugins_are_ready();
    let ready = "kubectl wait --for=condition=Ready backupclass/cozy-default --timeout=60s";
    site.admin.run(ready).unwrap();
    assert_eq!(site.admin.run(BACKUPS).unwrap(), backups);
    pod.stop();
}

/// What is kept on purpose: the definitions, and with them whatever tenants have, and the bucket.
fn is_kept(object: &str) -> bool {
    object.starts_with("apiextensions.k8s.io CustomResourceDefinition ")
        // What the API server makes of them.
        || object.starts_with("apiregistration.k8s.io APIService ")
        || object == "apps.cozystack.io Bucket cozy-backup-controller/cozy-backups"
}
