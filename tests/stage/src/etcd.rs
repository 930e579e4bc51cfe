//! The etcd operator, and Helm beside it.

use std::sync::Arc;

use anyhow::Context as _;
use backup_engine::cluster::{ApiError, Caller, Cluster};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Stage, Workplace,
    play::{APPLICATION_KIND, VOLUME_FINALIZER, all, let_go, owner, set_status, text},
};

/// Of the operator's kinds.
pub(crate) const API_VERSION: &str = "etcd-operator.cozystack.io/v1alpha2";
const MANAGER: &str = "etcd-operator";
const MEMBER_FINALIZER: &str = "etcd-operator.cozystack.io/member-cleanup";

/// How it goes with what the operator is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EtcdFate {
    /// Snapshots complete, clusters come up, members leave.
    #[default]
    Completes,
    /// Snapshots fail for good, with this message.
    SnapshotFails(String),
    /// The Pod of a snapshot's Job cannot start, for this reason.
    SnapshotStuck(String),
    /// Snapshots never go on.
    SnapshotStalls,
    /// Clusters do not come up from a snapshot, with this message.
    BootstrapFails(String),
    /// Clusters never come up.
    BootstrapStalls,
    /// The Pod of a cluster's first member cannot start, for this reason.
    MemberStuck(String),
    /// A cluster answers, but no member joins its first.
    NobodyJoins,
    /// Members never leave.
    MembersStay,
}

/// The operator: it takes snapshots, brings clusters up, and sees members off, one step at a time. Helm renders a
/// cluster that is missing, unless its release is suspended.
pub struct EtcdOperator {
    place: Workplace,
    fate: EtcdFate,
}

impl Operator for EtcdOperator {
    const WATCHES: &[(&str, &str)] = &[
        (API_VERSION, "EtcdCluster"),
        (API_VERSION, "EtcdSnapshot"),
        (API_VERSION, "EtcdMember"),
        ("v1", "PersistentVolumeClaim"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for release in self
            .place
            .all(cluster, ("helm.toolkit.fluxcd.io/v2", "HelmRelease"))
            .await?
        {
            steps.extend(render(cluster, &release).await?);
        }
        for volume in self
            .place
            .all(cluster, ("v1", "PersistentVolumeClaim"))
            .await?
        {
            steps.extend(let_go(cluster, MANAGER, &volume, VOLUME_FINALIZER).await?);
        }
        if self.fate != EtcdFate::MembersStay {
            for member in self.place.all(cluster, (API_VERSION, "EtcdMember")).await? {
                steps.extend(let_go(cluster, MANAGER, &member, MEMBER_FINALIZER).await?);
            }
        }
        for found in self
            .place
            .all(cluster, (API_VERSION, "EtcdCluster"))
            .await?
        {
            steps.extend(self.bring_up(cluster, &found, now).await?);
        }
        for found in self
            .place
            .all(cluster, (API_VERSION, "EtcdSnapshot"))
            .await?
        {
            steps.extend(self.take(cluster, &found, now).await?);
        }
        Ok(steps)
    }
}

impl EtcdOperator {
    /// An operator that writes to a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: EtcdFate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// An operator at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: EtcdFate) -> Self {
        Self { place, fate }
    }

    /// Takes a snapshot one step further.
    async fn take<C: Cluster>(
        &self,
        cluster: &C,
        snapshot: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let name = text(snapshot, "/metadata/name");
        let ready = |status: &str, reason: &str, message: &str| {
            json!([{
                "type": "Ready", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": now.to_string(),
            }])
        };
        let status = match (text(snapshot, "/status/phase"), &self.fate) {
            ("", _) => {
                json!({ "phase": "Pending", "conditions": ready("False", "JobCreated", "the Job is created") })
            }
            ("Pending", EtcdFate::SnapshotStuck(why)) => {
                let job = format!("{name}-snapshot");
                let labels = json!({ "batch.kubernetes.io/job-name": job });
                stick(cluster, snapshot, &format!("{job}-x"), &labels, why).await?;
                return Ok(None);
            }
            ("Pending", EtcdFate::SnapshotFails(why)) => {
                json!({ "phase": "Failed", "conditions": ready("False", "JobFailed", why) })
            }
            ("Pending", EtcdFate::SnapshotStalls) => return Ok(None),
            ("Pending", _) => {
                json!({ "phase": "Started", "conditions": ready("False", "JobRunning", "the Job runs") })
            }
            ("Started", _) => {
                let s3 = "/spec/destination/s3";
                let folder = text(snapshot, &format!("{s3}/key"));
                let key = match folder {
                    "" => format!("{name}.db"),
                    folder if folder.ends_with('/') => format!("{folder}{name}.db"),
                    folder => format!("{folder}/{name}.db"),
                };
                let bucket = text(snapshot, &format!("{s3}/bucket"));
                self.place.bucket(bucket).put(&key, 20_512, now).await;
                json!({
                    "phase": "Complete",
                    "conditions": ready("True", "SnapshotStored", "the snapshot is stored"),
                    "artifact": {
                        "uri": format!("s3://{bucket}/{key}"),
                        "sizeBytes": 20_512,
                        "checksum": format!("sha256:{}", "0f".repeat(32)),
                    },
                })
            }
            _ => return Ok(None),
        };
        set_status(cluster, MANAGER, snapshot, &status).await?;
        Ok(Some(format!(
            "EtcdSnapshot {name} is {}",
            text(&status, "/phase")
        )))
    }

    /// Takes a cluster one step further: its first member, its first answer, all of its members.
    async fn bring_up<C: Cluster>(
        &self,
        cluster: &C,
        etcd: &Value,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let available = |status: &str, reason: &str, message: &str, ready: i64| {
            json!({
                "readyMembers": ready,
                "conditions": [{
                    "type": "Available", "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": now.to_string(),
                }],
            })
        };
        let source = "/spec/bootstrap/restore/source/s3";
        let from_snapshot = etcd.pointer(source).is_some();
        let key = text(etcd, &format!("{source}/key"));
        let bucket = text(etcd, &format!("{source}/bucket"));
        let stored = self.place.bucket(bucket).keys().await;
        let is_stored = stored.iter().any(|stored| stored == key);
        let status = match (text(etcd, "/status/conditions/0/reason"), &self.fate) {
            ("", EtcdFate::BootstrapStalls) if from_snapshot => return Ok(None),
            ("", _) => {
                grow(cluster, etcd, 0..1).await?;
                available("False", "Bootstrapping", "the first member starts", 0)
            }
            ("Bootstrapping", EtcdFate::MemberStuck(why)) if from_snapshot => {
                let name = format!("{}-first", text(etcd, "/metadata/name"));
                stick(
                    cluster,
                    etcd,
                    &name,
                    &labels(text(etcd, "/metadata/name")),
                    why,
                )
                .await?;
                return Ok(None);
            }
            ("Bootstrapping", EtcdFate::BootstrapFails(why)) if from_snapshot => {
                available("False", "BootstrapFailed", why, 0)
            }
            ("Bootstrapping", _) if from_snapshot && !is_stored => {
                available("False", "BootstrapFailed", "no such object", 0)
            }
            ("Bootstrapping", _) => available("True", "ClusterDiscovered", "a member answers", 1),
            ("ClusterDiscovered", EtcdFate::NobodyJoins) => return Ok(None),
            ("ClusterDiscovered", _) => {
                let replicas = etcd
                    .pointer("/spec/replicas")
                    .and_then(Value::as_i64)
                    .unwrap_or(3);
                grow(cluster, etcd, 1..replicas).await?;
                available("True", "QuorumHealthy", "all members answer", replicas)
            }
            _ => return Ok(None),
        };
        set_status(cluster, MANAGER, etcd, &status).await?;
        Ok(Some(format!(
            "EtcdCluster {} is {}",
            text(etcd, "/metadata/name"),
            text(&status, "/conditions/0/reason")
        )))
    }
}

/// A member of a cluster. The first characters of the cluster's UID stand for the random ones of a generated name.
pub(crate) fn member(cluster: &Value, index: i64) -> Value {
    let name = text(cluster, "/metadata/name");
    let uid = text(cluster, "/metadata/uid").replace('-', "");
    let generation = uid.get(uid.len().saturating_sub(6)..).unwrap_or_default();
    json!({
        "apiVersion": API_VERSION,
        "kind": "EtcdMember",
        "metadata": {
            "name": format!("{name}-{generation}{index}"),
            "namespace": text(cluster, "/metadata/namespace"),
            "labels": labels(name),
            "finalizers": [MEMBER_FINALIZER],
            "ownerReferences": [owner(cluster)],
        },
        "spec": {
            "clusterName": name,
            "version": text(cluster, "/spec/version"),
            "storage": { "size": text(cluster, "/spec/storage/size") },
            "clusterToken": uid,
            "initialCluster": format!("{name}-{generation}{index}"),
        },
    })
}

/// The volume of a member.
pub(crate) fn volume(member: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("data-{}", text(member, "/metadata/name")),
            "namespace": text(member, "/metadata/namespace"),
            "labels": labels(text(member, "/spec/clusterName")),
            "finalizers": [VOLUME_FINALIZER],
            "ownerReferences": [owner(member)],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "4Gi" } },
        },
    })
}

fn labels(cluster: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "etcd",
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/managed-by": "etcd-operator",
        "etcd-operator.cozystack.io/cluster": cluster,
    })
}

async fn grow<C: Cluster>(
    cluster: &C,
    etcd: &Value,
    members: std::ops::Range<i64>,
) -> Result<(), ApiError> {
    let host = Caller::host();
    for index in members {
        let made = cluster
            .create(&host, MANAGER, &member(etcd, index), false)
            .await?;
        cluster
            .create(&host, MANAGER, &volume(&made), false)
            .await?;
    }
    Ok(())
}

/// Helm, for one release: renders the cluster when it is missing.
async fn render<C: Cluster>(cluster: &C, release: &Value) -> Result<Option<String>, ApiError> {
    if text(release, APPLICATION_KIND) != "Etcd" {
        return Ok(None);
    }
    let namespace = text(release, "/metadata/namespace");
    let is_suspended = release.pointer("/spec/suspend") == Some(&json!(true));
    let clusters = all(cluster, API_VERSION, "EtcdCluster").await?;
    let is_there = clusters
        .iter()
        .any(|found| text(found, "/metadata/namespace") == namespace);
    if is_suspended || is_there {
        return Ok(None);
    }
    let rendered = json!({
        "apiVersion": API_VERSION,
        "kind": "EtcdCluster",
        "metadata": {
            "name": "etcd",
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "Helm" },
        },
        "spec": { "version": "3.6.4", "replicas": 3, "storage": { "size": "4Gi" } },
    });
    cluster
        .create(&Caller::host(), "helm-controller", &rendered, false)
        .await?;
    Ok(Some("Helm renders EtcdCluster etcd again".to_owned()))
}

/// A Pod that cannot start.
async fn stick<C: Cluster>(
    cluster: &C,
    of: &Value,
    name: &str,
    labels: &Value,
    why: &str,
) -> Result<(), ApiError> {
    let host = Caller::host();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": text(of, "/metadata/namespace"),
            "labels": labels,
            "ownerReferences": [owner(of)],
        },
        "spec": { "containers": [{ "name": "etcd", "image": "etcd" }] },
    });
    match cluster.create(&host, MANAGER, &pod, false).await {
        Ok(pod) => {
            let waiting = json!({ "reason": "CreateContainerConfigError", "message": why });
            let status = json!({
                "phase": "Pending",
                "containerStatuses": [{ "name": "etcd", "state": { "waiting": waiting } }],
            });
            set_status(cluster, MANAGER, &pod, &status).await
        }
        // It is there already.
        Err(_) => Ok(()),
    }
}

/// An Etcd application with its Helm release and its EtcdCluster, for a cluster that is not a [`Stage`]'s. Where
/// statuses are not put, the played operator brings the cluster up.
///
/// # Errors
/// When the stage itself is not in order.
pub fn etcd_objects(namespace: &str, name: &str) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("etcd.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name);
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// An Etcd application with its Helm release, and its EtcdCluster with three members and their volumes. The
    /// chart calls the cluster `etcd`, whatever the application is called.
    ///
    /// # Errors
    /// When the namespace is missing.
    pub fn etcd(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        for object in etcd_objects(namespace, name)? {
            self.cluster.put(object)?;
        }
        let cluster = self
            .cluster
            .read(API_VERSION, "EtcdCluster", Some(namespace), "etcd")
            .context("the EtcdCluster was not put")?;
        for index in 0..3 {
            let member = self.cluster.put(member(&cluster, index))?;
            self.cluster.put(volume(&member))?;
        }
        Ok(())
    }
}
