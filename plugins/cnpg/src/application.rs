//! The Postgres application, as far as a backup keeps it and a restore changes it.

use std::collections::BTreeMap;

use backup_strategy::{merge_patch, prelude::*};
use serde::{Deserialize, Serialize};

use crate::Cnpg;

/// The document that is kept with a Backup.
const SNAPSHOT: (&str, &str) = ("backups.cozystack.io/v1alpha1", "CNPGBackupSnapshot");

/// A Postgres application.
#[derive(Deserialize)]
pub struct Postgres {
    #[serde(default)]
    pub spec: PostgresSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct PostgresSpec {
    databases: Option<BTreeMap<String, Value>>,
    users: Option<Users>,
    backup: Option<Backup>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Backup {
    use_system_bucket: bool,
}

impl Object for Postgres {
    const API_VERSION: &str = "apps.cozystack.io/v1alpha1";
    const KIND: &str = "Postgres";
}

type Users = BTreeMap<String, Option<User>>;

/// Without the password: a Backup is readable by the tenant, and a role that is restored has the one that it had.
#[derive(Deserialize, Serialize, Default)]
pub struct User {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replication: Option<bool>,
}

/// What a restore brings back besides the data.
#[derive(Deserialize)]
pub struct Snapshot {
    kind: Option<String>,
    #[serde(default)]
    databases: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    users: Option<Users>,
}

/// What is kept with a Backup.
pub fn snapshot(cx: &Context<Cnpg>, application: &Postgres) -> Value {
    pruned_maps(
        json!({ "apiVersion": SNAPSHOT.0, "kind": SNAPSHOT.1 }),
        [
            ("databases", json!(application.spec.databases)),
            ("users", json!(application.spec.users)),
            ("parameters", json!(cx.all_parameters())),
        ],
    )
}

/// A document with those of these maps that hold something.
fn pruned_maps(mut document: Value, maps: [(&str, Value); 3]) -> Value {
    for (name, map) in maps {
        if map.as_object().is_some_and(|map| !map.is_empty()) {
            document[name] = map;
        }
    }
    document
}

impl Snapshot {
    /// What was kept with a Backup. Without it the chart would take restored databases and roles for superfluous.
    pub fn of(source: &FinishedBackup) -> Outcome<Self> {
        let name = &source.name;
        let kept = source.resources::<Self>()?.or_fail(
            "SnapshotMissing",
            format!(
                "Backup {name} keeps no users and databases in status.underlyingResources; take the backup anew"
            ),
        )?;
        if kept.kind.as_deref() == Some(SNAPSHOT.1) {
            return Ok(kept);
        }
        let kind = kept.kind.unwrap_or_default();
        fail(
            "UnrecognisedSnapshot",
            format!(
                "Backup {name} keeps a {kind:?} in status.underlyingResources, which is no {}; take the backup anew",
                SNAPSHOT.1
            ),
        )
    }

    /// What makes an application's users and databases those of the backup. Users that stay keep their passwords.
    fn patch(&self, found: &PostgresSpec) -> Value {
        json!({
            "databases": merge_patch(&json!(found.databases), &json!(self.databases.as_ref().unwrap_or(&BTreeMap::new()))),
            "users": merge_patch(&json!(found.users), &json!(self.users.as_ref().unwrap_or(&BTreeMap::new()))),
        })
    }
}

/// Makes the application say what its Cluster was restored from, so that Helm renders the Cluster that is there.
///
/// `bootstrap` and `backup` are those of its `spec`; without a snapshot, users and databases stay as they are.
pub fn patch(
    found: &Postgres,
    snapshot: Option<&Snapshot>,
    bootstrap: &Value,
    backup: &Value,
) -> Value {
    let mut spec = snapshot.map_or_else(|| json!({}), |snapshot| snapshot.patch(&found.spec));
    spec["bootstrap"] = bootstrap.clone();
    spec["backup"] = backup.clone();
    // The chart does not render both; the place is the same.
    if found
        .spec
        .backup
        .as_ref()
        .is_some_and(|backup| backup.use_system_bucket)
    {
        spec["backup"]["useSystemBucket"] = false.into();
    }
    json!({ "spec": spec })
}
