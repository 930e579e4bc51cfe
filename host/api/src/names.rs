//! Names that other software relies on. None of them can change.

use sha2::{Digest as _, Sha256};

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

/// On BackupJobs and Backups: the Plan that they belong to, as [`label_value`] writes it.
pub const PLAN: &str = "backups.cozystack.io/plan";

/// Sixteen hexadecimal digits that stand for a text in a name.
#[must_use]
pub fn short_hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A name as a label's value: itself where it fits into the 63 characters that a value may have, else its beginning
/// and a hash of all of it.
#[must_use]
pub fn label_value(name: &str) -> String {
    const LONGEST: usize = 63;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = short_hash(name);
    let beginning: String = name.chars().take(LONGEST - 1 - hash.len()).collect();
    format!("{beginning}-{hash}")
}

/// On strategy objects: what a template may do with an absent value. `Print` (what is meant when absent): test, default
/// and pass it on, but not print it. `Go`: print `<no value>`, as the reference does. `Error`: not even read it.
pub const MISSING_VALUES: &str = "strategy.backups.cozystack.io/missing-values";

/// Keeps a Backup or RestoreJob until the host has cleaned up.
pub const FINALIZER: &str = "backups.cozystack.io/cleanup";
/// Set by old versions; honoured and removed like [`FINALIZER`].
pub const LEGACY_FINALIZER: &str = "backups.cozystack.io/cleanup-velero";

/// On a Backup, with any value: look now whether its data is there. Another value asks again.
pub const CHECK_REQUESTED: &str = "backups.cozystack.io/check-requested";

/// On what the host keeps of a component, and on the definition of a strategy kind that it applied: the digest.
pub const COMPONENT: &str = "backups.cozystack.io/component";
/// On what the host keeps of a component: which StrategyPlugin it served, and what that granted it last, as JSON.
pub const GRANTS: &str = "backups.cozystack.io/grants";

/// The Secret with the platform's credentials in an application's namespace.
pub const CREDENTIALS_SECRET: &str = "cozy-backups-creds";
/// The label that tells the host's own copies of that Secret from anybody else's.
pub const MANAGED_BY: &str = "apps.cozystack.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "cozystack-backups";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_shortened_to_a_label_of_its_own() {
        assert_eq!(label_value("nightly"), "nightly");
        let long = "a".repeat(250);
        let other = format!("{}b", "a".repeat(249));
        assert_eq!(label_value(&long).len(), 63);
        assert_ne!(label_value(&long), label_value(&other));
        assert!(label_value(&long).ends_with(|c: char| c.is_ascii_alphanumeric()));
    }
}
