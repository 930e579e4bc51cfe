//! The vocabulary of the tests, so that a test reads like the documentation: a platform, tenants with databases,
//! jobs, and operators that are played.
//!
//! An operator sets status as the real one does, one step at a time, over the engine's
//! [`Cluster`](backup_engine::cluster::Cluster): the same one plays against the cluster in memory and against a
//! real API server.

mod cnpg;
mod etcd;
mod kinds;
mod play;
mod policy;
mod stage;

pub use cnpg::{Cnpg, Fate};
pub use etcd::{EtcdFate, EtcdOperator};
pub use kinds::{Kind, crd, kinds};
pub use policy::{RESTORE_POLICY, by_restore_policy, restore_policy};
pub use stage::{
    Stage, bundle, etcd_objects, platform_etcd_objects, platform_objects, postgres_objects, sandbox,
};
