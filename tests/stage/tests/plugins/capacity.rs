//! The cap on running jobs: beyond it jobs wait for their turn, and namespaces take turns.

use serde_json::json;
use stage::Stage;

use crate::world::{TENANT, World, tenant};

async fn capped(cap: u32) -> World {
    let mut world = World::serving().await;
    world.change("guest", |spec| spec["maxRunningJobs"] = json!(cap));
    world.look().await;
    world
}

fn running(stage: &Stage, namespace: &str) -> Vec<String> {
    let names = (0..5).map(|index| format!("job-{index}"));
    let runs = |name: &String| stage.job(namespace, name).starts_with("Running");
    names.filter(runs).collect()
}

/// Jobs of all of a tenant's databases.
async fn jobs(world: &mut World, namespace: &str) {
    for index in 0..5 {
        let (name, database) = (format!("job-{index}"), format!("db-{index}"));
        world.stage.backup_job(namespace, &name, &database).unwrap();
        world.stage.cluster.advance(1);
    }
    world.stage.runner.settle().await.unwrap();
}

#[tokio::test]
async fn jobs_beyond_the_cap_wait_and_each_end_lets_the_next_begin() {
    let mut world = capped(2).await;
    jobs(&mut world, TENANT).await;
    assert_eq!(running(&world.stage, TENANT), ["job-0", "job-1"]);
    let said = world.said("job-2");
    assert!(
        said.starts_with("Pending PluginBusy: StrategyPlugin guest: 2 jobs are under way"),
        "{said}"
    );
    assert!(said.contains("spec.maxRunningJobs"), "{said}");
    // Nothing but the end wakes the next: no time passes.
    world
        .stage
        .delete("BackupJob", TENANT, "job-0")
        .await
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    assert_eq!(running(&world.stage, TENANT), ["job-1", "job-2"]);
    world.go().await;
    for index in 1..5 {
        let said = world.said(&format!("job-{index}"));
        assert!(said.starts_with("Succeeded"), "{said}");
    }
}

#[tokio::test]
async fn a_tenant_with_many_jobs_keeps_another_waiting_for_one_end_only() {
    let mut world = capped(2).await;
    // The guest looks there in every job.
    world.change("guest", |spec| spec["systemNamespaces"] = json!([TENANT]));
    world.look().await;
    tenant(&world.stage, "tenant-other");
    jobs(&mut world, TENANT).await;
    jobs(&mut world, "tenant-other").await;
    world
        .stage
        .delete("BackupJob", TENANT, "job-0")
        .await
        .unwrap();
    world.stage.runner.settle().await.unwrap();
    assert_eq!(running(&world.stage, TENANT), ["job-1"]);
    assert_eq!(running(&world.stage, "tenant-other"), ["job-0"]);
}

#[tokio::test]
async fn a_restart_keeps_to_the_cap() {
    let mut world = capped(2).await;
    jobs(&mut world, TENANT).await;
    let before = running(&world.stage, TENANT);
    for _ in 0..3 {
        world.restart();
        world.look().await;
        world.look().await;
        assert_eq!(running(&world.stage, TENANT), before);
    }
    world.go().await;
    assert!(world.said("job-4").starts_with("Succeeded"));
}

#[tokio::test]
async fn a_cap_that_is_raised_or_lifted_lets_more_begin_at_once() {
    let mut world = capped(1).await;
    jobs(&mut world, TENANT).await;
    assert_eq!(running(&world.stage, TENANT).len(), 1);
    world.change("guest", |spec| spec["maxRunningJobs"] = json!(3));
    world.look().await;
    assert_eq!(running(&world.stage, TENANT).len(), 3);
    world.change("guest", |spec| {
        spec.as_object_mut().unwrap().remove("maxRunningJobs");
    });
    world.look().await;
    assert_eq!(running(&world.stage, TENANT).len(), 5);
}

#[tokio::test]
async fn a_job_that_cannot_begin_keeps_no_place() {
    let mut world = capped(1).await;
    // Of an application that another job has.
    world.job("first", "db-0").await;
    world.change("guest", |spec| spec["maxRunningJobs"] = json!(2));
    world.look().await;
    let said = world.job("second", "db-0").await;
    assert!(said.starts_with("Pending ApplicationBusy"), "{said}");
    let said = world.job("third", "db-1").await;
    assert!(said.starts_with("Running"), "{said}");
}
