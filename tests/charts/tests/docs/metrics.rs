//! Metrics that a page names are metrics of the host, and the page about them has every alert.

use std::{collections::BTreeSet, fs};

use charts::HOST;
use serde_json::Value;

use crate::page::{Page, docs, root};

/// Where names of metrics begin.
const PREFIXES: [&str; 5] = [
    "cozystack_backup_",
    "controller_runtime_",
    "workqueue_",
    "rest_client_",
    "leader_election_",
];

/// What Prometheus puts behind a name.
const SUFFIXES: [&str; 4] = ["_bucket", "_sum", "_count", "_total"];

/// The words of a text that look like names of metrics.
fn named(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

/// The sources of the host's metrics.
fn source() -> String {
    let sources = root().join("host/controller/src");
    let files = fs::read_dir(sources.join("metrics")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|path| !path.ends_with("tests.rs"));
    files
        .chain([sources.join("credentials.rs")])
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn every_metric_that_a_page_names_is_there() {
    let source = source();
    let mut pages = docs();
    pages.push(Page::read("host/controller/README.md"));
    let mut names = 0;
    for page in pages {
        for name in named(&page.text) {
            names += 1;
            let mut forms = SUFFIXES.iter().filter_map(|end| name.strip_suffix(end));
            let is_there = |name: &str| source.contains(&format!("\"{name}\""));
            assert!(
                is_there(name) || forms.any(is_there),
                "{} names {name}, which is no metric",
                page.path
            );
        }
    }
    assert!(names > 20, "{names} names");
}

#[test]
fn the_page_about_monitoring_has_every_alert_and_no_other() {
    let rules = fs::read_to_string(HOST.folder().join("files/monitoring/alerts.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&rules).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let alerts = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let alerts: BTreeSet<String> = alerts
        .map(|alert| format!("`{}`", alert["alert"].as_str().unwrap()))
        .collect();
    let page = Page::read("charts/backupstrategy-controller/docs/monitoring.md");
    let told = page.rows().into_iter();
    let told: BTreeSet<String> = told
        .filter(|(title, cell)| title == "Alerts" && cell.starts_with('`'))
        .map(|(_, cell)| cell)
        .collect();
    assert_eq!(told, alerts);
}
