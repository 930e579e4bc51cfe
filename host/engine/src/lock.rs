//! One job at a time for each application, and no job while a Backup of it is removed. A virtual machine's job also
//! holds its disks.

mod holders;
mod line;

use backup_api::Reason;
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

use holders::Holder;
use line::Line;

pub(crate) use holders::Locks;

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

    /// Takes applications for a job, or says who has one of them. First come, first served.
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
                .take_from_removals(applications, uid, &Line::default())
                .await;
        }
        let asker = job.metadata().namespace.as_deref().unwrap_or_default();
        let line = self.line(applications, asker).await?;
        // A job that waited for something else until now joins at the end of the line.
        if let Some(other) = line.ahead(uid, line.place_of(uid)) {
            return Err(busy(line.name_of(&other.uid)));
        }
        self.take_from_removals(applications, uid, &line).await
    }

    /// Takes applications for a job also where a Backup has one that has gone without having been removed.
    async fn take_from_removals(
        &self,
        applications: &[ApplicationRef],
        uid: &str,
        line: &Line,
    ) -> Result<(), Stop> {
        loop {
            let removals = match self.locks.take(applications, uid, &line.live) {
                Ok(()) => return Ok(()),
                Err(Holder::Job(holder)) => return Err(busy(line.name_of(&holder))),
                Err(Holder::Removals(removals)) => removals,
            };
            for (removal, backup) in removals {
                let found = self.cluster.get(&Caller::host(), &backup).await?;
                if found.is_some_and(|found| object::uid(&found) == removal) {
                    return Err(busy(&format!("the removal of Backup {}", backup.name)));
                }
                self.locks.release(&removal);
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
        let applications = std::slice::from_ref(application);
        let (uid, target) = (object::uid(backup), object::reference(backup));
        if self.locks.are_held_by(applications, uid) {
            return Ok(());
        }
        let asker = target.namespace.as_deref().unwrap_or_default();
        let line = self.line(applications, asker).await?;
        let place = (
            object::text(backup, &["metadata", "deletionTimestamp"]).to_owned(),
            uid.to_owned(),
        );
        let ahead = match has_begun {
            // After a restart a job may have come first.
            true => line.started(uid),
            false => line.ahead(uid, Some(&place)),
        };
        if let Some(other) = ahead {
            return Err(in_use(line.name_of(&other.uid)));
        }
        self.locks
            .share(application, (uid, &target), &line.live)
            .map_err(|holder| in_use(line.name_of(&holder)))
    }
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
