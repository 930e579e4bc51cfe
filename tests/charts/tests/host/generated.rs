//! The files that are made from the code: the definitions, and what installs the plugins of the bundle.

use std::collections::BTreeMap;

use charts::{HOST, UPDATE};
use serde_json::{Value, json};
use stage::Stage;
use strategyctl::{HostAccount, installation};

/// The folders that hold made files and nothing else.
const FOLDERS: [&str; 2] = ["crds", "templates/plugins"];

/// The made files by their names in the chart.
fn files() -> BTreeMap<String, String> {
    let definitions = backup_api::definitions();
    let definitions = definitions.iter().map(serde_json::to_value);
    let mut files: BTreeMap<_, _> = definitions
        .map(|definition| definition_file("the types of host/api", definition.unwrap()))
        .collect();
    for component in components() {
        let from = format!("the manifest of {component}");
        let (definitions, others): (Vec<_>, Vec<_>) = installed(&component)
            .into_iter()
            .partition(|object| object["kind"] == "CustomResourceDefinition");
        files.extend(
            definitions
                .into_iter()
                .map(|definition| definition_file(&from, definition)),
        );
        let documents: Vec<String> = others.iter().map(yaml).collect();
        let name = component.trim_end_matches(".wasm");
        files.insert(
            format!("templates/plugins/{name}.yaml"),
            format!("{}{}", note(&from), documents.join("---\n")),
        );
    }
    files
}

/// The file names of the bundle's components.
fn components() -> Vec<String> {
    let entries = std::fs::read_dir(stage::bundle().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".wasm")).collect();
    names.sort();
    names
}

/// What `strategyctl manifests` prints for a component of the bundle, for the release's namespace, and without a digest:
/// the image holds the component, and of an upgrade's two versions of the image each has its own.
fn installed(component: &str) -> Vec<Value> {
    let host = HostAccount {
        namespace: "{{ .Release.Namespace }}".to_owned(),
        name: HOST.name.to_owned(),
    };
    let strategy = Stage::bundled(component).unwrap();
    let mut objects = installation(&strategy, component, &host).unwrap();
    for object in &mut objects {
        if object["kind"] == "StrategyPlugin" {
            object["spec"].as_object_mut().unwrap().remove("digest");
        }
    }
    objects
}

/// A definition that an upgrade of the release changes, and that an uninstall leaves: `templates/crds.yaml` tells why.
fn definition_file(from: &str, mut definition: Value) -> (String, String) {
    let metadata = definition["metadata"].as_object_mut().unwrap();
    let mut set = |member: &str, key: &str, value: &str| {
        let entry = metadata.entry(member).or_insert_with(|| json!({}));
        entry[key] = json!(value);
    };
    set("labels", "app.kubernetes.io/managed-by", "Helm");
    set("annotations", "meta.helm.sh/release-name", HOST.name);
    set(
        "annotations",
        "meta.helm.sh/release-namespace",
        HOST.namespace,
    );
    set("annotations", "helm.sh/resource-policy", "keep");
    let name = definition["metadata"]["name"].as_str().unwrap();
    (
        format!("crds/{name}.yaml"),
        format!("{}{}", note(from), yaml(&definition)),
    )
}

fn note(from: &str) -> String {
    format!("# Made from {from} by the tests of this chart, with {UPDATE}=1. Not to be edited.\n")
}

fn yaml(object: &Value) -> String {
    serde_saphyr::to_string(object).unwrap()
}

#[test]
fn the_definitions_and_the_plugins_are_what_the_code_says() {
    let files = files();
    assert!(files.len() >= 6 + 2 * 2, "{:?}", files.keys());
    for folder in FOLDERS {
        for entry in std::fs::read_dir(HOST.folder().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().display());
            if !files.contains_key(&name) && std::env::var_os(UPDATE).is_some() {
                std::fs::remove_file(&path).unwrap();
                continue;
            }
            assert!(files.contains_key(&name), "nothing makes {name} any more");
        }
    }
    for (file, text) in &files {
        HOST.has_file(file, text).unwrap();
    }
}
