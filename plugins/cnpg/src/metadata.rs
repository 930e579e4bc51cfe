//! What a finished backup says of itself, and a later restore reads.

/// Absent in backups of the first controller (version 0), which lack the base backup's folder and WAL.
pub const VERSION: &str = "cnpg.io/metadata-version";
/// Name of the operator's Backup.
pub const BACKUP_NAME: &str = "cnpg.io/backup-name";
/// Folder of the Cluster's base backups and WAL below the destination.
pub const SERVER_NAME: &str = "cnpg.io/server-name";
/// Such as `s3://bucket/prefix/`.
pub const DESTINATION_PATH: &str = "cnpg.io/destination-path";
/// URL of the S3 service; empty for Amazon's.
pub const ENDPOINT_URL: &str = "cnpg.io/endpoint-url";
/// Name of the Cluster.
pub const CLUSTER_NAME: &str = "cnpg.io/cluster-name";
/// Secret with the S3 keys.
pub const SECRET: &str = "cnpg.io/s3-secret-ref";
/// Folder of the base backup.
pub const BACKUP_ID: &str = "cnpg.io/backup-id";
/// First WAL file that a restore needs.
pub const BEGIN_WAL: &str = "cnpg.io/begin-wal";
/// Last WAL file that a restore needs.
pub const END_WAL: &str = "cnpg.io/end-wal";
/// When the base backup was complete: the earliest moment that it can be restored to.
pub const STOPPED_AT: &str = "cnpg.io/stopped-at";
