//! What a finished backup says of itself, and a later restore reads.

/// Absent in backups of the first controller (version 0), which have the name and the namespace only.
pub const VERSION: &str = "velero.io/metadata-version";
/// Name of Velero's Backup.
pub const BACKUP_NAME: &str = "velero.io/backup-name";
/// Namespace of Velero's Backup.
pub const BACKUP_NAMESPACE: &str = "velero.io/backup-namespace";
/// Folder of the platform's bucket that holds what Velero stored of it, beside the data of its volumes; absent where
/// Velero stored it elsewhere.
pub const FOLDER: &str = "velero.io/storage-path";
/// When Velero removes it, by RFC 3339; absent where it never does.
pub const EXPIRES_AT: &str = "velero.io/expires-at";
