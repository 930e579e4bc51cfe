//! mariadb-operator's objects, as far as they are looked at and written.

use backup_strategy::{Unstructured, items, kinds, part, prelude::*, texts};

use crate::{metadata::BACKUP_NAME, storage::Storage};

/// The chart names the operator's MariaDB after the Helm release of the application.
pub fn instance_of(application: &ApplicationRef) -> String {
    format!("mariadb-{}", application.name)
}

kinds! {
    /// A database server.
    MariaDb: "k8s.mariadb.com/v1alpha1" "MariaDB";
    /// A dump.
    Backup: "k8s.mariadb.com/v1alpha1" "Backup";
    /// Puts a dump back.
    Restore: "k8s.mariadb.com/v1alpha1" "Restore";
    /// The volume of a dump. The operator calls it like its Backup, and never removes it.
    Claim: "v1" "PersistentVolumeClaim";
    /// A Pod of the Job of a Backup, which dumps in an init container and stores in another. The Job is called like the
    /// Backup.
    DumpPod: "v1" "Pod";
}

impl MariaDb {
    pub fn is_ready(&self) -> bool {
        let ready = self.condition("Ready");
        !self.is_being_deleted() && ready.is_some_and(|ready| ready.is_true())
    }

    /// What there is to say of it.
    pub fn state(&self) -> String {
        match self.condition("Ready") {
            _ if self.is_being_deleted() => "it is being deleted".into(),
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

/// How far the Job of a Backup, or of a Restore, is.
pub fn completion(ordered: &Unstructured) -> Completion {
    let Some(complete) = ordered.condition("Complete") else {
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

    /// Where it was told to store.
    pub fn storage(&self) -> Storage {
        part(&self.spec, "/storage").unwrap_or_default()
    }

    /// What it was told to dump; everything when empty.
    pub fn databases(&self) -> Vec<&str> {
        texts(&self.spec, "/databases")
    }
}

impl DumpPod {
    /// When the dump was begun that is complete by now.
    pub fn dump_begun_at(&self) -> Option<Timestamp> {
        let dump = items(&self.status, "/initContainerStatuses").next()?;
        let ended = &dump["state"]["terminated"];
        let begun = ended["startedAt"].as_str()?.parse().ok();
        begun.filter(|_| ended["exitCode"] == 0)
    }

    /// The container that has failed.
    pub fn failed_container(&self) -> Option<&str> {
        let lists = ["/initContainerStatuses", "/containerStatuses"];
        let containers = lists.iter().flat_map(|list| items(&self.status, list));
        let has_failed = |container: &&Value| {
            let code = container["state"]["terminated"]["exitCode"].as_i64();
            code.is_some_and(|code| code != 0)
        };
        containers.filter(has_failed).last()?["name"].as_str()
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

    fn completion_of(status: &str, reason: &str, message: &str) -> Completion {
        let complete = json!({
            "type": "Complete",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": Timestamp(7),
        });
        let object = json!({ "status": { "conditions": [complete] } });
        completion(&part(&object, "").unwrap())
    }

    #[test]
    fn a_job_that_has_failed_is_a_failure_whatever_its_status_says() {
        for said in ["True", "False", "Unknown"] {
            assert_eq!(
                completion_of(said, "JobFailed", "Failed"),
                Completion::Failed(format!("Complete={said}, JobFailed: Failed"))
            );
        }
        assert_eq!(
            completion_of("True", "JobComplete", "Success"),
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
                completion_of("False", reason, message),
                Completion::Running(format!("Complete=False, {reason}: {message}"))
            );
        }
        assert!(matches!(
            completion(&Unstructured::default()),
            Completion::Running(_)
        ));
    }

    fn pod(dump: i32, stored: Option<i32>) -> DumpPod {
        let ended = |name: &str, code: i32| {
            let terminated = json!({ "exitCode": code, "startedAt": Timestamp(5) });
            json!({ "name": name, "state": { "terminated": terminated } })
        };
        let stored: Vec<Value> = stored
            .map(|stored| ended("mariadb-operator", stored))
            .into_iter()
            .collect();
        let status = json!({
            "initContainerStatuses": [ended("mariadb", dump)],
            "containerStatuses": stored,
        });
        part(&json!({ "status": status }), "").unwrap()
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
