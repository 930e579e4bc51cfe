//! The Altinity operator's objects, as far as they are looked at, and the Pods in which clickhouse-backup runs.

use backup_strategy::{items, kinds, part, prelude::*, text};

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

kinds! {
    /// A ClickHouse installation.
    Installation: "clickhouse.altinity.com/v1" "ClickHouseInstallation";
    /// A Pod: of ClickHouse, or of a Job.
    Pod: "v1" "Pod";
    /// A Job of Kubernetes.
    BatchJob: "batch/v1" "Job";
}

impl Installation {
    /// How many shards, and replicas of each. One of what it does not say.
    fn layout(&self) -> (u32, u32) {
        let mut clusters = items(&self.spec, "/configuration/clusters");
        let cluster = clusters.find(|cluster| cluster["name"] == CLUSTER);
        let count = |of: &str| {
            let count = cluster.and_then(|cluster| cluster["layout"][of].as_u64());
            count.and_then(|count| count.try_into().ok()).unwrap_or(1)
        };
        (count("shardsCount"), count("replicasCount"))
    }
}

impl Pod {
    pub fn is_ready(&self) -> bool {
        let ready = self.condition("Ready");
        !self.is_being_deleted() && ready.is_some_and(|ready| ready.is_true())
    }

    fn sidecar(&self) -> Option<&Value> {
        items(&self.spec, "/containers").find(|container| container["name"] == SIDECAR)
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        items(self.sidecar()?, "/env").find(|variable| variable["name"] == name)
    }

    /// What the kubelet says of its clickhouse-backup.
    fn sidecar_status(&self) -> Option<&Value> {
        items(&self.status, "/containerStatuses").find(|status| status["name"] == SIDECAR)
    }

    /// When its clickhouse-backup was started, and so has read its credentials.
    pub fn sidecar_started_at(&self) -> Option<Timestamp> {
        part(self.sidecar_status()?, "/state/running/startedAt")
    }

    /// What a container that has failed left to be told, and when.
    pub fn report(&self) -> Option<(Option<Timestamp>, &str)> {
        let mut ended = items(&self.status, "/containerStatuses")
            .filter_map(|status| status.pointer("/state/terminated"));
        let has_failed =
            |ended: &&Value| ended["exitCode"] != 0 && !text(ended, "/message").is_empty();
        let failed = ended.find(has_failed)?;
        Some((part(failed, "/finishedAt"), text(failed, "/message").trim()))
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
                return wait!("ClickHouseNotReady", "Pod {namespace}/{name} is not ready")
                    .pending()
                    .at_most(30.minutes());
            };
            let pod = pods.swap_remove(at);
            if pod.sidecar().is_none() {
                return fail!(
                    "SidecarMissing",
                    "Pod {name} runs no clickhouse-backup; set spec.backup.enabled and spec.backup.useSystemBucket of \
                     ClickHouse {} to true",
                    cx.subject().name
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
        let path = path.map(|path| text(path, "/value").trim_matches('/').to_owned());
        path.filter(|path| backup_strategy::is_path(path)).or_fail(
            "SidecarUnknown",
            "the clickhouse-backup beside ClickHouse has no S3_PATH that could be a folder; upgrade the ClickHouse release",
        )
    }

    /// Whether they use the platform's storage.
    pub fn use_platform(&self, platform: &Bucket) -> bool {
        self.all.iter().all(|sidecar| {
            let bucket = sidecar.pod.variable("S3_BUCKET");
            let secret = bucket.map(|bucket| text(bucket, "/valueFrom/secretKeyRef/name"));
            secret == Some(&platform.credentials_secret)
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
        let running = pod.sidecar_status().map(|status| text(status, "/imageID"));
        let pinned = running
            .map(|image| image.rsplit("://").next().unwrap_or(image))
            .filter(|image| {
                image
                    .split_once("@sha256:")
                    .is_some_and(|(name, _)| !name.is_empty())
            });
        pinned.or(pod.sidecar().map(|sidecar| text(sidecar, "/image")))
    }
}

/// How far a Job is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion {
    Running,
    Done,
    /// With Kubernetes' own words, which never say what the Pod was about.
    Failed(String),
}

impl BatchJob {
    pub fn completion(&self) -> Completion {
        let ends = |condition: &Condition| {
            condition.is_true() && matches!(condition.r#type.as_str(), "Complete" | "Failed")
        };
        match self.conditions().into_iter().find(ends) {
            Some(condition) if condition.r#type == "Complete" => Completion::Done,
            Some(condition) => Completion::Failed(condition.message),
            None => Completion::Running,
        }
    }

    /// When its first Pod was asked for.
    pub fn started_at(&self) -> Option<Timestamp> {
        part(&self.status, "/startTime")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Object>(object: &Value) -> T {
        part(object, "").unwrap()
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
        assert_eq!(job(ended).completion(), Completion::Failed("why".into()));
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
