//! mariadb-operator.

use std::sync::{Arc, Mutex, PoisonError};

use backup_engine::{
    cluster::{ApiError, ApiReason, Caller, Cluster, Part},
    reference,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Stage, Workplace,
    play::{all, set_status, text},
};

const API_VERSION: &str = "k8s.mariadb.com/v1alpha1";
const MANAGER: &str = "mariadb-operator";
/// Bytes of a dump: small, because a real bucket really holds them.
const SIZE: u64 = 4_096;
/// The operator removes dumps that are older than this, when it is told nothing.
const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A MariaDB application with a user whose password is given, and its MariaDB, for a cluster that is not a [`Stage`]'s.
/// Where statuses are not put, the played operator brings it up.
///
/// # Errors
/// When the stage itself is not in order.
pub fn mariadb_objects(namespace: &str, name: &str, password: &str) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("mariadb.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name)
        .replace("PASSWORD", password);
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// A MariaDB application, with a user whose password is given, and its MariaDB.
    ///
    /// # Errors
    /// When the namespace is missing.
    pub fn mariadb(&self, namespace: &str, name: &str, password: &str) -> anyhow::Result<()> {
        for object in mariadb_objects(namespace, name, password)? {
            self.cluster.put(object)?;
        }
        Ok(())
    }
}

/// How it goes with what the operator is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MariaDbFate {
    /// Dumps are stored and put back.
    #[default]
    Completes,
    /// The operator is not there.
    Absent,
    /// The Job of a dump fails. The operator calls it complete.
    DumpFails,
    /// Dumps never end.
    DumpStalls,
    /// The Pod of a dump cannot start, for this reason.
    DumpStuck(String),
    /// Dumps are said to be stored, and are not.
    DumpVanishes,
    /// The Job of a restore fails. The operator calls it complete.
    RestoreFails,
    /// Restores never end.
    RestoreStalls,
    /// The Pod of a restore cannot start, for this reason.
    RestoreStuck(String),
}

/// The operator: it dumps and restores, one step at a time, and removes old dumps when it stores a new one.
#[derive(Clone)]
pub struct MariaDbOperator {
    place: Workplace,
    fate: MariaDbFate,
    restored: Arc<Mutex<Vec<(String, String)>>>,
}

impl Operator for MariaDbOperator {
    const WATCHES: &[(&str, &str)] = &[
        (API_VERSION, "MariaDB"),
        (API_VERSION, "Backup"),
        (API_VERSION, "Restore"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        if self.fate == MariaDbFate::Absent {
            return Ok(steps);
        }
        for found in self.place.all(cluster, (API_VERSION, "MariaDB")).await? {
            steps.extend(bring_up(cluster, &found, now).await?);
        }
        for found in self.place.all(cluster, (API_VERSION, "Backup")).await? {
            steps.extend(self.dump(cluster, &found, now).await?);
        }
        for found in self.place.all(cluster, (API_VERSION, "Restore")).await? {
            steps.extend(self.restore(cluster, &found, now).await?);
        }
        Ok(steps)
    }
}

impl MariaDbOperator {
    /// An operator that writes to a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: MariaDbFate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// An operator at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: MariaDbFate) -> Self {
        Self {
            place,
            fate,
            restored: Arc::default(),
        }
    }

    /// The same operator, with another fate from now on.
    #[must_use]
    pub fn but(&self, fate: MariaDbFate) -> Self {
        Self {
            fate,
            ..self.clone()
        }
    }

    /// What was restored: the namespace and name of a MariaDB, and the key of the dump that it holds since, or the name
    /// of the volume. In order.
    #[must_use]
    pub fn restored(&self) -> Vec<(String, String)> {
        self.restored
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes a dump one step further.
    async fn dump<C: Cluster>(
        &self,
        cluster: &C,
        backup: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let (status, reason, message) = match (reason(backup), &self.fate) {
            ("" | "Failed", _) if !is_ready(cluster, backup).await? => {
                ("False", "Failed", "MariaDB not ready")
            }
            ("" | "Failed", fate) => {
                default(cluster, backup).await?;
                let begun_at = self.behind_others(backup, now).await;
                let pod = begin(cluster, backup, begun_at).await?;
                if let MariaDbFate::DumpStuck(why) = fate {
                    stick(cluster, &pod, why).await?;
                }
                ("False", "JobRunning", "Running")
            }
            ("JobRunning", MariaDbFate::DumpStalls | MariaDbFate::DumpStuck(_)) => {
                return Ok(None);
            }
            ("JobRunning", MariaDbFate::DumpFails) => {
                end(cluster, backup, now, 1).await?;
                ("True", "JobFailed", "Failed")
            }
            ("JobRunning", fate) => {
                let begun_at = end(cluster, backup, now, 0).await?.unwrap_or(now);
                if *fate != MariaDbFate::DumpVanishes {
                    self.store(backup, begun_at, now).await;
                }
                ("True", "JobComplete", "Success")
            }
            _ => return Ok(None),
        };
        complete(cluster, backup, now, (status, reason, message)).await
    }

    /// When a dump begins that begins now. A real Pod takes seconds to come up, so that no two dumps have one name.
    async fn behind_others(&self, backup: &Value, now: Timestamp) -> Timestamp {
        let s3 = "/spec/storage/s3";
        let bucket = self.place.bucket(text(backup, &format!("{s3}/bucket")));
        let prefix = prefix(text(backup, &format!("{s3}/prefix")));
        let keys = bucket.keys().await;
        let last = keys.iter().filter_map(|key| taken_at(&prefix, key)).max();
        match last.filter(|last| now.duration_since(*last) < SignedDuration::from_secs(1)) {
            Some(last) => last + SignedDuration::from_secs(1),
            None => now,
        }
    }

    /// Stores a dump, and removes those that are too old.
    async fn store(&self, backup: &Value, begun_at: Timestamp, now: Timestamp) {
        let s3 = "/spec/storage/s3";
        if backup.pointer(s3).is_none() {
            return;
        }
        let bucket = self.place.bucket(text(backup, &format!("{s3}/bucket")));
        let prefix = prefix(text(backup, &format!("{s3}/prefix")));
        let compression = match text(backup, "/spec/compression") {
            "" | "none" => String::new(),
            compression => format!(".{compression}"),
        };
        let key = format!(
            "{prefix}backup.{}{compression}.sql",
            begun_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        bucket.put(&key, SIZE, now).await;
        let retention = retention(text(backup, "/spec/maxRetention"));
        for key in bucket.keys().await {
            let is_old =
                taken_at(&prefix, &key).is_some_and(|at| now.duration_since(at) > retention);
            if is_old {
                bucket.remove(&key).await;
            }
        }
    }

    /// Takes a restore one step further.
    async fn restore<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let (status, reason, message) = match (reason(restore), &self.fate) {
            ("", fate) => {
                let pod = begin(cluster, restore, now).await?;
                if let MariaDbFate::RestoreStuck(why) = fate {
                    stick(cluster, &pod, why).await?;
                }
                ("False", "JobRunning", "Running")
            }
            ("JobRunning", MariaDbFate::RestoreStalls | MariaDbFate::RestoreStuck(_)) => {
                return Ok(None);
            }
            ("JobRunning", fate) => {
                let found = self.found(cluster, restore, now).await?;
                let found = found.filter(|_| *fate != MariaDbFate::RestoreFails);
                end(cluster, restore, now, i64::from(found.is_none())).await?;
                match found {
                    Some(dump) => {
                        let namespace = text(restore, "/metadata/namespace");
                        let into = text(restore, "/spec/mariaDbRef/name");
                        let into = format!("{namespace}/{into}");
                        let mut restored =
                            self.restored.lock().unwrap_or_else(PoisonError::into_inner);
                        restored.push((into, dump));
                        ("True", "JobComplete", "Success")
                    }
                    None => ("True", "JobFailed", "Failed"),
                }
            }
            _ => return Ok(None),
        };
        complete(cluster, restore, now, (status, reason, message)).await
    }

    /// The dump that a restore puts back: the one that was begun nearest to the time that it names, or to now.
    async fn found<C: Cluster>(
        &self,
        cluster: &C,
        restore: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let claim = text(restore, "/spec/volume/persistentVolumeClaim/claimName");
        if !claim.is_empty() {
            let namespace = text(restore, "/metadata/namespace");
            let claims = self
                .place
                .all(cluster, ("v1", "PersistentVolumeClaim"))
                .await?;
            let is_there = claims.iter().any(|found| {
                text(found, "/metadata/namespace") == namespace
                    && text(found, "/metadata/name") == claim
            });
            return Ok(is_there.then(|| claim.to_owned()));
        }
        if restore.pointer("/spec/s3").is_none() {
            return Ok(restore.pointer("/spec/volume").map(Value::to_string));
        }
        let wanted = text(restore, "/spec/targetRecoveryTime");
        let wanted: Timestamp = wanted.parse().unwrap_or(now);
        let bucket = self.place.bucket(text(restore, "/spec/s3/bucket"));
        let prefix = prefix(text(restore, "/spec/s3/prefix"));
        let keys = bucket.keys().await.into_iter();
        let dumps = keys.filter_map(|key| Some((taken_at(&prefix, &key)?, key)));
        let nearest = dumps.min_by_key(|(at, _)| at.duration_since(wanted).abs());
        Ok(nearest.map(|(_, key)| key))
    }
}

/// The reason of what an object says of its Job.
fn reason(object: &Value) -> &str {
    text(object, "/status/conditions/0/reason")
}

async fn complete<C: Cluster>(
    cluster: &C,
    object: &Value,
    now: Timestamp,
    (status, reason, message): (&str, &str, &str),
) -> Result<Option<String>, ApiError> {
    if self::reason(object) == reason {
        return Ok(None);
    }
    let condition = condition("Complete", (status, reason, message), now);
    set_status(
        cluster,
        MANAGER,
        object,
        &json!({ "conditions": [condition] }),
    )
    .await?;
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    Ok(Some(format!("{kind} {name} is {reason}")))
}

fn condition(kind: &str, (status, reason, message): (&str, &str, &str), now: Timestamp) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": seconds(now),
    })
}

/// As Kubernetes writes times.
fn seconds(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A MariaDB that was just rendered comes up.
async fn bring_up<C: Cluster>(
    cluster: &C,
    mariadb: &Value,
    now: Timestamp,
) -> Result<Option<String>, ApiError> {
    if mariadb.pointer("/status/conditions").is_some() {
        return Ok(None);
    }
    let ready = condition("Ready", ("True", "StatefulSetReady", "Running"), now);
    set_status(cluster, MANAGER, mariadb, &json!({ "conditions": [ready] })).await?;
    Ok(Some(format!(
        "MariaDB {} is ready",
        text(mariadb, "/metadata/name")
    )))
}

/// Whether the MariaDB of a Backup is ready.
async fn is_ready<C: Cluster>(cluster: &C, backup: &Value) -> Result<bool, ApiError> {
    let namespace = text(backup, "/metadata/namespace");
    let name = text(backup, "/spec/mariaDbRef/name");
    let found = all(cluster, API_VERSION, "MariaDB").await?;
    let mariadb = found.iter().find(|found| {
        text(found, "/metadata/namespace") == namespace && text(found, "/metadata/name") == name
    });
    let conditions = mariadb.and_then(|found| found.pointer("/status/conditions")?.as_array());
    Ok(conditions.into_iter().flatten().any(|condition| {
        text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
    }))
}

/// The operator writes into a Backup what was left out, and makes the volume that it asks for.
async fn default<C: Cluster>(cluster: &C, backup: &Value) -> Result<(), ApiError> {
    let mut spec = json!({ "backoffLimit": 5 });
    for (field, value) in [("compression", "none"), ("maxRetention", "720h0m0s")] {
        if backup.pointer(&format!("/spec/{field}")).is_none() {
            spec[field] = value.into();
        }
    }
    let target = reference(backup);
    let host = Caller::host();
    cluster
        .merge(
            &host,
            MANAGER,
            &target,
            &json!({ "spec": spec }),
            Part::Main,
        )
        .await?;
    let Some(claim) = backup.pointer("/spec/storage/persistentVolumeClaim") else {
        return Ok(());
    };
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": text(backup, "/metadata/name"),
            "namespace": text(backup, "/metadata/namespace"),
        },
        "spec": claim,
    });
    unless_there(cluster.create(&host, MANAGER, &claim, false).await).map(|_| ())
}

/// The Pod of a Job, which begins at once.
async fn begin<C: Cluster>(
    cluster: &C,
    order: &Value,
    now: Timestamp,
) -> Result<Option<Value>, ApiError> {
    let name = text(order, "/metadata/name");
    let containers = match text(order, "/kind") {
        "Backup" => ["mariadb", "mariadb-operator"],
        _ => ["mariadb-operator", "mariadb"],
    };
    let container = |name: &str| json!({ "name": name, "image": "mariadb" });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{name}-x"),
            "namespace": text(order, "/metadata/namespace"),
            "labels": { "batch.kubernetes.io/job-name": name },
            "ownerReferences": [{
                "apiVersion": text(order, "/apiVersion"),
                "kind": text(order, "/kind"),
                "name": name,
                "uid": text(order, "/metadata/uid"),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "initContainers": [container(containers[0])],
            "containers": [container(containers[1])],
        },
    });
    let host = Caller::host();
    let Some(pod) = unless_there(cluster.create(&host, MANAGER, &pod, false).await)? else {
        return Ok(None);
    };
    let running = json!({ "running": { "startedAt": seconds(now) } });
    let status = json!({
        "phase": "Pending",
        "initContainerStatuses": [ran(containers[0], &running)],
    });
    set_status(cluster, MANAGER, &pod, &status).await?;
    Ok(Some(pod))
}

/// A container as a kubelet tells of it.
fn ran(name: &str, state: &Value) -> Value {
    json!({
        "name": name, "image": "mariadb", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    })
}

/// The Pod of an order.
async fn pod_of<C: Cluster>(cluster: &C, order: &Value) -> Result<Option<Value>, ApiError> {
    let job = text(order, "/metadata/name");
    let namespace = text(order, "/metadata/namespace");
    let pods = all(cluster, "v1", "Pod").await?;
    Ok(pods.into_iter().find(|pod| {
        pod.pointer("/metadata/labels/batch.kubernetes.io~1job-name") == Some(&json!(job))
            && text(pod, "/metadata/namespace") == namespace
    }))
}

/// The Pod of a Job ends. Gives back when it began.
async fn end<C: Cluster>(
    cluster: &C,
    order: &Value,
    now: Timestamp,
    exit_code: i64,
) -> Result<Option<Timestamp>, ApiError> {
    let Some(pod) = pod_of(cluster, order).await? else {
        return Ok(None);
    };
    let begun = text(
        &pod,
        "/status/initContainerStatuses/0/state/running/startedAt",
    )
    .to_owned();
    let ended = json!({ "terminated": {
        "exitCode": exit_code,
        "reason": if exit_code == 0 { "Completed" } else { "Error" },
        "startedAt": begun,
        "finishedAt": seconds(now),
    } });
    let first = text(&pod, "/spec/initContainers/0/name");
    let second = text(&pod, "/spec/containers/0/name");
    let mut status = json!({
        "phase": if exit_code == 0 { "Succeeded" } else { "Failed" },
        "initContainerStatuses": [ran(first, &ended)],
    });
    if exit_code == 0 {
        status["containerStatuses"] = json!([ran(second, &ended)]);
    }
    set_status(cluster, MANAGER, &pod, &status).await?;
    Ok(begun.parse().ok())
}

/// The first container of a Pod cannot start.
async fn stick<C: Cluster>(cluster: &C, pod: &Option<Value>, why: &str) -> Result<(), ApiError> {
    let Some(pod) = pod else {
        return Ok(());
    };
    let waiting = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": why } });
    let first = text(pod, "/spec/initContainers/0/name");
    let status = json!({ "phase": "Pending", "initContainerStatuses": [ran(first, &waiting)] });
    set_status(cluster, MANAGER, pod, &status).await
}

/// None where it is there already.
fn unless_there(created: Result<Value, ApiError>) -> Result<Option<Value>, ApiError> {
    match created {
        Err(error) if error.reason == ApiReason::AlreadyExists => Ok(None),
        created => created.map(Some),
    }
}

/// As the operator reads a prefix.
fn prefix(prefix: &str) -> String {
    match prefix {
        "" | "/" => String::new(),
        prefix if prefix.ends_with('/') => prefix.to_owned(),
        prefix => format!("{prefix}/"),
    }
}

/// When a dump was begun, as the operator takes its key apart: by the dots in all of it. Other keys are none of its own.
fn taken_at(prefix: &str, key: &str) -> Option<Timestamp> {
    let name = key.strip_prefix(prefix)?;
    let is_dump = !name.contains('/') && name.starts_with("backup.") && name.ends_with(".sql");
    key.split('.').nth(1).filter(|_| is_dump)?.parse().ok()
}

/// Whole hours, and the operator's default in the place of nothing.
fn retention(text: &str) -> SignedDuration {
    let hours = text.split('h').next().unwrap_or_default();
    hours.parse().map_or(RETENTION, SignedDuration::from_hours)
}
