//! The chart of the host, without a cluster: that its files are what the code says, and that what it renders is sound.
//! How it is installed, and that its rights suffice and its policies hold, is tried with the host on a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod documented;
mod generated;
mod rendered;

use std::sync::OnceLock;

use charts::HOST;
use controlplane::Helm;
use serde_json::Value;

/// Set to anything, it makes the tests write the files that they compare with.
const UPDATE: &str = "UPDATE_CHARTS";

/// Helm, for all tests.
fn helm() -> &'static Helm {
    static HELM: OnceLock<Helm> = OnceLock::new();
    HELM.get_or_init(|| Helm::offline().unwrap())
}

/// What the chart makes.
fn render(values: &Value) -> Vec<Value> {
    HOST.render(helm(), values).unwrap()
}

/// A file of the chart must be so; it is made so where that is asked for.
fn is_in_chart(file: &str, text: &str) {
    let path = HOST.folder().join(file);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{file} of the chart is not what the code says: run this test once with {UPDATE}=1"
    );
}
