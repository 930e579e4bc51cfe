//! StrategyPlugins that come and go: from files of a plugin folder to strategies that serve, and what becomes of the jobs
//! under way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../../host/sandbox/tests/guest/mod.rs"]
mod guest;

mod capacity;
mod claims;
mod definitions;
mod faults;
mod kept;
mod steps;
mod uses;
mod versions;
mod world;
