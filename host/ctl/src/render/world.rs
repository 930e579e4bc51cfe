//! The cluster in memory that jobs are rendered on.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use backup_engine::{
    Evaluator, Host, MemoryStorage, Runner, Serving, Settings, Storage, Strategies,
    cluster::{
        Caller, Cluster as _, Part,
        memory::{ChangeKind, Changes, MemoryCluster},
    },
    memory_clock, proposed_grant, reference, strategy_definition,
};
use jiff::Timestamp;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::load;

/// A cluster in memory with a host.
pub(crate) struct World {
    cluster: MemoryCluster,
    pub(crate) runner: Runner,
    changes: Changes,
}

/// The documents of a YAML file.
pub(crate) fn documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple(&read)
        .with_context(|| format!("{} is not YAML", file.display()))?;
    let mut objects = vec![];
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        match document.get("items").and_then(Value::as_array) {
            Some(items) => objects.extend(items.iter().cloned()),
            None => objects.push(document),
        }
    }
    for object in &objects {
        if text(object, "/kind").is_empty() || text(object, "/metadata/name").is_empty() {
            bail!(
                "{} holds a document without kind or metadata.name",
                file.display()
            );
        }
    }
    Ok(objects)
}

/// A string at a JSON pointer.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

impl World {
    /// A cluster with these objects, and a host with these plugins.
    pub(crate) fn build(
        plugins: &[PathBuf],
        objects: Vec<Value>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let cluster = MemoryCluster::new();
        cluster.set_now(now.as_second());
        for definition in backup_api::definitions() {
            cluster.install_crd(&serde_json::to_value(definition)?)?;
        }
        let settings = Settings::default();
        let strategies = Arc::new(Strategies::default());
        for path in plugins {
            serve(
                &cluster,
                &strategies,
                path,
                &settings.storage.source_namespace,
            )?;
        }
        let (definitions, objects): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "CustomResourceDefinition");
        for definition in &definitions {
            cluster
                .install_crd(definition)
                .with_context(|| text(definition, "/metadata/name").to_owned())?;
        }
        seed(&cluster, objects, &settings)?;
        let changes = cluster.changes();
        let host = Host::new(
            cluster.clone(),
            settings,
            strategies,
            Arc::new(MemoryStorage::default()) as Arc<dyn Storage>,
            memory_clock(&cluster),
            Evaluator::Inline,
        );
        Ok(Self {
            runner: Runner::new(Arc::new(host)),
            cluster,
            changes,
        })
    }

    /// Merges an object into the one that is there, status included, or adds it.
    pub(crate) async fn change(&mut self, change: Value) -> anyhow::Result<()> {
        let target = reference(&change);
        let host = Caller::host();
        if self.cluster.get(&host, &target).await?.is_none() {
            install_kind(&self.cluster, &change);
            self.cluster.put(change)?;
            return Ok(());
        }
        for part in [Part::Main, Part::Status] {
            self.cluster
                .merge(&host, "strategyctl", &target, &change, part)
                .await?;
        }
        Ok(())
    }

    /// The BackupJobs, in the order of their names.
    pub(crate) fn jobs(&self) -> Vec<Value> {
        let objects = self.cluster.objects();
        objects
            .iter()
            .filter(|object| object["kind"] == "BackupJob")
            .map(|object| object.as_ref().clone())
            .collect()
    }

    /// What was written since the last call, but for the jobs themselves and what their class says of itself: each
    /// object as it is now.
    pub(crate) fn written(&mut self) -> Vec<Value> {
        let mut written: BTreeMap<_, Value> = BTreeMap::new();
        while let Ok(Some(change)) = self.changes.try_next() {
            let target = reference(&change.object);
            if matches!(target.kind.as_str(), "BackupJob" | "BackupClass") {
                continue;
            }
            let mut object = shown(&change.object);
            if change.kind == ChangeKind::Deleted {
                object = json!({ "deleted": object });
            }
            written.insert(target, object);
        }
        written.into_values().collect()
    }
}

fn serve(
    cluster: &MemoryCluster,
    strategies: &Strategies,
    path: &Path,
    namespace: &str,
) -> anyhow::Result<()> {
    let strategy = load::strategy(path)?;
    let manifest = strategy.manifest();
    cluster.install_crd(&strategy_definition(manifest))?;
    let kinds = manifest
        .reads
        .iter()
        .map(|read| (&read.api_version, &read.kind));
    let kinds = kinds.chain(
        manifest
            .writes
            .iter()
            .map(|written| (&written.api_version, &written.kind)),
    );
    for (api_version, kind) in kinds {
        install_kind(
            cluster,
            &json!({ "apiVersion": api_version, "kind": kind, "metadata": { "namespace": "any" } }),
        );
    }
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let grant = proposed_grant(manifest, &file, namespace);
    strategies.serve(Serving {
        name: manifest.name.clone(),
        grant,
        strategy: strategy.clone(),
    });
    Ok(())
}

/// Puts the objects, and what is missing of the platform.
fn seed(
    cluster: &MemoryCluster,
    mut objects: Vec<Value>,
    settings: &Settings,
) -> anyhow::Result<()> {
    let storage = &settings.storage;
    let has_source = objects.iter().any(|object| {
        object["kind"] == "Secret" && text(object, "/metadata/name") == storage.source_name
    });
    if !has_source {
        eprintln!(
            "note: no Secret {}/{} in the files; bucket cozy-backups at https://s3.example is made up",
            storage.source_namespace, storage.source_name
        );
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": storage.source_name, "namespace": storage.source_namespace },
            "stringData": {
                "accessKey": "made-up-access-key", "secretKey": "made-up-secret-key",
                "endpoint": "https://s3.example", "bucketName": "cozy-backups",
            },
        }));
    }
    for object in &objects {
        let namespace = text(object, "/metadata/namespace");
        let target =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        if !namespace.is_empty() && cluster.read("v1", "Namespace", None, namespace).is_none() {
            cluster.put(target)?;
        }
    }
    for object in objects {
        install_kind(cluster, &object);
        let name = format!(
            "{} {}",
            text(&object, "/kind"),
            text(&object, "/metadata/name")
        );
        cluster
            .put(object)
            .with_context(|| format!("{name} is not accepted"))?;
    }
    Ok(())
}

/// Lets the cluster know a kind that no definition in the files describes.
fn install_kind(cluster: &MemoryCluster, object: &Value) {
    let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if cluster.knows(api_version, kind) {
        return;
    }
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let is_namespaced = !text(object, "/metadata/namespace").is_empty();
    cluster.install_kind(api_version, kind, &resource.plural, is_namespaced, true);
}

/// An object without what only machines read, and without a Secret's values.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if object["kind"] == "Secret"
        && let Some(data) = object.get_mut("data").and_then(Value::as_object_mut)
    {
        data.values_mut()
            .for_each(|value| *value = json!("(not shown)"));
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for member in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ] {
            metadata.remove(member);
        }
    }
    object
}
