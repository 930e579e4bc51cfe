//! Two StrategyPlugins that claim one kind, and StrategyPlugins that go.

use serde_json::json;

use crate::world::{World, guest};

#[tokio::test]
async fn of_two_plugins_for_one_kind_the_older_serves_and_the_other_takes_over_when_it_goes() {
    let mut world = World::serving().await;
    world.stage.cluster.advance(10);
    world.file("other.wasm", &guest("3.0.0", &json!({})));
    // By its name it would be first.
    world.plugin("another", |plugin| {
        plugin["spec"]["source"]["file"] = json!("other.wasm")
    });
    world.look().await;
    let said = world.ready("another");
    assert!(
        said.starts_with("False KindClaimed: StrategyPlugin guest is older"),
        "{said}"
    );
    assert!(world.condition("another", "Conformant").starts_with("True"));
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    world.job("old", "db-0").await;

    world.remove_plugin("guest").await;
    world.look().await;
    assert!(
        world
            .ready("another")
            .starts_with("True Serving: another 3.0.0")
    );
    world.job("new", "db-1").await;
    world.go().await;
    assert_eq!(world.made_by("old"), "1.0.0");
    assert_eq!(world.made_by("new"), "3.0.0");
}

#[tokio::test]
async fn of_two_plugins_of_one_moment_the_first_by_name_serves() {
    let mut world = World::new();
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.plugin("b", |_| {});
    world.plugin("a", |_| {});
    world.look().await;
    assert!(world.ready("a").starts_with("True Serving"));
    assert!(world.ready("b").contains("StrategyPlugin a is older"));
}

#[tokio::test]
async fn the_removal_of_a_plugin_that_serves_nothing_changes_nothing() {
    let mut world = World::serving().await;
    world.stage.cluster.advance(10);
    world.plugin("another", |_| {});
    world.look().await;
    world.remove_plugin("another").await;
    world.look().await;
    assert!(world.ready("guest").starts_with("True Serving"));
    assert!(world.job("ad-hoc", "db-0").await.starts_with("Running"));
}

#[tokio::test]
async fn without_its_plugin_a_kind_is_served_no_more_and_jobs_under_way_finish() {
    let mut world = World::serving().await;
    world.job("old", "db-0").await;
    world.remove_plugin("guest").await;
    world.look().await;
    let said = world.job("new", "db-1").await;
    assert!(said.starts_with("Pending PluginNotReady"), "{said}");
    // Also where the host is another process by then.
    world.restart();
    world.look().await;
    world.go().await;
    assert_eq!(world.made_by("old"), "1.0.0");
    assert!(world.said("new").starts_with("Pending PluginNotReady"));
}

#[tokio::test]
async fn a_plugin_that_changes_its_kind_serves_the_old_one_no_more() {
    let mut world = World::serving().await;
    let other = json!({
        "strategyKind": { "kind": "Other", "plural": "others", "schema": { "type": "object" } },
    });
    world.file("guest.wasm", &guest("1.1.0", &other));
    world.change("guest", |spec| spec["strategyKind"] = json!("Other"));
    world.look_at_files().await;
    assert!(world.stage.strategies.serving("Guest").is_none());
    assert!(world.stage.strategies.serving("Other").is_some());
}
