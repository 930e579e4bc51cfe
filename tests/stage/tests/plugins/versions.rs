//! A new version takes over between two evaluations, and none takes over by going back.

use serde_json::{Value, json};

use crate::world::{GRACE, World, guest};

fn digest(world: &World) -> Value {
    world.read_plugin("guest")["status"]["serving"]["digest"].clone()
}

#[tokio::test]
async fn a_running_job_finishes_on_its_component_and_a_new_one_runs_on_the_new() {
    let mut world = World::serving().await;
    world.job("old", "db-0").await;
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.look_at_files().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.1.0")
    );
    world.job("new", "db-1").await;
    world.go().await;
    assert_eq!(world.made_by("old"), "1.0.0");
    assert_eq!(world.made_by("new"), "1.1.0");
}

#[tokio::test]
async fn an_old_component_is_dropped_when_no_job_needs_it() {
    let mut world = World::serving().await;
    world.job("old", "db-0").await;
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.look_at_files().await;
    let kept = |world: &World| world.stage.strategies.kept().len();
    world.stage.cluster.advance(10 * GRACE);
    assert_eq!(world.look().await.again, None);
    assert_eq!(
        (kept(&world), world.shelf().len()),
        (1, 2),
        "a job needs it"
    );
    world.go().await;
    let again = world.look().await.again.unwrap();
    assert_eq!(kept(&world), 1, "a job may have begun with it a moment ago");
    world.stage.cluster.set_now(again.as_second());
    assert_eq!(world.look().await.again, None);
    assert_eq!((kept(&world), world.shelf().len()), (0, 1));
}

#[tokio::test]
async fn jobs_under_way_have_the_new_grant() {
    let mut world = World::serving().await;
    world.job("old", "db-0").await;
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.change("guest", |spec| {
        spec["storagePaths"] = json!(["elsewhere/{namespace}"])
    });
    world.look_at_files().await;
    let job = world.stage.read("BackupJob", "tenant-acme", "old");
    let kept = &world.stage.strategies.kept()[0];
    assert_eq!(
        job["status"]["strategy"]["plugin"]["digest"],
        kept.digest.as_str()
    );
    world.change("guest", |spec| {
        spec["applications"][0]["kind"] = json!("Etcd")
    });
    world.look().await;
    world.go().await;
    let said = world.said("old");
    assert!(
        said.contains("is not granted applications of kind Postgres"),
        "{said}"
    );
}

#[tokio::test]
async fn a_lower_version_needs_the_administrators_word() {
    let mut world = World::serving().await;
    let first = digest(&world);
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.look_at_files().await;
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.look_at_files().await;
    let said = world.condition("guest", "Conformant");
    assert!(said.starts_with("False Downgrade: guest 1.0.0"), "{said}");
    assert!(said.contains("older than guest 1.1.0"), "{said}");
    assert!(
        world
            .ready("guest")
            .starts_with("True ServingLastGood: guest 1.1.0")
    );
    // Also after a restart.
    world.restart();
    world.look().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True ServingLastGood: guest 1.1.0")
    );
    world.change("guest", |spec| spec["digest"] = first.clone());
    world.look().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    assert_eq!(digest(&world), first);
}

#[tokio::test]
async fn a_prerelease_is_lower_and_a_rebuild_is_not() {
    let mut world = World::serving().await;
    world.file("guest.wasm", &guest("1.0.0-rc.1", &json!({})));
    world.look_at_files().await;
    assert!(
        world
            .condition("guest", "Conformant")
            .starts_with("False Downgrade")
    );
    let rebuilt = guest("1.0.0", &json!({ "description": "built again" }));
    world.file("guest.wasm", &rebuilt);
    world.look_at_files().await;
    assert!(world.condition("guest", "Conformant").starts_with("True"));
    world.file("guest.wasm", &guest("1.0.0+again", &json!({})));
    world.look_at_files().await;
    assert!(world.condition("guest", "Conformant").starts_with("True"));
}
