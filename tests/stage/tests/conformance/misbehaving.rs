//! Strategies that do not: each is found, and only what is certain counts as that.

use backup_engine::{Invariant, limits};
use backup_sandbox::{Limits, Strategy};
use serde_json::json;
use stage::Stage;

use crate::{
    guest::{Guest, forever, times},
    world::{config_map, create, loaded, manifest, on_backup, only, tried, tried_with},
};

/// Where the application of a made-up world is.
const TENANT: &str = "tenant-example";

/// Where its backups may lie.
const PLACE: &str = "s3://backups/tenant-example/example/x";

/// A guest with ten million units of fuel.
fn with_little_fuel(guest: Guest) -> Strategy {
    let limits = Limits {
        fuel: 10_000_000,
        ..limits(None)
    };
    Stage::component_within(&guest.build(), limits).unwrap()
}

/// A guest that does this when it is asked for a backup, and can say that it waits.
fn waiting(body: &str) -> Guest {
    Guest::default()
        .manifest(&manifest().to_string())
        // The first case of the answer: waiting, with a reason and a message that begin at 1024, started.
        .data("reason", b"Copying")
        .words("waiting", &[0, 0, 1024, 7, 1024, 7, 1, 0, 0, 0, 0, 0])
        .words("found", &[0, 0, 0])
        .on("backup", body)
}

#[tokio::test]
async fn a_trap_is_found() {
    let found = tried(&loaded(on_backup("unreachable"))).await;
    only(
        &found,
        Invariant::Answers,
        true,
        "Postgres.apps.cozystack.io, backup of a BackupJob: plugin guest 1.2.3 failed: `backup` trapped",
    );
    let found = tried(&loaded(on_backup("").on("validate", "unreachable"))).await;
    only(&found, Invariant::Answers, true, "validate");
}

#[tokio::test]
async fn a_trap_over_a_backup_that_nobody_made_is_not_certain() {
    for (question, of) in [
        ("forget", "forget of a Backup"),
        ("check", "check of a Backup"),
        ("paths", "paths of a BackupJob"),
    ] {
        let found = tried(&loaded(on_backup("").on(question, "unreachable"))).await;
        only(&found, Invariant::Answers, false, of);
    }
}

#[tokio::test]
async fn a_trap_in_the_second_step_is_found() {
    // Once its object is there.
    let object = config_map(TENANT, "x", PLACE);
    let body = format!(
        "(call $cluster.get 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'x' @found)
         (if (i32.load8_u @found) (then unreachable))
         {}
         (return @waiting)",
        create(&object)
    );
    let found = tried(&loaded(waiting(&body))).await;
    only(
        &found,
        Invariant::Answers,
        true,
        "life of a BackupJob: plugin guest 1.2.3 failed: `backup` trapped",
    );
}

#[tokio::test]
async fn a_loop_is_found() {
    let found = tried(&with_little_fuel(on_backup(&forever("")))).await;
    only(&found, Invariant::Answers, true, "backup of a BackupJob");
}

#[tokio::test]
async fn a_strategy_that_comes_near_its_limits_is_warned() {
    let found = tried(&with_little_fuel(on_backup(&times(1_300_000, "")))).await;
    only(
        &found,
        Invariant::HasRoom,
        false,
        "units of fuel of 10000000",
    );
}

#[tokio::test]
async fn a_kind_that_no_grant_can_open_is_found() {
    for (kind, words) in [
        ("Pod", "which its manifest does not say it does"),
        ("Secret", "no strategy writes Secrets"),
    ] {
        let object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": "x", "namespace": TENANT } });
        let found = tried(&loaded(on_backup(&create(&object)))).await;
        only(&found, Invariant::StaysInside, true, words);
    }
}

#[tokio::test]
async fn a_place_outside_counts_where_the_settings_are_given() {
    let object = config_map(TENANT, "x", "s3://backups/tenant-other/x");
    let strategy = loaded(on_backup(&create(&object)));
    // Other settings might name another place.
    assert_eq!(tried(&strategy).await, []);
    let settings = json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Guest",
        "metadata": { "name": "written" }, "spec": {},
    });
    let found = tried_with(&strategy, &[settings]).await;
    only(
        &found,
        Invariant::StaysInside,
        true,
        "outside of tenant-example/example",
    );
}

#[tokio::test]
async fn an_object_that_is_named_by_the_clock_is_made_twice() {
    let named = |name: &str| create(&config_map(TENANT, name, PLACE));
    let body = format!(
        "(if (i32.wrap_i64 (i64.and (call $context.now) (i64.const 1))) (then {}) (else {}))",
        named("odd"),
        named("even")
    );
    let found = tried(&loaded(on_backup(&body))).await;
    only(
        &found,
        Invariant::MakesOnce,
        true,
        "it makes ConfigMap tenant-example/odd as well",
    );
}

#[tokio::test]
async fn an_object_that_a_failed_job_leaves_behind_is_told_of() {
    let object = config_map(TENANT, "x", PLACE);
    let failing = |guest: Guest| {
        guest
            .manifest(&manifest().to_string())
            .data("reason", b"Broken")
            .words("failed", &[2, 0, 1024, 6, 1024, 6])
            .on("backup", &format!("{} (return @failed)", create(&object)))
    };
    let found = tried(&loaded(failing(Guest::default()))).await;
    only(
        &found,
        Invariant::CleansUp,
        false,
        "a ConfigMap stays behind when the job has failed and is deleted",
    );
    let removes = format!(
        "(call $plan.delete 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'x' (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
    );
    let tidy = failing(Guest::default()).on("abort", &removes);
    assert_eq!(tried(&loaded(tidy)).await, []);
}

#[tokio::test]
async fn a_job_that_asks_for_pass_after_pass_is_found() {
    let object = config_map(TENANT, "x", PLACE);
    let body = format!(
        "(call $cluster.get 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'x' @found)
         {}
         (call $plan.delete 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'x' (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
         (return @waiting)",
        create(&object)
    );
    let found = tried(&loaded(waiting(&body))).await;
    only(&found, Invariant::Ends, true, "pass after pass");
}

#[tokio::test]
async fn a_loop_in_the_second_step_is_found() {
    let object = config_map(TENANT, "x", PLACE);
    let body = format!(
        "(call $cluster.get 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'x' @found)
         (if (i32.load8_u @found) (then {}))
         {}
         (return @waiting)",
        forever(""),
        create(&object)
    );
    let found = tried(&with_little_fuel(waiting(&body))).await;
    only(&found, Invariant::Answers, true, "life of a BackupJob");
}
