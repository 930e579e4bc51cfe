//! The definition of a strategy kind is applied by the host, and never narrowed.

use serde_json::{Value, json};

use crate::world::{World, guest};

const NAME: &str = "guests.strategy.backups.cozystack.io";

fn with_schema(version: &str, schema: &Value) -> Vec<u8> {
    let kind = json!({ "kind": "Guest", "plural": "guests", "schema": schema });
    guest(version, &json!({ "strategyKind": kind }))
}

fn schema(world: &World) -> Value {
    let api = "apiextensions.k8s.io/v1";
    let found = world
        .stage
        .cluster
        .read(api, "CustomResourceDefinition", None, NAME)
        .unwrap();
    found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

fn properties(names: &[&str]) -> Value {
    let text = |name: &&str| ((*name).to_owned(), json!({ "type": "string" }));
    let properties: serde_json::Map<String, Value> = names.iter().map(text).collect();
    json!({ "type": "object", "properties": properties })
}

#[tokio::test]
async fn a_definition_is_widened_and_never_narrowed() {
    let mut world = World::new();
    world.file("guest.wasm", &with_schema("1.0.0", &properties(&["a"])));
    world.plugin("guest", |_| {});
    world.look().await;
    let said = |world: &World| world.condition("guest", "DefinitionInstalled");
    assert!(
        said(&world).starts_with("True Installed"),
        "{}",
        said(&world)
    );
    assert_eq!(schema(&world), properties(&["a"]));

    world.file(
        "guest.wasm",
        &with_schema("1.1.0", &properties(&["a", "b"])),
    );
    world.look_at_files().await;
    assert!(
        said(&world).starts_with("True Installed"),
        "{}",
        said(&world)
    );
    assert_eq!(schema(&world), properties(&["a", "b"]));

    world.file("guest.wasm", &with_schema("1.2.0", &properties(&["b"])));
    world.look_at_files().await;
    let narrowed = said(&world);
    assert!(narrowed.starts_with("False WouldNarrow"), "{narrowed}");
    assert!(narrowed.contains("/spec/a is gone"), "{narrowed}");
    assert_eq!(schema(&world), properties(&["a", "b"]));
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.2.0"),
        "it serves all the same"
    );
}

#[tokio::test]
async fn a_definition_of_somebody_else_is_left_alone() {
    let mut world = World::new();
    let kind = stage::Kind::clone(&stage::kinds()[0]);
    let mut definition = stage::crd(&kind);
    definition["metadata"]["name"] = json!(NAME);
    definition["spec"]["group"] = json!("strategy.backups.cozystack.io");
    definition["spec"]["scope"] = json!("Cluster");
    definition["spec"]["names"] = json!({ "kind": "Guest", "listKind": "GuestList", "plural": "guests", "singular": "guest" });
    definition["spec"]["versions"][0]["name"] = json!("v1alpha1");
    world.stage.cluster.install_crd(&definition).unwrap();
    let before = schema(&world);
    world.file("guest.wasm", &with_schema("1.0.0", &properties(&["a"])));
    world.plugin("guest", |_| {});
    world.look().await;
    let said = world.condition("guest", "DefinitionInstalled");
    assert!(said.starts_with("True InstalledByOthers"), "{said}");
    assert_eq!(schema(&world), before);
}

#[tokio::test]
async fn a_definition_that_somebody_removed_comes_back() {
    let mut world = World::serving().await;
    world.stage.cluster.remove_crd(NAME).unwrap();
    world.look_at_files().await;
    assert_eq!(schema(&world), json!({ "type": "object" }));
}
