//! Plans: jobs at their times, what happens when there was no host, and how long jobs and Backups stay.
//!
//! The jobs are played: nothing here needs a strategy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod concurrency;
mod crashes;
mod downtime;
mod jobs;
mod observed;
mod retention;
mod validity;
mod world;
