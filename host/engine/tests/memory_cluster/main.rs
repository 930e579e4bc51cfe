//! The cluster in memory behaves as an API server does.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop right there"
)]

mod access;
mod admission;
mod apply;
mod definitions;
mod deletion;
mod garbage;
mod ownership;
mod story;
mod watching;
mod writing;
