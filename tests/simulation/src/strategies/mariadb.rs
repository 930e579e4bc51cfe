//! MariaDB, by mariadb-operator.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stage::{MariaDbFate, MariaDbOperator};

use super::{Application, Order, Player, Shown, Simulated, Turn, place_of};
use crate::{
    ground::{PASSWORD, text},
    vault::Place,
};

pub(super) struct MariaDb;

static FATES: LazyLock<Vec<MariaDbFate>> = LazyLock::new(|| {
    vec![
        MariaDbFate::Completes,
        MariaDbFate::DumpFails,
        MariaDbFate::DumpStalls,
        MariaDbFate::DumpStuck("secret not found".to_owned()),
        MariaDbFate::DumpVanishes,
        MariaDbFate::RestoreFails,
        MariaDbFate::RestoreStalls,
        MariaDbFate::RestoreStuck("secret not found".to_owned()),
    ]
});

const API_VERSION: &str = "k8s.mariadb.com/v1alpha1";

/// Applications of another kind have the same names, and so the same folders.
const APPLICATIONS: [Application; 2] = [mariadb("orders"), mariadb("users")];

const fn mariadb(name: &'static str) -> Application {
    let kind = "MariaDB";
    Application { kind, name }
}

impl Simulated for MariaDb {
    fn kind(&self) -> &'static str {
        "MariaDB"
    }

    fn plugin(&self) -> &'static str {
        "mariadb"
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["template"]["storage"]["s3"]["prefix"] =
            json!("elsewhere/{{ .Release.Name }}/");
    }

    fn applications(&self) -> &'static [Application] {
        &APPLICATIONS
    }

    fn release(&self, name: &str) -> String {
        format!("mariadb-{name}")
    }

    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        stage::mariadb_objects(namespace, application.name, PASSWORD)
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "restoreTimeoutSeconds": "soon" }),
            json!({ "restoreTimeoutSeconds": 120 }),
        ]
    }

    fn group(&self) -> &'static str {
        "k8s.mariadb.com"
    }

    fn touches(&self) -> &'static [&'static str] {
        &["Backup", "MariaDB", "Pod", "Restore"]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        Box::new(|fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            let operator = MariaDbOperator::at(place, fate);
            let mut turn = Turn::of(&operator, cluster, now)?;
            for (mariadb, key) in operator.restored() {
                let (namespace, name) = mariadb.split_once("/mariadb-")?;
                turn.shown.push(Shown {
                    namespace: namespace.to_owned(),
                    kind: "MariaDB",
                    name: name.to_owned(),
                    from: (String::new(), key),
                });
            }
            Some(turn)
        })
    }

    fn orders(&self) -> &'static [Order] {
        &[
            Order {
                api_version: API_VERSION,
                kind: "Backup",
                most: 1,
                is_kept: true,
            },
            Order {
                api_version: API_VERSION,
                kind: "Restore",
                most: 1,
                is_kept: false,
            },
        ]
    }

    fn is_complete(&self, order: &Value) -> bool {
        text(order, "/status/conditions/0/reason") == "JobComplete"
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        place_of(text(backup, "/status/artifact/uri"))
    }
}
