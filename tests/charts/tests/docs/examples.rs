//! Examples of the pages are what the kinds take: each block of YAML can be read, objects of the chart's kinds keep to the
//! schemas of their definitions without a field that is unknown there, and values keep to the schema of a chart.

use std::collections::BTreeMap;

use charts::{CLICKHOUSE, Chart, HOST, VELERO};
use serde_json::Value;

use crate::page::{Page, docs};

/// Ends of the groups whose kinds are the chart's.
const GROUP: &str = "backups.cozystack.io/";

/// The schemas of the chart's kinds, by `apiVersion` and `kind`.
fn schemas() -> BTreeMap<(String, String), Value> {
    let mut schemas = BTreeMap::new();
    for definition in HOST.definitions().unwrap() {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for version in spec["versions"].as_array().unwrap() {
            let api_version = format!("{}/{}", text(&spec["group"]), text(&version["name"]));
            let schema = version["schema"]["openAPIV3Schema"].clone();
            schemas.insert((api_version, text(&spec["names"]["kind"])), schema);
        }
    }
    schemas
}

/// The paths of members that a structural schema does not know.
fn unknown(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        unknown(&schema["items"], item, &format!("{path}/{index}"), found);
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        // What every object has.
        if matches!(path.as_str(), "/apiVersion" | "/kind" | "/metadata") {
            continue;
        }
        let known = schema["properties"].get(name);
        let known = known.or_else(|| schema.get("additionalProperties"));
        match known {
            Some(known) => unknown(known, member, &path, found),
            None => found.push(path),
        }
    }
}

/// What is wrong with an object under a schema.
fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors = validator.iter_errors(object);
    let mut found = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    unknown(schema, object, "", &mut found);
    found
}

/// Whether something is values of a chart.
fn are_values_of(chart: Chart, values: &Value) -> bool {
    let schema = std::fs::read_to_string(chart.folder().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    jsonschema::is_valid(&schema, values)
}

/// The documents of a page's YAML, with a place for messages.
pub fn documents(page: &Page) -> Vec<(String, Value)> {
    let mut documents = vec![];
    for block in page.blocks() {
        if block.language != "yaml" {
            continue;
        }
        let place = format!("{}, line {}", page.path, block.line);
        let read: Result<Vec<Value>, _> = serde_saphyr::from_multiple(&block.text);
        let read = read.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(!read.is_empty(), "{place}: an empty block");
        documents.extend(read.into_iter().map(|document| (place.clone(), document)));
    }
    documents
}

#[test]
fn every_example_is_what_its_kind_takes() {
    let schemas = schemas();
    let mut pages = docs();
    pages.push(Page::read("README.md"));
    let mut count = 0;
    for (place, document) in pages.iter().flat_map(documents) {
        count += 1;
        let Some(api_version) = document["apiVersion"].as_str() else {
            let charts = [HOST, VELERO, CLICKHOUSE];
            assert!(
                charts
                    .into_iter()
                    .any(|chart| are_values_of(chart, &document)),
                "{place}: values of no chart"
            );
            continue;
        };
        let kind = document["kind"].as_str().unwrap_or_default();
        assert!(document["metadata"]["name"].is_string(), "{place}: no name");
        let key = (api_version.to_owned(), kind.to_owned());
        match schemas.get(&key) {
            Some(schema) => {
                let problems = problems(schema, &document);
                assert!(problems.is_empty(), "{place}: {problems:#?}");
            }
            None => assert!(!api_version.contains(GROUP), "{place}: there is no {key:?}"),
        }
    }
    assert!(count > 3, "{count} examples");
}

#[test]
fn what_a_kind_does_not_take_is_found() {
    let schemas = schemas();
    let key = (
        "backups.cozystack.io/v1alpha1".to_owned(),
        "BackupJob".to_owned(),
    );
    let job = |spec: &str| serde_saphyr::from_str(&format!("spec: {spec}")).unwrap();
    let wrong = |spec: &str| problems(&schemas[&key], &job(spec)).join(" ");
    let good = "{ backupClassName: a, applicationRef: { kind: Postgres, name: b } }";
    assert_eq!(wrong(good), "");
    let misspelt = "{ backupClassName: a, applicationRef: { kind: Postgres, nam: b } }";
    assert!(wrong(misspelt).contains("/spec/applicationRef/nam"));
    assert!(wrong(misspelt).contains("\"name\""));
}
