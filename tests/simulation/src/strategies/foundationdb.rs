//! FoundationDB, by the FoundationDB operator and its backup agents.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stage::{FoundationDbFate, FoundationDbOperator};

use super::{Application, Order, Player, Shown, Simulated, Turn};
use crate::{ground::text, vault::Place};

pub(super) struct FoundationDb;

static FATES: LazyLock<Vec<FoundationDbFate>> = LazyLock::new(|| {
    vec![
        FoundationDbFate::Completes,
        FoundationDbFate::AgentsStuck("secret not found".to_owned()),
        FoundationDbFate::NoCredentials,
        FoundationDbFate::SnapshotStalls,
        FoundationDbFate::StreamsGoOn,
        FoundationDbFate::ClusterStalls,
        FoundationDbFate::VolumesStay,
        FoundationDbFate::RestoreStalls,
        FoundationDbFate::RestoreAborts,
    ]
});

const API_VERSION: &str = "apps.foundationdb.org/v1beta2";

const APPLICATIONS: [Application; 2] = [foundationdb("orders"), foundationdb("users")];

const fn foundationdb(name: &'static str) -> Application {
    let kind = "FoundationDB";
    Application { kind, name }
}

const fn order(kind: &'static str) -> Order {
    Order {
        api_version: API_VERSION,
        kind,
        most: 1,
        is_kept: false,
    }
}

/// The next backup of a cluster ends and removes the one before: what that has stored stays.
const ORDERS: [Order; 3] = [
    order("FoundationDBBackup"),
    order("FoundationDBRestore"),
    order("FoundationDBCluster"),
];

impl Simulated for FoundationDb {
    fn kind(&self) -> &'static str {
        "FoundationDB"
    }

    fn plugin(&self) -> &'static str {
        "foundationdb"
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["template"]["blobStoreConfiguration"]["backupName"] =
            json!("{{ .Absent.member }}");
    }

    fn applications(&self) -> &'static [Application] {
        &APPLICATIONS
    }

    fn release(&self, name: &str) -> String {
        format!("foundationdb-{name}")
    }

    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        stage::foundationdb_objects(namespace, application.name)
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "restoreTimeoutSeconds": "soon" }),
            json!({ "restoreTimeoutSeconds": 600 }),
            json!({ "backupVersion": 1 }),
        ]
    }

    fn group(&self) -> &'static str {
        "apps.foundationdb.org"
    }

    fn touches(&self) -> &'static [&'static str] {
        &[
            "FoundationDBBackup",
            "FoundationDBCluster",
            "FoundationDBRestore",
            "HelmRelease",
            "PersistentVolumeClaim",
        ]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        Box::new(|fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            Turn::of(&FoundationDbOperator::at(place, fate), cluster, now)
        })
    }

    fn orders(&self) -> &'static [Order] {
        &ORDERS
    }

    fn is_complete(&self, order: &Value) -> bool {
        match text(order, "/kind") {
            "FoundationDBBackup" => {
                order.pointer("/status/backupDetails/restorable") == Some(&json!(true))
            }
            "FoundationDBRestore" => text(order, "/status/state") == "completed",
            _ => false,
        }
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        let said = |key: &str| {
            let metadata = "/spec/driverMetadata/apps.foundationdb.org~1";
            text(backup, &format!("{metadata}{key}")).to_owned()
        };
        let (bucket, name) = (said("bucket"), said("blob-backup-name"));
        (!name.is_empty()).then(|| (bucket, format!("data/{name}")))
    }

    /// A cluster stores its changes in one place only. What a restore makes to have agents stores nothing.
    fn claims(&self, object: &Value) -> Option<String> {
        let stores = object["kind"] == "FoundationDBBackup"
            && text(object, "/spec/backupState") != "Stopped";
        stores.then(|| {
            let (namespace, cluster) = (
                text(object, "/metadata/namespace"),
                text(object, "/spec/clusterName"),
            );
            format!("the stream of {namespace}/{cluster}")
        })
    }

    fn shown(&self, object: &Value) -> Vec<Shown> {
        let is_cluster = object["kind"] == "FoundationDBCluster";
        let restored = is_cluster.then(|| FoundationDbOperator::restored(object));
        let shown = restored.flatten().map(|(name, _)| Shown {
            namespace: text(object, "/metadata/namespace").to_owned(),
            kind: "FoundationDB",
            name: text(object, "/metadata/name").replacen("foundationdb-", "", 1),
            from: (String::new(), format!("data/{name}")),
        });
        shown.into_iter().collect()
    }
}
