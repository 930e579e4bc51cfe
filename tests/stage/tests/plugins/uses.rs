//! Who needs a plugin is shown before it is removed.

use crate::world::{TENANT, World};

#[tokio::test]
async fn backups_and_jobs_that_need_a_plugin_are_counted() {
    let mut world = World::serving().await;
    assert_eq!(
        world.condition("guest", "InUse"),
        "False Unused: no Backup and no job needs it"
    );
    world.job("ad-hoc", "db-0").await;
    world.look().await;
    let counts = |world: &World| {
        let status = &world.read_plugin("guest")["status"];
        (
            status["backups"].as_u64().unwrap(),
            status["jobs"].as_u64().unwrap(),
        )
    };
    assert_eq!(counts(&world), (0, 1));
    world.go().await;
    world.look().await;
    assert_eq!(counts(&world), (1, 0));
    let said = world.condition("guest", "InUse");
    assert!(
        said.starts_with("True Needed: 1 Backup and 0 jobs need it"),
        "{said}"
    );
    world
        .stage
        .delete("Backup", TENANT, "ad-hoc")
        .await
        .unwrap();
    world.look().await;
    world.look().await;
    assert_eq!(counts(&world), (0, 0));
    assert!(
        world
            .condition("guest", "InUse")
            .starts_with("False Unused")
    );
}

#[tokio::test]
async fn a_restart_counts_anew() {
    let mut world = World::serving().await;
    world.job("ad-hoc", "db-0").await;
    world.go().await;
    world.restart();
    world.look().await;
    assert_eq!(world.read_plugin("guest")["status"]["backups"], 1);
}
