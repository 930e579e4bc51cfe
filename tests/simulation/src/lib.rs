//! The whole engine on a cluster in memory, under a seeded schedule of users, operators and faults.
//!
//! ```text
//!  seed ─► schedule    what happens when, as data
//!             │
//!            run       users, operators and the host take turns
//!             │           host ─► bugs ─► line ─► cluster in memory
//!             │                 planted   faults
//!          observer    every change and every request, held against the invariants
//!             │
//!           shrink     a failure's shortest history
//! ```
//!
//! Everything follows from the seed: two runs of a seed have the same history. Nothing is played but the cluster, the
//! operators and the users: engine, sandbox and strategies are those of production.
//!
//! | file | holds |
//! |---|---|
//! | `schedule`, `happening`, `events/` | what can happen, one file for each kind of event |
//! | `strategies/` | the strategies, one file for each; everything else goes over them |
//! | `ground`, `operators`, `components`, `places`, `vault` | what everybody stands on |
//! | `faults`, `line`, `bugs` | what goes wrong between host and cluster, and what is planted there |
//! | `run`, `run/rest` | the turns, and how everything comes to rest |
//! | `observer`, `record`, `invariants/` | the promises, one file for each group |
//! | `shrink`, `hunt`, `trace` | many seeds, and what is told of one that fails |

mod bugs;
mod components;
mod events;
mod faults;
mod ground;
mod happening;
mod hunt;
mod invariants;
mod line;
mod observer;
mod operators;
mod places;
mod record;
mod run;
mod schedule;
mod shrink;
mod strategies;
mod trace;
mod vault;

pub use bugs::Bug;
pub use hunt::{Failure, Tally, hunt};
pub use invariants::Violation;
pub use run::{Outcome, run};
pub use schedule::{Ending, Event, Schedule};
pub use shrink::shrink;
