//! The kinds of events. Each file says how its events are drawn from a seed, what they do, and how a person reads
//! them.

pub(crate) mod applications;
pub(crate) mod backups;
pub(crate) mod configuration;
pub(crate) mod faults;
pub(crate) mod jobs;
pub(crate) mod namespaces;
pub(crate) mod operators;
pub(crate) mod permissions;
pub(crate) mod plans;
pub(crate) mod plugins;
pub(crate) mod surroundings;
