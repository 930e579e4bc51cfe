//! The Altinity operator's objects, as far as they are looked at, and the Pods in which clickhouse-backup runs.

use backup_strategy::prelude::*;
use serde::Deserialize;

use crate::Altinity;

/// What the platform puts before an application's name to call its Helm release, and the chart everything else.
const RELEASE_PREFIX: &str = "clickhouse-";
/// The chart's name of the cluster in the installation.
pub const CLUSTER: &str = "clickhouse";
/// The container that the chart puts beside ClickHouse.
const SIDECAR: &str = "clickhouse-backup";
/// Where its API listens.
const PORT: u16 = 7171;
/// The operator's label with the installation's name on each Pod.
const INSTALLATION_LABEL: &str = "clickhouse.altinity.com/chi";

/// The Helm release of an application, by whose name the chart calls the installation, its Secrets and its folder.
pub fn release_of(application: &ApplicationRef) -> String {
    format!("{RELEASE_PREFIX}{}", application.name)
}

/// The Secret with which the API lets in, made by the chart.
pub fn api_secret(application: &ApplicationRef) -> String {
    format!("{}-backup-api-auth", release_of(application))
}

/// A ClickHouse installation.
#[derive(Deserialize)]
pub struct Installation {
    #[serde(default)]
    spec: InstallationSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InstallationSpec {
    configuration: Configuration,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Configuration {
    clusters: Vec<ClusterSpec>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClusterSpec {
    name: String,
    layout: Layout,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase", default)]
struct Layout {
    shards_count: Option<u32>,
    replicas_count: Option<u32>,
}

impl Object for Installation {
    const API_VERSION: &str = "clickhouse.altinity.com/v1";
    const KIND: &str = "ClickHouseInstallation";
}

impl Installation {
    /// How many shards, and replicas of each. One of what it does not say.
    fn layout(&self) -> (u32, u32) {
        let clusters = &self.spec.configuration.clusters;
        let cluster = clusters.iter().find(|cluster| cluster.name == CLUSTER);
        let layout = cluster.map(|cluster| cluster.layout).unwrap_or_default();
        (
            layout.shards_count.unwrap_or(1),
            layout.replicas_count.unwrap_or(1),
        )
    }
}

/// A Pod: of ClickHouse, or of a Job.
#[derive(Deserialize)]
pub struct Pod {
    pub metadata: Metadata,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
    env: Vec<Variable>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Variable {
    name: String,
    value: Option<String>,
    value_from: ValueFrom,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ValueFrom {
    secret_key_ref: SecretKeyRef,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SecretKeyRef {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "imageID")]
    image_id: String,
    state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerState {
    running: Option<Running>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i64,
    message: String,
    finished_at: Option<Timestamp>,
}

impl Object for Pod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl Pod {
    pub fn is_ready(&self) -> bool {
        let ready = Condition::named(&self.status.conditions, "Ready");
        !self.metadata.is_being_deleted() && ready.is_some_and(Condition::is_true)
    }

    fn sidecar(&self) -> Option<&Container> {
        self.spec
            .containers
            .iter()
            .find(|container| container.name == SIDECAR)
    }

    fn variable(&self, name: &str) -> Option<&Variable> {
        let env = &self.sidecar()?.env;
        env.iter().find(|variable| variable.name == name)
    }

    /// When its clickhouse-backup was started, and so has read its credentials.
    pub fn sidecar_started_at(&self) -> Option<Timestamp> {
        let mut statuses = self.status.container_statuses.iter();
        let sidecar = statuses.find(|status| status.name == SIDECAR)?;
        sidecar.state.running.as_ref()?.started_at
    }

    /// What a container that has failed left to be told, and when.
    pub fn report(&self) -> Option<(Option<Timestamp>, &str)> {
        let mut ended = self
            .status
            .container_statuses
            .iter()
            .filter_map(|status| status.state.terminated.as_ref());
        let failed = ended.find(|ended| ended.exit_code != 0 && !ended.message.is_empty())?;
        Some((failed.finished_at, failed.message.trim()))
    }
}

/// A clickhouse-backup that a run talks to.
pub struct Sidecar {
    pub shard: u32,
    /// The first replica of each shard has the data taken from, and given to, it.
    pub is_first: bool,
    pub pod: Pod,
    /// Host and port of its API.
    pub address: String,
}

/// Those of an application, by shard and replica.
pub struct Sidecars {
    pub all: Vec<Sidecar>,
    pub shards: u32,
    pub replicas: u32,
}

impl Sidecars {
    /// Those of all replicas. A cluster that is not complete yet is waited for.
    pub fn of(cx: &Context<Altinity>) -> Outcome<Self> {
        let release = release_of(&cx.subject());
        let namespace = cx.subject().namespace;
        let found = cx.get::<Installation>(&release).or_wait(
            "ClickHouseNotReady",
            format!("there is no ClickHouseInstallation {namespace}/{release} yet"),
        );
        let (shards, replicas) = found.at_most(30.minutes())?.layout();
        let mut pods = cx.find::<Pod>(&[(INSTALLATION_LABEL, &release)])?;
        let mut all = Vec::new();
        for (shard, replica) in
            (0..shards).flat_map(|shard| (0..replicas).map(move |replica| (shard, replica)))
        {
            let host = format!("chi-{release}-{CLUSTER}-{shard}-{replica}");
            let name = format!("{host}-0");
            let at = pods
                .iter()
                .position(|pod| pod.metadata.name == name && pod.is_ready());
            let Some(at) = at else {
                return wait(
                    "ClickHouseNotReady",
                    format!("Pod {namespace}/{name} is not ready"),
                )
                .pending()
                .at_most(30.minutes());
            };
            let pod = pods.swap_remove(at);
            if pod.sidecar().is_none() {
                return fail(
                    "SidecarMissing",
                    format!(
                        "Pod {name} runs no clickhouse-backup; set spec.backup.enabled and spec.backup.useSystemBucket of \
                         ClickHouse {} to true",
                        cx.subject().name
                    ),
                );
            }
            let address = format!("{host}.{namespace}.svc:{PORT}");
            all.push(Sidecar {
                shard,
                is_first: replica == 0,
                pod,
                address,
            });
        }
        Ok(Self {
            all,
            shards,
            replicas,
        })
    }

    /// Those of the first replicas, by shard.
    pub fn first(&self) -> impl Iterator<Item = &Sidecar> {
        self.all.iter().filter(|sidecar| sidecar.is_first)
    }

    /// The folder that they write archives to.
    pub fn path(&self) -> Outcome<String> {
        let path = self
            .all
            .first()
            .and_then(|sidecar| sidecar.pod.variable("S3_PATH"));
        let path = path
            .and_then(|path| path.value.as_deref())
            .map(|path| path.trim_matches('/').to_owned());
        path.filter(|path| backup_strategy::is_path(path)).or_fail(
            "SidecarUnknown",
            "the clickhouse-backup beside ClickHouse has no S3_PATH that could be a folder; upgrade the ClickHouse release",
        )
    }

    /// Whether they use the platform's storage.
    pub fn use_platform(&self, platform: &Bucket) -> bool {
        self.all.iter().all(|sidecar| {
            let bucket = sidecar.pod.variable("S3_BUCKET");
            bucket.is_some_and(|bucket| {
                bucket.value_from.secret_key_ref.name == platform.credentials_secret
            })
        })
    }

    /// Whether they were given a certificate authority.
    pub fn have_authority(&self) -> bool {
        self.all
            .iter()
            .all(|sidecar| sidecar.pod.variable("SSL_CERT_DIR").is_some())
    }

    /// The image that runs in them, by digest where the kubelet says one.
    pub fn image(&self) -> Option<&str> {
        let pod = &self.all.first()?.pod;
        let mut statuses = pod.status.container_statuses.iter();
        let running = statuses
            .find(|status| status.name == SIDECAR)
            .map(|status| status.image_id.as_str());
        let pinned = running
            .map(|image| image.rsplit("://").next().unwrap_or(image))
            .filter(|image| {
                image
                    .split_once("@sha256:")
                    .is_some_and(|(name, _)| !name.is_empty())
            });
        pinned.or(pod.sidecar().map(|sidecar| sidecar.image.as_str()))
    }
}

/// A Job of Kubernetes.
#[derive(Deserialize)]
pub struct BatchJob {
    pub metadata: Metadata,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JobStatus {
    conditions: Vec<Condition>,
    start_time: Option<Timestamp>,
}

/// How far a Job is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    Running,
    Done,
    /// With Kubernetes' own words, which never say what the Pod was about.
    Failed(&'a str),
}

impl Object for BatchJob {
    const API_VERSION: &str = "batch/v1";
    const KIND: &str = "Job";
}

impl BatchJob {
    pub fn completion(&self) -> Completion<'_> {
        let last = |condition: &&Condition| {
            condition.is_true() && matches!(condition.r#type.as_str(), "Complete" | "Failed")
        };
        match self.status.conditions.iter().find(last) {
            Some(condition) if condition.r#type == "Complete" => Completion::Done,
            Some(condition) => Completion::Failed(&condition.message),
            None => Completion::Running,
        }
    }

    /// When its first Pod was asked for.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.status.start_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Object>(object: &Value) -> T {
        T::deserialize(object).unwrap()
    }

    #[test]
    fn a_layout_is_one_of_each_unless_the_installation_says_more() {
        let layout = |clusters: Value| {
            read::<Installation>(&json!({ "spec": { "configuration": { "clusters": clusters } } }))
                .layout()
        };
        assert_eq!(
            layout(
                json!([{ "name": "clickhouse", "layout": { "shardsCount": 2, "replicasCount": 3 } }])
            ),
            (2, 3)
        );
        assert_eq!(layout(json!([{ "name": "clickhouse" }])), (1, 1));
        assert_eq!(
            layout(json!([{ "name": "other", "layout": { "shardsCount": 2 } }])),
            (1, 1)
        );
    }

    #[test]
    fn the_first_condition_that_ends_a_job_decides() {
        let job = |conditions: Value| {
            read::<BatchJob>(&json!({ "metadata": {}, "status": { "conditions": conditions } }))
        };
        let condition =
            |of: &str, status: &str| json!({ "type": of, "status": status, "message": "why" });
        assert_eq!(job(json!([])).completion(), Completion::Running);
        assert_eq!(
            job(json!([condition("SuccessCriteriaMet", "True")])).completion(),
            Completion::Running
        );
        assert_eq!(
            job(json!([condition("Failed", "False")])).completion(),
            Completion::Running
        );
        let ended = json!([
            condition("FailureTarget", "True"),
            condition("Failed", "True")
        ]);
        assert_eq!(job(ended).completion(), Completion::Failed("why"));
        assert_eq!(
            job(json!([condition("Complete", "True")])).completion(),
            Completion::Done
        );
    }

    #[test]
    fn the_image_that_runs_is_known_by_its_digest() {
        let image = |id: &str| {
            let pod = read::<Pod>(&json!({
                "metadata": {},
                "spec": { "containers": [{ "name": "clickhouse-backup", "image": "a/clickhouse-backup:2.7.4" }] },
                "status": { "containerStatuses": [{ "name": "clickhouse-backup", "imageID": id }] },
            }));
            let sidecar = Sidecar {
                shard: 0,
                is_first: true,
                pod,
                address: String::new(),
            };
            let sidecars = Sidecars {
                all: vec![sidecar],
                shards: 1,
                replicas: 1,
            };
            sidecars.image().map(ToOwned::to_owned)
        };
        assert_eq!(
            image("a/clickhouse-backup@sha256:0f").as_deref(),
            Some("a/clickhouse-backup@sha256:0f")
        );
        assert_eq!(
            image("docker-pullable://a/b@sha256:0f").as_deref(),
            Some("a/b@sha256:0f")
        );
        // The ID of an image that was never pulled names no registry.
        assert_eq!(
            image("sha256:0f").as_deref(),
            Some("a/clickhouse-backup:2.7.4")
        );
        assert_eq!(image("").as_deref(), Some("a/clickhouse-backup:2.7.4"));
    }
}
