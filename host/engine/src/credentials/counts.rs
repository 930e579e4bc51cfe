//! How often credentials were projected, and how often they could not be.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts of this process, by namespace. They are the metrics
/// `cozystack_backup_credentials_projection_{successes,failures}_total`.
#[derive(Debug, Default)]
pub struct ProjectionCounts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    successes: BTreeMap<String, u64>,
    /// By namespace and reason.
    failures: BTreeMap<(String, &'static str), u64>,
}

impl ProjectionCounts {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the copy in a system namespace was found or brought up to date.
    #[must_use]
    pub fn successes(&self) -> Vec<(String, u64)> {
        let counts = self.counts();
        let successes = counts.successes.iter();
        successes
            .map(|(namespace, count)| (namespace.clone(), *count))
            .collect()
    }

    /// How often the copy in a namespace could not be brought up to date, and for which reason.
    #[must_use]
    pub fn failures(&self) -> Vec<(String, &'static str, u64)> {
        let counts = self.counts();
        let failures = counts.failures.iter();
        failures
            .map(|((namespace, reason), count)| (namespace.clone(), *reason, *count))
            .collect()
    }

    pub(super) fn succeeded(&self, namespace: &str) {
        *self
            .counts()
            .successes
            .entry(namespace.to_owned())
            .or_default() += 1;
    }

    pub(super) fn failed(&self, namespace: &str, reason: &'static str) {
        let of = (namespace.to_owned(), reason);
        *self.counts().failures.entry(of).or_default() += 1;
    }

    /// Of a namespace without a copy nothing is told any more: namespaces come and go.
    pub(super) fn forget(&self, namespace: &str) {
        let mut counts = self.counts();
        counts.successes.remove(namespace);
        counts.failures.retain(|(of, _), _| of != namespace);
    }
}
