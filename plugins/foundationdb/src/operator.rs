//! The FoundationDB operator's objects, as far as they are looked at and written.

use backup_strategy::{Unstructured, kinds, prelude::*, set, text};

use crate::destination::{Blob, Commands};

/// The chart's release, and its FoundationDBCluster, are called after the application with this in front.
const RELEASE_PREFIX: &str = "foundationdb-";
/// The operator appends it to the name of a FoundationDBBackup to name the agents' Deployment.
const AGENTS_SUFFIX: &str = "-backup-agents";
/// The longest name of a FoundationDBBackup: that of its Deployment becomes a label of the Pods.
pub const BACKUP_NAME: u32 = 63 - 14;
/// Agents that the operator runs when `spec.agentCount` is absent.
const AGENTS: i64 = 2;
/// The host's labels of what jobs have made begin with it.
const OWNED_BY: &str = "backups.cozystack.io/owned-by.";
/// The label of the agents' Pods with the name of their Deployment.
pub const AGENTS_LABEL: &str = "foundationdb.org/deployment-name";
/// The operator looks at a backup that runs only when its spec or one of its annotations changes. This one is for that.
const LOOK_AGAIN: &str = "foundationdb.backup-strategy/look-again";

/// The name of an application's FoundationDBCluster.
pub fn cluster_name(application: &ApplicationRef) -> String {
    format!("{RELEASE_PREFIX}{}", application.name)
}

/// The name of the agents' Deployment of a FoundationDBBackup.
pub fn agents_of(backup: &str) -> String {
    format!("{backup}{AGENTS_SUFFIX}")
}

kinds! {
    /// A FoundationDB cluster.
    FoundationDbCluster: "apps.foundationdb.org/v1beta2" "FoundationDBCluster";
    /// Agents of a cluster, and whether they store what changes in it.
    ///
    /// What the status says of a backup is not of this object alone: it is what the cluster does, and stands in all of the
    /// cluster's FoundationDBBackups alike.
    FoundationDbBackup: "apps.foundationdb.org/v1beta2" "FoundationDBBackup";
    /// A restore. FoundationDB takes one of a whole database only into an empty one.
    FoundationDbRestore: "apps.foundationdb.org/v1beta2" "FoundationDBRestore";
    /// A volume of a cluster's process.
    Volume: "v1" "PersistentVolumeClaim";
}

/// Whether a job has made this, of this host or of the first controller: a chart's or somebody's own is not touched.
pub fn is_of_jobs(object: &Unstructured) -> bool {
    let mut labels = object.metadata.labels.keys();
    labels.any(|key| key.starts_with(OWNED_BY))
}

impl FoundationDbCluster {
    pub fn is_available(&self) -> bool {
        self.status["health"]["available"] == true && !self.metadata.is_being_deleted()
    }

    /// The version that runs: while an upgrade is under way that is not the one that is asked for.
    pub fn version(&self) -> Option<&str> {
        set(self.status["runningVersion"].as_str()).or(set(self.spec["version"].as_str()))
    }

    /// Whether one image holds all programs, so that there is no init container that copies them.
    pub fn has_unified_image(&self) -> bool {
        self.spec["imageType"] == "unified"
    }
}

/// Whether agents of a version can encrypt. Others would store in the clear what they were told to encrypt.
pub fn can_encrypt(version: &str) -> bool {
    let mut parts = version.split('.');
    let mut next = || -> u32 { parts.next().and_then(|part| part.parse().ok()).unwrap_or(0) };
    let version = (next(), next(), next());
    version >= (7, 4, 6) || ((7, 3, 73)..(7, 4, 0)).contains(&version)
}

/// How far a backup is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// So many agents are ready, of so many.
    AgentsMissing(i64, i64),
    /// The cluster stores what changes at this URL, which is not this backup's.
    Elsewhere(&'a str),
    /// The agents are there, and the operator has not begun.
    NotStarted,
    /// Nothing can be restored yet.
    Running,
    Restorable,
}

impl FoundationDbBackup {
    pub fn cluster(&self) -> &str {
        text(&self.spec, "/clusterName")
    }

    /// The template of its agents' Pods.
    pub fn pod_template(&self) -> &Value {
        &self.spec["podTemplateSpec"]
    }

    /// Whether the operator is to store what changes. That is also what an absent state means.
    pub fn is_to_run(&self) -> bool {
        self.spec["backupState"] != "Stopped"
    }

    /// Where it stores.
    pub fn blob(&self) -> Blob {
        let mut blob = Blob::shown(&self.spec["blobStoreConfiguration"]);
        if blob.backup_name.is_empty() {
            blob.backup_name = self.name().into();
        }
        blob
    }

    /// How its agents are called.
    pub fn commands(&self) -> Commands {
        Commands::shown(&self.spec)
    }

    /// Whether the cluster stores what changes, for whatever backup.
    fn is_running(&self) -> bool {
        self.status["backupDetails"]["running"] == true
    }

    /// The URL that the cluster stores at, or has stored at last.
    fn shown_url(&self) -> &str {
        text(&self.status, "/backupDetails/url")
    }

    /// Its own URL, as the operator reports it.
    pub fn url(&self) -> Option<&str> {
        Some(self.shown_url()).filter(|url| self.blob().is_at(url))
    }

    /// Whether the cluster stores what changes for this backup, as far as the operator has said.
    pub fn is_streaming(&self) -> bool {
        self.is_running() && self.url().is_some()
    }

    /// Whether something of it can be restored, as far as the operator has said.
    pub fn is_restorable(&self) -> bool {
        self.status["backupDetails"]["restorable"] == true && self.url().is_some()
    }

    /// So many agents are ready, of so many, as long as they are too few.
    pub fn agents_missing(&self) -> Option<(i64, i64)> {
        let wanted = self.spec["agentCount"].as_i64().unwrap_or(AGENTS);
        let ready = self.status["agentCount"].as_i64().unwrap_or(0);
        let is_configured = self.status["deploymentConfigured"] == true;
        (ready < wanted || !is_configured).then_some((ready, wanted))
    }

    /// That the backup can be restored counts only once the operator has done all that the object asks for, and speaks of
    /// this backup: a new object shows what was done for the one before.
    pub fn progress(&self) -> Progress<'_> {
        if let Some((ready, wanted)) = self.agents_missing() {
            return Progress::AgentsMissing(ready, wanted);
        }
        if !self.is_running() {
            return Progress::NotStarted;
        }
        if !self.is_streaming() {
            return Progress::Elsewhere(self.shown_url());
        }
        if self.is_settled() && self.is_restorable() {
            Progress::Restorable
        } else {
            Progress::Running
        }
    }

    /// Whether the operator has done all that the object asks for, and so rests.
    pub fn is_settled(&self) -> bool {
        let done = self.status["generations"]["reconciled"].as_i64();
        done.unwrap_or(0) >= self.metadata.generation
    }

    /// Ends the stream, whether it can be restored by then or not, and holds the object until the operator has done so.
    pub fn ending(&self) -> Value {
        json!({
            "metadata": { "uid": self.uid() },
            "spec": { "backupState": "Stopped", "deletionPolicy": "stop" },
        })
    }

    pub fn is_told_to_end(&self) -> bool {
        !self.is_to_run() && self.spec["deletionPolicy"] == "stop"
    }

    /// Whether the operator has seen that it has to end the stream before the object may go.
    pub fn is_held(&self) -> bool {
        !self.metadata.finalizers.is_empty()
    }

    /// Ends the stream at a state that can be restored; the agents go on until then.
    pub fn stopping(&self) -> Value {
        json!({ "metadata": { "uid": self.uid() }, "spec": { "backupState": "Stopped" } })
    }

    /// Sends the agents home.
    pub fn without_agents(&self) -> Value {
        json!({ "metadata": { "uid": self.uid() }, "spec": { "agentCount": 0 } })
    }

    /// When the operator was asked to look again.
    pub fn asked_to_look(&self) -> Option<Timestamp> {
        self.metadata.annotations.get(LOOK_AGAIN)?.parse().ok()
    }

    /// Asks the operator to look again.
    pub fn looking_again(now: Timestamp) -> Value {
        let mut patch = json!({});
        patch["metadata"]["annotations"][LOOK_AGAIN] = json!(now);
        patch
    }
}

/// How far a restore is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    /// With the operator's word for how far.
    Running(&'a str),
    Done,
    /// It never goes on.
    Aborted,
}

impl FoundationDbRestore {
    pub fn is_into(&self, cluster: &str) -> bool {
        self.spec["destinationClusterName"] == cluster
    }

    pub fn completion(&self) -> Completion<'_> {
        let state = text(&self.status, "/state");
        if state.eq_ignore_ascii_case("completed") {
            Completion::Done
        } else if state.eq_ignore_ascii_case("aborted") {
            Completion::Aborted
        } else {
            Completion::Running(if state.is_empty() { "queued" } else { state })
        }
    }
}

impl Volume {
    /// Whether the cluster of this UID owns it. Labels can be chosen in a cluster's spec.
    pub fn is_of(&self, cluster: &str) -> bool {
        let owners = &self.metadata.owner_references;
        owners.iter().any(|owner| owner.uid == cluster)
    }
}

#[cfg(test)]
mod tests {
    use backup_strategy::part;

    use super::*;

    fn backup(status: Value) -> FoundationDbBackup {
        let object = json!({
            "metadata": { "name": "bk", "generation": 2 },
            "spec": { "blobStoreConfiguration": { "backupName": "tenant-acme/fdb/bk" } },
            "status": status,
        });
        part(&object, "").unwrap()
    }

    fn status(name: &str, running: bool, restorable: bool, reconciled: i64) -> Value {
        json!({
            "agentCount": 2,
            "deploymentConfigured": true,
            "backupDetails": {
                "url": format!("blobstore://@s3.example.org:443/{name}?bucket=b"),
                "running": running,
                "restorable": restorable,
                "snapshotTime": 3600,
            },
            "generations": { "reconciled": reconciled },
        })
    }

    // TestFoundationDBBackupReady
    #[test]
    fn what_the_operator_says_counts_only_where_it_is_of_this_backup_and_of_all_of_it() {
        let own = "tenant-acme/fdb/bk";
        let progress = |status: Value| format!("{:?}", backup(status).progress());
        assert_eq!(progress(Value::Null), "AgentsMissing(0, 2)");
        assert_eq!(progress(status(own, false, false, 2)), "NotStarted");
        assert_eq!(progress(status(own, true, false, 2)), "Running");
        assert_eq!(progress(status(own, true, true, 1)), "Running");
        assert_eq!(progress(status(own, true, true, 2)), "Restorable");
        assert!(progress(status("tenant-acme/fdb/other", true, true, 2)).starts_with("Elsewhere"));
        // The one before was restorable, and its stream is over.
        assert_eq!(
            progress(status("tenant-acme/fdb/other", false, true, 2)),
            "NotStarted"
        );
    }

    #[test]
    fn a_stream_is_of_the_backup_that_its_url_names() {
        assert!(backup(status("tenant-acme/fdb/bk", true, false, 1)).is_streaming());
        assert!(!backup(status("tenant-acme/fdb/other", true, true, 1)).is_streaming());
        assert!(!backup(status("tenant-acme/fdb/bk", false, true, 1)).is_streaming());
        assert!(backup(status("tenant-acme/fdb/bk", false, true, 1)).is_restorable());
    }

    #[test]
    fn versions_that_encrypt() {
        for version in ["7.3.73", "7.3.100", "7.4.6", "7.5.0", "8.0.0"] {
            assert!(can_encrypt(version), "{version}");
        }
        for version in ["7.3.63", "7.3.72", "7.4.5", "7.1.99", "6.3.24", "", "main"] {
            assert!(!can_encrypt(version), "{version}");
        }
    }

    #[test]
    fn states_of_a_restore() {
        let completion = |state: &str| {
            let restore = json!({ "status": { "state": state } });
            let restore: FoundationDbRestore = part(&restore, "").unwrap();
            format!("{:?}", restore.completion())
        };
        assert_eq!(completion(""), r#"Running("queued")"#);
        assert_eq!(completion("starting"), r#"Running("starting")"#);
        assert_eq!(completion("Unknown"), r#"Running("Unknown")"#);
        assert_eq!(completion("completed"), "Done");
        assert_eq!(completion("Completed"), "Done");
        assert_eq!(completion("aborted"), "Aborted");
    }
}
