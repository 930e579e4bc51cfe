//! What the chart's pages say is what the chart does.

use charts::HOST;
use serde_json::{Value, json};

use crate::{is_in_chart, render};

/// A page has a table between these two lines.
fn has_table(page: &str, name: &str, rows: &[Vec<String>]) {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let text = std::fs::read_to_string(HOST.folder().join(page)).unwrap();
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    let rule = vec!["---".to_owned(); rows[0].len()];
    lines.insert(1, format!("|{}|\n", rule.join("|")));
    let table = lines.concat();
    is_in_chart(page, &format!("{before}{begin}{table}{end}{after}"));
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(ToOwned::to_owned).to_vec()
}

/// The values, in the order of `values.yaml`, with what the schema says of them.
fn values(schema: &Value, value: &Value, path: &str, rows: &mut Vec<Vec<String>>) {
    let properties = &schema["properties"];
    let Some(members) = value.as_object().filter(|_| properties.is_object()) else {
        let meaning = schema["description"].as_str();
        let meaning = meaning.unwrap_or_else(|| panic!("the schema does not describe {path}"));
        rows.push(row([&format!("`{path}`"), &format!("`{value}`"), meaning]));
        return;
    };
    assert!(
        !schema["additionalProperties"].as_bool().unwrap_or(true),
        "{path}"
    );
    // What a chart around this one hands to all is not a value of its own.
    let named = properties.as_object().unwrap().keys();
    let named = named.filter(|name| *name != "global");
    assert!(
        named.eq(members.keys()),
        "values.yaml and its schema differ: {path}"
    );
    for (name, value) in members {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        values(&properties[name], value, &path, rows);
    }
}

#[test]
fn the_readme_tells_all_values() {
    let read = |file: &str| std::fs::read_to_string(HOST.folder().join(file)).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let defaults: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut rows = vec![row(["value", "default", "meaning"])];
    values(&schema, &defaults, "", &mut rows);
    has_table("README.md", "values", &rows);
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
    has_table("docs/rbac.md", "rights of the host", &rows);
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
