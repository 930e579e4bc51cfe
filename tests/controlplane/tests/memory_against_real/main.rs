//! The cluster in memory answers as a real API server does.
//!
//! The same requests go to both, through the engine's trait: first known answers, then the works of the controllers,
//! then long rows of random requests. `pair` says what is compared, `differences` which differences are known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected should stop right there"
)]

mod differences;
mod garbage;
mod kinds;
mod known;
mod operation;
mod pair;
mod random;
mod watched;
