//! CloudNativePG and its Barman Cloud plugin, and Helm beside them.

mod helm;
mod instances;

use std::sync::Arc;

use backup_engine::cluster::{ApiError, Caller, Cluster};
use backup_sandbox::contract::ObjectRef;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Stage, Workplace,
    play::{VOLUME_FINALIZER, let_go, set_status, text},
};

/// Of the operator's kinds.
const API_VERSION: &str = "postgresql.cnpg.io/v1";
const STORES: &str = "barmancloud.cnpg.io/v1";
const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
const MANAGER: &str = "cloudnative-pg";
/// Of all that the operator makes for a Cluster.
const CLUSTER_LABEL: &str = "/metadata/labels/cnpg.io~1cluster";

/// How it goes with what the operator is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Base backups complete, Clusters come up, also from an archive that holds what they need.
    #[default]
    Completes,
    /// Base backups fail for good, with this error.
    Fails(String),
    /// Base backups never go on.
    Stalls,
    /// Base backups wait for WAL that cannot be archived, with this error.
    HoldsUp(String),
    /// Clusters never come up from an archive.
    RecoveryStalls,
    /// Volumes of a Cluster that is gone never go.
    VolumesStay,
}

/// The operator: it brings Clusters up, their Pods up to their specs, and takes base backups, one step at a time. Helm
/// renders a Cluster that is missing, and one whose application has changed, unless its release is suspended.
pub struct Cnpg {
    place: Workplace,
    fate: Fate,
}

impl Operator for Cnpg {
    const WATCHES: &[(&str, &str)] = &[
        (API_VERSION, "Cluster"),
        (API_VERSION, "Backup"),
        (STORES, "ObjectStore"),
        ("v1", "PersistentVolumeClaim"),
        ("apps.cozystack.io/v1alpha1", "Postgres"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for release in self
            .place
            .all(cluster, ("helm.toolkit.fluxcd.io/v2", "HelmRelease"))
            .await?
        {
            steps.extend(helm::render(cluster, &release).await?);
        }
        for pod in self.place.all(cluster, ("v1", "Pod")).await? {
            steps.extend(instances::stop(cluster, &pod).await?);
        }
        for volume in self
            .place
            .all(cluster, ("v1", "PersistentVolumeClaim"))
            .await?
        {
            let is_ours = !text(&volume, CLUSTER_LABEL).is_empty();
            if is_ours && self.fate != Fate::VolumesStay {
                steps.extend(let_go(cluster, MANAGER, &volume, VOLUME_FINALIZER).await?);
            }
        }
        for found in self.place.all(cluster, (API_VERSION, "Cluster")).await? {
            steps.extend(self.run(cluster, &found).await?);
        }
        for found in self.place.all(cluster, (API_VERSION, "Backup")).await? {
            steps.extend(self.back_up(cluster, &found, now).await?);
        }
        Ok(steps)
    }
}

impl Cnpg {
    /// An operator that writes to a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: Fate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// An operator at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: Fate) -> Self {
        Self { place, fate }
    }

    /// Takes a Cluster one step further.
    async fn run<C: Cluster>(
        &self,
        cluster: &C,
        database: &Value,
    ) -> Result<Option<String>, ApiError> {
        if database.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(None);
        }
        let recovers = database.pointer("/spec/bootstrap/recovery").is_some();
        match text(database, "/status/phase") {
            "" => instances::begin(cluster, database, recovers).await,
            "Setting up primary" if recovers => {
                if self.fate == Fate::RecoveryStalls {
                    return Ok(None);
                }
                // What it lacks may come yet.
                match self.base_to_recover(cluster, database).await? {
                    Some(base) => instances::complete(cluster, database, Some(&base)).await,
                    None => Ok(None),
                }
            }
            "Setting up primary" => instances::complete(cluster, database, None).await,
            _ => self.roll_out(cluster, database).await,
        }
    }

    /// Lets Barman look at the archive of a Cluster that is told to archive, and its Pods start with the plugin.
    async fn roll_out<C: Cluster>(
        &self,
        cluster: &C,
        database: &Value,
    ) -> Result<Option<String>, ApiError> {
        let Some(plugin) = our_plugin(database) else {
            return Ok(None);
        };
        if database.pointer("/status/pluginStatus/0/name").is_none() {
            return instances::load_plugin(cluster, database).await;
        }
        if text(database, "/status/phase") == "Cluster in healthy state" {
            return Ok(None);
        }
        let archive = archive(cluster, database, plugin).await?;
        let is_empty = match &archive {
            Some(archive) => !self.holds(archive, "wals/").await,
            None => true,
        };
        instances::restart(cluster, database, is_empty).await
    }

    async fn holds(&self, archive: &Archive, file: &str) -> bool {
        let start = format!("{}/{file}", archive.folder);
        let keys = self.place.bucket(&archive.bucket).keys().await;
        keys.iter().any(|key| key.starts_with(&start))
    }

    /// The base backup that a Cluster comes up from, if it is there: as the Cluster says, or else the newest.
    async fn base_to_recover<C: Cluster>(
        &self,
        cluster: &C,
        database: &Value,
    ) -> Result<Option<String>, ApiError> {
        let source = text(database, "/spec/bootstrap/recovery/source");
        let sources = database.pointer("/spec/externalClusters");
        let mut sources = sources.and_then(Value::as_array).into_iter().flatten();
        let Some(found) = sources.find(|found| text(found, "/name") == source) else {
            return Ok(None);
        };
        let Some(archive) = archive(cluster, database, &found["plugin"]).await? else {
            return Ok(None);
        };
        let target = "/spec/bootstrap/recovery/recoveryTarget/backupID";
        let wanted = text(database, target);
        let folder = format!("{}/base/", archive.folder);
        let keys = self.place.bucket(&archive.bucket).keys().await;
        let ids = keys.iter().filter_map(|key| {
            let id = key.strip_prefix(&folder)?.strip_suffix("/backup.info")?;
            (wanted.is_empty() || id == wanted).then_some(id)
        });
        let id = ids.max().map(ToOwned::to_owned);
        Ok(id.map(|id| format!("s3://{}/{folder}{id}", archive.bucket)))
    }

    /// Takes a base backup one step further.
    async fn back_up<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let phase = text(backup, "/status/phase");
        let status = match (phase, &self.fate) {
            ("" | "pending" | "walArchivingFailing", Fate::HoldsUp(error)) => {
                if phase == "walArchivingFailing" {
                    return Ok(None);
                }
                json!({ "phase": "walArchivingFailing", "error": error })
            }
            ("" | "pending" | "walArchivingFailing", _) => {
                json!({ "phase": "started", "startedAt": now.to_string(), "method": "plugin" })
            }
            ("started", _) => json!({ "phase": "running" }),
            ("running", Fate::Fails(error)) => json!({ "phase": "failed", "error": error }),
            ("running", Fate::Stalls) => return Ok(None),
            ("running", _) => self.upload(cluster, backup, now).await?,
            _ => return Ok(None),
        };
        set_status(cluster, MANAGER, backup, &status).await?;
        Ok(Some(format!(
            "Backup {} is {}",
            text(backup, "/metadata/name"),
            text(&status, "/phase")
        )))
    }

    /// What Barman leaves in the bucket, and what the operator says of it. Barman reads from the Cluster and its
    /// ObjectStore where that is, and either may be gone.
    async fn upload<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let failed = |error: &str| Ok(json!({ "phase": "failed", "error": error }));
        let name = text(backup, "/spec/cluster/name");
        let database = get(cluster, backup, API_VERSION, "Cluster", name).await?;
        let Some((database, plugin)) = database
            .as_ref()
            .and_then(|database| Some((database, our_plugin(database)?)))
        else {
            return failed("the Cluster or its plugin is gone");
        };
        let Some(archive) = archive(cluster, database, plugin).await? else {
            return failed("the ObjectStore is gone");
        };
        if instances::is_refused(cluster, database).await? {
            return failed("WAL archive check failed: Expected empty archive");
        }
        let bucket = self.place.bucket(&archive.bucket);
        let wals = format!("{}/wals/", archive.folder);
        let keys = bucket.keys().await;
        let written = keys.iter().filter(|key| key.starts_with(&wals)).count();
        let wal = format!("0000000100000000{:08X}", 3 + written);
        let id = free_id(&keys, &archive.folder, now);
        for (file, size_bytes) in [
            (format!("base/{id}/backup.info"), 1_204),
            (format!("base/{id}/data.tar.gz"), 4_194_304),
            (format!("wals/0000000100000000/{wal}.gz"), 65_536),
        ] {
            let key = format!("{}/{file}", archive.folder);
            bucket.put(&key, size_bytes, now).await;
        }
        Ok(json!({
            "phase": "completed",
            "stoppedAt": now.to_string(),
            "backupId": id,
            "beginWal": wal,
            "endWal": wal,
        }))
    }
}

/// Barman names a base backup after the second in which it was taken. One that is taken within the same second as another is
/// named after the next.
fn free_id(keys: &[String], folder: &str, now: Timestamp) -> String {
    let seconds = (0..).map(|later| now + SignedDuration::from_secs(later));
    let mut ids = seconds.map(|at| at.strftime("%Y%m%dT%H%M%S").to_string());
    let is_free = |id: &String| {
        let taken = format!("{folder}/base/{id}/");
        !keys.iter().any(|key| key.starts_with(&taken))
    };
    ids.find(is_free).unwrap_or_default()
}

/// Where a plugin's parameters lead.
struct Archive {
    bucket: String,
    folder: String,
}

/// The archive that an entry of a Cluster's plugins, or of its external clusters, names; none without its ObjectStore.
async fn archive<C: Cluster>(
    cluster: &C,
    database: &Value,
    plugin: &Value,
) -> Result<Option<Archive>, ApiError> {
    let store = text(plugin, "/parameters/barmanObjectName");
    let store = get(cluster, database, STORES, "ObjectStore", store).await?;
    let destination = store.as_ref().map_or("", |store| {
        text(store, "/spec/configuration/destinationPath")
    });
    let place = destination.strip_prefix("s3://");
    let place = place.and_then(|rest| rest.split_once('/'));
    let server = text(plugin, "/parameters/serverName");
    Ok(place.map(|(bucket, path)| Archive {
        bucket: bucket.to_owned(),
        folder: format!("{}/{server}", path.trim_matches('/')),
    }))
}

/// An object beside another one.
async fn get<C: Cluster>(
    cluster: &C,
    beside: &Value,
    api_version: &str,
    kind: &str,
    name: &str,
) -> Result<Option<Value>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    let target = ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(text(beside, "/metadata/namespace").to_owned()),
        name: name.to_owned(),
    };
    cluster.get(&Caller::host(), &target).await
}

fn our_plugin(database: &Value) -> Option<&Value> {
    let plugins = database.pointer("/spec/plugins")?.as_array()?;
    plugins
        .iter()
        .find(|plugin| text(plugin, "/name") == PLUGIN)
}

/// A Postgres application, its Cluster and its Pod, for a cluster that is not a [`Stage`]'s.
///
/// # Errors
/// When the stage itself is not in order.
pub fn postgres_objects(namespace: &str, name: &str, password: &str) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("postgres.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name)
        .replace("PASSWORD", password);
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// A Postgres application, with a user whose password is given, its Cluster and its Pod.
    ///
    /// # Errors
    /// When the namespace is missing.
    pub fn postgres(&self, namespace: &str, name: &str, password: &str) -> anyhow::Result<()> {
        for object in postgres_objects(namespace, name, password)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }
}
