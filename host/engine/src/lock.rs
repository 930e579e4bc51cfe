//! One job at a time for each application. A virtual machine's job also holds its disks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use backup_api::{
    ApplicationReference, JobPhase, JobStatus, Reason, RestoreJob, names::API_VERSION,
};
use backup_sandbox::{HeldKind, contract::ApplicationRef};
use serde_json::Value;

use crate::{
    admit::{Case, permission},
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
    /// Gives the applications to the job, all or none, unless a job of `live` has one. Gives back that holder's UID.
    fn take(
        &self,
        applications: &[ApplicationRef],
        job: &str,
        live: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = applications
            .iter()
            .filter_map(|application| holders.get(application))
            .find(|holder| *holder != job && live.contains_key(*holder));
        if let Some(holder) = taken {
            return Err(holder.clone());
        }
        for application in applications {
            holders.insert(application.clone(), job.to_owned());
        }
        Ok(())
    }

    fn are_held_by(&self, applications: &[ApplicationRef], job: &str) -> bool {
        let holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        applications
            .iter()
            .all(|application| holders.get(application).is_some_and(|holder| holder == job))
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
    /// Creation time and UID: the order of the line.
    place: (String, String),
    has_started: bool,
}

/// The jobs of a namespace that have not ended.
#[derive(Default)]
struct Line {
    /// Those that stand in line for one of the applications.
    contenders: Vec<Contender>,
    /// All of them by UID, each as `BackupJob nightly`.
    live: BTreeMap<String, String>,
}

impl<C: Cluster> Host<C> {
    /// The applications that a job works on: its own, and those that its strategy says it holds beside.
    pub(crate) async fn applications_of(
        &self,
        case: &Case,
        ledger: &Ledger,
    ) -> Result<Vec<ApplicationRef>, Stop> {
        let subject = &case.request.subject;
        let mut applications = vec![subject.clone()];
        if ledger.job.started_at.is_some() {
            let noted = ledger.job.strategy.iter().flat_map(|noted| &noted.holds);
            applications.extend(noted.map(|held| application_ref(held, &subject.namespace)));
            return Ok(applications);
        }
        let manifest = case.binding.serving.strategy.manifest();
        let held: Vec<&HeldKind> = manifest
            .holds
            .iter()
            .filter(|held| held.of == subject.kind)
            .collect();
        if held.is_empty() {
            return Ok(applications);
        }
        let target = object::application_target(subject);
        let shown = self.cluster.get(&case.caller, &target).await;
        let shown = shown.map_err(|error| permission(&error))?;
        for held in held {
            let names = shown
                .as_ref()
                .map(|shown| object::texts_at(shown, &held.names))
                .unwrap_or_default();
            applications.extend(names.into_iter().map(|name| ApplicationRef {
                group: held.group.clone(),
                kind: held.kind.clone(),
                namespace: subject.namespace.clone(),
                name,
            }));
        }
        Ok(applications)
    }

    /// Takes applications for a job, or says which job has one of them. First come, first served.
    pub(crate) async fn take_applications(
        &self,
        applications: &[ApplicationRef],
        job: &Job,
        ledger: &Ledger,
    ) -> Result<(), Stop> {
        let uid = job.metadata().uid.as_deref().unwrap_or_default();
        if ledger.job.started_at.is_some() || self.locks.are_held_by(applications, uid) {
            // A restart forgets who holds; a job that has started did.
            return self
                .locks
                .take(applications, uid, &BTreeMap::new())
                .map_err(|holder| busy(&BTreeMap::new(), &holder));
        }
        let line = self.line(applications).await?;
        // A job that waited for something else until now joins at the end of the line.
        let me = line
            .contenders
            .iter()
            .find(|contender| contender.uid == uid)
            .map(|me| me.place.clone());
        let before_me = line.contenders.iter().find(|other| {
            other.uid != uid
                && (other.has_started || me.as_ref().is_none_or(|me| other.place < *me))
        });
        if let Some(other) = before_me {
            return Err(busy(&line.live, &other.uid));
        }
        self.locks
            .take(applications, uid, &line.live)
            .map_err(|holder| busy(&line.live, &holder))
    }

    /// The jobs that have not ended, and among them those that stand in line for one of the applications.
    async fn line(&self, applications: &[ApplicationRef]) -> Result<Line, Stop> {
        let mut line = Line::default();
        // All of them are in the job's namespace.
        let namespace = applications
            .first()
            .map(|first| first.namespace.as_str())
            .unwrap_or_default();
        for kind in ["BackupJob", "RestoreJob"] {
            for job in self.cluster.live_jobs(kind, namespace).await? {
                let name = format!("{kind} {}", object::text(&job, &["metadata", "name"]));
                line.live.insert(object::uid(&job).to_owned(), name);
                if !stands_in_line(&job) {
                    continue;
                }
                let mut works_on = noted_holds(&job, namespace);
                works_on.extend(self.works_on(kind, &job, namespace).await?);
                if works_on.iter().any(|one| applications.contains(one)) {
                    line.contenders.push(contender(&job));
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

/// What a job that has started noted that it holds beside its own application.
fn noted_holds(job: &Value, namespace: &str) -> Vec<ApplicationRef> {
    let noted = job.pointer("/status/strategy/holds").cloned();
    let noted = noted.and_then(|noted| serde_json::from_value(noted).ok());
    let noted: Vec<ApplicationReference> = noted.unwrap_or_default();
    noted
        .iter()
        .map(|held| application_ref(held, namespace))
        .collect()
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

fn contender(job: &Value) -> Contender {
    let uid = object::uid(job).to_owned();
    Contender {
        place: (
            object::text(job, &["metadata", "creationTimestamp"]).to_owned(),
            uid.clone(),
        ),
        has_started: !object::text(job, &["status", "startedAt"]).is_empty(),
        uid,
    }
}

fn busy(live: &BTreeMap<String, String>, holder: &str) -> Stop {
    let name = live.get(holder).map_or("another job", String::as_str);
    Stop::Wait {
        reason: Reason::ApplicationBusy,
        message: format!("{name} works on this application; this job goes on when it has ended"),
        give_up_after: None,
    }
}
