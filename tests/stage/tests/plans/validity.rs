//! Plans that cannot be read.

use serde_json::{Value, json};

use crate::world::{DAY, HOUR, World};

// Defect 1 of the reference: the reasons had spaces, so the API server refused the status. The cluster in memory
// refuses it too.
// TestPlanReconciler_InvalidCronSetsErrorCondition
#[tokio::test]
async fn a_schedule_that_cannot_be_read_is_told_where_the_tenant_looks() {
    let mut world = World::new();
    world.plan("wrong", "61 * * * *", &json!({}));
    world.pass(DAY).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    let said = "PlanInvalid: spec.schedule.cron \"61 * * * *\": the minute \"61\": 61 is out of range; the highest is 59";
    assert_eq!(world.condition("wrong", "Ready"), format!("False {said}"));
    assert_eq!(world.condition("wrong", "Error"), format!("True {said}"));
    assert_eq!(world.status("wrong")["nextScheduleTime"], Value::Null);
    assert_eq!(world.events("PlanInvalid").len(), 1, "said once");

    world.change("wrong", &json!({ "schedule": { "cron": "1 * * * *" } }));
    world.pass(HOUR).await;
    assert_eq!(world.slots(), ["26 12:01"]);
    assert_eq!(
        world.condition("wrong", "Error"),
        "False Scheduled: the Plan can be read"
    );
    assert_eq!(world.status("wrong")["missedSlots"], Value::Null);
}

// A status that differs in every pass would lead to pass after pass, for ever.
#[tokio::test]
async fn a_plan_that_cannot_be_read_is_not_written_again() {
    let mut world = World::new();
    world.plan("wrong", "61 * * * *", &json!({}));
    world.pass(HOUR).await;
    let status = world.status("wrong");
    assert_ne!(status, Value::Null);
    world.pass_without_host(HOUR).await;
    world.settle().await;
    assert_eq!(world.status("wrong"), status);
}

// Defect 3 of the reference.
#[tokio::test]
async fn an_impossible_date_is_refused() {
    let mut world = World::new();
    world.plan("never", "0 0 30 2 *", &json!({}));
    world.pass(DAY).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    let said = world.condition("never", "Ready");
    assert!(said.contains("no calendar has such a day"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_stops_everything() {
    for (more, part) in [
        (json!({ "schedule": { "cron": null } }), "it is empty"),
        (
            json!({ "schedule": { "type": "interval" } }),
            "spec.schedule.type is \"interval\"",
        ),
        (
            json!({ "schedule": { "timeZone": "Mars/Base" } }),
            "spec.schedule.timeZone: \"Mars/Base\" is no time zone",
        ),
        (
            json!({ "schedule": { "cron": "TZ=UTC @hourly", "timeZone": "UTC" } }),
            "name it once",
        ),
        (
            json!({ "retentionPolicy": { "maxAge": "99999999999999999999w" } }),
            "spec.retentionPolicy.maxAge: \"99999999999999999999w\" is longer than",
        ),
    ] {
        let mut world = World::new();
        world.plan("wrong", "@hourly", &more);
        world.pass(2 * HOUR).await;
        let said = world.condition("wrong", "Ready");
        assert!(
            said.starts_with("False PlanInvalid: ") && said.contains(part),
            "{said}"
        );
        assert_eq!(world.jobs(), [] as [&str; 0], "{more}");
    }
}

#[tokio::test]
async fn a_plan_that_goes_wrong_keeps_what_it_knew() {
    let mut world = World::new();
    world.plan(
        "hourly",
        "@hourly",
        &json!({ "retentionPolicy": { "keepLast": 1 } }),
    );
    world.pass(2 * HOUR).await;
    let before = world.status("hourly");
    world.change("hourly", &json!({ "schedule": { "cron": "every hour" } }));
    world.pass(3 * HOUR).await;
    let after = world.status("hourly");
    for kept in ["lastScheduleTime", "lastSuccessfulTime"] {
        assert_eq!(after[kept], before[kept], "{kept}");
        assert!(after[kept].is_string());
    }
    assert_eq!(after["observedGeneration"], 2);
    assert_eq!(
        world.objects("Backup").len(),
        1,
        "nothing is removed any more"
    );
}

#[tokio::test]
async fn a_schedule_as_long_as_a_book_is_told_in_a_message_that_fits() {
    let mut world = World::new();
    world.plan("book", &"1,".repeat(50_000), &json!({}));
    world.settle().await;
    let said = world.condition("book", "Ready");
    assert!(
        said.starts_with("False PlanInvalid: spec.schedule.cron"),
        "{}",
        &said[..100]
    );
    assert!(said.len() < 5_000);
}
