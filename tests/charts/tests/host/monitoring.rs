//! What watches over the host, and what it is watched by.

use std::collections::{BTreeMap, BTreeSet};

use charts::HOST;
use serde_json::{Value, json};

use crate::render;

/// With everything switched on.
fn whole() -> Vec<Value> {
    render(&json!({ "monitoring": {
        "podMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
        "alerts": { "enabled": true },
    } }))
}

fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap();
    assert!(found.next().is_none(), "{kind}");
    object
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn alerts(objects: &[Value]) -> Vec<&Value> {
    let groups = one(objects, "PrometheusRule")["spec"]["groups"].as_array();
    let rules = groups.unwrap().iter().map(|group| &group["rules"]);
    rules.flat_map(|rules| rules.as_array().unwrap()).collect()
}

fn panels(objects: &[Value]) -> Vec<Value> {
    let map = objects
        .iter()
        .find(|object| object["kind"] == "ConfigMap")
        .unwrap();
    let dashboard: Value = serde_json::from_str(text(&map["data"]["backups.json"])).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

/// Every expression of alerts and dashboard, with where it stands.
fn expressions(objects: &[Value]) -> Vec<(String, String)> {
    let alerts = alerts(objects).into_iter();
    let alerts = alerts.map(|alert| {
        (
            text(&alert["alert"]).to_owned(),
            text(&alert["expr"]).to_owned(),
        )
    });
    let panels = panels(objects);
    let panels = panels.iter().flat_map(|panel| {
        let title = text(&panel["title"]);
        let targets = panel["targets"].as_array().unwrap().iter();
        targets.map(move |target| (title.to_owned(), text(&target["expr"]).to_owned()))
    });
    alerts.chain(panels).collect()
}

/// The metrics of the host with their labels, as its README has them, which its own tests hold against what it tells.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let page = HOST.folder().join("../../host/controller/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let type_ = cells.next()?;
        let labels = cells.next()?.split(", ").map(ToOwned::to_owned).collect();
        let parts: &[&str] = match type_ {
            "counter" | "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => return None,
        };
        Some(
            parts
                .iter()
                .map(move |part| (format!("{name}{part}"), BTreeSet::clone(&labels)))
                .collect::<Vec<_>>(),
        )
    });
    rows.flatten().collect()
}

/// The names in an expression of Prometheus: words that are not within quotes, nor a range.
fn words(expression: &str) -> Vec<&str> {
    let outside = expression.split('"').step_by(2);
    let words = outside.flat_map(|part| {
        part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
    });
    words
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .collect()
}

/// What Prometheus' language has itself, with the ranges that are used.
const LANGUAGE: &[&str] = &[
    "absent",
    "by",
    "count",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "or",
    "rate",
    "sum",
    "time",
    "vector",
    "le",
];

#[test]
fn every_metric_that_is_named_is_one_of_the_hosts_with_the_labels_that_are_named() {
    let (metrics, objects) = (metrics(), whole());
    assert!(metrics.len() > 30, "{metrics:?}");
    let expressions = expressions(&objects);
    assert!(expressions.len() > 20);
    for (place, expression) in expressions {
        let words: Vec<_> = words(&expression);
        let (named, rest): (Vec<_>, Vec<_>) = words
            .into_iter()
            .partition(|word| metrics.contains_key(*word));
        assert!(!named.is_empty(), "{place}: {expression}");
        let labels: BTreeSet<_> = named.iter().flat_map(|name| &metrics[*name]).collect();
        for word in rest {
            let is_known = LANGUAGE.contains(&word) || labels.contains(&word.to_owned());
            assert!(is_known, "{place}: {word} in {expression}");
        }
    }
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    let objects = whole();
    let alerts = alerts(&objects);
    let about = |word: &str| {
        alerts
            .iter()
            .any(|alert| text(&alert["alert"]).contains(word))
    };
    for word in [
        "WithoutSuccess",
        "NotProjected",
        "Lost",
        "PluginDegraded",
        "LeftBehind",
    ] {
        assert!(about(word), "{word}");
    }
    for alert in &alerts {
        let annotations = &alert["annotations"];
        for what in ["summary", "description", "runbook"] {
            assert!(annotations[what].is_string(), "{what}: {alert}");
        }
        assert!(["warning", "critical"].contains(&text(&alert["labels"]["severity"])));
    }
    let plan = alerts
        .iter()
        .find(|alert| alert["alert"] == "BackupPlanWithoutSuccess");
    assert!(
        text(&plan.unwrap()["annotations"]["summary"]).contains("{{ $labels.plan }}"),
        "what is for Prometheus is left to it"
    );
}

#[test]
fn every_panel_has_a_place_of_its_own() {
    let mut taken = BTreeSet::new();
    for panel in panels(&whole()) {
        let number = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(number("x") + number("w") <= 24, "{panel}");
        for x in number("x")..number("x") + number("w") {
            for y in number("y")..number("y") + number("h") {
                assert!(taken.insert((x, y)), "{panel}");
            }
        }
    }
}

#[test]
fn the_tenants_namespace_stays_a_label_of_its_own() {
    let objects = whole();
    let monitor = one(&objects, "PodMonitor");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["honorLabels"], true);
    assert_eq!(endpoint["port"], "metrics");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
}

#[test]
fn kinds_that_may_not_be_there_are_left_out_until_they_are_asked_for() {
    let kinds = |values: &Value| -> BTreeSet<String> {
        let objects = render(values);
        objects
            .iter()
            .map(|object| text(&object["kind"]).to_owned())
            .collect()
    };
    let by_default = kinds(&json!({}));
    assert!(!by_default.contains("PodMonitor") && !by_default.contains("PrometheusRule"));
    assert!(by_default.contains("ConfigMap") && by_default.contains("NetworkPolicy"));
    let less = kinds(&json!({
        "monitoring": { "dashboard": { "enabled": false } }, "networkPolicy": { "enabled": false },
    }));
    assert!(!less.contains("ConfigMap") && !less.contains("NetworkPolicy"));
}

#[test]
fn only_who_is_named_reads_metrics() {
    let rules = |values: &Value| one(&render(values), "NetworkPolicy")["spec"].clone();
    let spec = rules(&json!({}));
    assert_eq!(spec["policyTypes"], json!(["Ingress"]));
    let [probes, metrics] = spec["ingress"].as_array().unwrap().as_slice() else {
        panic!("{spec}")
    };
    assert_eq!(probes["ports"], json!([{ "port": "health" }]));
    assert_eq!(metrics["ports"], json!([{ "port": "metrics" }]));
    let from = &metrics["from"][0]["namespaceSelector"]["matchLabels"];
    assert_eq!(from["kubernetes.io/metadata.name"], "cozy-monitoring");

    let nobody = rules(&json!({ "networkPolicy": { "metricsFrom": [] } }));
    assert_eq!(nobody["ingress"].as_array().unwrap().len(), 1);
    let bounded = json!({ "networkPolicy": { "egress": [{ "ports": [{ "port": 443 }] }] } });
    let bounded = rules(&bounded);
    assert_eq!(bounded["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(bounded["egress"], json!([{ "ports": [{ "port": 443 }] }]));
}
