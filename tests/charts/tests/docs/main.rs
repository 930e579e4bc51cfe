//! The pages of this repository: what can be checked of them without a cluster is so.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commands;
mod examples;
mod links;
mod metrics;
mod names;
mod page;
mod reasons;
mod reference;
mod tuning;
