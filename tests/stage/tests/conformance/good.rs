//! Strategies that keep their promises, as far as can be told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tracing_subscriber::{filter::LevelFilter, util::SubscriberInitExt as _};

use crate::world::{built, loaded, manifest, on_backup, tried, tried_with};

#[tokio::test]
async fn nothing_is_found_in_the_strategies_that_are_shipped() {
    for (folder, file) in [
        ("bundle", "cnpg.wasm"),
        ("bundle", "etcd.wasm"),
        ("vendor", "ledger.wasm"),
        ("fixtures", "one.wasm"),
    ] {
        assert_eq!(tried(&built(folder, file)).await, [], "{file}");
    }
}

#[tokio::test]
async fn nothing_is_found_in_them_where_their_settings_and_applications_are_real() {
    let (tenant, key) = ("tenant-acme", "a-key-of-the-platform");
    let mut postgres = stage::platform_objects(key, key).unwrap();
    postgres.extend(stage::postgres_objects(tenant, "orders-db", "a-password").unwrap());
    let mut etcd = stage::platform_etcd_objects(key, key).unwrap();
    etcd.extend(stage::etcd_objects(tenant, "state").unwrap());
    for (file, objects) in [("cnpg.wasm", postgres), ("etcd.wasm", etcd)] {
        let found = tried_with(&built("bundle", file), &objects).await;
        assert_eq!(found, [], "{file}");
    }
}

#[tokio::test]
async fn a_strategy_that_refuses_made_up_settings_is_asked_no_more() {
    let refusing = |guest: crate::guest::Guest| {
        guest
            .data("place", b"/spec")
            .words("problem", &[1024, 5, 1024, 5])
            .words("refusal", &[1032, 1])
            .on("validate", "(return @refusal)")
    };
    let strategy = loaded(refusing(on_backup("unreachable")));
    assert_eq!(tried(&strategy).await, []);
    // Settings that somebody has written are another matter.
    let settings = json!({
        "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Guest",
        "metadata": { "name": "written" }, "spec": {},
    });
    assert_eq!(tried_with(&strategy, &[settings]).await.len(), 1);
}

#[tokio::test]
async fn a_manifest_that_asks_for_more_than_there_is_memory_is_tried_all_the_same() {
    let mut schema: Value = json!({ "type": "boolean" });
    for _ in 0..5 {
        schema = json!({ "type": "array", "minItems": u32::MAX, "items": schema });
    }
    let mut manifest = manifest();
    manifest["strategyKind"]["schema"] =
        json!({ "type": "object", "required": ["many"], "properties": { "many": schema } });
    let strategy = loaded(on_backup("").manifest(&manifest.to_string()));
    assert_eq!(tried(&strategy).await, []);
}

#[tokio::test]
async fn a_trial_writes_nothing_into_the_log() {
    let lines = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer({
            let lines = Arc::clone(&lines);
            move || {
                lines.fetch_add(1, Ordering::Relaxed);
                std::io::sink()
            }
        })
        .finish();
    let _held = subscriber.set_default();
    // It creates an object, waits, and deletes it in the end, which would leave a line for an administrator.
    let strategy = built("fixtures", "one.wasm");
    let before = lines.load(Ordering::Relaxed);
    assert_eq!(tried(&strategy).await, []);
    assert_eq!(lines.load(Ordering::Relaxed), before);
}
