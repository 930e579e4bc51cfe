//! The reconciler of Plans: jobs at the slots of a schedule, and what becomes of old jobs and Backups.
//!
//! ```text
//!  Plan ──► schedule ──► slots due ──► concurrency ──► BackupJob ──► status ──► history, retention
//!           zone         one made,     Allow, Forbid,  named for     slots      old jobs and Backups
//!                        others missed Replace         its slot      dealt with are deleted
//! ```
//!
//! A pass keeps nothing in memory. The status says up to which slot everything was dealt with, and a job is named for
//! its slot: a pass that was cut off anywhere is done again and finds its job there.
//!
//! A Plan owns neither its jobs nor its Backups. Deleting it stops nothing: jobs under way go on, Backups stay, and so
//! do at most as many finished jobs as the history limits allow. A Plan that is created anew under its name takes them
//! over.

mod duration;
mod events;
mod jobs;
pub(crate) mod kept;
mod pass;
pub(crate) mod retention;
mod schedule;
mod slots;

use backup_api::{
    BackupJob, ConcurrencyPolicy, Plan, Time,
    names::{API_VERSION, PLAN, label_value},
};
use backup_sandbox::contract::{Entry, ObjectRef, Selector};
use jiff::Timestamp;

use self::{
    events::{removed, skipped, slots_missed},
    jobs::{Made, history, is_of, job_of, live},
    kept::{Gone, Shelf, application_key},
    pass::{Pass, Terms},
};
use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster},
    host::Host,
    interest::{Interest, Next},
    ledger::later,
    object,
    observe::PlanOf,
    queue::Key,
    upkeep::{MANAGER, write_status},
};

/// So many jobs, and so many Backups, are deleted in one pass at most: others shall have their turn in between.
const DELETIONS: usize = 10;

/// What became of a slot.
enum Fired {
    /// Its job is there.
    Made,
    /// It was left out, because this job is under way.
    Skipped(String),
    /// The API server does not take its job; it is tried again until the slot is too old.
    Refused(String),
}

impl<C: Cluster> Host<C> {
    /// One pass over a Plan: what is due is made, what is too old is removed, and when to look again.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub(crate) async fn reconcile_plan(&self, key: &Key) -> Result<Next, ApiError> {
        let target = object::target(API_VERSION, "Plan", Some(&key.namespace), &key.name);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        let Some(found) = found.filter(|found| !object::is_deleting(found)) else {
            self.observer.plan_gone(&PlanOf::of(key));
            return Ok(Next::gone());
        };
        let mut pass = Pass::over(found, self.now())?;
        pass.jobs = self.jobs_of(&pass.plan).await?;
        let terms = pass.terms();
        let (at, gone) = match &terms {
            Ok(terms) => self.keep(&mut pass, terms).await?,
            Err(wrong) => {
                pass.invalid(wrong);
                (None, vec![])
            }
        };
        pass.take_stock();
        self.notice_plan(&pass.found, &pass.status.conditions)
            .await?;
        write_status(&self.cluster, &pass.found, &pass.status).await?;
        let seen = pass.seen(terms.ok().as_ref());
        self.observer.plan_seen(&PlanOf::of(key), &seen);
        let has_more = self.clear_away(&pass, &gone).await?;
        let at = if has_more { Some(self.now()) } else { at };
        let interest = interest(&target, &pass.plan);
        Ok(at.map_or_else(Next::quiet, Next::at).watching(interest))
    }

    /// Keeps to a Plan that can be read. Gives back when to look again, and the Backups that go.
    async fn keep(
        &self,
        pass: &mut Pass,
        terms: &Terms,
    ) -> Result<(Option<Timestamp>, Vec<Gone>), ApiError> {
        let refused = match pass.plan.spec.suspend {
            true => {
                pass.suspended();
                None
            }
            false => self.follow_schedule(pass, terms).await?,
        };
        let again = match &refused {
            Some(_) => Some(later(pass.now, self.settings.look_again)),
            None => pass.next_slot().map(|slot| terms.timetable.made_at(slot)),
        };
        if !pass.plan.spec.suspend {
            let class = self.class_is_missing(pass).await?;
            pass.scheduled(refused.as_deref(), class);
        }
        if terms.rules.keep_all() {
            pass.status.next_removal = None;
            return Ok((again, vec![]));
        }
        let shelf = self.backups_of(pass).await?;
        let zone = terms.timetable.schedule.zone();
        let gone = shelf.gone(&terms.rules, pass.now, zone);
        let next = pass.next_slot();
        let application = application_key(&pass.plan.spec.application_ref);
        pass.status.next_removal =
            shelf.next_removal(&terms.rules, pass.now, zone, &application, next);
        let expires = shelf.next_expiry(&terms.rules, pass.now, zone);
        Ok((again.into_iter().chain(expires).min(), gone))
    }

    /// Deals with the slots that are due. Gives back why a job cannot be made, where that is so.
    async fn follow_schedule(
        &self,
        pass: &mut Pass,
        terms: &Terms,
    ) -> Result<Option<String>, ApiError> {
        let due = pass.due(terms);
        let mut missed = due.missed.clone();
        pass.status.observed_schedule = Some(terms.text.clone());
        pass.status.next_schedule_time = due.next.map(Time);
        let mut refused = None;
        let mut made = due.made;
        if let Some(slot) = due.slot {
            match self.fire(pass, slot).await? {
                Fired::Made => made = Some(slot),
                Fired::Skipped(busy) => {
                    missed.push(slot);
                    self.record_on(&pass.found, &skipped(slot, &busy)).await?;
                }
                Fired::Refused(message) => {
                    refused = Some(message);
                    pass.status.next_schedule_time = Some(Time(slot));
                }
            }
        }
        if let Some(made) = made {
            pass.status.last_schedule_time = Some(Time(made));
        }
        if !due.missed.is_empty() {
            self.record_on(&pass.found, &slots_missed(&due)).await?;
        }
        pass.count(missed.len());
        Ok(refused)
    }

    /// Makes the job of a slot, as the concurrency policy wants it.
    async fn fire(&self, pass: &mut Pass, slot: Timestamp) -> Result<Fired, ApiError> {
        let job = job_of(&pass.plan, slot);
        let busy: Vec<Made> = live(&pass.jobs).into_iter().cloned().collect();
        match pass.plan.spec.concurrency_policy {
            ConcurrencyPolicy::Allow => {}
            ConcurrencyPolicy::Forbid => {
                if let Some(busy) = busy.first() {
                    return Ok(Fired::Skipped(busy.name.clone()));
                }
            }
            ConcurrencyPolicy::Replace => {
                for busy in busy.iter().filter(|busy| !busy.is_leaving) {
                    self.remove(pass, "BackupJob", &busy.name, &busy.uid)
                        .await?;
                }
            }
        }
        self.make(pass, &job).await
    }

    async fn make(&self, pass: &mut Pass, job: &BackupJob) -> Result<Fired, ApiError> {
        let object = serde_json::to_value(job)
            .map_err(|error| ApiError::new(ApiReason::Invalid, error.to_string()))?;
        let host = Caller::host();
        match self.cluster.create(&host, MANAGER, &object, false).await {
            Ok(created) => {
                pass.jobs.push(Made::of(&created));
                Ok(Fired::Made)
            }
            Err(error) if error.reason == ApiReason::AlreadyExists => {
                let target = object::reference(&object);
                let found = self.cluster.get(&host, &target).await?;
                match found {
                    // An old controller's, which sets no label.
                    Some(found) if is_of(&found, &pass.name()) => Ok(Fired::Made),
                    _ => Ok(Fired::Refused(format!(
                        "BackupJob {} is there and does not belong to this Plan",
                        target.name
                    ))),
                }
            }
            Err(error) if error.can_pass() => Err(error),
            Err(error) => Ok(Fired::Refused(error.message)),
        }
    }

    /// The jobs of a Plan.
    async fn jobs_of(&self, plan: &Plan) -> Result<Vec<Made>, ApiError> {
        let name = plan.metadata.name.as_deref().unwrap_or_default();
        let namespace = plan.metadata.namespace.as_deref();
        let matching = own("BackupJob", namespace, name);
        let jobs = self.cluster.list(&Caller::host(), &matching).await?;
        Ok(jobs
            .iter()
            .filter(|job| is_of(job, name))
            .map(Made::of)
            .collect())
    }

    /// The Backups of a Plan, also those of an old controller, which sets no label.
    async fn backups_of(&self, pass: &Pass) -> Result<Shelf, ApiError> {
        let matching = Selector {
            labels: vec![],
            ..own("Backup", pass.plan.metadata.namespace.as_deref(), "")
        };
        let name = pass.name();
        // All jobs, not only the Plan's: somebody may have made one by hand in its name. Looked up first: of a Backup that
        // is then found half written, the job is still there.
        let live = self
            .cluster
            .live_jobs("BackupJob", matching.namespace.as_deref());
        let live = live.await?;
        let is_live = |name: &str| {
            let mut live = live.iter();
            live.any(|job| object::text(job, &["metadata", "name"]) == name)
        };
        let mut shelf = Shelf::default();
        for backup in self.cluster.list(&Caller::host(), &matching).await? {
            if is_of(&backup, &name) {
                shelf.put(&backup, is_live);
            }
        }
        Ok(shelf)
    }

    /// Whether the Plan's class does not exist. Looked up only when a job was just made, the Plan changed, or the
    /// class was missing before: a job tells by itself what it waits for.
    async fn class_is_missing(&self, pass: &Pass) -> Result<bool, ApiError> {
        if !(pass.is_new() || pass.has_fired() || pass.missed_its_class()) {
            return Ok(false);
        }
        let class = object::target(
            API_VERSION,
            "BackupClass",
            None,
            &pass.plan.spec.backup_class_name,
        );
        Ok(self.cluster.get(&Caller::host(), &class).await?.is_none())
    }

    /// Deletes old jobs, and the Backups that go. Gives back whether there are more.
    async fn clear_away(&self, pass: &Pass, gone: &[Gone]) -> Result<bool, ApiError> {
        let old = history(&pass.plan, &pass.jobs);
        for job in old.iter().take(DELETIONS) {
            self.remove(pass, "BackupJob", &job.name, &job.uid).await?;
        }
        for backup in gone.iter().take(DELETIONS) {
            self.record_on(&pass.found, &removed(backup)).await?;
            self.remove(pass, "Backup", &backup.name, &backup.uid)
                .await?;
        }
        Ok(old.len() > DELETIONS || gone.len() > DELETIONS)
    }

    /// Deletes this very object. One that is gone, or that has another in its place, needs no deleting.
    async fn remove(&self, pass: &Pass, kind: &str, name: &str, uid: &str) -> Result<(), ApiError> {
        let namespace = pass.plan.metadata.namespace.as_deref();
        let target = object::target(API_VERSION, kind, namespace, name);
        self.delete_this(&target, uid).await
    }
}

/// What a Plan depends on: itself, its jobs, its class, and its Backups where it has a say in how long they stay.
fn interest(target: &ObjectRef, plan: &Plan) -> Interest {
    let class = object::target(
        API_VERSION,
        "BackupClass",
        None,
        &plan.spec.backup_class_name,
    );
    let own = |kind| own(kind, target.namespace.as_deref(), &target.name);
    let mut selectors = vec![own("BackupJob")];
    if plan.spec.retention_policy.is_some() {
        selectors.push(own("Backup"));
    }
    Interest::of_all(vec![target.clone(), class], selectors)
}

/// The objects of a kind that carry a Plan's label.
fn own(kind: &str, namespace: Option<&str>, plan: &str) -> Selector {
    Selector {
        api_version: API_VERSION.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        labels: vec![Entry {
            key: PLAN.to_owned(),
            value: label_value(plan),
        }],
    }
}
