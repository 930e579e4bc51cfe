//! How long it takes until another host works.

use std::time::Instant;

use crate::{host::HostProcess, platform::Platform};

/// With the durations that a cluster has by default.
pub async fn measure(platform: &Platform) {
    for is_killed in [true, false] {
        let namespace = platform.tenant(1).await;
        let first = replica(platform, &namespace, "first");
        let second = replica(platform, &namespace, "second");
        let job = platform.job(&namespace, "db-0", "waiting").await;
        let mut orders = platform.orders();
        let order = orders.recv().await.unwrap();
        let began = Instant::now();
        if is_killed {
            drop(first);
        } else {
            assert!(first.terminate());
        }
        platform.complete(&order).await;
        platform.ended(&[job]).await;
        second.says("this host leads");
        println!(
            "from the leader {} to the end of a job that waited: {:.1} s",
            if is_killed { "killed" } else { "told to stop" },
            began.elapsed().as_secs_f64()
        );
    }
}

fn replica(platform: &Platform, namespace: &str, name: &str) -> HostProcess {
    platform.start_replica(&[
        "--leader-elect",
        "--pod-namespace",
        namespace,
        "--pod-name",
        name,
    ])
}
