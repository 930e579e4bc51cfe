//! A platform on a cluster in memory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, anyhow};
use backup_engine::{
    Evaluator, Host, MemoryStorage, Nobody, Observer, Runner, Serving, Settings, Storage,
    Strategies,
    cluster::{Caller, Cluster as _, DeleteOptions, memory::MemoryCluster},
    limits, memory_clock, proposed_grant, strategy_definition,
};
use backup_registry::PluginFolder;
use backup_sandbox::{
    Compiler, Limits, Sandbox, Settings as SandboxSettings, Strategy, contract::ObjectRef,
};
use serde_json::{Value, json};

/// When every story begins: a Wednesday, at noon.
const NOON: i64 = 1_795_608_000;

/// The host's namespace.
pub(crate) const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// A platform with its storage, BackupClass `cozy-default` and strategy `cozy-default-cnpg`, and a host.
pub struct Stage {
    /// The cluster.
    pub cluster: MemoryCluster,
    /// What lies in the bucket.
    pub storage: Arc<MemoryStorage>,
    /// The plugins that serve.
    pub strategies: Arc<Strategies>,
    /// The host, with its queue.
    pub runner: Runner,
    settings: Settings,
    observer: Arc<dyn Observer>,
    /// The key of the platform's storage, made for this run.
    pub access_key: String,
    /// The secret of that key.
    pub secret_key: String,
}

/// The BackupJob of the documentation.
pub const DOCUMENTED_JOB: &str = "\
apiVersion: backups.cozystack.io/v1alpha1
kind: BackupJob
metadata:
  name: ad-hoc
  namespace: tenant-acme
spec:
  backupClassName: cozy-default
  applicationRef:
    apiGroup: apps.cozystack.io
    kind: Postgres
    name: orders-db
";

/// The strategies of the bundle, each with its file `<name>.wasm`.
pub const STRATEGIES: &[&str] = &[
    "altinity",
    "cnpg",
    "etcd",
    "foundationdb",
    "mariadb",
    "velero",
];

/// The folder with the built strategies.
///
/// # Errors
/// When they have not been built.
pub fn bundle() -> anyhow::Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bundle");
    target
        .canonicalize()
        .context("the strategies are not built; run `cargo xtask bundle`")
}

/// One sandbox for all stages of a process.
///
/// # Errors
/// When the folder for compiled code cannot be used.
pub fn sandbox() -> anyhow::Result<&'static Sandbox> {
    static SANDBOX: OnceLock<Result<Sandbox, String>> = OnceLock::new();
    let made = SANDBOX.get_or_init(|| {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compiled");
        Sandbox::new(SandboxSettings::new(cache, Compiler::InProcess))
            .map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| anyhow!("{error}"))
}

/// The Secret of the platform's storage.
fn storage_secret(access_key: &str, secret_key: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "cozy-backups-system-credentials", "namespace": HOST_NAMESPACE },
        "stringData": {
            "accessKey": access_key,
            "secretKey": secret_key,
            "endpoint": "https://s3.cozy.example",
            "bucketName": "cozy-backups",
            "region": "eu-1",
        },
    })
}

/// The platform's own objects, for a cluster that is not a [`Stage`]'s: its storage's Secret, and the default strategies
/// of these plugins with the default class that binds them.
///
/// # Errors
/// When the stage itself is not in order.
pub fn defaults(
    access_key: &str,
    secret_key: &str,
    strategies: &[&str],
) -> anyhow::Result<Vec<Value>> {
    let mut objects = vec![storage_secret(access_key, secret_key)];
    objects.push(default_class(strategies)?);
    for strategy in strategies {
        objects.extend(default_strategy(strategy)?);
    }
    Ok(objects)
}

/// The chart's class `cozy-default`, as far as it binds strategies of these plugins. Its Backups stay until a story says
/// otherwise: in the chart they stay for thirty days.
fn default_class(plugins: &[&str]) -> anyhow::Result<Value> {
    let mut class: Value = serde_saphyr::from_str(&defaults_of_the_chart("backup-class")?)?;
    if let Some(spec) = class["spec"].as_object_mut() {
        spec.remove("retentionPolicy");
    }
    let is_bound = |binding: &Value| {
        let name = binding["strategyRef"]["name"].as_str().unwrap_or_default();
        let name = name.strip_prefix("cozy-default-").unwrap_or_default();
        plugins
            .iter()
            .any(|plugin| name.split('-').next() == Some(plugin))
    };
    if let Some(bindings) = class["spec"]["strategies"].as_array_mut() {
        bindings.retain(is_bound);
    }
    Ok(class)
}

/// The chart's default strategies of a plugin.
fn default_strategy(plugin: &str) -> anyhow::Result<Vec<Value>> {
    let text = defaults_of_the_chart(&format!("strategies/{plugin}"))?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// A file of the chart's defaults, which Helm hands on as it is.
fn defaults_of_the_chart(name: &str) -> anyhow::Result<String> {
    let chart =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/backupstrategy-controller");
    let path = chart.join("files").join(name).with_extension("yaml");
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The platform's own objects with the strategy for Postgres.
///
/// # Errors
/// When the stage itself is not in order.
pub fn platform_objects(access_key: &str, secret_key: &str) -> anyhow::Result<Vec<Value>> {
    defaults(access_key, secret_key, &["cnpg"])
}

/// The same with the strategy for Etcd, and a class that binds both.
///
/// # Errors
/// When the stage itself is not in order.
pub fn platform_etcd_objects(access_key: &str, secret_key: &str) -> anyhow::Result<Vec<Value>> {
    let mut objects = vec![
        storage_secret(access_key, secret_key),
        default_class(&["cnpg", "etcd"])?,
    ];
    objects.extend(default_strategy("etcd")?);
    Ok(objects)
}

fn host(
    cluster: &MemoryCluster,
    settings: &Settings,
    strategies: &Arc<Strategies>,
    storage: &Arc<MemoryStorage>,
    observer: &Arc<dyn Observer>,
) -> Host<MemoryCluster> {
    let host = Host::new(
        cluster.clone(),
        settings.clone(),
        Arc::clone(strategies),
        Arc::clone(storage) as Arc<dyn Storage>,
        memory_clock(cluster),
        Evaluator::Inline,
    );
    host.observed_by(Arc::clone(observer))
}

impl Stage {
    /// Builds the platform. No plugin serves yet.
    ///
    /// # Errors
    /// When the stage itself is not in order.
    pub fn new() -> anyhow::Result<Self> {
        Self::with_settings(Settings::default())
    }

    /// Builds the platform with other settings of the host.
    ///
    /// # Errors
    /// When the stage itself is not in order.
    pub fn with_settings(settings: Settings) -> anyhow::Result<Self> {
        let cluster = MemoryCluster::new();
        cluster.set_now(NOON);
        for definition in backup_api::definitions() {
            cluster.install_crd(&serde_json::to_value(definition)?)?;
        }
        for kind in crate::kinds() {
            cluster.install_crd(&crate::crd(kind))?;
        }
        let strategies = Arc::new(Strategies::default());
        let storage = Arc::new(MemoryStorage::default());
        let observer: Arc<dyn Observer> = Arc::new(Nobody);
        let host = host(&cluster, &settings, &strategies, &storage, &observer);
        let runner = Runner::new(Arc::new(host));
        let access_key = format!("access-{}", std::process::id());
        let secret_key = format!("secret-{}", std::process::id());
        let stage = Self {
            cluster,
            storage,
            strategies,
            runner,
            settings,
            observer,
            access_key,
            secret_key,
        };
        stage.namespace(HOST_NAMESPACE)?;
        crate::emitted::kept(&stage.cluster)?;
        Ok(stage)
    }

    /// Loads a component of the bundle, once for all stages of a process.
    ///
    /// # Errors
    /// When it is not built, or cannot be loaded.
    pub fn bundled(file: &str) -> anyhow::Result<Strategy> {
        static LOADED: Mutex<BTreeMap<String, Strategy>> = Mutex::new(BTreeMap::new());
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(strategy) = loaded.get(file) {
            return Ok(strategy.clone());
        }
        let strategy = Self::from_folder(&bundle()?, file)?;
        loaded.insert(file.to_owned(), strategy.clone());
        Ok(strategy)
    }

    /// Loads a component of a folder.
    ///
    /// # Errors
    /// When it is not there, or cannot be loaded.
    pub fn from_folder(folder: &Path, file: &str) -> anyhow::Result<Strategy> {
        let bytes = PluginFolder::open(folder)?.read(file)?;
        Self::component(&bytes)
    }

    /// Loads a component.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn component(bytes: &[u8]) -> anyhow::Result<Strategy> {
        Self::component_within(bytes, limits(None))
    }

    /// Loads a component, with limits of its own.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn component_within(bytes: &[u8], limits: Limits) -> anyhow::Result<Strategy> {
        Ok(sandbox()?.load(bytes, limits)?)
    }

    /// Lets a plugin serve, with the grant that its manifest proposes, and defines its strategy kind.
    ///
    /// # Errors
    /// When its kind cannot be defined.
    pub fn serve(&self, strategy: &Strategy) -> anyhow::Result<()> {
        let manifest = strategy.manifest();
        self.cluster.install_crd(&strategy_definition(manifest))?;
        let grant = proposed_grant(manifest, &format!("{}.wasm", manifest.name), HOST_NAMESPACE);
        self.strategies.serve(Serving {
            name: manifest.name.clone(),
            grant,
            strategy: strategy.clone(),
        });
        Ok(())
    }

    /// Lets a component of the kind `Guest` serve, with the platform's storage and a class `cozy-default` that binds
    /// these kinds of applications to it.
    ///
    /// # Errors
    /// When it cannot be loaded, or is not of that kind.
    pub fn guest(&self, component: &[u8], kinds: &[&str]) -> anyhow::Result<()> {
        self.storage_secret()?;
        self.serve(&Self::component(component)?)?;
        let group = backup_api::names::STRATEGY_GROUP;
        let strategy = json!({ "apiGroup": group, "kind": "Guest", "name": "guest" });
        self.cluster.put(json!({
            "apiVersion": backup_api::names::STRATEGY_API_VERSION, "kind": "Guest",
            "metadata": { "name": "guest" }, "spec": {},
        }))?;
        let bindings = kinds
            .iter()
            .map(|kind| json!({ "application": { "kind": kind }, "strategyRef": strategy }));
        self.cluster.put(json!({
            "apiVersion": backup_api::names::API_VERSION, "kind": "BackupClass",
            "metadata": { "name": "cozy-default" },
            "spec": { "strategies": bindings.collect::<Vec<_>>() },
        }))?;
        Ok(())
    }

    /// The platform's storage: its Secret.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn storage_secret(&self) -> anyhow::Result<()> {
        self.cluster
            .put(storage_secret(&self.access_key, &self.secret_key))?;
        Ok(())
    }

    /// The platform's own objects: its storage's Secret, the default strategy and the default class.
    ///
    /// # Errors
    /// When one is not accepted, as where no plugin has defined the strategy's kind.
    pub fn platform(&self) -> anyhow::Result<()> {
        self.defaults(&["cnpg"])
    }

    /// The platform's own objects: its storage's Secret, and the default strategies of these plugins with the default
    /// class that binds them.
    ///
    /// # Errors
    /// When one is not accepted, as where no plugin has defined the strategy's kind.
    pub fn defaults(&self, strategies: &[&str]) -> anyhow::Result<()> {
        for object in defaults(&self.access_key, &self.secret_key, strategies)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }

    /// A stage on which the built strategy of this name serves, with its defaults and a tenant's namespace.
    ///
    /// # Errors
    /// When it is not built, or something is not accepted.
    pub fn of(strategy: &str, namespace: &str) -> anyhow::Result<Self> {
        let stage = Self::new()?;
        stage.serve(&Self::bundled(&format!("{strategy}.wasm"))?)?;
        stage.defaults(&[strategy])?;
        stage.namespace(namespace)?;
        Ok(stage)
    }

    /// A tenant's namespace.
    ///
    /// # Errors
    /// When it is there already.
    pub fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.cluster.put(object)?;
        Ok(())
    }

    /// The platform's own objects, with the strategy `cozy-default-etcd` and a default class that binds it beside
    /// the one for Postgres.
    ///
    /// # Errors
    /// When one is not accepted, as where no plugin has defined the strategy's kind.
    pub fn platform_etcd(&self) -> anyhow::Result<()> {
        for object in platform_etcd_objects(&self.access_key, &self.secret_key)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }

    /// Puts the objects of a YAML text as they are, with their status.
    ///
    /// # Errors
    /// When one is not accepted.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        for object in serde_saphyr::from_multiple::<Value>(yaml)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }

    /// A BackupJob of a Postgres application, by the class `cozy-default`.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn backup_job(&self, namespace: &str, name: &str, application: &str) -> anyhow::Result<()> {
        self.backup_job_of(namespace, name, "Postgres", application)
    }

    /// A BackupJob of an Etcd application, by the class `cozy-default`.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn etcd_backup_job(
        &self,
        namespace: &str,
        name: &str,
        application: &str,
    ) -> anyhow::Result<()> {
        self.backup_job_of(namespace, name, "Etcd", application)
    }

    /// A BackupJob of an application of a kind, by the class `cozy-default`.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn backup_job_of(
        &self,
        namespace: &str,
        name: &str,
        kind: &str,
        application: &str,
    ) -> anyhow::Result<()> {
        self.cluster.put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "BackupJob",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": kind, "name": application },
            },
        }))?;
        Ok(())
    }

    /// A RestoreJob of a Backup to another application, with options.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn restore_job_to(
        &self,
        namespace: &str,
        name: &str,
        backup: &str,
        (kind, application): (&str, &str),
        options: &Value,
    ) -> anyhow::Result<()> {
        self.cluster.put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "RestoreJob",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "backupRef": { "name": backup },
                "targetApplicationRef": { "apiGroup": "apps.cozystack.io", "kind": kind, "name": application },
                "options": options,
            },
        }))?;
        Ok(())
    }

    /// A RestoreJob of a Backup in place, with options.
    ///
    /// # Errors
    /// When it is not accepted.
    pub fn restore_job(
        &self,
        namespace: &str,
        name: &str,
        backup: &str,
        options: &Value,
    ) -> anyhow::Result<()> {
        self.cluster.put(json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "RestoreJob",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "backupRef": { "name": backup }, "options": options },
        }))?;
        Ok(())
    }

    /// Deletes an object of the host's group.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.delete_any(backup_api::names::API_VERSION, kind, Some(namespace), name)
            .await
    }

    /// Deletes a cluster-scoped object.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_cluster_scoped(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
    ) -> anyhow::Result<()> {
        self.delete_any(api_version, kind, None, name).await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_any(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> anyhow::Result<()> {
        let target = ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            name: name.to_owned(),
        };
        Ok(self
            .cluster
            .delete(&Caller::host(), &target, &DeleteOptions::default())
            .await?)
    }

    /// A new host process: what the old one kept in memory is gone.
    pub fn restart(&mut self) {
        self.runner = Runner::new(Arc::new(host(
            &self.cluster,
            &self.settings,
            &self.strategies,
            &self.storage,
            &self.observer,
        )));
    }

    /// A new host process of whose work somebody is told.
    pub fn observed_by(&mut self, observer: Arc<dyn Observer>) {
        self.observer = observer;
        self.restart();
    }

    /// An object of the host's group; null when absent.
    #[must_use]
    pub fn read(&self, kind: &str, namespace: &str, name: &str) -> Value {
        self.cluster
            .read(backup_api::names::API_VERSION, kind, Some(namespace), name)
            .unwrap_or_default()
    }

    /// A BackupJob in one line: `Phase Reason: message`.
    #[must_use]
    pub fn job(&self, namespace: &str, name: &str) -> String {
        self.said("BackupJob", namespace, name)
    }

    /// A job of either kind in one line: `Phase Reason: message`.
    #[must_use]
    pub fn said(&self, kind: &str, namespace: &str, name: &str) -> String {
        let job = self.read(kind, namespace, name);
        let text = |pointer: &str| {
            job.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let conditions = job
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let ready = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready");
        let reason = ready
            .and_then(|ready| ready["reason"].as_str())
            .unwrap_or_default();
        format!(
            "{} {reason}: {}",
            text("/status/phase"),
            text("/status/message")
        )
    }
}
