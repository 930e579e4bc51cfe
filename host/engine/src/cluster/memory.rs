//! A cluster in memory that answers as a real API server does.
//!
//! What depends on a cluster is tried here first: offline rendering, the demo and the simulation run on it, and
//! a property test holds it against a real kube-apiserver. It therefore keeps to the API server's order of steps,
//! its refusals and their words, also where they surprise.
//!
//! ```text
//!  Cluster trait ─► requests   who may, injected faults, the log of requests
//!                     │
//!                   writes     create, merge, apply, one pipeline as in the API server:
//!                     │          decode ─► merge and ownership ─► checks ─► store
//!                   deletion   finalizers, garbage collection, ending namespaces and definitions
//!                     │
//!                   store      objects, revisions, changes
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `requests` | the trait, admission of a request, the log |
//! | `seeding` | access without the trait, for tests and demos |
//! | `faults` | what a request looks like to a policy or an interceptor |
//! | `watch` | the stream of changes |
//! | `store` | objects, keys, revisions, the clock |
//! | `kinds`, `builtin`, `definitions` | which kinds there are, the API server's own, and those of CRDs |
//! | `decode`, `prune` | unknown fields, defaults, the shape of metadata |
//! | `metadata`, `names`, `validation` | what is refused as invalid |
//! | `writes`, `update`, `patch` | the pipeline |
//! | `shape`, `fields`, `typed`, `check`, `ownership` | server-side apply |
//! | `deletion`, `garbage`, `endings` | the ways an object ends |
//! | `errors` | refusals in the API server's words |

mod builtin;
mod check;
mod decode;
mod definitions;
mod deletion;
mod endings;
mod errors;
mod faults;
mod fields;
mod garbage;
mod kinds;
mod metadata;
mod names;
mod object;
mod ownership;
mod patch;
mod prune;
mod requests;
mod seeding;
mod shape;
mod store;
mod typed;
mod update;
mod validation;
mod watch;
mod writes;

pub use faults::{Operation, Verb, Verdict};
pub use seeding::MemoryCluster;
pub use watch::{Change, ChangeKind, Changes, Lagged};
