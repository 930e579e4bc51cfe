//! What an observer is told of Plans.

use std::sync::{Arc, Mutex};

use backup_engine::{Observer, PlanOf, PlanSeen};

use super::world::*;

/// The last that was told.
#[derive(Default)]
struct Recorder(Mutex<Option<PlanSeen>>);

impl Observer for Recorder {
    fn plan_seen(&self, plan: &PlanOf<'_>, seen: &PlanSeen) {
        assert_eq!((plan.namespace, plan.name), (TENANT, "nightly"));
        *self.0.lock().unwrap() = Some(*seen);
    }
}

impl Recorder {
    /// Until when a job has to succeed.
    fn due(&self) -> Option<String> {
        let seen = self.0.lock().unwrap();
        seen.unwrap().success_due.map(|due| due.to_string())
    }
}

#[tokio::test]
async fn one_slot_may_fail_before_a_success_is_due() {
    let mut world = World::new();
    let recorder = Arc::new(Recorder::default());
    world.stage.observed_by(recorder.clone());
    world.plan("nightly", "0 2 * * *", &serde_json::json!({}));
    world.settle().await;
    let from_the_beginning = Some("2026-11-27T02:00:00Z".to_owned());
    assert_eq!(recorder.due(), from_the_beginning);

    world.pass(DAY).await;
    let behind_a_success = Some("2026-11-28T02:00:00Z".to_owned());
    assert_eq!(recorder.due(), behind_a_success);

    world.fate = Fate::Fails;
    world.pass(3 * DAY).await;
    assert_eq!(recorder.due(), behind_a_success, "a failure moves nothing");

    world.change("nightly", &serde_json::json!({ "suspend": true }));
    world.settle().await;
    assert_eq!(recorder.due(), None);

    world.change("nightly", &serde_json::json!({ "suspend": false }));
    world.settle().await;
    let since_it_was_resumed = Some("2026-12-01T02:00:00Z".to_owned());
    assert_eq!(recorder.due(), since_it_was_resumed);
}
