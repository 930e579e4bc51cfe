//! Who holds which application.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use backup_sandbox::contract::{ApplicationRef, ObjectRef};

use super::line::Live;

/// Who holds an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A job, by its UID.
    Job(String),
    /// Backups that are being removed, by their UIDs. Removals share an application: each is about objects and data of
    /// its own.
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

    /// Gives the applications to the job, all or none, unless a removal or a live job has one. Gives back that holder.
    pub(super) fn take(
        &self,
        applications: &[ApplicationRef],
        job: &str,
        live: &Live,
    ) -> Result<(), Holder> {
        let mut holders = self.holders();
        let is_in_the_way = |holder: &&Holder| match holder {
            Holder::Job(holder) => holder != job && live.contains_key(holder),
            Holder::Removals(_) => true,
        };
        let mut held = applications.iter().filter_map(|one| holders.get(one));
        if let Some(holder) = held.find(is_in_the_way) {
            return Err(holder.clone());
        }
        for application in applications {
            holders.insert(application.clone(), Holder::Job(job.to_owned()));
        }
        Ok(())
    }

    /// Gives the application to a removal beside others, unless a live job has it. Gives back that job's UID.
    pub(super) fn share(
        &self,
        application: &ApplicationRef,
        (uid, backup): (&str, &ObjectRef),
        live: &Live,
    ) -> Result<(), String> {
        let mut holders = self.holders();
        let mine = (uid.to_owned(), backup.clone());
        match holders.get_mut(application) {
            Some(Holder::Removals(removals)) => {
                removals.insert(mine.0, mine.1);
            }
            Some(Holder::Job(holder)) if live.contains_key(holder) => {
                return Err(holder.clone());
            }
            _ => {
                let removals = BTreeMap::from([mine]);
                holders.insert(application.clone(), Holder::Removals(removals));
            }
        }
        Ok(())
    }

    /// Whether a job or a removal holds all of these.
    pub(super) fn are_held_by(&self, applications: &[ApplicationRef], uid: &str) -> bool {
        let holders = self.holders();
        applications
            .iter()
            .all(|application| match holders.get(application) {
                Some(Holder::Job(holder)) => holder == uid,
                Some(Holder::Removals(removals)) => removals.contains_key(uid),
                None => false,
            })
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
