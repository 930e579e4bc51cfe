//! How long Backups stay. Defect 20 of the reference: it had no retention.

use backup_engine::cluster::memory::Verb;
use serde_json::{Value, json};

use crate::world::{DAY, Fate, HOUR, TENANT, World, names, slot};

fn keep(policy: &Value) -> Value {
    json!({ "retentionPolicy": policy })
}

fn kept(world: &World) -> Vec<String> {
    names(&world.objects("Backup"))
        .iter()
        .map(|name| slot(name))
        .collect()
}

#[tokio::test]
async fn weeks_of_nightly_backups_become_days_weeks_and_months() {
    let mut world = World::new();
    let policy = json!({ "keepDaily": 3, "keepWeekly": 2, "keepMonthly": 3 });
    world.plan("nightly", "0 3 * * *", &keep(&policy));
    for _ in 0..70 {
        world.pass(DAY).await;
    }
    // It is Wednesday, 3 February 2027, noon.
    assert_eq!(world.now(), "2027-02-03T12:00:00Z");
    let taken: Vec<Value> = world
        .objects("Backup")
        .iter()
        .map(|backup| backup["spec"]["takenAt"].clone())
        .collect();
    assert_eq!(
        taken,
        [
            "2026-12-31T03:00:00Z", // the last of December
            "2027-01-31T03:00:00Z", // a Sunday, and the last of January
            "2027-02-01T03:00:00Z",
            "2027-02-02T03:00:00Z",
            "2027-02-03T03:00:00Z",
        ]
    );
    assert_eq!(world.events("BackupRemoved").len(), 65);
    assert!(world.made.values().all(|times| *times == 1));
    let status = world.status("nightly");
    let next = &status["nextRemoval"];
    assert_eq!(next["backups"].as_array().unwrap().len(), 1);
    assert_eq!(next["time"], Value::Null, "after the next backup");
    // And so it comes.
    let foretold = next["backups"][0].clone();
    world.pass(DAY).await;
    assert!(
        !names(&world.objects("Backup"))
            .iter()
            .any(|name| foretold == name.as_str())
    );
}

#[tokio::test]
async fn a_backup_goes_when_it_is_too_old_whatever_else_happens() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "maxAge": "5h" })));
    world.pass(2 * HOUR).await;
    assert_eq!(kept(&world), ["25 13:00", "25 14:00"]);
    let next = world.status("hourly")["nextRemoval"].clone();
    assert_eq!(next["time"], "2026-11-25T18:00:00Z");
    // No further backups: the Plan is suspended, and its policy still holds.
    world.change("hourly", &json!({ "suspend": true }));
    world.pass(4 * HOUR - 1).await;
    assert_eq!(kept(&world).len(), 2);
    world.pass(1).await;
    assert_eq!(kept(&world), ["25 14:00"]);
    world.pass(30 * DAY).await;
    assert_eq!(kept(&world), ["25 14:00"], "the last good one stays");
    assert_eq!(world.status("hourly")["nextRemoval"], Value::Null);
}

#[tokio::test]
async fn failed_jobs_push_no_backup_out() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 2 })));
    world.pass(3 * HOUR).await;
    world.fate = Fate::Fails;
    world.pass(10 * HOUR).await;
    assert_eq!(kept(&world), ["25 14:00", "25 15:00"]);
}

// Whoever creates such a job by hand sets no label of the host's: it is not among the jobs that the Plan makes.
#[tokio::test]
async fn a_backup_that_a_job_by_hand_is_writing_in_the_plans_name_is_left_alone() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 1 })));
    world.fate = Fate::Lasts;
    world.stage.backup_job(TENANT, "mine", "orders-db").unwrap();
    let mut job = world.stage.read("BackupJob", TENANT, "mine");
    job["spec"]["planRef"] = json!({ "name": "hourly" });
    world.stage.cluster.put(job.clone()).unwrap();
    world.backup("mine", &job["spec"]);
    let mut written = world.stage.read("Backup", TENANT, "mine");
    written.as_object_mut().unwrap().remove("status");
    written["metadata"]["labels"][backup_api::names::OWNED_BY_UID] = job["metadata"]["uid"].clone();
    world.stage.cluster.put(written).unwrap();
    world.pass(1).await;
    world.backup("newer", &job["spec"]);
    world.settle().await;
    assert_eq!(names(&world.objects("Backup")), ["mine", "newer"]);
    // Nobody writes it any more.
    world.end(&job, Fate::Fails);
    world.pass(2 * HOUR).await;
    assert_eq!(names(&world.objects("Backup")), ["newer"]);
}

#[tokio::test]
async fn only_backups_of_the_plan_go() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 1 })));
    world.plan("hourly-2", "30 * * * *", &json!({}));
    world
        .stage
        .backup_job(TENANT, "ad-hoc", "orders-db")
        .unwrap();
    world.pass(3 * HOUR).await;
    let left = names(&world.objects("Backup"));
    assert_eq!(
        left.iter()
            .filter(|name| name.starts_with("hourly-2-"))
            .count(),
        3
    );
    assert_eq!(left.iter().filter(|name| *name == "ad-hoc").count(), 1);
    assert_eq!(left.len(), 5);
}

#[tokio::test]
async fn backups_of_an_old_controller_without_a_label_count_too() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 1 })));
    let spec = json!({
        "applicationRef": { "kind": "Postgres", "name": "orders-db" },
        "planRef": { "name": "hourly" },
    });
    world.backup("hourly-29926740", &spec);
    let mut old = world.objects("Backup")[0].clone();
    old["metadata"]["labels"] = json!({});
    world.stage.cluster.put(old).unwrap();
    world.pass(HOUR).await;
    assert_eq!(kept(&world), ["25 13:00"]);
}

#[tokio::test]
async fn another_application_does_not_push_out_the_backups_of_the_first() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 2 })));
    world.pass(3 * HOUR).await;
    world.change(
        "hourly",
        &json!({ "applicationRef": { "name": "other-db" } }),
    );
    world.pass(3 * HOUR).await;
    assert_eq!(
        kept(&world),
        ["25 14:00", "25 15:00", "25 17:00", "25 18:00"]
    );
}

#[tokio::test]
async fn many_backups_go_a_few_at_a_time_and_all_of_them() {
    let mut world = World::new();
    let limits = json!({ "successfulJobsHistoryLimit": 0 });
    world.plan("often", "* * * * *", &limits);
    world.pass(HOUR).await;
    assert_eq!(world.objects("Backup").len(), 60);
    world.change(
        "often",
        &json!({ "suspend": true, "retentionPolicy": { "keepLast": 3 } }),
    );
    drop(world.stage.cluster.take_requests());
    world.stage.runner.step().await.unwrap();
    let deletions = |world: &World| {
        let requests = world.stage.cluster.take_requests();
        requests
            .iter()
            .filter(|request| request.verb == Verb::Delete)
            .count()
    };
    assert_eq!(deletions(&world), 10);
    world.settle().await;
    assert_eq!(deletions(&world), 47);
    assert_eq!(world.objects("Backup").len(), 3);
}

#[tokio::test]
async fn a_backup_that_is_lost_takes_nobodys_place() {
    let mut world = World::new();
    world.plan("hourly", "@hourly", &keep(&json!({ "keepLast": 2 })));
    world.pass(2 * HOUR).await;
    let mut lost = world.objects("Backup")[1].clone();
    lost["status"]["conditions"] = json!([{
        "type": "Available", "status": "False", "reason": "Lost", "message": "its data is gone",
        "lastTransitionTime": world.now(),
    }]);
    world.stage.cluster.put(lost).unwrap();
    world.settle().await;
    assert_eq!(
        kept(&world),
        ["25 13:00", "25 14:00"],
        "nothing good is newer"
    );
    world.pass(HOUR).await;
    assert_eq!(kept(&world), ["25 13:00", "25 15:00"]);
}
