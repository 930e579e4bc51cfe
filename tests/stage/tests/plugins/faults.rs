//! Requests that fail or are refused: what can be done is done, and the rest with the next pass.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::{
    Look,
    cluster::{
        ApiError, ApiReason,
        memory::{Operation, Verdict},
    },
};
use serde_json::json;

use crate::world::{World, guest};

const LOOK: Look = Look {
    sources: true,
    writes: true,
};

fn with_a_plugin() -> World {
    let world = World::new();
    world.file("guest.wasm", &guest("1.0.0", &json!({})));
    world.plugin("guest", |_| {});
    world
}

/// All that a plugin leaves in the cluster.
fn is_in_order(world: &World) {
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    let said = world.condition("guest", "DefinitionInstalled");
    assert!(said.starts_with("True Installed"), "{said}");
    let shelf = world.shelf();
    assert_eq!(shelf.len(), 1);
    let granted = &shelf[0]["metadata"]["annotations"]["backups.cozystack.io/grants"];
    assert!(
        granted.as_str().unwrap().contains("strategy-guest"),
        "{granted}"
    );
}

#[tokio::test]
async fn a_host_that_may_neither_define_nor_store_serves_all_the_same_and_says_so() {
    let mut world = with_a_plugin();
    world.stage.cluster.set_policy(|operation: &Operation| {
        let defines = operation.kind == "CustomResourceDefinition" && operation.writes();
        !defines && operation.kind != "ConfigMap"
    });
    let looked = world.plugins.pass(LOOK, &|_| {}).await.unwrap();
    assert_eq!(looked.failed.unwrap().reason, ApiReason::Forbidden);
    assert!(
        world
            .ready("guest")
            .starts_with("True Serving: guest 1.0.0")
    );
    let said = world.condition("guest", "DefinitionInstalled");
    assert!(
        said.starts_with("False Refused: the API server refused it"),
        "{said}"
    );
    world.stage.cluster.clear_policy();
    world.look().await;
    is_in_order(&world);
}

/// Looks at a new plugin with the nth write failing, before or behind the cluster, and once more as another process.
/// Gives back whether there was such a write.
async fn failed_at(nth: usize, verdict: fn(ApiError) -> Verdict) -> bool {
    let mut world = with_a_plugin();
    let writes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&writes);
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            match operation.writes() && count.fetch_add(1, Ordering::Relaxed) == nth {
                true => verdict(ApiError::new(
                    ApiReason::Unavailable,
                    "the connection broke",
                )),
                false => Verdict::Pass,
            }
        });
    world.plugins.pass(LOOK, &|_| {}).await.unwrap();
    world.stage.cluster.clear_interceptor();
    world.restart();
    world.look().await;
    world.strategy();
    world.look().await;
    is_in_order(&world);
    assert!(world.job("ad-hoc", "db-0").await.starts_with("Running"));
    writes.load(Ordering::Relaxed) > nth
}

#[tokio::test]
async fn a_pass_that_is_cut_off_at_any_write_is_made_good_by_the_next_process() {
    for verdict in [
        Verdict::Fail as fn(ApiError) -> Verdict,
        Verdict::PassThenFail,
    ] {
        let mut nth = 0;
        while failed_at(nth, verdict).await {
            nth += 1;
        }
        assert!(nth >= 4, "only {nth} writes");
    }
}
