//! What a finished backup says of itself, and a later restore reads.

/// Absent in backups of the first controller (version 0), which have the first six keys besides.
pub const VERSION: &str = "apps.foundationdb.org/metadata-version";
/// Name of the FoundationDBBackup.
pub const BACKUP_NAME: &str = "apps.foundationdb.org/backup-name";
/// Its namespace.
pub const BACKUP_NAMESPACE: &str = "apps.foundationdb.org/backup-namespace";
/// Account and host of the S3 service, as `<key>@<host>` or `@<host>`; without `@` in old backups.
pub const ACCOUNT_NAME: &str = "apps.foundationdb.org/account-name";
/// The bucket.
pub const BUCKET: &str = "apps.foundationdb.org/bucket";
/// Name of the backup in the bucket: its data lies in `data/<name>/`.
pub const BLOB_BACKUP_NAME: &str = "apps.foundationdb.org/blob-backup-name";
/// URL of the backup, as FoundationDB has it.
pub const STORAGE_URI: &str = "apps.foundationdb.org/storage-uri";
/// Parameters of that URL, such as `region=eu-1&secure_connection=1`.
pub const URL_PARAMETERS: &str = "apps.foundationdb.org/url-parameters";
/// The state that the backup was taken of, as a version of FoundationDB. Absent where the storage could not be looked
/// at.
pub const RESTORABLE_VERSION: &str = "apps.foundationdb.org/restorable-version";
