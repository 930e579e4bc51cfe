//! Fields, values and commands that the pages name in backticks are there.

use std::{collections::BTreeSet, fs};

use charts::{CLICKHOUSE, Chart, HOST, VELERO};
use serde_json::Value;

use crate::page::{Page, all, docs, root};

/// Fields of other kinds than the chart's.
const OF_OTHERS: [&str; 5] = [
    "spec.backup.barmanObjectStore",
    "spec.disks",
    "spec.plugins",
    "spec.replicas",
    "status.health",
];

/// What stands in backticks outside of blocks.
fn in_backticks(page: &Page) -> Vec<String> {
    let prose = page.prose();
    let words = prose
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    words.map(ToOwned::to_owned).collect()
}

/// Whether a text is a path of members, such as `spec.storage`.
fn is_path(word: &str) -> bool {
    let mut members = word.split('.');
    let is_member = |member: &str| {
        member.starts_with(|c: char| c.is_ascii_lowercase())
            && member.chars().all(|c| c.is_ascii_alphanumeric())
    };
    word.contains('.') && members.all(is_member)
}

/// Whether a schema has a path, as far as it says what is there.
fn has(schema: &Value, path: &str) -> bool {
    let mut at = schema;
    for member in path.split('.') {
        if at["x-kubernetes-preserve-unknown-fields"] == true {
            return true;
        }
        if at["type"] == "array" {
            at = &at["items"];
        }
        at = match at["properties"].get(member) {
            Some(inner) => inner,
            None => match at.get("additionalProperties") {
                Some(inner) if inner.is_object() => inner,
                _ => return false,
            },
        };
    }
    true
}

#[test]
fn every_field_that_a_page_names_is_there() {
    let schemas: Vec<Value> = HOST
        .definitions()
        .unwrap()
        .iter()
        .map(|definition| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        .collect();
    let mut count = 0;
    for page in docs() {
        for word in in_backticks(&page) {
            let is_field = word.starts_with("spec.") || word.starts_with("status.");
            if !is_field || !is_path(&word) || OF_OTHERS.contains(&word.as_str()) {
                continue;
            }
            count += 1;
            assert!(
                schemas.iter().any(|schema| has(schema, &word)),
                "{} names {word}, which no kind has",
                page.path
            );
        }
    }
    assert!(count > 20, "{count} fields");
}

/// The paths of all values of a chart, with those of the parts.
fn values(chart: Chart) -> BTreeSet<String> {
    fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        found.insert(path.to_owned());
        for (name, member) in value.as_object().into_iter().flatten() {
            collect(
                member,
                format!("{path}.{name}").trim_start_matches('.'),
                found,
            );
        }
    }
    let text = fs::read_to_string(chart.folder().join("values.yaml")).unwrap();
    let mut found = BTreeSet::new();
    collect(&serde_saphyr::from_str(&text).unwrap(), "", &mut found);
    found
}

#[test]
fn every_value_that_a_page_names_is_there() {
    let known: BTreeSet<String> = [HOST, VELERO, CLICKHOUSE]
        .into_iter()
        .flat_map(values)
        .collect();
    let roots: BTreeSet<&str> = known
        .iter()
        .filter_map(|path| path.split('.').next())
        .collect();
    let mut count = 0;
    for page in docs() {
        for word in in_backticks(&page) {
            let root = word.split('.').next().unwrap_or_default();
            let is_group = word.ends_with(".io");
            if is_path(&word) && roots.contains(root) && !is_group {
                count += 1;
                assert!(known.contains(&word), "{}: {word} is no value", page.path);
            }
        }
    }
    assert!(count > 10, "{count} values");
}

/// Whether a tool of ours has a command: a variant of its `Command`.
fn has_command(main: &str, command: &str) -> bool {
    let mut letters = command.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let variant: String = first.into_iter().chain(letters).collect();
    main.contains(&format!("Command::{variant}"))
}

#[test]
fn every_command_of_ours_that_a_page_shows_is_there() {
    let tools = [
        ("$ strategyctl ", "host/ctl/src/main.rs"),
        ("$ cargo xtask ", "tests/xtask/src/main.rs"),
    ];
    let mut count = 0;
    for (tool, main) in tools {
        let main = fs::read_to_string(root().join(main)).unwrap();
        for page in all() {
            let lines = page.blocks().into_iter();
            let lines = lines.flat_map(|block| {
                let lines = block.text.lines().map(ToOwned::to_owned);
                lines.collect::<Vec<_>>()
            });
            for line in lines {
                let command = line
                    .strip_prefix(tool)
                    .and_then(|rest| rest.split(' ').next());
                let Some(command) = command else { continue };
                count += 1;
                assert!(has_command(&main, command), "{}: {line}", page.path);
            }
        }
    }
    assert!(count > 5, "{count} commands");
}
