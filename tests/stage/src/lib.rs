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

pub use altinity::{AltinityFate, ClickHouse, OWN_BUCKET};
pub use bucket::Bucket;
pub use cnpg::{Cnpg, Fate};
pub use etcd::{EtcdFate, EtcdOperator};
pub use foundationdb::{FoundationDbFate, FoundationDbOperator, foundationdb_objects};
pub use kept::Kept;
pub use kinds::{Kind, crd, kinds};
pub use mariadb::{MariaDbFate, MariaDbOperator};
pub use operator::{Operator, Workplace};
pub use policy::{RESTORE_POLICY, by_restore_policy, restore_policy};
pub use stage::{
    Stage, bundle, clickhouse_objects, defaults, etcd_objects, mariadb_objects,
    platform_etcd_objects, platform_objects, postgres_objects, sandbox, storage_location,
    virtual_machine_objects,
};
pub use velero::{Archive, VeleroFate, VeleroServer};
