//! Backup strategies as WebAssembly components: load, limit, evaluate.
//!
//! A strategy is a stranger's code. This crate turns its `.wasm` file into something that can be asked the
//! questions of `wit/strategy.wit`, and sees to it that an answer is all it can give: it has no file, no
//! network, no clock and no thread, and every resource that it uses has a limit with a name.
//!
//! ```text
//!  .wasm ── load ──► Strategy ── evaluate(question, request) ──► Evaluation
//!            │                                                     │  ▲
//!            compiled once per digest,                    a Read   ▼  │  its Answer
//!            in a child process                                 the caller
//! ```
//!
//! An [`Evaluation`] runs in rounds. The strategy reads from a [`Snapshot`]; where the snapshot does not hold
//! what it asks for, the round ends with the [`Read`], the caller supplies the [`Answer`], and the strategy is
//! run again from the start in a fresh instance. What comes out is a pure function of request and snapshot.
//!
//! The crate knows nothing of Kubernetes clients and does no I/O but for the cache of compiled code.

mod answer;
mod cache;
mod check;
mod code;
mod compile;
pub mod contract;
mod engine;
mod error;
mod evaluate;
mod host;
mod imports;
mod limiter;
mod limits;
mod load;
mod manifest;
mod names;
mod plan;
mod request;
mod snapshot;
mod ticker;
mod turns;

pub use compile::{CompileLimits, Compiler, compile_child_main};
pub use engine::Settings;
pub use error::{EvaluationError, LoadError};
pub use evaluate::{Cost, Evaluation, Finished, Reply, Round};
pub use imports::CONTRACT;
pub use limits::Limits;
pub use load::{Sandbox, Strategy};
pub use manifest::{
    ApplicationKind, Asks, HeldKind, Manifest, ReadKind, StrategyKind, WrittenKind,
};
pub use plan::{Action, Condition, Event, LogLine, Plan};
pub use request::{Question, Request};
pub use snapshot::{Answer, Read, Snapshot};
