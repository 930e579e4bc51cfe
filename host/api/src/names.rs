//! Names that other software relies on. None of them can change.

/// The group of tenant-facing kinds.
pub const GROUP: &str = "backups.cozystack.io";
/// Its only version.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as objects write it.
pub const API_VERSION: &str = "backups.cozystack.io/v1alpha1";

/// The group of the strategy kinds.
pub const STRATEGY_GROUP: &str = "strategy.backups.cozystack.io";
/// Group and version of the strategy kinds.
pub const STRATEGY_API_VERSION: &str = "strategy.backups.cozystack.io/v1alpha1";

/// The group of applications where a reference names none.
pub const APPLICATION_GROUP: &str = "apps.cozystack.io";

/// On operator objects: the name of the BackupJob or RestoreJob that made them.
pub const OWNED_BY_NAME: &str = "backups.cozystack.io/owned-by.BackupJobName";
/// On operator objects: that job's namespace.
pub const OWNED_BY_NAMESPACE: &str = "backups.cozystack.io/owned-by.BackupJobNamespace";
/// On operator objects and Backups: that job's UID, so that a job created anew under an old name starts anew.
pub const OWNED_BY_UID: &str = "backups.cozystack.io/owned-by.UID";

/// Keeps a Backup or RestoreJob until the host has cleaned up.
pub const FINALIZER: &str = "backups.cozystack.io/cleanup";
/// Set by old versions; honoured and removed like [`FINALIZER`].
pub const LEGACY_FINALIZER: &str = "backups.cozystack.io/cleanup-velero";

/// The Secret with the platform's credentials in an application's namespace.
pub const CREDENTIALS_SECRET: &str = "cozy-backups-creds";
/// The label that tells the host's own copies of that Secret from anybody else's.
pub const MANAGED_BY: &str = "apps.cozystack.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "cozystack-backups";
