//! What a finished backup says of itself, and a later restore reads.

/// Absent in backups of the first controller (version 0), which keep the parameters and nothing else.
pub const VERSION: &str = "altinity.strategy.backups.cozystack.io/metadata-version";
/// Name of the archive of the first shard.
pub const ARCHIVE: &str = "altinity.strategy.backups.cozystack.io/archive";
/// How many shards there were, each with an archive.
pub const SHARDS: &str = "altinity.strategy.backups.cozystack.io/shards";
/// Folder of the archives in the bucket: the `S3_PATH` of clickhouse-backup.
pub const PATH: &str = "altinity.strategy.backups.cozystack.io/path";
/// The platform's bucket; absent where the application has a storage of its own.
pub const BUCKET: &str = "altinity.strategy.backups.cozystack.io/bucket";
/// Before the name of each parameter of the BackupClass.
pub const PARAMETER: &str = "altinity.strategy.backups.cozystack.io/parameter/";
