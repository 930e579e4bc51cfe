//! A host that dies at any write, and the next one that goes on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verdict},
};
use serde_json::{Value, json};

use crate::world::{MINUTE, World, names, slot};

/// From its write number `last` on, nothing of the host's reaches the cluster; that one does when `lands`, though
/// the host never hears of it.
fn dies(world: &World, last: usize, lands: bool) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            let dead = ApiError::new(ApiReason::Unavailable, "the host is dead");
            let before = match operation.writes() {
                true => counted.fetch_add(1, Ordering::Relaxed),
                false => counted.load(Ordering::Relaxed),
            };
            match before.cmp(&last) {
                std::cmp::Ordering::Less => Verdict::Pass,
                std::cmp::Ordering::Equal if operation.writes() && lands => {
                    Verdict::PassThenFail(dead)
                }
                std::cmp::Ordering::Equal if !operation.writes() => Verdict::Pass,
                _ => Verdict::Fail(dead),
            }
        });
    writes
}

/// Half an hour in which jobs are made, replaced by others, and cleared away.
fn world(policy: &str) -> World {
    let world = World::new();
    let more = json!({
        "concurrencyPolicy": policy,
        "successfulJobsHistoryLimit": 1,
        "retentionPolicy": { "keepLast": 1 },
    });
    world.plan("often", "*/10 * * * *", &more);
    world
}

fn outcome(world: &World) -> Value {
    let status = world.status("often");
    json!({
        "jobs": world.slots(),
        "backups": names(&world.objects("Backup")).iter().map(|name| slot(name)).collect::<Vec<_>>(),
        "missed": status["missedSlots"],
        "last": status["lastScheduleTime"],
        "next": status["nextScheduleTime"],
        "active": status["active"],
    })
}

#[tokio::test]
async fn a_host_that_dies_at_any_write_makes_no_slot_twice_and_leaves_none_out() {
    for policy in ["Allow", "Forbid", "Replace"] {
        let mut calm = world(policy);
        calm.pass(30 * MINUTE).await;
        let expected = outcome(&calm);
        assert_eq!(expected["jobs"], json!(["25 12:30"]));
        for lands in [false, true] {
            for last in 0.. {
                let mut world = world(policy);
                let writes = dies(&world, last, lands);
                // The dead host tries on for a while, and none of it is heard.
                while writes.load(Ordering::Relaxed) <= last
                    && world.now().as_str() < "2026-11-25T12:30:00Z"
                {
                    world.pass(10).await;
                }
                world.stage.cluster.clear_interceptor();
                if writes.load(Ordering::Relaxed) <= last {
                    break;
                }
                world.stage.restart();
                let left = 1_795_608_000 + 30 * MINUTE - world.stage.cluster.now();
                world.pass(left).await;
                assert_eq!(
                    outcome(&world),
                    expected,
                    "{policy}: died at write {last}, landed: {lands}"
                );
                assert!(
                    world.made.values().all(|times| *times == 1),
                    "{policy}: died at write {last}, landed: {lands}: {:?}",
                    world.made
                );
                assert_eq!(world.made.len(), 3);
            }
        }
    }
}

#[tokio::test]
async fn two_hosts_at_once_make_one_job() {
    let mut world = world("Allow");
    world.settle().await;
    // The other host made the job a moment ago, between what this one read and what it writes.
    let cluster = world.stage.cluster.clone();
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            let name = operation.name.clone().unwrap_or_default();
            if operation.writes()
                && operation.kind == "BackupJob"
                && name == "often-29926810"
                && cluster
                    .read(
                        "backups.cozystack.io/v1alpha1",
                        "BackupJob",
                        Some("tenant-acme"),
                        &name,
                    )
                    .is_none()
            {
                let job = json!({
                    "apiVersion": "backups.cozystack.io/v1alpha1",
                    "kind": "BackupJob",
                    "metadata": {
                        "name": name, "namespace": "tenant-acme",
                        "labels": { "backups.cozystack.io/plan": "often" },
                    },
                    "spec": {
                        "backupClassName": "cozy-default",
                        "applicationRef": { "kind": "Postgres", "name": "orders-db" },
                        "planRef": { "name": "often" },
                    },
                });
                drop(cluster.put(job));
            }
            Verdict::Pass
        });
    world.pass(10 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10"]);
    assert_eq!(
        world.status("often")["lastScheduleTime"],
        "2026-11-25T12:10:00Z"
    );
}
