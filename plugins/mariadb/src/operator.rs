//! mariadb-operator's objects, as far as they are looked at and written.

use backup_strategy::prelude::*;
use serde::Deserialize;

use crate::{metadata::BACKUP_NAME, storage::Storage};

/// The chart names the operator's MariaDB after the Helm release of the application.
pub fn instance_of(application: &ApplicationRef) -> String {
    format!("mariadb-{}", application.name)
}

/// A database server.
#[derive(Deserialize)]
pub struct MariaDb {
    pub metadata: Metadata,
    #[serde(default)]
    status: Status,
}

/// The status of all of the operator's kinds.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

impl Object for MariaDb {
    const API_VERSION: &str = "k8s.mariadb.com/v1alpha1";
    const KIND: &str = "MariaDB";
}

impl MariaDb {
    fn ready(&self) -> Option<&Condition> {
        Condition::named(&self.status.conditions, "Ready")
    }

    pub fn is_ready(&self) -> bool {
        !self.metadata.is_being_deleted() && self.ready().is_some_and(Condition::is_true)
    }

    /// What there is to say of it.
    pub fn state(&self) -> String {
        match self.ready() {
            _ if self.metadata.is_being_deleted() => "it is being deleted".into(),
            Some(ready) => ready.to_string(),
            None => "mariadb-operator has not said yet whether it is Ready".into(),
        }
    }
}

/// How far the Job of a Backup or of a Restore is.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion {
    /// With what the operator says.
    Running(String),
    /// With when that was.
    Done(Option<Timestamp>),
    /// The operator never tries again.
    Failed(String),
}

impl Status {
    fn completion(&self) -> Completion {
        let Some(complete) = Condition::named(&self.conditions, "Complete") else {
            return Completion::Running("mariadb-operator has not taken it up yet".into());
        };
        // The operator calls a Job that has failed complete, too.
        if complete.reason == "JobFailed" {
            return Completion::Failed(complete.to_string());
        }
        if complete.is_true() {
            return Completion::Done(complete.last_transition_time);
        }
        Completion::Running(complete.to_string())
    }
}

/// A dump.
#[derive(Deserialize)]
pub struct Backup {
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: BackupSpec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct BackupSpec {
    pub storage: Storage,
    /// All of them when empty.
    pub databases: Vec<String>,
}

impl Object for Backup {
    const API_VERSION: &str = MariaDb::API_VERSION;
    const KIND: &str = "Backup";
}

impl Backup {
    /// That of a finished backup, if it is there still.
    pub fn of_finished<S: Strategy>(
        cx: &Context<S>,
        source: &FinishedBackup,
    ) -> Outcome<Option<Self>> {
        match source.metadata_name(BACKUP_NAME)? {
            Some(name) => cx.get_in(&source.application.namespace, name),
            None => Ok(None),
        }
    }

    pub fn completion(&self) -> Completion {
        self.status.completion()
    }
}

/// Puts a dump back.
#[derive(Deserialize)]
pub struct Restore {
    pub metadata: Metadata,
    #[serde(default)]
    status: Status,
}

impl Object for Restore {
    const API_VERSION: &str = MariaDb::API_VERSION;
    const KIND: &str = "Restore";
}

impl Restore {
    pub fn completion(&self) -> Completion {
        self.status.completion()
    }
}

/// The volume of a dump. The operator calls it like its Backup, and never removes it.
#[derive(Deserialize)]
pub struct Claim {
    pub metadata: Metadata,
}

impl Object for Claim {
    const API_VERSION: &str = "v1";
    const KIND: &str = "PersistentVolumeClaim";
}

/// A Pod of the Job of a Backup, which dumps in an init container and stores in another. The Job is called like the
/// Backup.
#[derive(Deserialize)]
pub struct DumpPod {
    pub metadata: Metadata,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    started_at: Option<Timestamp>,
}

impl Object for DumpPod {
    const API_VERSION: &str = "v1";
    const KIND: &str = "Pod";
}

impl DumpPod {
    /// When the dump was begun that is complete by now.
    pub fn dump_begun_at(&self) -> Option<Timestamp> {
        let dump = self.status.init_container_statuses.first()?;
        let terminated = dump.state.terminated.as_ref()?;
        terminated.started_at.filter(|_| terminated.exit_code == 0)
    }

    /// The container that has failed.
    pub fn failed_container(&self) -> Option<&str> {
        let status = &self.status;
        let containers = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses);
        let has_failed = |container: &&ContainerStatus| {
            let terminated = container.state.terminated.as_ref();
            terminated.is_some_and(|terminated| terminated.exit_code != 0)
        };
        containers
            .filter(has_failed)
            .map(|container| container.name.as_str())
            .next_back()
    }
}

/// What to do about a Job that has failed, where its log tells.
pub fn remedy(log: &str) -> Option<&'static str> {
    let remedies = [
        (
            "Access denied for user",
            "the MariaDB does not let root in: its password has to be that of spec.rootPasswordSecretKeyRef",
        ),
        (
            "unknown authority",
            "the certificate of the storage is of an authority that nobody told the operator: name it in \
             tls.caSecretKeyRef of the strategy",
        ),
        (
            "The specified bucket does not exist",
            "the bucket does not exist: create it, or name another in the strategy",
        ),
        (
            "Access Denied.",
            "the storage refuses the credentials that the strategy names",
        ),
        (
            "No space left on device",
            "the node, or the volume, has no room for the dump",
        ),
        (
            "no valid backup files were found",
            "the operator finds no dump of that time in the folder",
        ),
    ];
    let found = remedies.iter().find(|(words, _)| log.contains(words));
    found.map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: &str, reason: &str, message: &str) -> Status {
        Status {
            conditions: vec![Condition {
                r#type: "Complete".into(),
                status: status.into(),
                reason: reason.into(),
                message: message.into(),
                last_transition_time: Some(Timestamp(7)),
            }],
        }
    }

    #[test]
    fn a_job_that_has_failed_is_a_failure_whatever_its_status_says() {
        for said in ["True", "False", "Unknown"] {
            assert_eq!(
                status(said, "JobFailed", "Failed").completion(),
                Completion::Failed(format!("Complete={said}, JobFailed: Failed"))
            );
        }
        assert_eq!(
            status("True", "JobComplete", "Success").completion(),
            Completion::Done(Some(Timestamp(7)))
        );
    }

    #[test]
    fn everything_else_goes_on() {
        for (reason, message) in [
            ("JobRunning", "Running"),
            ("JobSuspended", "Suspended"),
            ("Failed", "MariaDB not ready"),
        ] {
            assert_eq!(
                status("False", reason, message).completion(),
                Completion::Running(format!("Complete=False, {reason}: {message}"))
            );
        }
        assert!(matches!(
            Status::default().completion(),
            Completion::Running(_)
        ));
    }

    fn pod(dump: i32, stored: Option<i32>) -> DumpPod {
        let ended = |name: &str, exit_code| ContainerStatus {
            name: name.into(),
            state: ContainerState {
                terminated: Some(Terminated {
                    exit_code,
                    started_at: Some(Timestamp(5)),
                }),
            },
        };
        DumpPod {
            metadata: Metadata::default(),
            status: PodStatus {
                init_container_statuses: vec![ended("mariadb", dump)],
                container_statuses: stored
                    .map(|stored| ended("mariadb-operator", stored))
                    .into_iter()
                    .collect(),
            },
        }
    }

    #[test]
    fn a_pod_tells_when_its_dump_was_begun_and_what_has_failed() {
        assert_eq!(pod(0, Some(0)).dump_begun_at(), Some(Timestamp(5)));
        assert_eq!(pod(0, Some(0)).failed_container(), None);
        assert_eq!(pod(1, None).dump_begun_at(), None);
        assert_eq!(pod(1, None).failed_container(), Some("mariadb"));
        assert_eq!(pod(0, Some(1)).failed_container(), Some("mariadb-operator"));
    }

    #[test]
    fn a_log_tells_what_to_do() {
        let denied = "Got error: 1045: \"Access denied for user 'root'@'10.0.0.1'\"";
        assert!(remedy(denied).is_some_and(|remedy| remedy.contains("rootPasswordSecretKeyRef")));
        assert_eq!(remedy("Taking backup: /backup/backup.sql"), None);
    }

    #[test]
    fn an_instance_is_named_after_its_release() {
        let application = ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "MariaDB".into(),
            namespace: "tenant-acme".into(),
            name: "mariadb-src".into(),
        };
        assert_eq!(instance_of(&application), "mariadb-mariadb-src");
    }
}
