//! Which jobs of this process rely on the copy in a namespace, so that none is removed under a job that has just
//! looked at it.
//!
//! A job counts from before it looks at the copy until it is forgotten. A removal begins only where no job counts, and
//! while it is under way none can begin to: it does its pass again a moment later, finds no copy and makes one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(crate) struct Uses(Mutex<InUse>);

#[derive(Default)]
struct InUse {
    /// The UIDs of the jobs, by namespace.
    jobs: BTreeMap<String, BTreeSet<String>>,
    /// Namespaces whose copy is being removed.
    removing: BTreeSet<String>,
}

/// A removal under way.
pub(super) struct Removal<'a> {
    uses: &'a Uses,
    namespace: String,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.uses.in_use().removing.remove(&self.namespace);
    }
}

impl Uses {
    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job relies on the copy from now on. Gives back whether it can: not while the copy is being removed.
    pub(super) fn begin(&self, namespace: &str, job: &str) -> bool {
        let mut in_use = self.in_use();
        if in_use.removing.contains(namespace) {
            return false;
        }
        let jobs = in_use.jobs.entry(namespace.to_owned()).or_default();
        jobs.insert(job.to_owned());
        true
    }

    /// A job has ended.
    pub(crate) fn end(&self, job: &str) {
        let mut in_use = self.in_use();
        in_use.jobs.retain(|_, jobs| {
            jobs.remove(job);
            !jobs.is_empty()
        });
    }

    /// Begins a removal; none where a job relies on the copy.
    pub(super) fn remove(&self, namespace: &str) -> Option<Removal<'_>> {
        let mut in_use = self.in_use();
        if in_use.jobs.contains_key(namespace) {
            return None;
        }
        in_use.removing.insert(namespace.to_owned());
        Some(Removal {
            uses: self,
            namespace: namespace.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_removed_under_a_job_and_no_job_begins_under_a_removal() {
        let uses = Uses::default();
        assert!(uses.begin("tenant-acme", "one"));
        assert!(uses.begin("tenant-acme", "two"));
        uses.end("one");
        assert!(uses.remove("tenant-acme").is_none());
        uses.end("two");
        let removal = uses.remove("tenant-acme").unwrap();
        assert!(!uses.begin("tenant-acme", "three"));
        assert!(uses.begin("tenant-b", "four"));
        drop(removal);
        assert!(uses.begin("tenant-acme", "three"));
    }
}
