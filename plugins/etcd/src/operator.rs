//! The etcd operator's objects, as far as they are looked at and written, and what stands around them.

use backup_strategy::{Captured, Pod, kinds, part, prelude::*, set};

use crate::{Etcd, destination::S3};

/// The chart's EtcdCluster has this name whatever the application is called, so that there is one in a namespace.
pub const CLUSTER: &str = "etcd";
/// Members that the operator runs when `spec.replicas` is absent.
const REPLICAS: i64 = 3;
/// Seconds after which the operator gives up on a cluster that does not come up, when the spec is silent.
const PROGRESS_DEADLINE: i64 = 600;
/// The operator appends it to a snapshot's name to name the Job.
const JOB_SUFFIX: &str = "-snapshot";
/// The longest name of a snapshot: its Job's name becomes a label of the Pod.
pub const SNAPSHOT_NAME: u32 = 63 - 9;
/// What the operator puts on the Pods and volumes of the cluster. The first alone would match those of a Helm release of
/// that name, too.
pub const OF_CLUSTER: &[(&str, &str)] = &[
    ("app.kubernetes.io/instance", CLUSTER),
    ("app.kubernetes.io/managed-by", "etcd-operator"),
];
/// The container of a snapshot's Job that does the work.
const AGENT: &str = "snapshot-agent";
/// Lines of its log that are looked at.
const LOG_LINES: u32 = 20;

kinds! {
    /// An etcd cluster.
    EtcdCluster: "etcd-operator.cozystack.io/v1alpha2" "EtcdCluster";
    /// A snapshot of a cluster, stored in a bucket.
    EtcdSnapshot: "etcd-operator.cozystack.io/v1alpha2" "EtcdSnapshot";
    /// A member of a cluster. Its finalizer holds it until it has left.
    EtcdMember: "etcd-operator.cozystack.io/v1alpha2" "EtcdMember";
    /// The data of a member.
    Volume: "v1" "PersistentVolumeClaim";
}

impl EtcdCluster {
    fn availability(&self) -> Option<Condition> {
        self.condition("Available")
    }

    pub fn is_available(&self) -> bool {
        self.availability()
            .is_some_and(|available| available.is_true())
    }

    /// What the operator says of it.
    pub fn state(&self) -> String {
        match self.availability() {
            Some(condition) => condition.to_string(),
            None => "the operator has not said yet whether it is Available".into(),
        }
    }

    /// Whether the operator has given up on bringing it up from a snapshot.
    pub fn has_failed_to_bootstrap(&self) -> bool {
        self.availability()
            .is_some_and(|condition| !condition.is_true() && condition.reason == "BootstrapFailed")
    }

    pub fn replicas(&self) -> i64 {
        self.spec["replicas"].as_i64().unwrap_or(REPLICAS)
    }

    /// Available is said as soon as the first member answers; the others join after it.
    pub fn ready_members(&self) -> i64 {
        self.status["readyMembers"].as_i64().unwrap_or_default()
    }
}

/// What has to be kept of a cluster that is deleted, without `bootstrap`: that tells of an earlier restore, if of any.
pub fn captured(cluster: &EtcdCluster) -> Outcome<Captured> {
    let mut spec = cluster.spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.remove("bootstrap");
    }
    Captured::of(&cluster.metadata, &spec)
}

/// A captured cluster, to come up from a snapshot. With `seconds` the operator is as patient as that.
pub fn cluster_from(
    captured: &Captured,
    namespace: &str,
    snapshot: &S3,
    seconds: Option<u32>,
) -> Value {
    let mut cluster = captured.object::<EtcdCluster>(namespace, CLUSTER);
    cluster["spec"]["bootstrap"] = json!({ "restore": { "source": { "s3": snapshot } } });
    let patience = captured.spec["progressDeadlineSeconds"]
        .as_i64()
        .unwrap_or(PROGRESS_DEADLINE);
    if let Some(seconds) = seconds.filter(|seconds| i64::from(*seconds) > patience) {
        cluster["spec"]["progressDeadlineSeconds"] = seconds.into();
    }
    cluster
}

/// Whether a cluster took the place of the captured one and comes from the snapshot. One that Helm has rendered again in
/// between has no bootstrap, and holds nothing.
pub fn is_restored(captured: &Captured, cluster: &EtcdCluster, snapshot: &S3) -> bool {
    let source = &cluster.spec["bootstrap"]["restore"]["source"]["s3"];
    cluster.metadata.uid != captured.uid
        && !cluster.metadata.is_being_deleted()
        && source["bucket"] == snapshot.bucket.as_str()
        && source["key"].as_str() == snapshot.key.as_deref()
}

/// How far a snapshot is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    /// With the operator's word for how far.
    Running(&'a str),
    Done,
    /// The operator never tries again.
    Failed(String),
}

impl EtcdSnapshot {
    /// A snapshot of the cluster.
    pub fn of(destination: &S3, namespace: &str, name: &str) -> Value {
        let spec =
            json!({ "clusterRef": { "name": CLUSTER }, "destination": { "s3": destination } });
        Self::object(namespace, name, spec)
    }

    pub fn completion(&self) -> Completion<'_> {
        match self.phase() {
            "Complete" => Completion::Done,
            "Failed" => Completion::Failed(self.explanation()),
            "" => Completion::Running("Pending"),
            phase => Completion::Running(phase),
        }
    }

    /// The latest condition that tells of a failure, or the latest of all.
    fn explanation(&self) -> String {
        let tells = |condition: &&Condition| {
            condition.r#type.eq_ignore_ascii_case("failed")
                || condition.reason.starts_with("Failed")
                || (condition.r#type == "Available" && condition.status == "False")
        };
        let conditions = self.conditions();
        let latest = |condition: &&Condition| condition.last_transition_time;
        let condition = conditions.iter().filter(tells).max_by_key(latest);
        match condition.or_else(|| conditions.iter().max_by_key(latest)) {
            Some(told) if told.message.is_empty() => told.reason.clone(),
            Some(told) => format!("{} ({})", told.message, told.reason),
            None => "the operator gives no reason".into(),
        }
    }

    /// Where it was told to go: the folder. What is set anew while a job runs is for the next one.
    pub fn destination(&self) -> Option<S3> {
        part(&self.spec, "/destination/s3")
    }

    /// Where it went, as the operator says.
    pub fn artifact(&self) -> Option<Artifact> {
        let said = &self.status["artifact"];
        let uri = set(said["uri"].as_str())?;
        Some(Artifact {
            uri: uri.into(),
            size_bytes: said["sizeBytes"].as_u64(),
            checksum: said["checksum"].as_str().map(Into::into),
        })
    }

    /// When it was stored: the state that it holds is no younger.
    pub fn stored_at(&self) -> Option<Timestamp> {
        let ready = self.condition("Ready").filter(Condition::is_true);
        ready?.last_transition_time
    }
}

/// The name of a snapshot's Job.
pub fn job_of(snapshot: &str) -> String {
    format!("{snapshot}{JOB_SUFFIX}")
}

/// What to do about a snapshot's Job that has failed, where its log tells: the operator says only that it has. The log
/// itself is not quoted, for what stands in it nobody knows.
pub fn remedy(cx: &Context<Etcd>, snapshot: &str) -> Outcome<Option<String>> {
    let job = job_of(snapshot);
    let pods = cx.find::<Pod>(&[("batch.kubernetes.io/job-name", &job)])?;
    let mut logs = pods
        .iter()
        .filter_map(|pod| cx.log_tail(&pod.metadata.name, AGENT, false, LOG_LINES));
    let host = format!("{CLUSTER}-client.{}.svc", cx.subject().namespace);
    Ok(logs.find_map(|log| remedy_in(&log, &host)))
}

/// The agent reaches the cluster by `host`, which the certificates of older charts do not name.
fn remedy_in(log: &str, host: &str) -> Option<String> {
    if log.contains("certificate is valid for") && log.contains(host) {
        return Some(format!(
            "the certificate of the EtcdCluster does not name {host}, by which the operator reaches it: add that to its \
             names"
        ));
    }
    log.contains("certificate signed by unknown authority").then(|| {
        "a certificate is of an authority that the operator does not know: that of the storage has to be a public one".into()
    })
}

impl EtcdMember {
    pub fn is_of(&self, cluster: &str) -> bool {
        self.spec["clusterName"] == cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(uid: &str, spec: Value) -> EtcdCluster {
        let object = json!({ "metadata": { "uid": uid }, "spec": spec });
        part(&object, "").unwrap_or_default()
    }

    fn snapshot_with(status: Value) -> EtcdSnapshot {
        part(&json!({ "status": status }), "").unwrap_or_default()
    }

    fn captured_of(uid: &str, spec: Value) -> Captured {
        Captured {
            uid: uid.into(),
            spec,
            ..Captured::default()
        }
    }

    fn snapshot(key: &str) -> S3 {
        S3 {
            bucket: "b".into(),
            key: Some(key.into()),
            ..S3::default()
        }
    }

    #[test]
    fn a_cluster_is_created_as_it_was_with_another_bootstrap() {
        let spec = json!({ "version": "3.6.4", "tls": {}, "bootstrap": { "restore": { "source": { "pvc": {} } } } });
        let captured = captured(&cluster("1", spec)).unwrap_or_default();
        assert_eq!(captured.spec, json!({ "version": "3.6.4", "tls": {} }));
        let restored = cluster_from(&captured, "tenant-acme", &snapshot("etcd/bk.db"), None);
        let source = json!({ "s3": snapshot("etcd/bk.db") });
        assert_eq!(
            restored["spec"],
            json!({ "version": "3.6.4", "tls": {}, "bootstrap": { "restore": { "source": source } } })
        );
    }

    #[test]
    fn the_operator_is_made_as_patient_as_the_restore() {
        let patience = |spec: Value, seconds| {
            let captured = captured_of("1", spec);
            cluster_from(&captured, "n", &snapshot("k"), seconds)["spec"]["progressDeadlineSeconds"]
                .as_i64()
        };
        assert_eq!(patience(json!({}), None), None);
        assert_eq!(patience(json!({}), Some(60)), None);
        assert_eq!(patience(json!({}), Some(7200)), Some(7200));
        assert_eq!(
            patience(json!({ "progressDeadlineSeconds": 900 }), Some(700)),
            Some(900)
        );
    }

    #[test]
    fn a_cluster_that_helm_rendered_again_is_not_taken_for_the_restored_one() {
        let from = |key: &str| json!({ "bootstrap": { "restore": { "source": { "s3": { "bucket": "b", "key": key } } } } });
        let captured = captured_of("1", json!({}));
        let is_restored =
            |found: &EtcdCluster| is_restored(&captured, found, &snapshot("etcd/bk.db"));
        assert!(is_restored(&cluster("2", from("etcd/bk.db"))));
        assert!(!is_restored(&cluster("2", json!({}))), "rendered again");
        assert!(
            !is_restored(&cluster("2", from("etcd/other.db"))),
            "from another snapshot"
        );
        assert!(
            !is_restored(&cluster("1", from("etcd/bk.db"))),
            "restored from the same snapshot once before"
        );
        let mut going = cluster("2", from("etcd/bk.db"));
        going.0.metadata.deletion_timestamp = Some(Timestamp(1));
        assert!(!is_restored(&going), "on its way out");
    }

    #[test]
    fn the_condition_that_tells_of_a_failure_explains_it() {
        let condition = |kind: &str, status: &str, reason: &str, message: &str, at: u64| {
            json!({
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": Timestamp(at),
            })
        };
        let explained = |conditions: Vec<Value>| {
            let status = json!({ "phase": "Failed", "conditions": conditions });
            match snapshot_with(status).completion() {
                Completion::Failed(why) => why,
                other => format!("{other:?}"),
            }
        };
        let ready = condition("Ready", "False", "JobFailed", "the Job failed", 2);
        let failed = condition("Failed", "True", "Timeout", "too slow", 1);
        let unavailable = condition("Available", "False", "QuorumLost", "no quorum", 1);
        assert_eq!(explained(vec![ready.clone()]), "the Job failed (JobFailed)");
        assert_eq!(explained(vec![ready.clone(), failed]), "too slow (Timeout)");
        assert_eq!(
            explained(vec![ready.clone(), unavailable]),
            "no quorum (QuorumLost)"
        );
        assert_eq!(
            explained(vec![condition("Other", "True", "New", "n", 1), ready]),
            "the Job failed (JobFailed)"
        );
        assert_eq!(explained(vec![]), "the operator gives no reason");
    }

    #[test]
    fn the_log_of_a_failed_job_tells_what_to_do() {
        let host = "etcd-client.tenant-acme.svc";
        let remedy = |log| remedy_in(log, host).unwrap_or_default();
        let names =
            "x509: certificate is valid for etcd, localhost, not etcd-client.tenant-acme.svc";
        assert!(remedy(names).contains("does not name etcd-client.tenant-acme.svc"));
        assert!(remedy("x509: certificate signed by unknown authority").contains("a public one"));
        assert_eq!(remedy("context deadline exceeded"), "");
    }

    #[test]
    fn phases_of_the_operator() {
        let completion = |phase: &str| {
            let snapshot = snapshot_with(json!({ "phase": phase }));
            format!("{:?}", snapshot.completion())
        };
        assert_eq!(completion(""), r#"Running("Pending")"#);
        assert_eq!(completion("Started"), r#"Running("Started")"#);
        assert_eq!(completion("Complete"), "Done");
    }
}
