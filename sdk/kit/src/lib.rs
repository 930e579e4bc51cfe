//! Tries a backup strategy before any cluster does: the real component, through the engine of production, on a cluster
//! in memory.
//!
//! What is tried is written in cases, which are YAML files that read like stories: what is there, what happens, and what
//! is expected then. The README beside this file says what may stand in one. An author in any language can write them;
//! `strategyctl check PLUGIN.wasm --cases DIR` runs the same files. In Rust a test is three lines:
//!
//! ```no_run
//! #[test]
//! fn every_case_ends_as_it_says() {
//!     let report = backup_strategy_kit::run("ledger.wasm", "cases").unwrap();
//!     assert!(report.passed(), "{report}");
//! }
//! ```
//!
//! ```text
//!  cases/*.yaml ──► case ──► world ──► story: step by step, and what is expected ──► report
//!                              │         the same with a crash of the host behind each write
//!                              │         plans as they were, in cases/plans
//!                              └───────► the invariants that a host tries, too
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `case` | what may stand in a file |
//! | `world` | the cluster in memory, and the host on it |
//! | `story` | what a step does |
//! | `expected` | what a step expects |
//! | `matching` | where a document is not as expected |
//! | `words` | `$(Kind/path)` in the texts of a step |
//! | `seen` | the objects that have been there |
//! | `faults` | requests that are refused, and crashes |
//! | `policy` | that a tenant may restore into another namespace |
//! | `plans` | what the strategy answered, as a reviewer reads it |

mod case;
mod component;
mod expected;
mod faults;
mod kit;
mod matching;
mod plans;
mod policy;
mod report;
mod seen;
mod story;
mod words;
mod world;

use std::path::Path;

pub use component::load;
pub use kit::Kit;
pub use report::{Failure, Report};

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// Tries a component on the cases of a folder.
///
/// The component is a file as a host loads it, or the core module that it is made of, as `cargo build` leaves it. Where
/// the environment has `UPDATE_CASES=1`, the plans in `cases/plans` are written anew.
///
/// # Errors
/// When the component cannot be loaded, or the folder cannot be read. What is wrong with a case is in the report.
pub fn run(component: impl AsRef<Path>, cases: impl AsRef<Path>) -> Result<Report, Error> {
    let updates = std::env::var_os("UPDATE_CASES").is_some_and(|set| set == "1");
    let strategy = load(component)?;
    Kit::of(&strategy).updating(updates).run(cases)
}
