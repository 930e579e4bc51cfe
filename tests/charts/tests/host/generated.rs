//! The files that are made from the code: the definitions, and what installs the plugins of the bundle. What a plugin
//! may do in a system namespace is in the chart of whoever is there.

use std::collections::BTreeMap;

use charts::{Chart, HOST, UPDATE, VELERO};
use serde_json::{Value, json};
use stage::Stage;
use strategyctl::{HostAccount, installation};

/// The folders that hold made files and nothing else.
const FOLDERS: [(Chart, &str); 3] = [
    (HOST, "crds"),
    (HOST, "templates/plugins"),
    (VELERO, "templates/plugins"),
];

/// The made files, each by its chart's name and its own.
type Files = BTreeMap<(&'static str, String), String>;

fn files() -> Files {
    let mut files = Files::new();
    for definition in backup_api::definitions() {
        let definition = serde_json::to_value(definition).unwrap();
        files.extend([definition_file("the types of host/api", definition)]);
    }
    for component in components() {
        let from = format!("the manifest of {component}");
        let file = format!(
            "templates/plugins/{}.yaml",
            component.trim_end_matches(".wasm")
        );
        let mut of_the_host = vec![];
        for object in installed(&component, "{{ .Release.Namespace }}") {
            if object["kind"] == "CustomResourceDefinition" {
                files.extend([definition_file(&from, object)]);
            } else if !is_in_a_system_namespace(&object) {
                of_the_host.push(yaml(&object));
            }
        }
        let text = format!("{}{}", note(&from), of_the_host.join("---\n"));
        files.insert((HOST.name, file.clone()), text);
        let beside = installed(&component, "{{ .Values.host.namespace }}");
        let beside: Vec<String> = beside.iter().filter_map(beside_the_operator).collect();
        if !beside.is_empty() {
            let text = format!("{}{}", note(&from), beside.join("---\n"));
            files.insert((VELERO.name, file), text);
        }
    }
    files
}

/// Whether an object lies in a namespace that is not the host's.
fn is_in_a_system_namespace(object: &Value) -> bool {
    let namespace = object["metadata"]["namespace"].as_str();
    namespace.is_some_and(|namespace| !namespace.starts_with("{{"))
}

/// An object in the namespace of an operator, as the chart beside that operator has it.
fn beside_the_operator(object: &Value) -> Option<String> {
    let namespace = object["metadata"]["namespace"].as_str()?;
    if !is_in_a_system_namespace(object) {
        return None;
    }
    assert_eq!(
        namespace, VELERO.namespace,
        "no chart is for that namespace"
    );
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!("{{ .Release.Namespace }}");
    Some(yaml(&object))
}

/// The file names of the bundle's components.
fn components() -> Vec<String> {
    let entries = std::fs::read_dir(stage::bundle().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".wasm")).collect();
    names.sort();
    names
}

/// What `strategyctl manifests` prints for a component of the bundle and a namespace of the host, without a digest: the
/// image holds the component, and of an upgrade's two versions of the image each has its own.
fn installed(component: &str, namespace: &str) -> Vec<Value> {
    let host = HostAccount {
        namespace: namespace.to_owned(),
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
fn definition_file(from: &str, mut definition: Value) -> ((&'static str, String), String) {
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
        (HOST.name, format!("crds/{name}.yaml")),
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
    for (chart, folder) in FOLDERS {
        for entry in std::fs::read_dir(chart.folder().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let file = format!("{folder}/{}", path.file_name().unwrap().display());
            if files.contains_key(&(chart.name, file.clone())) {
                continue;
            }
            assert!(
                std::env::var_os(UPDATE).is_some(),
                "nothing makes {file} of {} any more",
                chart.name
            );
            std::fs::remove_file(&path).unwrap();
        }
    }
    for ((chart, file), text) in &files {
        let chart = if *chart == HOST.name { HOST } else { VELERO };
        chart.has_file(file, text).unwrap();
    }
}
