//! Plugins that come and go while jobs are under way.

use std::fs;

use crate::{installed::exclusively, platform::Platform};

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_replaced_in_the_middle_of_a_hundred_jobs_ends_each_on_one_component() {
    const NAMESPACES: usize = 10;
    const EACH: usize = 5;
    let alone = exclusively().await;
    let ground = alone.ground;
    let platform = Platform::on(&ground.plane).await;
    let platform = platform.with_host(ground.host.kubeconfig.clone());
    platform.accept_any_digest().await;
    let folder = tempfile::tempdir().unwrap();
    let put = |version: &str| {
        let written = folder.path().join("one.tmp");
        fs::write(&written, Platform::component(version)).unwrap();
        fs::rename(written, folder.path().join("one.wasm")).unwrap();
    };
    put("8.0.0");
    let host = platform.start_host_with(folder.path()).await;
    let old = platform.serves("8.0.0").await;
    let mut namespaces = vec![];
    for _ in 0..2 * NAMESPACES {
        namespaces.push(platform.tenant(EACH).await);
    }
    let (early, late) = namespaces.split_at(NAMESPACES);
    let mut orders = platform.orders();
    let mut jobs = platform.jobs(early, EACH).await;
    // Other tests have left orders that nobody completes.
    let mut ordered = async |namespaces: &[String]| {
        let mut found = vec![];
        while found.len() < NAMESPACES * EACH {
            let order = orders.recv().await.unwrap();
            if namespaces.contains(&order.job.0) {
                found.push(order);
            }
        }
        found
    };
    let mut waiting = ordered(early).await;
    for order in waiting.drain(..10) {
        platform.complete(&order).await;
    }

    put("9.0.0");
    let new = platform.serves("9.0.0").await;
    assert_ne!(old, new);
    for order in waiting.drain(..20) {
        platform.complete(&order).await;
    }
    // The next one finds only the new version in the folder.
    drop(host);
    let _host = platform.start_host_with(folder.path()).await;
    let begun = platform.jobs(late, EACH).await;
    waiting.extend(ordered(late).await);
    for order in &waiting {
        platform.complete(order).await;
    }
    jobs.extend(begun);
    platform.ended(&jobs).await;
    for (namespaces, expected) in [(early, &old), (late, &new)] {
        for namespace in namespaces {
            assert_eq!(platform.orders_in(namespace).await.len(), EACH);
            let digests = platform.digests_in(namespace).await;
            assert_eq!(digests.len(), EACH);
            for (job, [noted, made_by]) in digests {
                assert_eq!(
                    (&noted, &made_by),
                    (expected, expected),
                    "{namespace}/{job}"
                );
            }
        }
    }
}
