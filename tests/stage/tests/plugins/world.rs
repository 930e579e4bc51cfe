//! A platform with a plugin folder, and StrategyPlugins of the kind `Guest`.

use std::{fs, sync::Arc};

use backup_engine::{
    Evaluator, Fetch, Look, Looked, Plugins, Strategies, cluster::memory::MemoryCluster,
    memory_clock,
};
use backup_registry::PluginFolder;
use serde_json::{Value, json};
use stage::Stage;
use tempfile::TempDir;

use crate::guest::Guest;

pub const TENANT: &str = "tenant-acme";
pub const API: &str = "backups.cozystack.io/v1alpha1";
pub const STRATEGIES: &str = "strategy.backups.cozystack.io/v1alpha1";
pub const HOST: &str = "cozy-backup-controller";

/// Longer than the host keeps a component that nothing needs.
pub const GRACE: i64 = 121;

/// A guest of a version. Its backup waits until there is a ConfigMap `go`; its manifest has more members.
pub fn guest(version: &str, more: &Value) -> Vec<u8> {
    described(&manifest(version, more)).build()
}

/// The same with another manifest.
pub fn described(manifest: &Value) -> Guest {
    Guest::default()
        .manifest(&manifest.to_string())
        // The first case of the answer: waiting, with a reason and a message that begin at 1024, started.
        .data("reason", b"Copying")
        .words("waiting", &[0, 0, 1024, 7, 1024, 7, 1, 0, 0, 0, 0, 0])
        .words("found", &[0, 0, 0])
        .on(
            "backup",
            &format!(
                "(call $cluster.get 'v1' 'ConfigMap' (i32.const 1) '{TENANT}' 'go' @found)
                 (if (i32.eqz (i32.load8_u @found)) (then (return @waiting)))"
            ),
        )
}

/// What the guest says of itself.
pub fn manifest(version: &str, more: &Value) -> Value {
    let mut manifest = json!({
        "name": "guest", "version": version, "contract": "1.0.0",
        "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
        "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
        "reads": [{ "apiVersion": "v1", "kind": "ConfigMap" }],
    });
    for (member, value) in more.as_object().into_iter().flatten() {
        manifest[member] = value.clone();
    }
    manifest
}

pub struct World {
    pub stage: Stage,
    pub plugins: Plugins<MemoryCluster>,
    folder: TempDir,
}

impl World {
    /// A tenant with databases `db-0` to `db-4`, the class `cozy-default` that binds them to `Guest guest`, and no
    /// plugin.
    pub fn new() -> Self {
        let stage = Stage::new().unwrap();
        stage.storage_secret().unwrap();
        tenant(&stage, TENANT);
        stage
            .cluster
            .put(json!({
                "apiVersion": API, "kind": "BackupClass", "metadata": { "name": "cozy-default" },
                "spec": { "strategies": [{
                    "application": { "kind": "Postgres" },
                    "strategyRef": { "kind": "Guest", "name": "guest" },
                }] },
            }))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plugins = plugins(&stage, &folder, Evaluator::Inline);
        Self {
            stage,
            plugins,
            folder,
        }
    }

    /// The same with version 1.0.0 of the guest, that serves.
    pub async fn serving() -> Self {
        let mut world = Self::new();
        world.file("guest.wasm", &guest("1.0.0", &json!({})));
        world.plugin("guest", |_| {});
        world.look().await;
        world.strategy();
        world.look().await;
        assert!(
            world
                .ready("guest")
                .starts_with("True Serving: guest 1.0.0")
        );
        world
    }

    /// The strategy object `guest`.
    pub fn strategy(&self) {
        let strategy = json!({
            "apiVersion": STRATEGIES, "kind": "Guest", "metadata": { "name": "guest" }, "spec": {},
        });
        self.stage.cluster.put(strategy).unwrap();
    }

    /// A file of the plugin folder.
    pub fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    pub fn without_file(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// A StrategyPlugin for the file `guest.wasm`, with changes.
    pub fn plugin(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut plugin = json!({
            "apiVersion": API, "kind": "StrategyPlugin", "metadata": { "name": name },
            "spec": {
                "source": { "file": "guest.wasm" },
                "strategyKind": "Guest",
                "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
                "storagePaths": ["{namespace}/{application}"],
                "serviceAccount": { "namespace": HOST, "name": "strategy-guest" },
            },
        });
        change(&mut plugin);
        self.stage.cluster.put(plugin).unwrap();
    }

    /// Changes a StrategyPlugin that is there.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut plugin = self.read_plugin(name);
        change(&mut plugin["spec"]);
        // What is put is taken as it is.
        let generation = plugin["metadata"]["generation"].as_i64().unwrap();
        plugin["metadata"]["generation"] = json!(generation + 1);
        self.stage.cluster.put(plugin).unwrap();
    }

    pub async fn remove_plugin(&self, name: &str) {
        let removed = self
            .stage
            .delete_cluster_scoped(API, "StrategyPlugin", name);
        removed.await.unwrap();
    }

    /// Passes over the plugins and over everything else, for what has changed but for files.
    pub async fn look(&mut self) -> Looked {
        self.pass(false).await
    }

    /// The same behind a change in the folder.
    pub async fn look_at_files(&mut self) -> Looked {
        self.pass(true).await
    }

    async fn pass(&mut self, sources: bool) -> Looked {
        self.stage.runner.settle().await.unwrap();
        let look = Look {
            sources,
            writes: true,
        };
        let looked = self.plugins.pass(look, &|_| {}).await.unwrap();
        assert_eq!(looked.failed, None);
        self.stage.runner.settle().await.unwrap();
        looked
    }

    /// A new process of the host: what the old one had in memory is gone.
    pub fn restart(&mut self) {
        self.stage.strategies = Arc::new(Strategies::default());
        self.stage.restart();
        self.plugins = plugins(&self.stage, &self.folder, Evaluator::Inline);
    }

    /// The same, that evaluates beside the runtime, as in production.
    pub fn restart_beside_the_runtime(&mut self) {
        self.restart();
        self.plugins = plugins(&self.stage, &self.folder, Evaluator::Blocking);
    }

    /// A job of one of the tenant's databases.
    pub async fn job(&mut self, name: &str, database: &str) -> String {
        self.stage.backup_job(TENANT, name, database).unwrap();
        self.stage.runner.settle().await.unwrap();
        self.said(name)
    }

    /// What a job says.
    pub fn said(&self, name: &str) -> String {
        self.stage.job(TENANT, name)
    }

    /// Lets jobs end.
    pub async fn go(&mut self) {
        let go = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "go", "namespace": TENANT } });
        self.stage.cluster.put(go).unwrap();
        self.stage.runner.settle().await.unwrap();
    }

    /// The version of the plugin that made a Backup.
    pub fn made_by(&self, backup: &str) -> String {
        let backup = self.stage.read("Backup", TENANT, backup);
        let version = backup.pointer("/spec/plugin/version");
        version.and_then(Value::as_str).unwrap_or("none").to_owned()
    }

    pub fn read_plugin(&self, name: &str) -> Value {
        let found = self.stage.cluster.read(API, "StrategyPlugin", None, name);
        found.unwrap()
    }

    /// A condition of a StrategyPlugin in one line: `Status Reason: message`.
    pub fn condition(&self, plugin: &str, type_: &str) -> String {
        let plugin = self.read_plugin(plugin);
        let conditions = plugin["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let Some(found) = conditions.find(|condition| condition["type"] == type_) else {
            return "none".to_owned();
        };
        let text = |member: &str| found[member].as_str().unwrap();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    pub fn ready(&self, plugin: &str) -> String {
        self.condition(plugin, "Ready")
    }

    /// The ConfigMaps that hold components.
    pub fn shelf(&self) -> Vec<Value> {
        let mut objects = self.stage.cluster.objects();
        objects.retain(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["kind"] == "ConfigMap" && name.starts_with("strategy-component-")
        });
        objects.iter().map(|object| Value::clone(object)).collect()
    }
}

/// A tenant with five databases.
pub fn tenant(stage: &Stage, namespace: &str) {
    stage.namespace(namespace).unwrap();
    for index in 0..5 {
        let name = format!("db-{index}");
        let database = json!({
            "apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Postgres",
            "metadata": { "name": name, "namespace": namespace }, "spec": {},
        });
        stage.cluster.put(database).unwrap();
    }
}

fn plugins(stage: &Stage, folder: &TempDir, evaluator: Evaluator) -> Plugins<MemoryCluster> {
    let path = folder.path().to_owned();
    let fetch: Fetch = Arc::new(move |source| {
        let folder = PluginFolder::open(&path).map_err(|error| error.to_string())?;
        folder.read(&source.file).map_err(|error| error.to_string())
    });
    Plugins::new(
        stage.cluster.clone(),
        stage::sandbox().unwrap().clone(),
        Arc::clone(&stage.strategies),
        fetch,
        HOST,
        memory_clock(&stage.cluster),
        evaluator,
    )
}
