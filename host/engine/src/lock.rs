//! One job at a time for each application.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use backup_api::{ApplicationReference, BackupJob, Reason, names::API_VERSION};
use backup_sandbox::contract::{ApplicationRef, Selector};

use crate::{
    cluster::{Caller, Cluster},
    host::Host,
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
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(application)
            .is_some_and(|holder| holder == job)
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
    name: String,
    /// Creation time and UID: the order of the line.
    place: (String, String),
    has_started: bool,
}

impl<C: Cluster> Host<C> {
    /// Takes the application for a BackupJob, or says which job has it.
    pub(crate) async fn take_application(
        &self,
        application: &ApplicationRef,
        job: &BackupJob,
    ) -> Result<(), Stop> {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        let has_started = job
            .status
            .as_ref()
            .is_some_and(|status| status.job.started_at.is_some());
        if has_started || self.locks.is_held_by(application, uid) {
            // A restart forgets who holds; a job that has started did.
            return self
                .locks
                .take(application, uid, &[])
                .map_err(|_| Stop::Foreign);
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
        self.locks
            .take(application, uid, &live(&line))
            .map_err(|holder| busy(&line, &holder))
    }

    /// The jobs of an application that have not ended.
    async fn line(&self, application: &ApplicationRef) -> Result<Vec<Contender>, Stop> {
        let matching = Selector {
            api_version: API_VERSION.to_owned(),
            kind: "BackupJob".to_owned(),
            namespace: Some(application.namespace.clone()),
            labels: vec![],
        };
        let found = self.cluster.list(&Caller::host(), &matching).await?;
        let jobs = found
            .into_iter()
            .filter_map(|job| serde_json::from_value::<BackupJob>(job).ok());
        Ok(jobs
            .filter(|job| is_live(job) && names(&job.spec.application_ref, application))
            .map(contender)
            .collect())
    }
}

fn live(line: &[Contender]) -> Vec<&str> {
    line.iter()
        .map(|contender| contender.uid.as_str())
        .collect()
}

fn is_live(job: &BackupJob) -> bool {
    // A job that waits for something else than the application does not stand in line.
    let status = job.status.as_ref().map(|status| &status.job);
    let waits_elsewhere = status.is_some_and(|status| {
        status.started_at.is_none()
            && status.conditions.iter().any(|condition| {
                condition.type_ == "Ready" && condition.reason != Reason::ApplicationBusy.as_str()
            })
    });
    !waits_elsewhere
        && !status
            .and_then(|status| status.phase)
            .is_some_and(backup_api::JobPhase::is_final)
}

fn names(reference: &ApplicationReference, application: &ApplicationRef) -> bool {
    reference.group() == application.group
        && reference.kind == application.kind
        && reference.name == application.name
}

fn contender(job: BackupJob) -> Contender {
    let uid = job.metadata.uid.unwrap_or_default();
    let created = job
        .metadata
        .creation_timestamp
        .map(|time| time.0.to_string())
        .unwrap_or_default();
    Contender {
        name: job.metadata.name.unwrap_or_default(),
        place: (created, uid.clone()),
        has_started: job
            .status
            .is_some_and(|status| status.job.started_at.is_some()),
        uid,
    }
}

fn busy(line: &[Contender], holder: &str) -> Stop {
    let name = line
        .iter()
        .find(|contender| contender.uid == holder)
        .map_or("another job", |holder| &holder.name);
    Stop::Wait {
        reason: Reason::ApplicationBusy,
        message: format!(
            "BackupJob {name} works on this application; this job goes on when it has ended"
        ),
        give_up_after: None,
    }
}
