//! Postgres, by CloudNativePG.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stage::Fate;

use super::{Application, Order, Player, Shown, Simulated, Turn, place_of};
use crate::{
    ground::{PASSWORD, text},
    vault::Place,
};

pub(super) struct Cnpg;

static FATES: LazyLock<Vec<Fate>> = LazyLock::new(|| {
    vec![
        Fate::Completes,
        Fate::Fails("no space left on device".to_owned()),
        Fate::Stalls,
        Fate::HoldsUp("no space left on device".to_owned()),
        Fate::RecoveryStalls,
        Fate::VolumesStay,
    ]
});

const APPLICATIONS: [Application; 2] = [postgres("orders"), postgres("users")];

const fn postgres(name: &'static str) -> Application {
    let kind = "Postgres";
    Application { kind, name }
}

impl Simulated for Cnpg {
    fn kind(&self) -> &'static str {
        "CNPG"
    }

    fn plugin(&self) -> &'static str {
        "cnpg"
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["template"]["serverName"] = json!("{{ .Absent.member }}");
    }

    fn applications(&self) -> &'static [Application] {
        &APPLICATIONS
    }

    fn release(&self, name: &str) -> String {
        format!("postgres-{name}")
    }

    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        stage::postgres_objects(namespace, application.name, PASSWORD)
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "restoreTimeoutSeconds": "soon" }),
            json!({ "restoreTimeoutSeconds": 900 }),
            json!({ "recoveryTime": "yesterday" }),
        ]
    }

    fn group(&self) -> &'static str {
        "postgresql.cnpg.io"
    }

    fn touches(&self) -> &'static [&'static str] {
        &[
            "Backup",
            "Cluster",
            "HelmRelease",
            "ObjectStore",
            "PersistentVolumeClaim",
            "Postgres",
        ]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        Box::new(|fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            Turn::of(&stage::Cnpg::at(place, fate), cluster, now)
        })
    }

    fn orders(&self) -> &'static [Order] {
        const API_VERSION: &str = "postgresql.cnpg.io/v1";
        &[
            Order {
                api_version: API_VERSION,
                kind: "Backup",
                most: 1,
                is_kept: true,
            },
            Order {
                api_version: API_VERSION,
                kind: "Cluster",
                most: 1,
                is_kept: false,
            },
        ]
    }

    fn is_complete(&self, order: &Value) -> bool {
        let phase = text(order, "/status/phase");
        match text(order, "/kind") {
            "Backup" => phase == "completed",
            _ => phase == "Cluster in healthy state",
        }
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        let said = |key: &str| text(backup, &format!("/spec/driverMetadata/cnpg.io~1{key}"));
        let destination = said("destination-path").trim_end_matches('/');
        let (server, id) = (said("server-name"), said("backup-id"));
        if server.is_empty() || id.is_empty() {
            return None;
        }
        place_of(&format!("{destination}/{server}/base/{id}"))
    }

    /// A Pod says which base backup its data is from.
    fn shown(&self, object: &Value) -> Vec<Shown> {
        let from = object["metadata"]["annotations"]["stage/recovered-from"].as_str();
        let from = from.filter(|_| object["kind"] == "Pod").and_then(place_of);
        let cluster = text(object, "/metadata/labels/cnpg.io~1cluster");
        let name = cluster.strip_prefix("postgres-");
        let shown = name.zip(from).map(|(name, from)| Shown {
            namespace: text(object, "/metadata/namespace").to_owned(),
            kind: "Postgres",
            name: name.to_owned(),
            from,
        });
        shown.into_iter().collect()
    }
}
