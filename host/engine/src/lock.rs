//! One job at a time for each application.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use backup_api::{
    ApplicationReference, JobPhase, JobStatus, Reason, RestoreJob, names::API_VERSION,
};
use backup_sandbox::contract::ApplicationRef;
use serde_json::Value;

use crate::{
    cluster::{Caller, Cluster},
    host::Host,
    job::{Job, application_ref},
    ledger::Ledger,
    object,
    stop::Stop,
};

/// Which job, by UID, holds an application. Filled from statuses after a restart: a job that has started holds
/// its application until it ends.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<ApplicationRef, String>>);

impl Locks {
    /// Gives the application to the job, unless a job of `live` has it. Gives back the holder's UID.
    fn take(&self, application: &ApplicationRef, job: &str, live: &[&str]) -> Result<(), String> {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match holders.get(application) {
            Some(holder) if holder != job && live.contains(&holder.as_str()) => Err(holder.clone()),
            _ => {
                holders.insert(application.clone(), job.to_owned());
                Ok(())
            }
        }
    }

    fn is_held_by(&self, application: &ApplicationRef, job: &str) -> bool {
        let holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holders.get(application).is_some_and(|holder| holder == job)
    }

    /// Gives back what a job held.
    pub(crate) fn release(&self, job: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, holder| holder != job);
    }
}

/// A job that stands in line for an application.
struct Contender {
    uid: String,
    /// `BackupJob nightly`.
    name: String,
    /// Creation time and UID: the order of the line.
    place: (String, String),
    has_started: bool,
}

impl<C: Cluster> Host<C> {
    /// Takes the application for a job, or says which job has it. First come, first served.
    pub(crate) async fn take_application(
        &self,
        application: &ApplicationRef,
        job: &Job,
        ledger: &Ledger,
    ) -> Result<(), Stop> {
        let uid = match job {
            Job::Backup(job) => job.metadata.uid.as_deref(),
            Job::Restore(job) => job.metadata.uid.as_deref(),
        };
        let uid = uid.unwrap_or_default();
        if ledger.job.started_at.is_some() || self.locks.is_held_by(application, uid) {
            // A restart forgets who holds; a job that has started did.
            return self
                .locks
                .take(application, uid, &[])
                .map_err(|holder| busy(&[], &holder));
        }
        let line = self.line(application).await?;
        // A job that waited for something else until now joins at the end of the line.
        let me = line
            .iter()
            .find(|contender| contender.uid == uid)
            .map(|me| me.place.clone());
        let before_me = line.iter().find(|other| {
            other.uid != uid
                && (other.has_started || me.as_ref().is_none_or(|me| other.place < *me))
        });
        if let Some(other) = before_me {
            return Err(busy(&line, &other.uid));
        }
        let live: Vec<&str> = line
            .iter()
            .map(|contender| contender.uid.as_str())
            .collect();
        self.locks
            .take(application, uid, &live)
            .map_err(|holder| busy(&line, &holder))
    }

    /// The jobs of an application that have not ended.
    async fn line(&self, application: &ApplicationRef) -> Result<Vec<Contender>, Stop> {
        let mut line = vec![];
        for kind in ["BackupJob", "RestoreJob"] {
            let jobs = self.cluster.live_jobs(kind, &application.namespace);
            for job in jobs.await? {
                if !stands_in_line(&job) {
                    continue;
                }
                let works_on = self.works_on(kind, &job, &application.namespace).await?;
                if works_on.as_ref() == Some(application) {
                    line.push(contender(kind, &job));
                }
            }
        }
        Ok(line)
    }

    /// The application that a job works on; none where the Backup that would tell is gone.
    async fn works_on(
        &self,
        kind: &str,
        job: &Value,
        namespace: &str,
    ) -> Result<Option<ApplicationRef>, Stop> {
        let read = |reference: Option<&Value>| {
            let reference =
                serde_json::from_value::<ApplicationReference>(reference?.clone()).ok()?;
            Some(application_ref(&reference, namespace))
        };
        if kind == "BackupJob" {
            return Ok(read(job.pointer("/spec/applicationRef")));
        }
        if let Some(target) = read(job.pointer("/spec/targetApplicationRef")) {
            return Ok(Some(target));
        }
        let Ok(job) = serde_json::from_value::<RestoreJob>(job.clone()) else {
            return Ok(None);
        };
        let backup = object::target(
            API_VERSION,
            "Backup",
            Some(namespace),
            &job.spec.backup_ref.name,
        );
        let backup = self.cluster.get(&Caller::host(), &backup).await?;
        Ok(read(
            backup
                .as_ref()
                .and_then(|backup| backup.pointer("/spec/applicationRef")),
        ))
    }
}

/// A job that has not ended, and that does not wait for something else than the application.
fn stands_in_line(job: &Value) -> bool {
    let status = job
        .get("status")
        .and_then(|status| serde_json::from_value::<JobStatus>(status.clone()).ok());
    let Some(status) = status else { return true };
    let waits_elsewhere = status.started_at.is_none()
        && status.conditions.iter().any(|condition| {
            condition.type_ == "Ready" && condition.reason != Reason::ApplicationBusy.as_str()
        });
    !waits_elsewhere && !status.phase.is_some_and(JobPhase::is_final)
}

fn contender(kind: &str, job: &Value) -> Contender {
    let uid = object::uid(job).to_owned();
    Contender {
        name: format!("{kind} {}", object::text(job, &["metadata", "name"])),
        place: (
            object::text(job, &["metadata", "creationTimestamp"]).to_owned(),
            uid.clone(),
        ),
        has_started: !object::text(job, &["status", "startedAt"]).is_empty(),
        uid,
    }
}

fn busy(line: &[Contender], holder: &str) -> Stop {
    let holder = line.iter().find(|contender| contender.uid == holder);
    let name = holder.map_or("another job", |holder| &holder.name);
    Stop::Wait {
        reason: Reason::ApplicationBusy,
        message: format!("{name} works on this application; this job goes on when it has ended"),
        give_up_after: None,
    }
}
