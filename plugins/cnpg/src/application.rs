//! The Postgres application, as far as a backup keeps it and a restore changes it.

use backup_strategy::{kinds, merge_patch, prelude::*};

use crate::Cnpg;

/// The document that is kept with a Backup.
const SNAPSHOT: (&str, &str) = ("backups.cozystack.io/v1alpha1", "CNPGBackupSnapshot");

kinds! {
    /// A Postgres application.
    Postgres: "apps.cozystack.io/v1alpha1" "Postgres";
}

/// What a restore brings back besides the data.
pub struct Snapshot {
    databases: Value,
    users: Value,
}

impl Snapshot {
    /// Of an application, or of what was kept with a Backup.
    fn of(document: &Value) -> Self {
        let map = |name: &str| match &document[name] {
            Value::Null => json!({}),
            map => map.clone(),
        };
        let mut users = map("users");
        for (_, user) in users.as_object_mut().into_iter().flatten() {
            // Not the password: a Backup is readable by the tenant, and a role that is restored has the one that it had.
            *user = pruned(json!({ "replication": user["replication"] }));
        }
        Self {
            databases: map("databases"),
            users,
        }
    }

    /// What was kept with a Backup. Without it the chart would take restored databases and roles for superfluous.
    pub fn of_backup(source: &FinishedBackup) -> Outcome<Self> {
        let name = &source.name;
        let kept = source.resources::<Value>()?.or_fail(
            "SnapshotMissing",
            format!(
                "Backup {name} keeps no users and databases in status.underlyingResources; take the backup anew"
            ),
        )?;
        if kept["kind"] == SNAPSHOT.1 {
            return Ok(Self::of(&kept));
        }
        fail!(
            "UnrecognisedSnapshot",
            "Backup {name} keeps a {} in status.underlyingResources, which is no {}; take the backup anew",
            kept["kind"],
            SNAPSHOT.1
        )
    }
}

impl Postgres {
    /// What is kept with a Backup.
    pub fn snapshot(&self, cx: &Context<Cnpg>) -> Value {
        let Snapshot { databases, users } = Snapshot::of(&self.spec);
        let mut kept = json!({ "apiVersion": SNAPSHOT.0, "kind": SNAPSHOT.1 });
        for (name, map) in [
            ("databases", databases),
            ("users", users),
            ("parameters", json!(cx.all_parameters())),
        ] {
            if map.as_object().is_some_and(|map| !map.is_empty()) {
                kept[name] = map;
            }
        }
        kept
    }

    /// Makes the application say what its Cluster was restored from, so that Helm renders the Cluster that is there.
    ///
    /// `restored` is what its `spec` is to say of that. Users and databases become those of the snapshot, if there is
    /// one; users that stay keep their passwords.
    pub fn patch(&self, restored: &Value, snapshot: Option<&Snapshot>) -> Value {
        let mut spec = restored.clone();
        // The chart does not render both; the place is the same.
        if self.spec["backup"]["useSystemBucket"] == true {
            spec["backup"]["useSystemBucket"] = false.into();
        }
        if let Some(Snapshot { databases, users }) = snapshot {
            let found = Snapshot::of(&self.spec);
            spec["databases"] = merge_patch(&found.databases, databases);
            spec["users"] = merge_patch(&found.users, users);
        }
        json!({ "spec": spec })
    }
}

#[cfg(test)]
mod tests {
    use backup_strategy::part;

    use super::*;

    fn postgres(spec: Value) -> Postgres {
        part(&json!({ "spec": spec }), "").unwrap()
    }

    // TestBuildPostgresAppRestorePatch_ReplacesTargetUsersAndDatabases
    #[test]
    fn users_and_databases_become_those_of_the_snapshot() {
        let found = postgres(json!({
            "users": { "orders": { "password": "p", "replication": true }, "stale": { "password": "q" } },
            "databases": { "orders": { "roles": { "admin": ["orders"] }, "extensions": ["hstore"] }, "old": {} },
        }));
        let kept = Snapshot::of(&json!({
            "users": { "orders": { "password": "of-the-source" }, "reports": null },
            "databases": { "orders": { "roles": { "admin": ["orders", "reports"] } } },
        }));
        let patch = found.patch(&json!({}), Some(&kept));
        assert_eq!(
            patch["spec"]["users"],
            json!({ "orders": { "replication": null }, "reports": {}, "stale": null })
        );
        assert_eq!(
            patch["spec"]["databases"],
            json!({ "orders": { "roles": { "admin": ["orders", "reports"] }, "extensions": null }, "old": null })
        );
    }

    #[test]
    fn the_systems_bucket_gives_way_to_the_place_itself() {
        let restored = json!({ "backup": { "destinationPath": "s3://b/p/" } });
        let patched = |backup: Value| postgres(json!({ "backup": backup })).patch(&restored, None);
        let system = patched(json!({ "useSystemBucket": true }));
        assert_eq!(system["spec"]["backup"]["useSystemBucket"], false);
        let own = patched(json!({}));
        assert_eq!(own["spec"]["backup"].get("useSystemBucket"), None);
    }
}
