//! The way of a backup job, over a cluster that may be real or in memory.
pub mod cluster;
