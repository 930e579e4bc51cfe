//! Jobs at their times.

use std::time::Duration;

use backup_engine::{
    Key, Next,
    cluster::{
        ApiError, ApiReason,
        memory::{Operation, Verb, Verdict},
    },
};
use serde_json::{Value, json};

use crate::world::{DAY, Fate, HOUR, MINUTE, TENANT, World, slot, text};

// TestPlanReconciler_NotFoundIsNoop
#[tokio::test]
async fn a_plan_that_is_gone_needs_nothing() {
    let world = World::new();
    let key = Key {
        kind: "Plan".to_owned(),
        namespace: TENANT.to_owned(),
        name: "gone".to_owned(),
    };
    let next = world.stage.runner.host().reconcile(&key).await.unwrap();
    assert_eq!(next, Next::default());
}

// TestPlanReconciler_ValidCronRequeuesUntilNextSlot, TestBackupJob
#[tokio::test]
async fn a_job_is_made_at_each_slot_and_looks_as_its_plan_says() {
    let mut world = World::new();
    world.plan("nightly", "30 3 * * *", &json!({}));
    world.settle().await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    assert_eq!(
        world.status("nightly")["nextScheduleTime"],
        "2026-11-26T03:30:00Z"
    );
    assert_eq!(
        world.condition("nightly", "Ready"),
        "True Scheduled: a BackupJob is made at each slot of the schedule"
    );
    world.fate = Fate::Lasts;
    world.pass(DAY).await;
    let jobs = world.objects("BackupJob");
    assert_eq!(jobs.len(), 1);
    assert_eq!(text(&jobs[0], "/metadata/name"), "nightly-29927730");
    assert_eq!(
        text(&jobs[0], "/metadata/creationTimestamp"),
        "2026-11-26T03:30:00Z"
    );
    assert_eq!(text(&jobs[0], "/spec/planRef/name"), "nightly");
    assert_eq!(text(&jobs[0], "/spec/backupClassName"), "cozy-default");
    // Defect 30 of the reference: the group is written out, also where the Plan leaves it out.
    assert_eq!(
        jobs[0]["spec"]["applicationRef"],
        json!({ "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" })
    );
    // Defect 32 of the reference: the label that the documentation names.
    assert_eq!(
        jobs[0]["metadata"]["labels"],
        json!({ "backups.cozystack.io/plan": "nightly" })
    );
    let status = world.status("nightly");
    assert_eq!(status["lastScheduleTime"], "2026-11-26T03:30:00Z");
    assert_eq!(status["nextScheduleTime"], "2026-11-27T03:30:00Z");
    assert_eq!(status["active"], json!(["nightly-29927730"]));
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(status["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_success_is_noted_and_outlives_its_job() {
    let mut world = World::new();
    let limits = json!({ "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0 });
    world.plan("nightly", "0 3 * * *", &limits);
    world.pass(DAY).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    assert_eq!(
        world.status("nightly")["lastSuccessfulTime"],
        "2026-11-26T03:00:00Z"
    );
    assert_eq!(world.status("nightly")["active"], Value::Null);
    world.fate = Fate::Fails;
    world.pass(DAY).await;
    assert_eq!(
        world.status("nightly")["lastSuccessfulTime"],
        "2026-11-26T03:00:00Z"
    );
}

// Defect 2 of the reference: `@every` beyond five minutes never fired.
#[tokio::test]
async fn a_period_of_six_hours_fires_every_six_hours() {
    let mut world = World::new();
    world.stage.cluster.advance(7);
    world.plan(
        "often",
        "@every 6h",
        &json!({ "successfulJobsHistoryLimit": 9 }),
    );
    world.pass(DAY).await;
    assert_eq!(
        world.slots(),
        ["25 18:00", "26 00:00", "26 06:00", "26 12:00"]
    );
    assert_eq!(
        text(
            &world.objects("BackupJob")[0],
            "/metadata/creationTimestamp"
        ),
        "2026-11-25T18:00:07Z"
    );
}

// Defect 4 of the reference: slots more often than five minutes collapsed.
#[tokio::test]
async fn a_slot_every_minute_is_a_job_every_minute() {
    let mut world = World::new();
    world.plan(
        "often",
        "* * * * *",
        &json!({ "successfulJobsHistoryLimit": 99 }),
    );
    world.pass(10 * MINUTE).await;
    assert_eq!(world.jobs().len(), 10);
    assert_eq!(world.status("often")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_time_zone_moves_the_slots() {
    let mut world = World::new();
    world.plan(
        "berlin",
        "0 3 * * *",
        &json!({ "schedule": { "timeZone": "Europe/Berlin" } }),
    );
    world.plan("tokyo", "TZ=Asia/Tokyo 0 3 * * *", &json!({}));
    world.pass(DAY).await;
    assert_eq!(world.slots(), ["25 18:00", "26 02:00"]);
}

#[tokio::test]
async fn a_suspended_plan_makes_no_jobs_and_counts_none_as_missed() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({ "suspend": true }));
    world.pass(5 * HOUR).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
    assert!(
        world
            .condition("hourly", "Ready")
            .starts_with("False Suspended")
    );
    assert_eq!(world.status("hourly")["nextScheduleTime"], Value::Null);
    world.change("hourly", &json!({ "suspend": false }));
    world.pass(HOUR).await;
    assert_eq!(world.slots(), ["25 18:00"]);
    assert_eq!(world.status("hourly")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn another_schedule_counts_from_now_on() {
    let mut world = World::new();
    world.plan("nightly", "0 3 * * *", &json!({}));
    world.pass(20 * HOUR).await;
    assert_eq!(world.slots(), ["26 03:00"]);
    // It is 08:00; 07:59 was a slot of the new schedule, and is none of this Plan.
    world.change("nightly", &json!({ "schedule": { "cron": "59 * * * *" } }));
    world.settle().await;
    assert_eq!(world.slots(), ["26 03:00"]);
    world.pass(HOUR).await;
    assert_eq!(world.slots(), ["26 03:00", "26 08:59"]);
    assert_eq!(world.status("nightly")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_change_of_something_else_loses_no_slot() {
    let mut world = World::new();
    world.plan("nightly", "0 3 * * *", &json!({}));
    world.settle().await;
    // The host comes back a minute after the slot, to a Plan that was changed meanwhile.
    world.change("nightly", &json!({ "failedJobsHistoryLimit": 1 }));
    world.pass_without_host(15 * HOUR + MINUTE).await;
    assert_eq!(world.slots(), ["26 03:00"]);
}

#[tokio::test]
async fn plans_that_spread_make_their_jobs_later_each_at_its_own_time() {
    let mut world = World::new();
    for index in 0..20 {
        let spread = json!({ "schedule": { "spreadSeconds": 600 } });
        world.plan(&format!("plan-{index}"), "0 13 * * *", &spread);
    }
    world.pass(HOUR - 1).await;
    assert_eq!(world.jobs().len(), 0);
    world.pass(601).await;
    let jobs = world.objects("BackupJob");
    assert_eq!(jobs.len(), 20);
    let times: std::collections::BTreeSet<_> = jobs
        .iter()
        .map(|job| text(job, "/metadata/creationTimestamp"))
        .collect();
    assert!(times.len() > 10, "{times:?}");
    assert!(world.slots().iter().all(|slot| slot == "25 13:00"));
    assert_eq!(world.status("plan-0")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn many_plans_of_one_minute_all_have_their_jobs() {
    let mut world = World::new();
    for index in 0..200 {
        world.plan(&format!("plan-{index}"), "0 13 * * *", &json!({}));
    }
    world.pass(HOUR).await;
    assert_eq!(world.jobs().len(), 200);
    let late = world
        .objects("BackupJob")
        .iter()
        .filter(|job| text(job, "/metadata/creationTimestamp") != "2026-11-25T13:00:00Z")
        .count();
    assert_eq!(late, 0);
}

#[tokio::test]
async fn an_idle_plan_costs_no_requests() {
    let mut world = World::new();
    world.plan("nightly", "0 3 * * *", &json!({}));
    world.settle().await;
    drop(world.stage.cluster.take_requests());
    world.pass(14 * HOUR).await;
    let mut requests = world.stage.cluster.take_requests();
    // The class has a reconciler of its own.
    requests.retain(|request| request.kind != "BackupClass");
    assert!(requests.is_empty(), "{} requests", requests.len());
}

#[tokio::test]
async fn a_plan_that_needs_nothing_is_not_written() {
    let mut world = World::new();
    world.plan(
        "nightly",
        "0 3 * * *",
        &json!({ "retentionPolicy": { "keepLast": 2 } }),
    );
    world.pass(DAY).await;
    drop(world.stage.cluster.take_requests());
    world.stage.restart();
    world.settle().await;
    let requests = world.stage.cluster.take_requests();
    let written: Vec<_> = requests
        .iter()
        .filter(|request| request.writes() && request.kind != "BackupClass")
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

// Defect 7 of the reference: deleting a Plan ended its running jobs.
#[tokio::test]
async fn deleting_a_plan_leaves_its_jobs_alone() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    world.pass(HOUR).await;
    world.fate = Fate::Lasts;
    world.pass(HOUR).await;
    world.stage.delete("Plan", TENANT, "hourly").await.unwrap();
    world.pass(20 * MINUTE).await;
    assert_eq!(world.slots(), ["25 13:00", "25 14:00"]);
    assert_eq!(
        text(&world.objects("BackupJob")[1], "/status/phase"),
        "Pending"
    );
}

#[tokio::test]
async fn a_plan_that_is_being_deleted_makes_no_more_jobs() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    let mut plan = world.stage.read("Plan", TENANT, "hourly");
    plan["metadata"]["finalizers"] = json!(["example.org/waits"]);
    world.stage.cluster.put(plan).unwrap();
    world.settle().await;
    world.stage.delete("Plan", TENANT, "hourly").await.unwrap();
    world.pass(3 * HOUR).await;
    assert_eq!(world.jobs(), [] as [&str; 0]);
}

// Defect 6 of the reference.
#[tokio::test]
async fn a_plan_with_the_longest_name_has_its_jobs() {
    let mut world = World::new();
    let name = format!("{}{}", "long.".repeat(50), "est");
    world.plan(&name, "@hourly", &json!({}));
    world.pass(HOUR).await;
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].len() <= 253);
    assert_eq!(slot(&jobs[0]), "25 13:00");
    assert_eq!(
        world.status(&name)["lastSuccessfulTime"],
        "2026-11-25T13:00:00Z"
    );
}

#[tokio::test]
async fn finished_jobs_beyond_the_limits_go_and_others_stay() {
    let mut world = World::new();
    let limits = json!({ "successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1 });
    world.plan("hourly", "@hourly", &limits);
    // Its name begins alike, and its jobs are its own.
    world.plan("hourly-2", "30 12 * * *", &json!({}));
    world
        .stage
        .backup_job(TENANT, "hourly-1", "orders-db")
        .unwrap();
    world.pass(HOUR).await;
    world.fate = Fate::Fails;
    world.pass(3 * HOUR).await;
    world.fate = Fate::Succeeds;
    world.pass(3 * HOUR).await;
    let left = world.jobs();
    let slots: Vec<String> = left[2..].iter().map(|name| slot(name)).collect();
    assert_eq!(left[0], "hourly-1");
    assert!(left[1].starts_with("hourly-2-"), "{left:?}");
    assert_eq!(slots, ["25 16:00", "25 18:00", "25 19:00"]);
    // The Backups are not history.
    assert_eq!(world.objects("Backup").len(), 6);
}

#[tokio::test]
async fn a_job_that_only_carries_the_label_is_not_the_plans() {
    let mut world = World::new();
    let limits = json!({ "successfulJobsHistoryLimit": 0, "concurrencyPolicy": "Forbid" });
    world.plan("hourly", "@hourly", &limits);
    for (name, plan) in [
        ("foreign", json!({ "name": "other" })),
        ("none", Value::Null),
    ] {
        let mut job = json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "BackupJob",
            "metadata": {
                "name": name, "namespace": TENANT,
                "labels": { "backups.cozystack.io/plan": "hourly" },
            },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "Postgres", "name": "orders-db" },
                "planRef": plan,
            },
        });
        if plan.is_null() {
            job["spec"].as_object_mut().unwrap().remove("planRef");
        }
        world.stage.cluster.put(job).unwrap();
    }
    world.fate = Fate::Lasts;
    world.pass(HOUR).await;
    assert_eq!(
        world.made.len(),
        3,
        "it is made, though others seem to be under way"
    );
    world.fate = Fate::Succeeds;
    world.settle().await;
    assert_eq!(world.jobs(), ["foreign", "none"]);
}

#[tokio::test]
async fn a_running_job_is_never_history() {
    let mut world = World::new();
    world.fate = Fate::Lasts;
    let limits = json!({ "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0 });
    world.plan("often", "*/10 * * * *", &limits);
    world.pass(20 * MINUTE).await;
    assert_eq!(world.slots(), ["25 12:10", "25 12:20"]);
    assert_eq!(world.status("often")["active"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_of_an_old_controller_is_the_job_of_its_slot() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({}));
    world.settle().await;
    let old = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "BackupJob",
        "metadata": { "name": "hourly-29926860", "namespace": TENANT },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            "planRef": { "name": "hourly" },
        },
    });
    world.stage.cluster.put(old).unwrap();
    world.pass(HOUR + MINUTE).await;
    assert_eq!(world.slots(), ["25 13:00"]);
    assert_eq!(
        world.status("hourly")["lastScheduleTime"],
        "2026-11-25T13:00:00Z"
    );
}

#[tokio::test]
async fn a_job_that_is_refused_is_told_and_made_when_it_is_accepted() {
    let mut world = World::that_looks_again_after(Duration::from_secs(30));
    world.plan("hourly", "@hourly", &json!({}));
    world
        .stage
        .cluster
        .set_interceptor(|operation: &Operation| {
            match operation.verb == Verb::Create && operation.kind == "BackupJob" {
                true => Verdict::Fail(ApiError::new(
                    ApiReason::Forbidden,
                    "exceeded quota: backups",
                )),
                false => Verdict::Pass,
            }
        });
    world.pass(HOUR + MINUTE).await;
    assert_eq!(
        world.condition("hourly", "Ready"),
        "False ActionRefused: a BackupJob cannot be made: exceeded quota: backups"
    );
    world.stage.cluster.clear_interceptor();
    world.pass(MINUTE).await;
    assert_eq!(world.slots(), ["25 13:00"]);
    assert!(
        world
            .condition("hourly", "Ready")
            .starts_with("True Scheduled")
    );
    assert_eq!(world.status("hourly")["missedSlots"], Value::Null);
}

#[tokio::test]
async fn a_class_that_is_not_there_is_told_and_keeps_no_job_back() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &json!({ "backupClassName": "later" }));
    world.pass(HOUR).await;
    assert_eq!(world.jobs().len(), 1);
    assert_eq!(
        world.condition("hourly", "Ready"),
        "True BackupClassNotFound: BackupClass later does not exist; jobs are made, and wait for it"
    );
    let class = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "BackupClass",
        "metadata": { "name": "later" },
        "spec": { "strategies": [] },
    });
    world.stage.cluster.put(class).unwrap();
    world.settle().await;
    assert!(
        world
            .condition("hourly", "Ready")
            .starts_with("True Scheduled")
    );
}
