//! What the chart makes, kept: with its own values all of it, with others what they make of it.

use std::collections::BTreeMap;

use charts::{HOST, id};
use serde_json::{Value, json};

use crate::{cozystack, render};

/// What is kept: not what is a file of the chart already, as it is.
fn made(values: &Value) -> BTreeMap<String, Value> {
    let objects = render(values).into_iter();
    let made = objects.filter(|object| {
        let version = object["apiVersion"].as_str().unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        let is_a_file = version.starts_with("strategy.")
            || ["CustomResourceDefinition", "StrategyPlugin"]
                .iter()
                .any(|kind| object["kind"] == *kind)
            || name.starts_with("strategy-")
            || (name.contains(":strategy-") && !name.ends_with(":strategy-controller"));
        !is_a_file && name != "backupstrategy-controller-dashboard"
    });
    made.map(|object| (id(&object), object)).collect()
}

#[test]
fn the_chart_makes_what_is_kept() {
    let whole: Vec<Value> = made(&json!({})).into_values().collect();
    HOST.makes("default", &whole).unwrap();
}

#[test]
fn other_values_make_of_it_what_is_kept() {
    let plain = made(&json!({}));
    let everything = json!({
        "backupStrategyController": { "debug": true, "replicas": 3 },
        "extraPlugins": [
            { "name": "acme", "configMap": "acme-strategy" },
            { "name": "cassandra", "image": { "reference": "registry.example/c@sha256:0" }, "folder": "plugins" },
            { "name": "more", "persistentVolumeClaim": "strategies" },
        ],
        "monitoring": {
            "podMonitor": { "enabled": true },
            "traces": { "endpoint": "http://collector:4318" },
        },
        "networkPolicy": { "egress": [{ "ports": [{ "port": 443 }] }] },
    });
    let external = json!({ "backupStorage": {
        "provisionBucket": false, "bucketName": "backups-of-ours", "endpoint": "https://s3.example.org",
        "region": "eu-1", "caSecret": { "name": "storage-ca" },
    } });
    for (name, values) in [
        ("cozystack", &cozystack::values()),
        ("everything", &everything),
        ("external", &external),
    ] {
        let made = made(values);
        let absent = plain.keys().filter(|id| !made.contains_key(*id));
        let absent = json!({ "leftOut": absent.collect::<Vec<_>>() });
        let differs = made
            .iter()
            .filter(|(id, object)| plain.get(*id) != Some(object));
        let differs = differs.map(|(_, object)| object.clone());
        let kept: Vec<Value> = [absent].into_iter().chain(differs).collect();
        HOST.makes(name, &kept).unwrap();
    }
}
