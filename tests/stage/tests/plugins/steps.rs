//! How far a component comes, and that the last good version serves on.

use serde_json::json;

use crate::{
    guest::{Guest, times},
    world::{TENANT, World, described, guest, manifest},
};

#[tokio::test]
async fn a_plugin_that_serves_tells_every_step() {
    let world = World::serving().await;
    let said = |type_: &str| world.condition("guest", type_);
    assert!(said("Fetched").starts_with("True Fetched: guest.wasm holds sha256:"));
    assert_eq!(said("Compiled"), "True Compiled: it speaks contract 1.0.0");
    assert_eq!(
        said("Conformant"),
        "True Conformant: guest 1.0.0 is what this StrategyPlugin grants"
    );
    let plugin = world.read_plugin("guest");
    assert_eq!(plugin["status"]["serving"]["version"], "1.0.0");
    assert_eq!(
        plugin["status"]["observedGeneration"],
        plugin["metadata"]["generation"]
    );
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_later_ones_unknown_and_the_last_good_version_serving() {
    let trapping = described(&manifest("1.1.0", &json!({}))).on("validate", "unreachable");
    let other_kind = json!({
        "strategyKind": { "kind": "Other", "plural": "others", "schema": { "type": "object" } },
    });
    let other_applications =
        json!({ "applications": [{ "group": "a.example", "kind": "Ledger" }] });
    let foreign = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))"#;
    let whole = guest("1.1.0", &json!({}));
    for (bytes, step, reason, words) in [
        (
            b"half".to_vec(),
            "Compiled",
            "NotAComponent",
            "not a WebAssembly component",
        ),
        (
            whole[..whole.len() / 2].to_vec(),
            "Compiled",
            "NotAComponent",
            "not a WebAssembly",
        ),
        (
            wat::parse_str(foreign).unwrap(),
            "Compiled",
            "ForeignImport",
            "wasi:clocks",
        ),
        (
            Guest::default().manifest("[]").build(),
            "Conformant",
            "ManifestInvalid",
            "its manifest is not valid",
        ),
        (
            Guest::default().on("describe", "unreachable").build(),
            "Conformant",
            "DescribeFailed",
            "describe",
        ),
        (
            guest("1.1.0", &json!({ "contract": "7.3.0" })),
            "Conformant",
            "ManifestInvalid",
            "7.3.0 is not compatible with this host's 1.0.0",
        ),
        (
            guest("1.1.0", &other_kind),
            "Conformant",
            "KindMismatch",
            "kind Other",
        ),
        (
            guest("1.1.0", &other_applications),
            "Conformant",
            "ApplicationNotOffered",
            "applications of kind Postgres in apps.cozystack.io",
        ),
        (
            trapping.build(),
            "Conformant",
            "TrialFailed",
            "`validate` trapped",
        ),
        (
            described(&manifest("1.1.0", &json!({})))
                .on("backup", "unreachable")
                .build(),
            "Conformant",
            "SimulationFailed",
            "answers: Postgres.apps.cozystack.io, backup of a BackupJob: plugin guest 1.1.0 failed: `backup` trapped",
        ),
    ] {
        let mut world = World::serving().await;
        world.file("guest.wasm", &bytes);
        world.look_at_files().await;
        let steps = ["Fetched", "Compiled", "Conformant"];
        let failed = steps.iter().position(|one| *one == step).unwrap();
        for (index, one) in steps.iter().enumerate() {
            let said = world.condition("guest", one);
            let expected = match index {
                index if index < failed => "True ",
                index if index == failed => &format!("False {reason}: "),
                _ => "Unknown NotReached: ",
            };
            assert!(said.starts_with(expected), "{reason}, {one}: {said}");
        }
        let said = world.condition("guest", step);
        assert!(said.contains(words), "{said}");
        let ready = world.ready("guest");
        assert!(
            ready.starts_with("True ServingLastGood: guest 1.0.0"),
            "{ready}"
        );
        assert!(ready.contains(reason), "{ready}");
        let said = world.job("ad-hoc", "db-0").await;
        assert!(said.starts_with("Running"), "{reason}: {said}");
    }
}

#[tokio::test]
async fn without_any_good_version_the_plugin_is_not_ready_and_jobs_wait() {
    let mut world = World::new();
    world.plugin("guest", |_| {});
    world.look().await;
    let said = world.ready("guest");
    assert!(said.starts_with("False FetchFailed: guest.wasm"), "{said}");
    assert!(
        world
            .condition("guest", "Fetched")
            .starts_with("False FetchFailed")
    );
    assert!(
        world
            .condition("guest", "Conformant")
            .starts_with("Unknown")
    );
    let said = world.job("ad-hoc", "db-0").await;
    assert!(said.starts_with("Pending PluginNotReady"), "{said}");
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.look_at_files().await;
    world.strategy();
    world.look().await;
    let said = world.said("ad-hoc");
    assert!(said.starts_with("Running Running: Copying"), "{said}");
}

#[tokio::test]
async fn a_file_that_was_half_written_is_taken_when_it_is_whole() {
    let mut world = World::serving().await;
    let whole = guest("1.1.0", &json!({}));
    world.file("guest.wasm", &whole[..whole.len() - 10]);
    world.look_at_files().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True ServingLastGood: guest 1.0.0")
    );
    world.file("guest.wasm", &whole);
    world.look_at_files().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.1.0")
    );
}

#[tokio::test]
async fn a_digest_that_the_spec_names_is_the_only_one_that_is_taken() {
    let mut world = World::serving().await;
    let serving = world.read_plugin("guest")["status"]["serving"]["digest"].clone();
    world.change("guest", |spec| spec["digest"] = serving.clone());
    world.look().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.look_at_files().await;
    let said = world.condition("guest", "Fetched");
    assert!(
        said.starts_with("False DigestMismatch: guest.wasm has the digest sha256:"),
        "{said}"
    );
    assert!(said.contains(serving.as_str().unwrap()), "{said}");
    assert!(
        world
            .ready("guest")
            .starts_with("True ServingLastGood: guest 1.0.0")
    );
    world.change("guest", |spec| {
        spec.as_object_mut().unwrap().remove("digest");
    });
    world.look().await;
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.1.0")
    );
}

#[tokio::test]
async fn a_status_is_written_once() {
    let mut world = World::serving().await;
    let revision = world.stage.cluster.revision();
    world.look().await;
    world.look_at_files().await;
    assert_eq!(world.stage.cluster.revision(), revision);
}

#[tokio::test]
async fn a_host_that_does_not_lead_loads_and_writes_nothing() {
    let mut world = World::new();
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.plugin("guest", |_| {});
    let revision = world.stage.cluster.revision();
    let look = backup_engine::Look::default();
    world.plugins.pass(look, &|_| {}).await.unwrap();
    assert_eq!(world.stage.cluster.revision(), revision);
    assert!(world.stage.strategies.serving("Guest").is_some());
    // It takes over.
    world.look().await;
    assert!(world.ready("guest").starts_with("True Serving"));
}

#[tokio::test]
async fn a_change_of_the_grant_is_taken_over_without_a_new_component() {
    let mut world = World::serving().await;
    world.job("ad-hoc", "db-0").await;
    world.change("guest", |spec| {
        spec["limits"] = json!({ "fuelMillions": 7 });
        spec["systemNamespaces"] = json!(["cozy-velero"]);
        spec["serviceAccount"]["name"] = json!("another");
    });
    world.look().await;
    let serving = world.stage.strategies.serving("Guest").unwrap();
    assert_eq!(serving.strategy.limits().fuel, 7_000_000);
    assert_eq!(serving.grant.system_namespaces, ["cozy-velero"]);
    assert_eq!(serving.grant.service_account.name, "another");
    world.go().await;
    assert!(world.said("ad-hoc").starts_with("Succeeded"));
    assert_eq!(
        world.stage.read("Backup", TENANT, "ad-hoc")["spec"]["plugin"]["name"],
        "guest"
    );
}

#[tokio::test]
async fn a_trap_over_a_backup_that_nobody_made_does_not_keep_a_version_from_serving() {
    let mut world = World::serving().await;
    let careless = described(&manifest("1.1.0", &json!({}))).on("restore", "unreachable");
    world.file("guest.wasm", &careless.build());
    world.look_at_files().await;
    let ready = world.ready("guest");
    assert!(ready.starts_with("True Serving: guest 1.1.0"), "{ready}");
}

#[tokio::test]
async fn what_serves_is_not_tried_anew_where_its_grant_changes() {
    let mut world = World::serving().await;
    let slow = described(&manifest("1.1.0", &json!({}))).on("backup", &times(2_000_000, ""));
    world.file("guest.wasm", &slow.build());
    world.look_at_files().await;
    // Less fuel than it needs, which is the administrator's will.
    world.change("guest", |spec| {
        spec["limits"] = json!({ "fuelMillions": 1 })
    });
    world.look_at_files().await;
    let said = world.condition("guest", "Conformant");
    assert!(said.starts_with("True Conformant"), "{said}");
}

#[tokio::test]
async fn a_trial_beside_the_runtime_comes_to_the_same() {
    let mut world = World::new();
    world.restart_beside_the_runtime();
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.plugin("guest", |_| {});
    world.look().await;
    let ready = world.ready("guest");
    assert!(ready.starts_with("True Serving: guest 1.0.0"), "{ready}");
    let trapping = described(&manifest("1.1.0", &json!({}))).on("backup", "unreachable");
    world.file("guest.wasm", &trapping.build());
    world.look_at_files().await;
    let said = world.condition("guest", "Conformant");
    assert!(said.starts_with("False SimulationFailed"), "{said}");
    // What is known is not tried again, and a file that is whole serves.
    world.look_at_files().await;
    assert_eq!(world.condition("guest", "Conformant"), said);
    world.file("guest.wasm", &guest("1.1.0", &json!({})));
    world.look_at_files().await;
    let ready = world.ready("guest");
    assert!(ready.starts_with("True Serving: guest 1.1.0"), "{ready}");
}

#[tokio::test]
async fn how_each_plugin_fares_is_known_for_the_metrics_until_it_is_gone() {
    let mut world = World::new();
    let fares = |world: &World| {
        let states = world.stage.strategies.states().all();
        let states = states.into_iter();
        let states = states.map(|(name, state)| (name, state.is_ready, state.reason));
        states.collect::<Vec<_>>()
    };
    let guest_is = |is_ready, reason| vec![("guest".to_owned(), is_ready, reason)];
    world.plugin("guest", |_| {});
    world.look().await;
    assert_eq!(fares(&world), guest_is(false, "FetchFailed"));
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.look_at_files().await;
    assert_eq!(fares(&world), guest_is(true, "Serving"));
    world.file("guest.wasm", b"no component");
    world.look_at_files().await;
    assert_eq!(fares(&world), guest_is(true, "ServingLastGood"));
    world.remove_plugin("guest").await;
    world.look().await;
    assert_eq!(fares(&world), []);
}
