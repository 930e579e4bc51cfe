//! A slot that comes while a job of the same Plan is under way. Defect 5 of the reference: it had no policy.

use serde_json::{Value, json};

use crate::world::{Fate, MINUTE, World};

fn policy(policy: &str) -> Value {
    json!({ "concurrencyPolicy": policy })
}

#[tokio::test]
async fn jobs_pile_up_where_that_is_allowed() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    world.plan("often", "*/10 * * * *", &json!({}));
    world.pass(30 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10", "25 12:20", "25 12:30"]);
    assert_eq!(world.status("often")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_slot_is_left_out_and_counted_where_that_is_forbidden() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    world.plan("often", "*/10 * * * *", &policy("Forbid"));
    world.pass(30 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10"]);
    assert_eq!(world.status("often")["missedSlots"], 2);
    let mut events = world.events("SlotSkipped");
    events.sort();
    assert_eq!(events.len(), 2);
    assert_eq!(
        events[0],
        "no BackupJob was made for 2026-11-25T12:20:00Z: BackupJob often-29926810 is under way, \
         and spec.concurrencyPolicy is Forbid"
    );
    // It ends between two slots: the one that was left out stays out.
    world.fate = Fate::Succeeds;
    world.pass(MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10"]);
    world.pass(9 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10", "25 12:40"]);
}

#[tokio::test]
async fn the_job_under_way_gives_way_where_it_is_replaced() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    world.plan("often", "*/10 * * * *", &policy("Replace"));
    world.pass(30 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:30"]);
    assert_eq!(world.made.len(), 3);
    assert_eq!(world.status("often")["active"], json!(["often-29926830"]));
    assert_eq!(world.status("often")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_job_that_is_held_is_deleted_once_and_the_next_does_not_wait() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    world.plan("often", "*/10 * * * *", &policy("Replace"));
    world.pass(10 * MINUTE).await;
    let mut job = world.objects("BackupJob")[0].clone();
    job["metadata"]["finalizers"] = json!(["example.org/waits"]);
    world.stage.cluster.put(job).unwrap();
    drop(world.stage.cluster.take_requests());
    world.pass(20 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:30"]);
    let deletions = world
        .stage
        .cluster
        .take_requests()
        .into_iter()
        .filter(|request| request.writes() && request.name.as_deref() == Some("often-29926810"))
        .filter(|request| format!("{:?}", request.verb) == "Delete")
        .count();
    assert_eq!(deletions, 1);
}

#[tokio::test]
async fn the_jobs_of_other_plans_do_not_count() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    world.plan("often", "10 12 * * *", &policy("Forbid"));
    world.plan("often-2", "20 12 * * *", &policy("Replace"));
    world.plan("other", "30 12 * * *", &policy("Forbid"));
    world.pass(30 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10", "25 12:20", "25 12:30"]);
}
