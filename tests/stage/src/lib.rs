//! The vocabulary of the tests, so that a test reads like the documentation: a platform, tenants with databases,
//! jobs, and operators that are played.
//!
//! An operator sets status as the real one does, one step at a time, over the engine's
//! [`Cluster`](backup_engine::cluster::Cluster): the same one plays against the cluster in memory and against a
//! real API server.

mod altinity;
mod bucket;
mod cnpg;
mod emitted;
mod etcd;
mod foundationdb;
mod kept;
mod kinds;
mod mariadb;
mod operator;
mod play;
mod policy;
mod stage;
mod velero;

pub use altinity::{AltinityFate, ClickHouse, OWN_BUCKET, clickhouse_objects};
pub use bucket::Bucket;
pub use cnpg::{Cnpg, Fate, postgres_objects};
pub use etcd::{EtcdFate, EtcdOperator, etcd_objects};
pub use foundationdb::{FoundationDbFate, FoundationDbOperator, foundationdb_objects};
pub use kept::Kept;
pub use kinds::{Kind, crd, kinds};
pub use mariadb::{MariaDbFate, MariaDbOperator, mariadb_objects};
pub use operator::{Operator, Workplace};
pub use play::{all, text};
pub use policy::{RESTORE_POLICY, by_restore_policy, keep_to_policy, restore_policy};
pub use stage::{
    DOCUMENTED_JOB, STRATEGIES, Stage, bundle, defaults, platform_etcd_objects, platform_objects,
    sandbox,
};
pub use velero::{
    Archive, Location, VeleroFate, VeleroServer, storage_location, virtual_machine_objects,
};
