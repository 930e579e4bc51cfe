//! The recipe of the image is what the chart's Deployment expects: no builder is needed to see that.

use std::path::Path;

use charts::HOST;
use clap::CommandFactory as _;
use serde_json::{Value, json};

use crate::render;

/// The program that the recipe builds.
const PROGRAM: &str = "/usr/local/bin/backupstrategy-controller";

/// The lines of the recipe that say something, those of its last stage apart.
fn recipe() -> (Vec<String>, Vec<String>) {
    let text = std::fs::read_to_string(HOST.folder().join("../../host/Containerfile")).unwrap();
    let text = text.replace("\\\n", " ");
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut before: Vec<String> = lines.map(ToOwned::to_owned).collect();
    let last = before.iter().rposition(|line| line.starts_with("FROM "));
    let image = before.split_off(last.unwrap());
    (before, image)
}

/// What an instruction of the last stage says, each time that it is there.
fn said(instruction: &str) -> Vec<String> {
    let said = recipe().1.into_iter();
    let said = said.filter_map(|line| Some(line.strip_prefix(instruction)?.trim().to_owned()));
    said.collect()
}

/// The Pod of the host, and its container.
fn pod() -> (Value, Value) {
    let objects = render(&json!({}));
    let mut deployments = objects
        .into_iter()
        .filter(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == HOST.name);
    let spec = deployments.next().unwrap()["spec"]["template"]["spec"].clone();
    let container = spec["containers"][0].clone();
    (spec, container)
}

/// What a flag of the host is when nobody says otherwise.
fn default_of(flag: &str) -> String {
    let command = backupstrategy_controller::Options::command();
    let mut flags = command.get_arguments();
    let flag = flags.find(|argument| argument.get_long() == Some(flag));
    let value = flag.unwrap().get_default_values()[0].to_str();
    value.unwrap().to_owned()
}

#[test]
fn the_image_runs_as_the_user_that_the_chart_demands() {
    let security = &pod().0["securityContext"];
    let (user, group) = (&security["runAsUser"], &security["runAsGroup"]);
    assert_eq!(said("USER"), [format!("{user}:{group}")]);
    assert_eq!(security["runAsNonRoot"], true);
}

#[test]
fn the_image_starts_the_host_and_the_chart_only_adds_arguments() {
    assert_eq!(said("ENTRYPOINT"), [format!("[{PROGRAM:?}]")]);
    let container = pod().1;
    assert_eq!(container.get("command"), None);
    assert_eq!(said("CMD"), Vec::<String>::new());
    let manifest = HOST.folder().join("../../host/controller/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let name = Path::new(PROGRAM).file_name().unwrap().to_str().unwrap();
    assert!(manifest.contains(&format!("name = {name:?}")));
    let copies = said("COPY");
    assert!(copies.contains(&format!(
        "--from=build /source/target/release/{name} {PROGRAM}"
    )));
}

#[test]
fn the_strategies_lie_where_the_host_looks_for_them() {
    let folder = default_of("plugin-folder");
    let bundle = format!("--from=build /source/target/bundle {folder}");
    assert!(said("COPY").contains(&bundle), "{:?}", said("COPY"));
}

#[test]
fn the_image_tells_the_ports_of_the_chart() {
    let ports = pod().1["ports"].clone();
    let ports = ports.as_array().unwrap().iter();
    let ports: Vec<String> = ports
        .map(|port| port["containerPort"].to_string())
        .collect();
    assert_eq!(said("EXPOSE"), [ports.join(" ")]);
}

// The Pod's root is read-only: what the host writes lies in a volume of the chart's.
#[test]
fn the_host_writes_to_a_volume_and_nowhere_else() {
    let container = pod().1;
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts = container["volumeMounts"].as_array().unwrap();
    let cache = default_of("compiled-cache");
    assert!(mounts.iter().any(|mount| mount["mountPath"] == *cache));
    assert_eq!(said("VOLUME"), Vec::<String>::new());
}

#[test]
fn the_images_that_it_is_made_of_are_pinned_and_the_compiler_is_the_workspaces() {
    let (before, image) = recipe();
    let given = |name: &str| {
        let start = format!("ARG {name}=");
        let mut lines = before.iter();
        lines.find_map(|line| line.strip_prefix(&start)).unwrap()
    };
    assert_eq!(image[0], "FROM ${BASE}");
    assert!(before.contains(&"FROM ${BUILDER} AS build".to_owned()));
    let manifest = std::fs::read_to_string(HOST.folder().join("../../Cargo.toml")).unwrap();
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    let builder = given("BUILDER");
    assert!(builder.contains(&format!("/rust:{version}.")), "{builder}");
    // The program's glibc is that of the builder's Debian: bookworm is its twelfth.
    assert!(builder.ends_with("-bookworm"), "{builder}");
    assert!(given("BASE").contains("-debian12:nonroot"));
}
