//! What holds for every strategy of the bundle, whatever it is called: tenants and applications are kept apart, and a
//! component is small.
//!
//! A component is tried with its default objects (`files/strategies/<plugin>.yaml` of the chart) and with the Backups that are kept of it
//! (`backups/<plugin>/`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod components;
mod neighbours;
mod parameters;
mod paths;

use std::path::PathBuf;

use backup_sandbox::Strategy;
use serde_json::{Value, json};
use stage::{Kept, Stage};

const API: &str = "backups.cozystack.io/v1alpha1";
const TENANT: &str = "tenant-acme";

/// A component of the bundle.
struct Component {
    /// The plugin's name.
    name: String,
    path: PathBuf,
    strategy: Strategy,
}

/// All of them, sorted.
fn components() -> Vec<Component> {
    let files = std::fs::read_dir(stage::bundle().unwrap()).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    paths.sort();
    let components: Vec<Component> = paths
        .into_iter()
        .map(|path| {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap();
            let strategy = Stage::bundled(file).unwrap();
            let name = strategy.manifest().name.clone();
            assert_eq!(
                format!("{name}.wasm"),
                file,
                "the file is called as the plugin"
            );
            Component {
                name,
                path,
                strategy,
            }
        })
        .collect();
    assert!(components.len() >= 2, "the bundle is not built");
    components
}

impl Component {
    /// The kinds of applications that it works on.
    fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        let applications = self.strategy.manifest().applications.iter();
        applications.map(|application| (application.group.as_str(), application.kind.as_str()))
    }

    /// The newest Backup that is kept of it.
    fn kept(&self) -> Option<Kept> {
        let mut versions = ["v1", "v0"].iter();
        versions.find_map(|version| Kept::of(&self.name, version).ok())
    }
}

/// A stage on which all components serve, with their defaults, and a tenant.
fn platform(components: &[Component]) -> Stage {
    let stage = Stage::new().unwrap();
    for component in components {
        stage.serve(&component.strategy).unwrap();
    }
    let names: Vec<&str> = components.iter().map(|one| one.name.as_str()).collect();
    stage.defaults(&names).unwrap();
    stage.namespace(TENANT).unwrap();
    stage
}

/// An application that says nothing of itself, and its Helm release.
fn application(stage: &Stage, namespace: &str, (group, kind): (&str, &str), name: &str) {
    let release = format!("{}-{name}", kind.to_lowercase());
    for object in [
        json!({
            "apiVersion": format!("{group}/v1alpha1"),
            "kind": kind,
            "metadata": { "name": name, "namespace": namespace },
            "spec": {},
        }),
        json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {
                "name": release,
                "namespace": namespace,
                "labels": {
                    "apps.cozystack.io/application.group": group,
                    "apps.cozystack.io/application.kind": kind,
                    "apps.cozystack.io/application.name": name,
                },
            },
            "spec": {},
        }),
    ] {
        stage.cluster.put(object).unwrap();
    }
}

fn reference((group, kind): (&str, &str), name: &str) -> Value {
    json!({ "apiGroup": group, "kind": kind, "name": name })
}
