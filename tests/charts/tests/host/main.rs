//! The chart of the host, without a cluster: that its files are what the code says, and that what it renders is sound.
//! How it is installed, and that its rights suffice and its policies hold, is tried with the host on a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cozystack;
mod defaults;
mod documented;
mod generated;
mod image;
mod monitoring;
mod plugins;
mod rendered;
mod snapshots;
mod storage;
mod tenants;

use std::sync::OnceLock;

use charts::HOST;
use controlplane::Helm;
use serde_json::Value;

/// Helm, for all tests.
fn helm() -> &'static Helm {
    static HELM: OnceLock<Helm> = OnceLock::new();
    HELM.get_or_init(|| Helm::offline().unwrap())
}

/// What the chart makes.
fn render(values: &Value) -> Vec<Value> {
    HOST.render(helm(), values).unwrap()
}
