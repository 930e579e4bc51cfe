//! One job at a time for each application, and no job while a Backup of it is removed.
//!
//! Removals share an application: each is about objects and data of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use backup_api::{
    ApplicationReference, JobPhase, JobStatus, Reason, RestoreJob, names::API_VERSION,
};
use backup_sandbox::contract::{ApplicationRef, ObjectRef};
use serde_json::Value;

use crate::{
    cluster::{Caller, Cluster},
    host::Host,
    job::{Job, application_ref},
    ledger::Ledger,
    object,
    stop::Stop,
};

/// Who holds an application.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// A job, by its UID.
    Job(String),
    /// Backups that are being removed, by their UIDs.
    Removals(BTreeMap<String, ObjectRef>),
}

/// Which applications are held. Filled from statuses after a restart: a job that has started holds its application
/// until it ends, and so does a removal.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<ApplicationRef, Holder>>);

impl Locks {
    fn holders(&self) -> MutexGuard<'_, HashMap<ApplicationRef, Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the application to the job, unless a removal or a job of `live` has it. Gives back the holder.
    fn take(&self, application: &ApplicationRef, job: &str, live: &[&str]) -> Result<(), Holder> {
        let mut holders = self.holders();
        match holders.get(application) {
            Some(Holder::Job(holder)) if holder == job || !live.contains(&holder.as_str()) => {}
            Some(holder) => return Err(holder.clone()),
            None => {}
        }
        holders.insert(application.clone(), Holder::Job(job.to_owned()));
        Ok(())
    }

    /// Gives the application to a removal beside others, unless a job of `live` has it. Gives back the holder's UID.
    fn share(
        &self,
        application: &ApplicationRef,
        (uid, backup): (&str, &ObjectRef),
        live: &[&str],
    ) -> Result<(), String> {
        let mut holders = self.holders();
        let mine = (uid.to_owned(), backup.clone());
        match holders.get_mut(application) {
            Some(Holder::Removals(removals)) => {
                removals.insert(mine.0, mine.1);
            }
            Some(Holder::Job(holder)) if live.contains(&holder.as_str()) => {
                return Err(holder.clone());
            }
            _ => {
                let removals = BTreeMap::from([mine]);
                holders.insert(application.clone(), Holder::Removals(removals));
            }
        }
        Ok(())
    }

    fn is_held_by(&self, application: &ApplicationRef, uid: &str) -> bool {
        match self.holders().get(application) {
            Some(Holder::Job(holder)) => holder == uid,
            Some(Holder::Removals(removals)) => removals.contains_key(uid),
            None => false,
        }
    }

    /// Gives back what a job or a removal held.
    pub(crate) fn release(&self, uid: &str) {
        self.holders().retain(|_, holder| match holder {
            Holder::Job(holder) => holder != uid,
            Holder::Removals(removals) => {
                removals.remove(uid);
                !removals.is_empty()
            }
        });
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
    /// Takes the application for a job, or says who has it. First come, first served.
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
            return self.take_from_removals(application, uid, &[]).await;
        }
        let line = self.line(application).await?;
        // A job that waited for something else until now joins at the end of the line.
        let me = line
            .iter()
            .find(|contender| contender.uid == uid)
            .map(|me| me.place.clone());
        if let Some(other) = ahead(&line, uid, me.as_ref()) {
            return Err(busy(&other.name));
        }
        self.take_from_removals(application, uid, &line).await
    }

    /// Takes the application for a job also where a Backup has it that has gone without having been removed.
    async fn take_from_removals(
        &self,
        application: &ApplicationRef,
        uid: &str,
        line: &[Contender],
    ) -> Result<(), Stop> {
        let live: Vec<&str> = line
            .iter()
            .map(|contender| contender.uid.as_str())
            .collect();
        loop {
            match self.locks.take(application, uid, &live) {
                Ok(()) => return Ok(()),
                Err(Holder::Job(holder)) => return Err(busy(name_of(line, &holder))),
                Err(Holder::Removals(removals)) => {
                    for (removal, backup) in removals {
                        let found = self.cluster.get(&Caller::host(), &backup).await?;
                        if found.is_some_and(|found| object::uid(&found) == removal) {
                            return Err(busy(&format!("the removal of Backup {}", backup.name)));
                        }
                        self.locks.release(&removal);
                    }
                }
            }
        }
    }

    /// Takes the application for the removal of a Backup, or says which job has it or has waited longer.
    pub(crate) async fn take_for_removal(
        &self,
        application: &ApplicationRef,
        backup: &Value,
        has_begun: bool,
    ) -> Result<(), Stop> {
        let (uid, target) = (object::uid(backup), object::reference(backup));
        if self.locks.is_held_by(application, uid) {
            return Ok(());
        }
        let line = self.line(application).await?;
        let place = (
            object::text(backup, &["metadata", "deletionTimestamp"]).to_owned(),
            uid.to_owned(),
        );
        let started = line.iter().find(|other| other.has_started);
        let ahead = match has_begun {
            // After a restart a job may have come first.
            true => started,
            false => ahead(&line, uid, Some(&place)),
        };
        if let Some(other) = ahead {
            return Err(in_use(&other.name));
        }
        let live: Vec<&str> = line
            .iter()
            .map(|contender| contender.uid.as_str())
            .collect();
        self.locks
            .share(application, (uid, &target), &live)
            .map_err(|holder| in_use(name_of(&line, &holder)))
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

/// Who comes before a place in the line: who has started, and who came earlier.
fn ahead<'a>(
    line: &'a [Contender],
    uid: &str,
    place: Option<&(String, String)>,
) -> Option<&'a Contender> {
    line.iter().find(|other| {
        other.uid != uid && (other.has_started || place.is_none_or(|place| other.place < *place))
    })
}

fn name_of<'a>(line: &'a [Contender], uid: &str) -> &'a str {
    let found = line.iter().find(|contender| contender.uid == uid);
    found.map_or("another job", |contender| &contender.name)
}

fn busy(holder: &str) -> Stop {
    Stop::Wait {
        reason: Reason::ApplicationBusy,
        message: format!("{holder} works on this application; this job goes on when it has ended"),
        give_up_after: None,
    }
}

fn in_use(holder: &str) -> Stop {
    Stop::Wait {
        reason: Reason::ApplicationBusy,
        message: format!(
            "{holder} works on the application; the Backup is removed when it has ended"
        ),
        give_up_after: None,
    }
}
