//! The way of a backup job, over a cluster that may be real or in memory.
//!
//! ```text
//!  BackupJob ──► resolve ──► admit ──► evaluate ──► guard ──► commit ──► Backup
//!                class,      lock,     the plugin,  walls     state, then
//!                strategy,   storage,  over a                 actions one by
//!                plugin      creds     snapshot               one, then status
//! ```
//!
//! One file for each stage. A pass over a job goes through all of them once, and ends with the job's status
//! written and with the things named that would make another pass worth while ([`Next`]). Nothing is kept
//! between passes that could not be made again: a pass that was cut off anywhere is simply done again.
//!
//! Whoever wants to know what the host does while it does it is an [`Observer`]; each pass and each stage is a span of
//! `tracing`.

mod admit;
mod audit;
mod backup;
mod backup_job;
mod capacity;
mod claims;
mod class;
pub mod cluster;
mod commit;
mod conformance;
mod credentials;
mod definition;
mod evaluate;
mod events;
mod guard;
mod host;
mod interest;
mod job;
mod ledger;
mod lock;
mod noted;
mod notice;
mod object;
mod observe;
mod parameters;
mod plan;
mod plugin;
mod queue;
mod reads;
mod reconcile;
mod rendering;
mod resolve;
mod restore_job;
mod restore_target;
mod runner;
mod secrets;
mod settings;
mod shown;
mod stop;
mod storage;
mod strategies;
mod upkeep;

pub use conformance::{Finding, Invariant, conformance};
pub use credentials::{Credentials, ProjectionCounts, ProjectionError, STORAGE_LOCATION};
pub use definition::strategy_definition;
pub use guard::is_writable;
pub use host::{Clock, Evaluator, Host};
pub use interest::{Interest, KindRead, Next, kinds_known};
pub use object::{has_ended, reference};
pub use observe::{
    BackupOf, BackupState, Evaluated, JobEnd, Nobody, Observer, PlanOf, PlanSeen, PluginOf, Removed,
};
pub use plugin::{Fetch, Look, Looked, Plugins};
pub use queue::{Key, Queue};
pub use reconcile::needs_passes;
pub use runner::{Passed, Restless, Runner, memory_clock};
pub use settings::{AuthoritySettings, Settings, StorageSettings, VeleroSettings};
pub use storage::{Location, MemoryStorage, Storage, StorageError, covers};
pub use strategies::{PluginState, Serving, States, Strategies, Use, Uses, limits, proposed_grant};
