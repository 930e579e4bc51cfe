//! Many jobs at once, and a host that dies in the middle of them.

use crate::{installed::exclusively, platform::Platform};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_over_twenty_namespaces_all_end_in_spite_of_a_kill() {
    const EACH: usize = 5;
    let alone = exclusively().await;
    let ground = alone.ground;
    let platform = Platform::on(&ground.plane).await;
    let platform = platform.with_host(ground.host.kubeconfig.clone());
    let mut namespaces = vec![];
    for _ in 0..20 {
        namespaces.push(platform.tenant(EACH).await);
    }
    let _operator = platform.play();
    let mut ends = platform.ends();
    let host = platform.start_host().await;
    let jobs = platform.jobs(&namespaces, EACH).await;
    for _ in 0..jobs.len() / 3 {
        ends.recv().await.unwrap();
    }
    // Killed, not asked to stop.
    drop(host);
    let _host = platform.start_host().await;
    platform.ended(&jobs).await;
    for namespace in &namespaces {
        let orders = platform.orders_in(namespace).await;
        assert_eq!(orders.len(), EACH, "one order for each job: {orders:?}");
        assert_eq!(platform.backups_in(namespace).await, EACH);
    }
}
