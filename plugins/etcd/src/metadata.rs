//! What a finished backup says of itself, and a later restore reads.
//!
//! The prefix is the operator's old one. Backups of the first controller have it, too.

/// Absent in backups of the first controller (version 0), which have the same keys besides.
pub const VERSION: &str = "etcd.aenix.io/metadata-version";
/// Name of the EtcdSnapshot.
pub const BACKUP_NAME: &str = "etcd.aenix.io/backup-name";
/// The bucket.
pub const BUCKET: &str = "etcd.aenix.io/bucket";
/// URL of the S3 service.
pub const ENDPOINT: &str = "etcd.aenix.io/endpoint";
/// The folder of the snapshot, not its own key; absent for the bucket itself.
pub const KEY: &str = "etcd.aenix.io/key";
/// Region; absent when none was set.
pub const REGION: &str = "etcd.aenix.io/region";
/// `true` or `false`; absent when it was left to the operator.
pub const FORCE_PATH_STYLE: &str = "etcd.aenix.io/force-path-style";
/// Secret with the S3 keys.
pub const SECRET: &str = "etcd.aenix.io/credentials-secret-name";
