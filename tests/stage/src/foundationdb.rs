//! The FoundationDB operator with its agents, and the databases that they work on.
//!
//! What a database knows (of its stream, and of its last restore) is kept in an annotation of its FoundationDBCluster, with
//! the cluster's UID: of a cluster that was created anew it says nothing.

use std::sync::Arc;

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, DeleteOptions, Part},
    reference,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Stage, Workplace,
    play::{set_status, text},
};

/// Of the operator's kinds.
pub(crate) const API_VERSION: &str = "apps.foundationdb.org/v1beta2";
const MANAGER: &str = "fdb-operator";
const FINALIZER: &str = "foundationdb.org/backup-cleanup";
/// Holds volumes that are to stay.
const HELD: &str = "example.org/held";
/// What a database knows, on its cluster.
const DATABASE: &str = "example.org/database";
/// The annotations that the operator has seen, on its own objects.
const SEEN: &str = "example.org/seen";
/// Names of URL parameters that FoundationDB knows, as far as they matter.
const URL_PARAMETERS: [&str; 4] = ["bucket", "region", "secure_connection", "sc"];

/// How it goes with what the operator is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundationDbFate {
    /// Backups run and can be restored, restores complete, clusters come up.
    #[default]
    Completes,
    /// The agents' Pods cannot start, for this reason.
    AgentsStuck(String),
    /// The operator's own Pod has no credentials for the bucket.
    NoCredentials,
    /// Agents store nothing that can be restored.
    SnapshotStalls,
    /// The operator does not look at streams that are to end.
    StreamsGoOn,
    /// New clusters never come up.
    ClusterStalls,
    /// Volumes of clusters that are gone stay.
    VolumesStay,
    /// Restores never go on.
    RestoreStalls,
    /// Restores are aborted.
    RestoreAborts,
}

/// The operator: it starts and ends backups, runs their agents, brings clusters up and restores into them, one step at a
/// time. The agents do their part as soon as they are there.
pub struct FoundationDbOperator {
    place: Workplace,
    fate: FoundationDbFate,
}

impl Operator for FoundationDbOperator {
    const WATCHES: &[(&str, &str)] = &[
        (API_VERSION, "FoundationDBCluster"),
        (API_VERSION, "FoundationDBBackup"),
        (API_VERSION, "FoundationDBRestore"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for found in self
            .place
            .all(cluster, (API_VERSION, "FoundationDBCluster"))
            .await?
        {
            steps.extend(self.bring_up(cluster, &found).await?);
        }
        for found in self
            .place
            .all(cluster, (API_VERSION, "FoundationDBBackup"))
            .await?
        {
            steps.extend(self.store(cluster, &found, now).await?);
            steps.extend(self.back_up(cluster, &found).await?);
        }
        for found in self
            .place
            .all(cluster, (API_VERSION, "FoundationDBRestore"))
            .await?
        {
            steps.extend(self.restore(cluster, &found).await?);
        }
        Ok(steps)
    }
}

/// A FoundationDB application with its Helm release and its FoundationDBCluster, for a cluster that is not a [`Stage`]'s.
/// Where statuses are not put, the played operator brings the cluster up.
///
/// # Errors
/// When the stage itself is not in order.
pub fn foundationdb_objects(namespace: &str, name: &str) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("foundationdb.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name);
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// A FoundationDB application with its Helm release and its FoundationDBCluster, which is in use.
    ///
    /// # Errors
    /// When the namespace is missing.
    pub fn foundationdb(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        for object in foundationdb_objects(namespace, name)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }
}

impl FoundationDbOperator {
    /// An operator that writes to a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: FoundationDbFate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// An operator at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: FoundationDbFate) -> Self {
        Self { place, fate }
    }

    /// The cluster that an object is about.
    async fn cluster_of<C: Cluster>(
        &self,
        cluster: &C,
        object: &Value,
        pointer: &str,
    ) -> Result<Option<Value>, ApiError> {
        let mut clusters = self
            .place
            .all(cluster, (API_VERSION, "FoundationDBCluster"))
            .await?;
        clusters.retain(|found| {
            text(found, "/metadata/namespace") == text(object, "/metadata/namespace")
                && text(found, "/metadata/name") == text(object, pointer)
                && found.pointer("/metadata/deletionTimestamp").is_none()
        });
        Ok(clusters.pop())
    }

    /// Takes a new cluster one step further: its volumes, its availability.
    async fn bring_up<C: Cluster>(
        &self,
        cluster: &C,
        found: &Value,
    ) -> Result<Option<String>, ApiError> {
        if found.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(None);
        }
        let name = text(found, "/metadata/name");
        let is_available = found.pointer("/status/health/available") == Some(&json!(true));
        if is_available && Database::known(found).is_none() {
            // It was there before, and is in use.
            let database = Database::with_data(found);
            database.write(cluster, found).await?;
            self.volume(cluster, found).await?;
            return Ok(Some(format!("the database of {name} is in use")));
        }
        if is_available {
            return Ok(None);
        }
        let status = match found.pointer("/status/configured") {
            None => {
                self.volume(cluster, found).await?;
                Database::empty(found).write(cluster, found).await?;
                json!({ "configured": false })
            }
            Some(_) if self.fate == FoundationDbFate::ClusterStalls => return Ok(None),
            Some(_) => json!({
                "configured": true,
                "runningVersion": text(found, "/spec/version"),
                "health": { "available": true, "healthy": true, "fullReplication": true },
            }),
        };
        set_status(cluster, MANAGER, found, &status).await?;
        Ok(Some(format!("FoundationDBCluster {name} comes up")))
    }

    async fn volume<C: Cluster>(&self, cluster: &C, found: &Value) -> Result<(), ApiError> {
        let mut volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": format!("{}-data", unique(found, "storage")),
                "namespace": text(found, "/metadata/namespace"),
                "ownerReferences": [owner(found)],
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "16Gi" } },
            },
        });
        if self.fate == FoundationDbFate::VolumesStay {
            volume["metadata"]["finalizers"] = json!([HELD]);
        }
        create(cluster, &volume).await
    }

    /// What the agents of a backup do: they store the first snapshot of the cluster's stream.
    async fn store<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let Some(found) = self
            .cluster_of(cluster, backup, "/spec/clusterName")
            .await?
        else {
            return Ok(None);
        };
        let Some(mut database) = Database::known(&found) else {
            return Ok(None);
        };
        let blob = Blob::of(backup);
        let is_stored = database.is("restorable") || !database.is("running");
        let is_its_own = text(&database.0, "/url") == blob.url();
        let works = number(backup, "/status/agentCount") > 0
            && has_credentials(backup)
            && self.fate != FoundationDbFate::SnapshotStalls;
        if is_stored || !is_its_own || !works {
            return Ok(None);
        }
        let end = version(now);
        let begin = end - 10_000_000;
        let name = &blob.name;
        let bucket = self.place.bucket(&blob.bucket);
        for (key, size) in [
            (
                format!("data/{name}/kvranges/snapshot.{begin}/0/range,{begin},0a,1048576"),
                4096,
            ),
            (
                format!("data/{name}/snapshots/snapshot,{begin},{end},4096"),
                128,
            ),
            (log_key(name, begin, end + 1), 512),
        ] {
            bucket.put(&key, size, now).await;
        }
        database.set("restorable", json!(true));
        database.set("reach", json!(end + 1));
        database.write(cluster, &found).await?;
        Ok(Some(format!("{name} can be restored")))
    }

    /// What the agents of all streams do as time goes by: one more log each.
    ///
    /// # Errors
    /// What the cluster refuses.
    pub async fn stream<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<(), ApiError> {
        for backup in self
            .place
            .all(cluster, (API_VERSION, "FoundationDBBackup"))
            .await?
        {
            let found = self
                .cluster_of(cluster, &backup, "/spec/clusterName")
                .await?;
            let Some((found, mut database)) =
                found.and_then(|found| Some((found.clone(), Database::known(&found)?)))
            else {
                continue;
            };
            let blob = Blob::of(&backup);
            if database.is("running") && text(&database.0, "/url") == blob.url() {
                let (begin, end) = (number(&database.0, "/reach"), version(now));
                let bucket = self.place.bucket(&blob.bucket);
                bucket.put(&log_key(&blob.name, begin, end), 256, now).await;
                database.set("reach", json!(end));
                database.write(cluster, &found).await?;
            }
        }
        Ok(())
    }

    /// Takes a backup one step further, if there is a reason to look at it.
    async fn back_up<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
    ) -> Result<Option<String>, ApiError> {
        let name = text(backup, "/metadata/name");
        let found = self
            .cluster_of(cluster, backup, "/spec/clusterName")
            .await?;
        let Some((found, mut database)) =
            found.and_then(|found| Some((found.clone(), Database::known(&found)?)))
        else {
            return Ok(None);
        };
        if let Some(step) = self.hold(cluster, backup, &found, &mut database).await? {
            return Ok(Some(step));
        }
        if backup.pointer("/metadata/deletionTimestamp").is_some() || !is_due(backup) {
            return Ok(None);
        }
        self.agents(cluster, backup).await?;
        self.command(backup, &mut database).await;
        database.write(cluster, &found).await?;

        let status = self.status(backup, &database);
        let seen = json!({ "metadata": { "annotations": { SEEN: others(backup) } } });
        if text(
            backup,
            &format!("/metadata/annotations/{}", SEEN.replace('/', "~1")),
        ) != others(backup)
        {
            merge(cluster, backup, &seen).await?;
        }
        if backup.get("status") == Some(&status) {
            return Ok(None);
        }
        set_status(cluster, MANAGER, backup, &status).await?;
        Ok(Some(format!("FoundationDBBackup {name} is looked at")))
    }

    /// Sees to the finalizer, as `deletionPolicy` says.
    async fn hold<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        found: &Value,
        database: &mut Database,
    ) -> Result<Option<String>, ApiError> {
        let name = text(backup, "/metadata/name");
        let mut finalizers: Vec<Value> = backup
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let is_held = finalizers.contains(&json!(FINALIZER));
        let is_going = backup.pointer("/metadata/deletionTimestamp").is_some();
        let ends = text(backup, "/spec/deletionPolicy") == "stop";
        if self.fate == FoundationDbFate::StreamsGoOn {
            return Ok(None);
        }
        match (is_going, is_held) {
            (false, false) if ends => finalizers.push(json!(FINALIZER)),
            (true, true) if database.is("running") => {
                database.set("running", json!(false));
                database.write(cluster, found).await?;
                return Ok(Some(format!("the stream of {name} is aborted")));
            }
            (true, true) => finalizers.retain(|finalizer| finalizer != FINALIZER),
            _ => return Ok(None),
        }
        merge(
            cluster,
            backup,
            &json!({ "metadata": { "finalizers": finalizers } }),
        )
        .await?;
        Ok(Some(format!("the finalizer of {name} is seen to")))
    }

    /// The agents' Pods: one stands for all of them.
    async fn agents<C: Cluster>(&self, cluster: &C, backup: &Value) -> Result<(), ApiError> {
        let deployment = format!("{}-backup-agents", text(backup, "/metadata/name"));
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{deployment}-0"),
                "namespace": text(backup, "/metadata/namespace"),
                "labels": { "foundationdb.org/deployment-name": deployment },
                "ownerReferences": [owner(backup)],
            },
            "spec": { "containers": [{ "name": "foundationdb", "image": "foundationdb" }] },
        });
        if wanted(backup) == 0 {
            let gone = cluster
                .delete(&Caller::host(), &reference(&pod), &DeleteOptions::default())
                .await;
            // It may have gone before.
            return gone.or(Ok(()));
        }
        create(cluster, &pod).await?;
        if let FoundationDbFate::AgentsStuck(why) = &self.fate {
            let waiting = json!({ "reason": "CreateContainerConfigError", "message": why });
            let status = json!({
                "phase": "Pending",
                "containerStatuses": [{ "name": "foundationdb", "state": { "waiting": waiting } }],
            });
            set_status(cluster, MANAGER, &pod, &status).await?;
        }
        Ok(())
    }

    /// Calls `fdbbackup`, as far as that does something.
    async fn command(&self, backup: &Value, database: &mut Database) {
        let blob = Blob::of(backup);
        let is_running = database.is("running");
        if shall_run(backup, database) {
            if is_running {
                // What the real operator calls `modify`: the stream goes on to another place.
                database.set("url", json!(blob.url()));
            } else if self.fate != FoundationDbFate::NoCredentials && blob.is_understood() {
                database.set("running", json!(true));
                database.set("restorable", json!(false));
                database.set("url", json!(blob.url()));
                let key = format!("backups/{}", blob.name);
                let bucket = self.place.bucket(&blob.bucket);
                bucket.put(&key, 0, Timestamp::UNIX_EPOCH).await;
            }
        } else if is_running && self.fate != FoundationDbFate::StreamsGoOn {
            database.set("running", json!(false));
        }
    }

    fn status(&self, backup: &Value, database: &Database) -> Value {
        let stuck = matches!(self.fate, FoundationDbFate::AgentsStuck(_));
        let agents = if stuck { 0 } else { wanted(backup) };
        let is_running = database.is("running");
        let generation = number(backup, "/metadata/generation").max(1);
        let is_done = agents == wanted(backup)
            && is_running == shall_run(backup, database)
            && (!is_running || text(&database.0, "/url") == Blob::of(backup).url());
        let mut status = json!({
            "agentCount": agents,
            "deploymentConfigured": !stuck,
            "backupDetails": {
                "url": text(&database.0, "/url"),
                "running": is_running,
                "restorable": database.is("restorable"),
                "snapshotTime": if is_running { 3600 } else { 0 },
            },
            "generations": { "reconciled": number(backup, "/status/generations/reconciled") },
        });
        if is_done {
            status["generations"]["reconciled"] = json!(generation);
        } else if !is_running {
            status["generations"]["needsBackupStart"] = json!(generation);
        }
        status
    }

    /// Takes a restore one step further.
    async fn restore<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
    ) -> Result<Option<String>, ApiError> {
        let found = self
            .cluster_of(cluster, restore, "/spec/destinationClusterName")
            .await?;
        let Some((found, mut database)) =
            found.and_then(|found| Some((found.clone(), Database::known(&found)?)))
        else {
            return Ok(None);
        };
        if found.pointer("/status/health/available") != Some(&json!(true)) {
            return Ok(None);
        }
        let blob = Blob::of(restore);
        let mut is_running = restore.pointer("/status/running") == Some(&json!(true));
        match text(&database.0, "/restore") {
            "" => {
                let keys = self.place.bucket(&blob.bucket).keys().await;
                let snapshots = format!("data/{}/snapshots/", blob.name);
                let is_stored = keys.iter().any(|key| key.starts_with(&snapshots));
                let has_credentials = self.fate != FoundationDbFate::NoCredentials;
                let starts =
                    is_stored && has_credentials && blob.is_understood() && database.is("empty");
                if starts {
                    database.set("restore", json!("running"));
                    database.set("empty", json!(false));
                    let version = restore.pointer("/spec/backupVersion").cloned();
                    database.set("from", json!(blob.name));
                    database.set("version", version.unwrap_or_default());
                    is_running = true;
                }
            }
            "running" if self.fate == FoundationDbFate::RestoreAborts => {
                database.set("restore", json!("aborted"));
            }
            "running"
                if self.fate != FoundationDbFate::RestoreStalls
                    && self.has_agents(cluster, restore).await? =>
            {
                database.set("restore", json!("completed"));
            }
            _ => {}
        }
        database.write(cluster, &found).await?;
        let state = text(&database.0, "/restore");
        let state = if state.is_empty() { "Unknown" } else { state };
        let status = json!({ "running": is_running, "state": state });
        if restore.get("status") == Some(&status) {
            return Ok(None);
        }
        set_status(cluster, MANAGER, restore, &status).await?;
        Ok(Some(format!(
            "FoundationDBRestore {} is {state}",
            text(restore, "/metadata/name")
        )))
    }

    /// Whether a cluster has agents: what is restored, they write.
    async fn has_agents<C: Cluster>(&self, cluster: &C, restore: &Value) -> Result<bool, ApiError> {
        let backups = self
            .place
            .all(cluster, (API_VERSION, "FoundationDBBackup"))
            .await?;
        Ok(backups.iter().any(|backup| {
            text(backup, "/spec/clusterName") == text(restore, "/spec/destinationClusterName")
                && text(backup, "/metadata/namespace") == text(restore, "/metadata/namespace")
                && number(backup, "/status/agentCount") > 0
                && has_credentials(backup)
        }))
    }

    /// What was restored into a cluster: the backup's name in the bucket, and the version that was asked for.
    #[must_use]
    pub fn restored(cluster: &Value) -> Option<(String, Option<i64>)> {
        let database = Database::known(cluster)?;
        (text(&database.0, "/restore") == "completed").then(|| {
            let version = database.0.get("version").and_then(Value::as_i64);
            (text(&database.0, "/from").to_owned(), version)
        })
    }

    /// The URL that a cluster stores its changes at, if it does.
    #[must_use]
    pub fn streams_to(cluster: &Value) -> Option<String> {
        let database = Database::known(cluster)?;
        database
            .is("running")
            .then(|| text(&database.0, "/url").to_owned())
    }
}

/// What a database knows.
struct Database(Value);

impl Database {
    /// None of a cluster that was created anew.
    fn known(cluster: &Value) -> Option<Self> {
        let pointer = format!("/metadata/annotations/{}", DATABASE.replace('/', "~1"));
        let database: Value = serde_json::from_str(text(cluster, &pointer)).ok()?;
        (text(&database, "/uid") == text(cluster, "/metadata/uid")).then_some(Self(database))
    }

    fn empty(cluster: &Value) -> Self {
        Self(json!({ "uid": text(cluster, "/metadata/uid"), "empty": true }))
    }

    fn with_data(cluster: &Value) -> Self {
        Self(json!({ "uid": text(cluster, "/metadata/uid"), "empty": false }))
    }

    fn is(&self, name: &str) -> bool {
        self.0.get(name) == Some(&json!(true))
    }

    fn set(&mut self, name: &str, value: Value) {
        self.0[name] = value;
    }

    async fn write<C: Cluster>(&self, cluster: &C, found: &Value) -> Result<(), ApiError> {
        if Self::known(found).is_some_and(|known| known.0 == self.0) {
            return Ok(());
        }
        let annotations = json!({ DATABASE: self.0.to_string() });
        merge(
            cluster,
            found,
            &json!({ "metadata": { "annotations": annotations } }),
        )
        .await
    }
}

/// Where a backup lies, as the operator builds its URL.
struct Blob {
    account: String,
    bucket: String,
    name: String,
    parameters: Vec<String>,
    custom: Vec<String>,
}

impl Blob {
    fn of(object: &Value) -> Self {
        let at = "/spec/blobStoreConfiguration";
        let texts = |pointer: &str| {
            let list = object.pointer(pointer).and_then(Value::as_array);
            let list = list.into_iter().flatten().filter_map(Value::as_str);
            list.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let or = |pointer: &str, other: &str| match text(object, &format!("{at}/{pointer}")) {
            "" => other.to_owned(),
            said => said.to_owned(),
        };
        Self {
            account: or("accountName", ""),
            bucket: or("bucket", "fdb-backups"),
            name: or("backupName", text(object, "/metadata/name")),
            parameters: texts(&format!("{at}/urlParameters")),
            custom: texts("/spec/customParameters"),
        }
    }

    fn url(&self) -> String {
        let is_plain = self
            .parameters
            .iter()
            .any(|text| text == "secure_connection=0");
        let port = match self.account.rsplit_once('@') {
            Some((_, host)) if host.contains(':') => "",
            _ if is_plain => ":80",
            _ => ":443",
        };
        let mut parameters = self.parameters.clone();
        parameters.push(format!("bucket={}", self.bucket));
        parameters.sort();
        format!(
            "blobstore://{}{port}/{}?{}",
            self.account,
            self.name,
            parameters.join("&")
        )
    }

    /// Whether FoundationDB and the operator understand all of it.
    fn is_understood(&self) -> bool {
        let is_known = |text: &String| {
            let name = text.split('=').next().unwrap_or_default();
            URL_PARAMETERS.contains(&name)
        };
        self.account.contains('@')
            && self.parameters.iter().all(is_known)
            && !self.custom.iter().any(|text| text.starts_with("--"))
    }
}

/// Whether the operator has a reason to look at a backup: it is not through, or somebody has changed an annotation.
fn is_due(backup: &Value) -> bool {
    let pointer = format!("/metadata/annotations/{}", SEEN.replace('/', "~1"));
    let generation = number(backup, "/metadata/generation").max(1);
    number(backup, "/status/generations/reconciled") < generation
        || text(backup, &pointer) != others(backup)
}

/// The annotations of others, as one text.
fn others(backup: &Value) -> String {
    let annotations = backup.pointer("/metadata/annotations");
    let mut annotations = annotations.cloned().unwrap_or_else(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(SEEN);
    }
    annotations.to_string()
}

/// As the real operator decides it: it takes the last backup of a cluster for its own when it is to take one only.
fn shall_run(backup: &Value, database: &Database) -> bool {
    let is_through = text(backup, "/spec/backupMode") == "oneTime" && database.is("restorable");
    !is_through && text(backup, "/spec/backupState") != "Stopped"
}

fn wanted(backup: &Value) -> i64 {
    let count = backup.pointer("/spec/agentCount").and_then(Value::as_i64);
    count.unwrap_or(2)
}

/// Whether the agents find a file with credentials, where the operator puts their template.
fn has_credentials(backup: &Value) -> bool {
    let containers = backup.pointer("/spec/podTemplateSpec/spec/containers");
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    containers
        .filter_map(|container| container["env"].as_array())
        .flatten()
        .any(|variable| variable["name"] == "FDB_BLOB_CREDENTIALS")
}

fn number(object: &Value, pointer: &str) -> i64 {
    object
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// FoundationDB counts about a million versions in a second.
fn version(now: Timestamp) -> i64 {
    now.as_second() * 1_000_000
}

fn log_key(name: &str, begin: i64, end: i64) -> String {
    let folders = format!("{:08}", begin / 100_000_000_000);
    let (first, second) = folders.split_at(4);
    format!("data/{name}/logs/{first}/{second}/log,{begin},{end},0f,1048576")
}

/// A name of its own for each object of a kind, also of one that was created anew.
fn unique(object: &Value, role: &str) -> String {
    let uid = text(object, "/metadata/uid").replace('-', "");
    let generation = uid.get(uid.len().saturating_sub(6)..).unwrap_or_default();
    format!("{}-{role}-{generation}", text(object, "/metadata/name"))
}

fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": text(object, "/apiVersion"),
        "kind": text(object, "/kind"),
        "name": text(object, "/metadata/name"),
        "uid": text(object, "/metadata/uid"),
        "controller": true,
    })
}

/// Creates what may be there already.
async fn create<C: Cluster>(cluster: &C, object: &Value) -> Result<(), ApiError> {
    let created = cluster
        .create(&Caller::host(), MANAGER, object, false)
        .await;
    match created {
        Err(error) if error.reason != backup_engine::cluster::ApiReason::AlreadyExists => {
            Err(error)
        }
        _ => Ok(()),
    }
}

async fn merge<C: Cluster>(cluster: &C, object: &Value, patch: &Value) -> Result<(), ApiError> {
    let target = reference(object);
    cluster
        .merge(&Caller::host(), MANAGER, &target, patch, Part::Main)
        .await
        .map(|_| ())
}
