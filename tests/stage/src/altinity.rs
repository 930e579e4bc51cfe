//! What stands around clickhouse-backup: the operator's Pods, the Job controller and the kubelet as far as the Job of the
//! strategy goes, and clickhouse-backup itself.

use std::sync::{Arc, Mutex, PoisonError};

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Bucket, Operator, Stage, Workplace,
    play::{set_status, text},
};

const INSTALLATION: (&str, &str) = ("clickhouse.altinity.com/v1", "ClickHouseInstallation");
const JOB: (&str, &str) = ("batch/v1", "Job");
const MANAGER: &str = "clickhouse-operator";
const SIDECAR: &str = "clickhouse-backup";
/// When the Pods of an application were started that is put as it stands: before any credentials were handed out.
const BEFORE: &str = "2026-11-25T11:00:00Z";
/// The Secret with the platform's storage.
const PLATFORM: &str = "cozy-backups-creds";
/// The bucket of applications that do not use the platform's storage.
pub const OWN_BUCKET: &str = "own";

/// How it goes with what the Job asks clickhouse-backup for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AltinityFate {
    /// Archives are written, and restored.
    #[default]
    Completes,
    /// A command of this verb fails, with this error.
    CommandFails(String, String),
    /// The storage refuses the keys of every clickhouse-backup that was started before the story began.
    KeysRefused,
    /// clickhouse-backup does not answer.
    Unreachable,
    /// The Pod of the Job cannot start, for this reason.
    PodStuck(String),
    /// The Pods of the Job are lost, one after the other, and leave no word.
    PodsLost,
    /// The Job never comes to an end.
    Stalls,
    /// clickhouse-backup says that it is done, and has written only a part.
    WritesHalf,
}

/// All of it, one step at a time. Applications that do not use the platform's storage have the bucket [`OWN_BUCKET`].
pub struct ClickHouse {
    place: Workplace,
    fate: AltinityFate,
    /// Whether the cluster has a Job controller of its own.
    has_job_controller: bool,
    told: Mutex<Vec<String>>,
}

impl Operator for ClickHouse {
    const WATCHES: &[(&str, &str)] = &[INSTALLATION, JOB, ("v1", "Pod")];

    async fn step<C: Cluster>(&self, cluster: &C, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        let pods = self.place.all(cluster, ("v1", "Pod")).await?;
        for installation in self.place.all(cluster, INSTALLATION).await? {
            for pod in clickhouse_pods(&installation, &now.to_string()) {
                if find(&pods, &pod).is_none() {
                    put_pod(cluster, &pod).await?;
                    steps.push(format!("Pod {} is started", text(&pod, "/metadata/name")));
                }
            }
        }
        for job in self.place.all(cluster, JOB).await? {
            let labels = job.pointer("/metadata/labels");
            let is_of_strategy = labels.is_some_and(|labels| labels.get(MODE).is_some());
            if is_of_strategy
                && !is_over(&job)
                && job.pointer("/metadata/deletionTimestamp").is_none()
            {
                steps.extend(self.run(cluster, &job, &pods, now).await?);
            }
        }
        Ok(steps)
    }
}

impl ClickHouse {
    /// One whose archives lie in a storage.
    #[must_use]
    pub fn new(storage: Arc<impl Bucket + 'static>, fate: AltinityFate) -> Self {
        Self::at(Workplace::new(storage), fate)
    }

    /// One at a place.
    #[must_use]
    pub fn at(place: Workplace, fate: AltinityFate) -> Self {
        Self {
            place,
            fate,
            has_job_controller: false,
            told: Mutex::default(),
        }
    }

    /// The same, on a cluster that makes the Pods of Jobs and says how Jobs stand by itself.
    #[must_use]
    pub fn beside_a_job_controller(mut self) -> Self {
        self.has_job_controller = true;
        self
    }

    /// What clickhouse-backup was told so far, in its order: `<host>|<command>`, without the words that differ from run to
    /// run.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes a Job one step further: its Pod, its start, its end.
    async fn run<C: Cluster>(
        &self,
        cluster: &C,
        job: &Value,
        pods: &[Value],
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        let name = text(job, "/metadata/name");
        let of_job = |pod: &&Value| {
            pod.pointer("/metadata/labels")
                .is_some_and(|labels| labels["batch.kubernetes.io/job-name"] == name)
        };
        let Some(pod) = pods.iter().find(of_job) else {
            if self.has_job_controller {
                return Ok(None);
            }
            cluster
                .create(&Caller::host(), "job-controller", &pod_of(job), false)
                .await?;
            let started = json!({ "startTime": now.to_string(), "active": 1 });
            set_status(cluster, "job-controller", job, &started).await?;
            return Ok(Some(format!("Job {name} has a Pod")));
        };
        let ended = match (text(pod, "/status/phase"), &self.fate) {
            ("Succeeded" | "Failed", _) | (_, AltinityFate::Stalls) => return Ok(None),
            (_, AltinityFate::PodStuck(why)) => {
                let waiting = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": why } });
                set_status(
                    cluster,
                    "kubelet",
                    pod,
                    &pod_status("Pending", pod, &waiting),
                )
                .await?;
                return Ok(None);
            }
            ("Running", AltinityFate::PodsLost) => Err((137, String::new())),
            ("Running", _) => self.work(pod, pods, now).await,
            _ => {
                let running = json!({ "running": { "startedAt": now.to_string() } });
                set_status(
                    cluster,
                    "kubelet",
                    pod,
                    &pod_status("Running", pod, &running),
                )
                .await?;
                return Ok(Some(format!("the Pod of Job {name} runs")));
            }
        };
        let (phase, code, message) = match &ended {
            Ok(()) => ("Succeeded", 0, String::new()),
            Err((code, message)) => ("Failed", *code, message.clone()),
        };
        let reason = if code == 0 { "Completed" } else { "Error" };
        let terminated = json!({ "terminated": {
            "exitCode": code, "reason": reason, "message": message, "startedAt": now.to_string(), "finishedAt": now.to_string(),
        } });
        set_status(
            cluster,
            "kubelet",
            pod,
            &pod_status(phase, pod, &terminated),
        )
        .await?;
        if !self.has_job_controller {
            let condition = if code == 0 {
                json!({ "type": "Complete", "status": "True", "reason": "CompletionsReached", "message": "Reached expected number of succeeded pods" })
            } else {
                json!({ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit" })
            };
            set_status(
                cluster,
                "job-controller",
                job,
                &json!({ "active": 0, "conditions": [condition] }),
            )
            .await?;
        }
        Ok(Some(format!("Job {name}: {phase}")))
    }

    /// What the container does. Its exit code, and what it leaves, where it fails.
    async fn work(&self, pod: &Value, pods: &[Value], now: Timestamp) -> Result<(), (i32, String)> {
        let namespace = text(pod, "/metadata/namespace");
        let Some(steps) = variable(pod, "STEPS") else {
            return self.work_as_the_reference(pod, pods, now).await;
        };
        for step in steps.lines().filter(|step| *step != "--") {
            let (may_fail, step) = match step.strip_prefix('-') {
                Some(step) => (true, step),
                None => (false, step),
            };
            let (address, command) = step.split_once('|').unwrap_or_default();
            let host = address.split('.').next().unwrap_or_default();
            let said = |word: &str, code: i32, why: &str| {
                (
                    code,
                    format!(
                        "{word}|{address}|{}|{why}",
                        command.split(' ').next().unwrap_or_default()
                    ),
                )
            };
            if self.fate == AltinityFate::Unreachable {
                return Err(said("SidecarUnreachable", 1, "HTTP 000"));
            }
            let clickhouse = pods.iter().find(|pod| {
                text(pod, "/metadata/name") == format!("{host}-0")
                    && text(pod, "/metadata/namespace") == namespace
            });
            let Some(clickhouse) = clickhouse else {
                return Err(said("SidecarUnreachable", 1, "HTTP 000"));
            };
            self.hear(namespace, host, command);
            match self.command(clickhouse, command, now).await {
                Err(why) if !may_fail => return Err(said("OperationFailed", 10, &why)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The program of the first controller: a name of the time, and the newest archive on restore.
    async fn work_as_the_reference(
        &self,
        pod: &Value,
        pods: &[Value],
        now: Timestamp,
    ) -> Result<(), (i32, String)> {
        let container = &pod["spec"]["containers"][0];
        let script = container["args"].to_string();
        let word = script
            .split([' ', '"', '\\', '=', ';'])
            .find(|word| word.starts_with("clickhouse-") && word.ends_with('-'));
        let (namespace, prefix) = (
            text(pod, "/metadata/namespace"),
            word.unwrap_or("clickhouse-"),
        );
        let (mode, release) = (
            variable(pod, "BACKUP_MODE").unwrap_or_default(),
            prefix.trim_end_matches('-'),
        );
        let host = format!("chi-{release}-clickhouse-0-0");
        let clickhouse = pods.iter().find(|pod| {
            text(pod, "/metadata/name") == format!("{host}-0")
                && text(pod, "/metadata/namespace") == namespace
        });
        let Some(clickhouse) = clickhouse else {
            return Err((6, "curl: (6) Could not resolve host".to_owned()));
        };
        let named = script
            .contains("BACKUP_ARCHIVE")
            .then(|| variable(pod, "BACKUP_ARCHIVE"))
            .flatten();
        let (path, storage) = self.place(clickhouse, "");
        let archive = match mode {
            "backup" => named.map_or_else(
                || format!("{prefix}{}", now.strftime("%Y%m%dT%H%M%SZ")),
                ToOwned::to_owned,
            ),
            _ => {
                let names = format!("{path}/{prefix}");
                let newest = storage
                    .keys()
                    .await
                    .into_iter()
                    .rfind(|key| key.starts_with(&names) && key.ends_with("/metadata.json"));
                let newest = newest.and_then(|key| key.rsplit('/').nth(1).map(ToOwned::to_owned));
                let Some(name) = named.map(ToOwned::to_owned).or(newest) else {
                    return Err((1, "no remote backup found".to_owned()));
                };
                name
            }
        };
        let command = if mode == "backup" {
            format!("create_remote {archive}")
        } else {
            format!("restore_remote {archive}")
        };
        self.hear(namespace, &host, &command);
        self.command(clickhouse, &command, now)
            .await
            .map_err(|why| (1, why))
    }

    fn hear(&self, namespace: &str, host: &str, command: &str) {
        let words = command
            .split(' ')
            .filter(|word| !word.starts_with("--env=BACKUP_RUN="));
        let words: Vec<&str> = words.collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(format!("{namespace}/{host}|{}", words.join(" ")));
    }

    /// Where a command finds archives: what it says itself counts before what the container was started with.
    fn place(&self, clickhouse: &Value, command: &str) -> (String, &dyn Bucket) {
        let said = command
            .split(' ')
            .find_map(|word| word.strip_prefix("--env=S3_PATH="));
        let own = sidecar_variable(clickhouse, "S3_PATH");
        let path = said
            .or(own.and_then(|variable| variable["value"].as_str()))
            .unwrap_or_default();
        let bucket = sidecar_variable(clickhouse, "S3_BUCKET");
        let secret = bucket.map(|variable| text(variable, "/valueFrom/secretKeyRef/name"));
        let storage = self.place.bucket(if secret == Some(PLATFORM) {
            ""
        } else {
            OWN_BUCKET
        });
        (path.to_owned(), storage)
    }

    /// One command of one clickhouse-backup.
    async fn command(
        &self,
        clickhouse: &Value,
        command: &str,
        now: Timestamp,
    ) -> Result<(), String> {
        let verb = command.split(' ').next().unwrap_or_default();
        let archive = command.rsplit(' ').next().unwrap_or_default();
        if let AltinityFate::CommandFails(failing, why) = &self.fate
            && failing == verb
        {
            return Err(why.clone());
        }
        let is_old = clickhouse.pointer("/status/containerStatuses/1/state/running/startedAt")
            == Some(&json!(BEFORE));
        if self.fate == AltinityFate::KeysRefused
            && is_old
            && !command.contains(" local ")
            && verb != "kill"
        {
            return Err("operation error S3: ListObjectsV2, https response error StatusCode: 403, RequestID: 1, HostID: , api error \
                 InvalidAccessKeyId: the key that was given is not known here"
                .to_owned());
        }
        let (path, storage) = self.place(clickhouse, command);
        let folder = format!("{path}/{archive}");
        let last = format!("{folder}/metadata.json");
        match verb {
            "create_remote" => {
                let data = format!("{folder}/shadow/shop/orders/default_all_1_1_0.tar");
                storage.put(&data, 4_096, now).await;
                storage
                    .put(&format!("{folder}/metadata/shop/orders.json"), 512, now)
                    .await;
                if self.fate != AltinityFate::WritesHalf {
                    storage.put(&last, 1_024, now).await;
                }
                Ok(())
            }
            "download" | "restore_remote" if !storage.keys().await.contains(&last) => {
                Err(format!("{archive:?} is not found on remote storage"))
            }
            "delete" if command.contains(" remote ") => {
                for key in storage.keys().await {
                    if key.starts_with(&format!("{folder}/")) {
                        storage.remove(&key).await;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The label of the strategy's Jobs.
const MODE: &str = "altinity.strategy.backups.cozystack.io/mode";

/// The Pods of an installation, as the operator makes them of the chart's template.
fn clickhouse_pods(installation: &Value, started: &str) -> Vec<Value> {
    let (namespace, release) = (
        text(installation, "/metadata/namespace"),
        text(installation, "/metadata/name"),
    );
    let layout = &installation["spec"]["configuration"]["clusters"][0]["layout"];
    let count = |of: &str| layout[of].as_u64().unwrap_or(1);
    let uses_platform = text(installation, "/metadata/annotations/stage~1storage") != "own";
    let (secret, path) = match uses_platform {
        true => (PLATFORM.to_owned(), format!("{namespace}/{release}")),
        false => (format!("{release}-backup-s3"), release.to_owned()),
    };
    let key = |name: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key, "optional": uses_platform } } });
    let sidecar = json!({
        "name": SIDECAR,
        "image": "registry.example.org/clickhouse-backup:2.7.4",
        "command": ["clickhouse-backup", "server"],
        "env": [
            { "name": "CLICKHOUSE_HOST", "value": "localhost" },
            key("S3_BUCKET", "bucketName"), key("S3_ENDPOINT", "endpoint"), key("S3_ACCESS_KEY", "accessKey"),
            { "name": "S3_PATH", "value": path },
        ],
    });
    let hosts = (0..count("shardsCount"))
        .flat_map(|shard| (0..count("replicasCount")).map(move |replica| (shard, replica)));
    hosts
        .map(|(shard, replica)| {
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": format!("chi-{release}-clickhouse-{shard}-{replica}-0"),
                    "namespace": namespace,
                    "labels": {
                        "clickhouse.altinity.com/chi": release,
                        "clickhouse.altinity.com/cluster": "clickhouse",
                        "clickhouse.altinity.com/shard": shard.to_string(),
                        "clickhouse.altinity.com/replica": replica.to_string(),
                    },
                },
                "spec": { "automountServiceAccountToken": false, "containers": [
                    { "name": "clickhouse", "image": "registry.example.org/clickhouse:25.3" }, sidecar,
                ] },
                "status": {
                    "phase": "Running",
                    "conditions": [{ "type": "Ready", "status": "True" }],
                    "containerStatuses": [
                        container_status("clickhouse", started),
                        container_status(SIDECAR, started),
                    ],
                },
            })
        })
        .collect()
}

fn container_status(name: &str, started: &str) -> Value {
    json!({
        "name": name,
        "image": format!("registry.example.org/{name}"),
        "imageID": format!("registry.example.org/{name}@sha256:{}", "0f".repeat(32)),
        "ready": true,
        "restartCount": 0,
        "state": { "running": { "startedAt": started } },
    })
}

async fn put_pod<C: Cluster>(cluster: &C, pod: &Value) -> Result<(), ApiError> {
    let made = cluster.create(&Caller::host(), MANAGER, pod, false).await?;
    let status = json!({ "status": pod["status"] });
    cluster
        .merge(
            &Caller::host(),
            MANAGER,
            &reference(&made),
            &status,
            Part::Status,
        )
        .await
        .map(|_| ())
}

/// The Pod that the Job controller makes of a Job.
fn pod_of(job: &Value) -> Value {
    let name = text(job, "/metadata/name");
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{name}-x"),
            "namespace": text(job, "/metadata/namespace"),
            "labels": job["spec"]["template"]["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": JOB.0, "kind": JOB.1, "name": name, "uid": text(job, "/metadata/uid"),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": job["spec"]["template"]["spec"],
    });
    pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = name.into();
    pod
}

fn pod_status(phase: &str, pod: &Value, state: &Value) -> Value {
    let container = &pod["spec"]["containers"][0];
    json!({
        "phase": phase,
        "containerStatuses": [{
            "name": container["name"], "image": container["image"], "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }],
    })
}

fn is_over(job: &Value) -> bool {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let mut types = conditions
        .into_iter()
        .flatten()
        .map(|condition| text(condition, "/type"));
    types.any(|of| matches!(of, "Complete" | "Failed"))
}

fn find<'a>(pods: &'a [Value], pod: &Value) -> Option<&'a Value> {
    let of = |pod: &Value| {
        (
            text(pod, "/metadata/namespace").to_owned(),
            text(pod, "/metadata/name").to_owned(),
        )
    };
    pods.iter().find(|found| of(found) == of(pod))
}

/// A variable of a Pod's first container.
fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    env.iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

fn sidecar_variable<'a>(clickhouse: &'a Value, name: &str) -> Option<&'a Value> {
    let containers = clickhouse["spec"]["containers"].as_array()?;
    let sidecar = containers
        .iter()
        .find(|container| container["name"] == SIDECAR)?;
    sidecar["env"]
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == name)
}

/// A ClickHouse application with its Helm release and its installation of so many shards and replicas of each, for a
/// cluster that is not a [`Stage`]'s: there the played operator starts its Pods.
///
/// # Errors
/// When the stage itself is not in order.
pub fn clickhouse_objects(
    namespace: &str,
    name: &str,
    (shards, replicas): (u32, u32),
) -> anyhow::Result<Vec<Value>> {
    let text = include_str!("clickhouse.yaml")
        .replace("NAMESPACE", namespace)
        .replace("NAME", name)
        .replace("SHARDS", &shards.to_string())
        .replace("REPLICAS", &replicas.to_string());
    Ok(serde_saphyr::from_multiple(&text)?)
}

impl Stage {
    /// A ClickHouse application with its Helm release, its installation, and its Pods, which have run for an hour.
    ///
    /// # Errors
    /// When the namespace is missing.
    pub fn clickhouse(
        &self,
        namespace: &str,
        name: &str,
        layout: (u32, u32),
    ) -> anyhow::Result<()> {
        for object in clickhouse_objects(namespace, name, layout)? {
            if object["kind"] == "ClickHouseInstallation" {
                for pod in clickhouse_pods(&object, BEFORE) {
                    self.cluster.put(pod)?;
                }
            }
            self.cluster.put(object)?;
        }
        Ok(())
    }
}
