//! Postgres by CloudNativePG: the strategy as the real component, through the engine, with its operator and its chart
//! played.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod abort;
mod archives;
mod backup;
mod check;
mod crashes;
mod forget;
mod gate;
mod kept;
mod late;
mod refusals;
mod restore;
mod settings;
mod target;
mod world;
