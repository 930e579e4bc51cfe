//! Each strategy of the bundle from end to end: the real component and the real definitions, an S3 service that checks
//! signatures, the operator played.
//!
//! The stories run at the same time, against one host, each in a tenant's namespace of its own.

mod altinity;
mod cnpg;
mod etcd;
mod foundationdb;
mod mariadb;
mod velero;

use futures::FutureExt as _;

use stage::STRATEGIES;

use crate::{
    cluster::{Scene, s3},
    host::HostProcess,
    installed::exclusively,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_carries_backups_from_end_to_end() {
    let alone = exclusively().await;
    let platform = Scene::with_storage(&alone).await;
    let s3 = s3();
    let defaults = stage::defaults(&s3.access_key, &s3.secret_key, STRATEGIES).unwrap();
    platform.put_beside_storage(defaults).await;
    platform.install_velero().await;
    let first = platform.requests();
    let _host = HostProcess::start(&platform.kubeconfig());
    for strategy in STRATEGIES {
        platform.plugin_is_ready(strategy).await;
    }
    futures::future::join_all([
        altinity::story(&alone).boxed_local(),
        cnpg::story(&alone).boxed_local(),
        etcd::story(&alone).boxed_local(),
        foundationdb::story(&alone).boxed_local(),
        mariadb::story(&alone).boxed_local(),
        velero::story(&alone).boxed_local(),
    ])
    .await;
    let mut refusals = platform.refusals_since(first);
    // The host asks whether a restore into another namespace would be refused, and is told that.
    refusals.retain(|refused| !refused.user_agent.contains("restore-target-probe"));
    assert!(refusals.is_empty(), "{refusals:#?}");
}
