//! A strategy that the host has never heard of, on the installed chart: its component in a ConfigMap, named in `extraPlugins`.

use ::s3::S3;

use super::{TENANT, is_ready};
use crate::{
    cluster::API,
    kubelet::Pod,
    mission::{deployed, manifests, play, vendors},
    site::Site,
};

/// What the platform's administrator types beside what `tests/vendor/README.md` says.
const BROUGHT: [&str; 3] = [
    "kubectl apply --server-side -f tests/vendor/deploy/product.yaml",
    "kubectl -n cozy-backup-controller create configmap ledger-strategy --from-file=target/vendor/ledger.wasm",
    "helm upgrade backupstrategy-controller charts/backupstrategy-controller --namespace cozy-backup-controller \
     --set 'extraPlugins[0].name=ledger,extraPlugins[0].configMap=ledger-strategy'",
];

/// Brings the plugin, backs up by it and restores. Gives back the Pod of the upgraded release.
pub(super) async fn brings_a_strategy(site: &Site, pod: Pod, s3: &S3) -> Pod {
    for command in BROUGHT {
        site.admin.run(command).unwrap();
    }
    site.put(manifests(&vendors("target/vendor/ledger.wasm")))
        .await;
    pod.stop();
    let pod = site.pod().await;
    let serves = "kubectl wait --for=condition=Ready strategyplugin/ledger --timeout=60s";
    site.admin.run(serves).unwrap();
    site.put(deployed("strategy.yaml")).await;

    let operator = tokio::spawn(play(site.client(), TENANT, &s3.root));
    for (file, job) in [
        ("backup.yaml", "backupjob/before-audit"),
        ("restore.yaml", "restorejob/undo-audit"),
    ] {
        let applies = format!("kubectl -n {TENANT} apply -f tests/vendor/deploy/{file}");
        site.admin.run(&applies).unwrap();
        is_ready(&site.admin, TENANT, job);
    }
    let backup = site
        .read(TENANT, (API, "Backup", "before-audit"))
        .await
        .unwrap();
    assert_eq!(backup["spec"]["plugin"]["name"], "ledger");
    operator.abort();
    pod
}
