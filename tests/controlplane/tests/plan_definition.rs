//! What a real API server makes of the definition of Plans: rules and patterns that the cluster in memory does not
//! evaluate.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop right there"
)]

use backup_api::Plan;
use controlplane::ControlPlane;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

fn plane() -> &'static ControlPlane {
    let definitions: Vec<Value> = backup_api::definitions()
        .iter()
        .map(|definition| serde_json::to_value(definition).unwrap())
        .collect();
    controlplane::shared(&definitions).unwrap()
}

async fn plans() -> Api<Plan> {
    let namespace = plane().namespace("tenant").await.unwrap();
    let client: Client = plane().client().await.unwrap();
    Api::namespaced(client, &namespace)
}

fn plan(name: &str, schedule: &Value) -> Plan {
    serde_json::from_value(json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "Plan",
        "metadata": { "name": name },
        "spec": {
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            "backupClassName": "cozy-default",
            "schedule": schedule,
        },
    }))
    .unwrap()
}

#[tokio::test]
async fn a_schedule_that_contradicts_itself_is_refused_when_it_is_written() {
    let plans = plans().await;
    for (schedule, part) in [
        (
            json!({ "cron": "TZ=Asia/Tokyo 0 3 * * *", "timeZone": "Europe/Berlin" }),
            "not in both",
        ),
        (
            json!({ "cron": "CRON_TZ=Asia/Tokyo @daily", "timeZone": "Europe/Berlin" }),
            "not in both",
        ),
        (
            json!({ "cron": "@daily", "type": "interval" }),
            "the only type of schedule is cron",
        ),
        (
            json!({ "cron": "@daily", "spreadSeconds": 86401 }),
            "should be less than or equal to 86400",
        ),
    ] {
        let refused = plans
            .create(&PostParams::default(), &plan("wrong", &schedule))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(part), "{refused}");
    }
    for (name, schedule) in [
        (
            "field",
            json!({ "cron": "0 3 * * *", "timeZone": "Europe/Berlin", "type": "cron" }),
        ),
        (
            "prefix",
            json!({ "cron": "TZ=Europe/Berlin 0 3 * * *", "timeZone": "" }),
        ),
        ("spread", json!({ "cron": "@daily", "spreadSeconds": 600 })),
        ("nothing", json!({})),
    ] {
        plans
            .create(&PostParams::default(), &plan(name, &schedule))
            .await
            .unwrap();
    }
}

// Defect 1 of the reference: its reasons had spaces, and the API server refused every status that told of an error.
#[tokio::test]
async fn the_status_of_a_plan_that_cannot_be_read_is_accepted() {
    let plans = plans().await;
    plans
        .create(
            &PostParams::default(),
            &plan("wrong", &json!({ "cron": "61 * * * *" })),
        )
        .await
        .unwrap();
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "the minute \"61\" is out of range",
            "lastTransitionTime": "2026-11-25T12:00:00Z", "observedGeneration": 1,
        })
    };
    let status = |reason: &str| {
        json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "Plan",
            "metadata": { "name": "wrong" },
            "status": {
                "conditions": [condition("Ready", "False", reason), condition("Error", "True", reason)],
                "missedSlots": 3,
                "active": ["wrong-29926810"],
                "observedSchedule": "61 * * * *",
                "nextRemoval": { "backups": ["wrong-29926800"], "time": "2026-11-25T12:00:00Z" },
            },
        })
    };
    let as_host = PatchParams::apply("backups.cozystack.io/host").force();
    let written = plans
        .patch_status("wrong", &as_host, &Patch::Apply(status("PlanInvalid")))
        .await
        .unwrap();
    let written = written.status.unwrap();
    assert_eq!(written.missed_slots, Some(3));
    assert_eq!(written.next_removal.unwrap().backups, ["wrong-29926800"]);
    let refused = plans
        .patch_status(
            "wrong",
            &as_host,
            &Patch::Apply(status("Failed to parse cron spec")),
        )
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("reason"), "{refused}");
}
