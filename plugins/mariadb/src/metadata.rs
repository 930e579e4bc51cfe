//! What a finished backup says of itself, and a later restore reads.

/// Absent in backups of the first controller (version 0), whose URI names an object that does not exist.
pub const VERSION: &str = "k8s.mariadb.com/metadata-version";
/// Name of the operator's Backup.
pub const BACKUP_NAME: &str = "k8s.mariadb.com/backup-name";
/// Its namespace.
pub const BACKUP_NAMESPACE: &str = "k8s.mariadb.com/backup-namespace";
/// The dump; absent where it lies on a volume.
pub const STORAGE_URI: &str = "k8s.mariadb.com/storage-uri";
