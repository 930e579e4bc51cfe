//! What the chart's pages say is what the chart does.

use charts::{HOST, row};
use serde_json::{Value, json};

use crate::render;

#[test]
fn the_readme_tells_all_values() {
    HOST.tells_its_values().unwrap();
}

/// A cell with the texts of a list.
fn cell(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten();
    let words = words.map(|word| match word.as_str().unwrap() {
        "" => "core".to_owned(),
        word => format!("`{word}`"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_about_rights_has_those_of_the_host() {
    let objects = render(&json!({ "backupStorage": { "caSecret": { "name": "private-ca" } } }));
    let mut rows = vec![row(["where", "group", "resources", "names", "verbs"])];
    let is_the_hosts = |role: &&Value| {
        let name = role["metadata"]["name"].as_str().unwrap();
        let own = name == "backups.cozystack.io:strategy-controller" || name.starts_with(HOST.name);
        own && role["kind"].as_str().unwrap().ends_with("Role")
    };
    for role in objects.iter().filter(is_the_hosts) {
        let namespace = role["metadata"]["namespace"].as_str();
        for rule in role["rules"].as_array().unwrap() {
            rows.push(vec![
                namespace.map_or("everywhere".to_owned(), |name| format!("`{name}`")),
                cell(&rule["apiGroups"]),
                cell(&rule["resources"]),
                cell(&rule["resourceNames"]),
                cell(&rule["verbs"]),
            ]);
        }
    }
    assert!(rows.len() > 15, "{rows:?}");
    HOST.has_table("docs/rbac.md", "rights of the host", &rows)
        .unwrap();
}

#[test]
fn the_page_about_rights_has_every_policy() {
    let page = std::fs::read_to_string(HOST.folder().join("docs/rbac.md")).unwrap();
    let objects = render(&json!({}));
    let is_policy = |object: &&Value| object["kind"] == "ValidatingAdmissionPolicy";
    for policy in objects.iter().filter(is_policy) {
        let name = policy["metadata"]["name"].as_str().unwrap();
        let name = name.trim_end_matches(".backups.cozystack.io");
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}
