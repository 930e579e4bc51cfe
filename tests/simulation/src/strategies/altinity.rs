//! ClickHouse, by clickhouse-backup beside it.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stage::{AltinityFate, ClickHouse};

use super::{Application, Order, Player, Shown, Simulated, Turn, place_of};
use crate::{ground::text, vault::Place};

pub(super) struct Altinity;

static FATES: LazyLock<Vec<AltinityFate>> = LazyLock::new(|| {
    let fails =
        |verb: &str| AltinityFate::CommandFails(verb.to_owned(), "no space left".to_owned());
    vec![
        AltinityFate::Completes,
        fails("create_remote"),
        fails("restore"),
        AltinityFate::KeysRefused,
        AltinityFate::Unreachable,
        AltinityFate::PodStuck("secret not found".to_owned()),
        AltinityFate::PodsLost,
        AltinityFate::Stalls,
        AltinityFate::WritesHalf,
    ]
});

const APPLICATIONS: [Application; 2] = [clickhouse("orders"), clickhouse("users")];

const fn clickhouse(name: &'static str) -> Application {
    let kind = "ClickHouse";
    Application { kind, name }
}

impl Simulated for Altinity {
    fn kind(&self) -> &'static str {
        "Altinity"
    }

    fn plugin(&self) -> &'static str {
        "altinity"
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["image"] = json!("{{ .Absent.member }}");
    }

    fn applications(&self) -> &'static [Application] {
        &APPLICATIONS
    }

    fn release(&self, name: &str) -> String {
        format!("clickhouse-{name}")
    }

    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        stage::clickhouse_objects(namespace, application.name, (1, 1))
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "restoreTimeoutSeconds": "soon" }),
            json!({ "tables": "shop.*" }),
        ]
    }

    fn group(&self) -> &'static str {
        "clickhouse.altinity.com"
    }

    fn touches(&self) -> &'static [&'static str] {
        &["ClickHouseInstallation", "Job", "Pod"]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        Box::new(|fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            let clickhouse = ClickHouse::at(place, fate);
            let mut turn = Turn::of(&clickhouse, cluster, now)?;
            let told = clickhouse.told();
            turn.shown
                .extend(told.iter().filter_map(|told| restored(told)));
            Some(turn)
        })
    }

    fn orders(&self) -> &'static [Order] {
        &[Order {
            api_version: "batch/v1",
            kind: "Job",
            // The second undoes what the first has begun.
            most: 2,
            is_kept: false,
        }]
    }

    fn is_complete(&self, order: &Value) -> bool {
        text(order, "/status/conditions/0/type") == "Complete"
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        place_of(text(backup, "/status/artifact/uri"))
    }
}

/// What a ClickHouse shows, where one was told to restore: `<namespace>/chi-<release>-…|restore … <archive>`.
fn restored(told: &str) -> Option<Shown> {
    let (host, command) = told.split_once('|')?;
    let (namespace, host) = host.split_once("/chi-clickhouse-")?;
    let name = host.split_once("-clickhouse-")?.0;
    let mut words = command
        .split(' ')
        .filter(|_| command.starts_with("restore "));
    let path = words.find_map(|word| word.strip_prefix("--env=S3_PATH="))?;
    let archive = words.next_back()?;
    Some(Shown {
        namespace: namespace.to_owned(),
        kind: "ClickHouse",
        name: name.to_owned(),
        from: (String::new(), format!("{path}/{archive}")),
    })
}
