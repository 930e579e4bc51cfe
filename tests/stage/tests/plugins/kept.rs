//! A component outlives the Pod that loaded it.

use serde_json::{Value, json};

use crate::world::{HOST, World, guest};

fn digest(world: &World, job: &str) -> Value {
    let job = world.stage.read("BackupJob", "tenant-acme", job);
    job["status"]["strategy"]["plugin"]["digest"].clone()
}

/// Somebody removes what is stored.
async fn without_shelf(world: &World) {
    for part in world.shelf() {
        let name = part["metadata"]["name"].as_str().unwrap();
        let removed = world.stage.delete_any("v1", "ConfigMap", Some(HOST), name);
        removed.await.unwrap();
    }
}

#[tokio::test]
async fn a_job_ends_on_its_component_though_a_new_host_has_only_the_new_version() {
    let mut world = World::serving().await;
    world.job("old", "db-0").await;
    let began_with = digest(&world, "old");
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    let before = world.stage.read("BackupJob", "tenant-acme", "old");
    world.restart();
    world.stage.runner.settle().await.unwrap();
    let after = world.stage.read("BackupJob", "tenant-acme", "old");
    assert_eq!(
        before, after,
        "a host that looks for it still writes nothing"
    );
    assert!(world.look().await.sought);
    world.job("new", "db-1").await;
    assert_eq!(digest(&world, "old"), began_with);
    assert_ne!(digest(&world, "new"), began_with);
    world.go().await;
    assert_eq!(world.made_by("old"), "1.0.0");
    assert_eq!(world.made_by("new"), "1.1.0");
}

#[tokio::test]
async fn a_component_is_stored_once_in_parts_that_cannot_be_changed() {
    let mut world = World::serving().await;
    for index in 0..3 {
        world
            .job(&format!("job-{index}"), &format!("db-{index}"))
            .await;
        world.look().await;
    }
    let shelf = world.shelf();
    assert_eq!(shelf.len(), 1, "a small component is one part");
    let part = &shelf[0];
    assert_eq!(part["immutable"], true);
    assert_eq!(part["metadata"]["namespace"], HOST);
    let serving = &world.read_plugin("guest")["status"]["serving"]["digest"];
    assert_eq!(
        part["metadata"]["annotations"]["backups.cozystack.io/component"],
        *serving
    );
    assert_eq!(
        part["metadata"]["labels"]["apps.cozystack.io/managed-by"],
        "cozystack-backups"
    );
}

#[tokio::test]
async fn a_large_component_is_cut_into_parts_and_put_together_again() {
    let mut world = World::serving().await;
    let mut noise: u64 = 88_172_645_463_325_252;
    let noise = std::iter::repeat_with(|| {
        // Xorshift: nothing that a compressor could shorten.
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(250_000).flatten().collect();
    let mut large = guest("1.1.0", &json!({}));
    // A custom section: its length in LEB128, its name's length and its name.
    large.push(0);
    let mut length = noise.len() + 2;
    while length > 0x7f {
        large.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    large.push(u8::try_from(length).unwrap());
    large.extend([1, b'x']);
    large.extend(noise);
    world.file("guest.wasm", &large);
    world.look_at_files().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.1.0")
    );
    assert_eq!(world.shelf().len(), 1 + 3);
    world.job("old", "db-0").await;
    world.without_file("guest.wasm");
    world.restart();
    world.look().await;
    let said = world.ready("guest");
    assert!(
        said.starts_with("True ServingLastGood: guest 1.1.0"),
        "{said}"
    );
    world.go().await;
    assert_eq!(world.made_by("old"), "1.1.0");
}

#[tokio::test]
async fn a_stored_component_that_is_damaged_is_not_taken_and_is_stored_anew() {
    let mut world = World::serving().await;
    let mut part = world.shelf().remove(0);
    part["binaryData"]["part"] = json!("AAAA");
    without_shelf(&world).await;
    part["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    world.stage.cluster.put(part.clone()).unwrap();
    world.without_file("guest.wasm");
    world.restart();
    world.look().await;
    let said = world.ready("guest");
    assert!(said.starts_with("False FetchFailed"), "{said}");
    let last = &world.read_plugin("guest")["status"]["lastServed"]["version"];
    assert_eq!(last, "1.0.0");
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.look_at_files().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    assert_ne!(world.shelf()[0]["binaryData"], part["binaryData"]);
}

/// A job that began with version 1.0.0, whose component is nowhere, while another version serves.
async fn with_a_lost_component(began: &Value, serves: &Value) -> World {
    let mut world = World::new();
    world.file("guest.wasm", &guest("1.0.0", began));
    world.plugin("guest", |_| {});
    world.look().await;
    world.strategy();
    world.look().await;
    let said = world.job("old", "db-0").await;
    assert!(said.starts_with("Running"), "{said}");
    without_shelf(&world).await;
    world.file("guest.wasm", &guest("1.1.0", serves));
    world.restart();
    world.look().await;
    world.look().await;
    world
}

#[tokio::test]
async fn where_the_component_is_lost_a_version_that_reads_the_state_goes_on() {
    let states = json!({ "stateVersions": [1, 2] });
    let newer = json!({ "stateVersions": [2, 3] });
    let mut world = with_a_lost_component(&states, &newer).await;
    world.go().await;
    assert_eq!(world.made_by("old"), "1.1.0");
}

#[tokio::test]
async fn where_the_component_is_lost_and_no_version_reads_the_state_the_job_fails_and_says_so() {
    for (began, serves, why) in [
        (
            json!({ "stateVersions": [1, 2] }),
            json!({ "stateVersions": [1, 3] }),
            "does not say that it reads version 2 of the state",
        ),
        (
            json!({}),
            json!({ "stateVersions": [1] }),
            "cannot know how far it was",
        ),
    ] {
        let world = with_a_lost_component(&began, &serves).await;
        let said = world.said("old");
        assert!(
            said.starts_with("Failed BackupFailed: PluginNotReady: the component sha256:"),
            "{said}"
        );
        assert!(
            said.contains("of guest 1.0.0, which this was begun with, is lost"),
            "{said}"
        );
        assert!(said.contains(why), "{said}");
    }
}
