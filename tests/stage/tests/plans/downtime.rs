//! Slots that passed while there was no host, and clocks that jump.

use serde_json::{Value, json};

use crate::world::{DAY, HOUR, MINUTE, World};

// Defect 4 of the reference: missed slots vanished.
#[tokio::test]
async fn the_last_slot_is_made_up_for_and_the_others_are_counted() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    world.pass(HOUR).await;
    world.pass_without_host(4 * HOUR + 4 * MINUTE).await;
    assert_eq!(world.slots(), ["25 13:00", "25 17:00"]);
    let status = world.status("hourly");
    assert_eq!(status["missedSlots"], 3);
    assert_eq!(status["lastScheduleTime"], "2026-11-25T17:00:00Z");
    assert_eq!(
        world.events("SlotsMissed"),
        [
            "3 slots passed without a BackupJob, from 2026-11-25T14:00:00Z to 2026-11-25T16:00:00Z: \
          the host was not at work, or not in time"
        ]
    );
    // They are counted once.
    world.pass(30 * MINUTE).await;
    world.stage.restart();
    world.settle().await;
    assert_eq!(world.status("hourly")["missedSlots"], 3);
    assert_eq!(world.events("SlotsMissed").len(), 1);
}

#[tokio::test]
async fn a_slot_beyond_the_deadline_is_missed() {
    let mut world = World::new();
    world.plan("strict", "@hourly", &json!({}));
    world.plan(
        "patient",
        "@hourly",
        &json!({ "startingDeadlineSeconds": 3600 }),
    );
    world.settle().await;
    world.pass_without_host(HOUR + 301).await;
    assert_eq!(world.status("strict")["missedSlots"], 1);
    assert_eq!(world.status("patient")["missedSlots"], Value::Null);
    assert_eq!(world.jobs().len(), 1);
    assert!(world.jobs()[0].starts_with("patient-"));
}

#[tokio::test]
async fn a_year_without_a_host_is_looked_through_at_once() {
    let mut world = World::new();
    world.plan("often", "* * * * *", &json!({}));
    world.settle().await;
    world.pass_without_host(365 * DAY).await;
    assert_eq!(world.jobs().len(), 1);
    assert_eq!(world.status("often")["missedSlots"], 1000);
    assert!(world.events("SlotsMissed")[0].starts_with("more than 1000 slots passed"));
}

// Defect 4 of the reference: a slot up to five minutes before the creation fired.
#[tokio::test]
async fn a_slot_before_the_creation_never_fires() {
    let mut world = World::new();
    world.stage.cluster.advance(MINUTE);
    world.plan("hourly", "@hourly", &json!({}));
    world.pass(10 * MINUTE).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    assert_eq!(
        world.status("hourly")["nextScheduleTime"],
        "2026-11-25T13:00:00Z"
    );
}

#[tokio::test]
async fn a_plan_of_an_old_controller_loses_no_slot_at_the_change() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    let mut plan = world.stage.read("Plan", crate::world::TENANT, "hourly");
    plan["metadata"]["creationTimestamp"] = json!("2024-01-01T00:00:00Z");
    world.stage.cluster.put(plan).unwrap();
    world.stage.cluster.advance(2 * MINUTE);
    world.settle().await;
    assert_eq!(world.slots(), ["25 12:00"]);
    assert_eq!(world.status("hourly")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_makes_no_slot_twice() {
    let mut world = World::new();
    let limits = json!({ "successfulJobsHistoryLimit": 0 });
    world.plan("often", "*/10 * * * *", &limits);
    world.pass(30 * MINUTE).await;
    assert_eq!(world.made.len(), 3);
    world.stage.cluster.advance(-20 * MINUTE);
    world.stage.restart();
    world.pass(30 * MINUTE).await;
    assert_eq!(world.made.len(), 4);
    assert!(
        world.made.values().all(|times| *times == 1),
        "{:?}",
        world.made
    );
}

#[tokio::test]
async fn a_clock_that_was_a_year_ahead_keeps_no_plan_waiting() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    world.pass(HOUR).await;
    let now = world.stage.cluster.now();
    world.pass_without_host(365 * DAY).await;
    assert_eq!(world.made.len(), 2);
    world.stage.cluster.set_now(now);
    world.stage.restart();
    world.pass(2 * HOUR).await;
    assert_eq!(world.made.len(), 4);
    assert!(
        world.made.values().all(|times| *times == 1),
        "{:?}",
        world.made
    );
}

#[tokio::test]
async fn a_slot_that_has_its_job_is_not_missed() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    world.settle().await;
    // The host made the job of 13:00, and went down before it could note that.
    let noted = world.status("hourly");
    world.pass(HOUR).await;
    let mut plan = world.stage.read("Plan", crate::world::TENANT, "hourly");
    plan["status"] = noted;
    world.stage.cluster.put(plan).unwrap();
    world.pass_without_host(2 * HOUR).await;
    assert_eq!(world.slots(), ["25 13:00", "25 15:00"]);
    assert_eq!(world.status("hourly")["missedSlots"], 1);
    assert!(world.made.values().all(|times| *times == 1));
}
