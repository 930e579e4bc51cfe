//! The host: everything that a pass over an object needs.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backup_sandbox::Read;
use jiff::Timestamp;

use crate::{
    capacity::Capacity,
    cluster::Cluster,
    credentials::{Credentials, Projection},
    lock::Locks,
    observe::{Nobody, Observer},
    rendering::Documents,
    secrets::Needles,
    settings::Settings,
    storage::Storage,
    strategies::Strategies,
};

/// The only clock of the engine.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where evaluations run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evaluator {
    /// On the thread that asks. For the simulation and the command line: nothing else waits for it.
    Inline,
    /// On a thread that may block: a strategy that loops keeps nobody waiting but its own job. Needs tokio.
    #[default]
    Blocking,
}

/// The host, over one cluster.
pub struct Host<C> {
    pub(crate) cluster: C,
    pub(crate) settings: Settings,
    pub(crate) strategies: Arc<Strategies>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Clock,
    pub(crate) evaluator: Evaluator,
    pub(crate) locks: Locks,
    pub(crate) documents: Documents,
    pub(crate) projection: Projection,
    pub(crate) capacity: Capacity,
    pub(crate) observer: Arc<dyn Observer>,
    /// What is kept of each live job, by its UID. All of it can be made again.
    jobs: Mutex<HashMap<String, Kept>>,
    /// The platform's keys as they were looked for last.
    platform_keys: Mutex<Option<(Vec<String>, Arc<Needles>)>>,
}

impl<C: Cluster> Host<C> {
    /// A host over a cluster.
    pub fn new(
        cluster: C,
        settings: Settings,
        strategies: Arc<Strategies>,
        storage: Arc<dyn Storage>,
        clock: Clock,
        evaluator: Evaluator,
    ) -> Self {
        Self {
            cluster,
            settings,
            strategies,
            storage,
            clock,
            evaluator,
            locks: Locks::default(),
            documents: Documents::default(),
            projection: Projection::default(),
            capacity: Capacity::default(),
            observer: Arc::new(Nobody),
            jobs: Mutex::default(),
            platform_keys: Mutex::default(),
        }
    }

    /// The same host, with somebody who is told of its work.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The cluster that it works on.
    pub fn cluster(&self) -> &C {
        &self.cluster
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The platform's keys, current and earlier, ready to be looked for.
    pub(crate) fn platform_keys(&self, credentials: &Credentials) -> Arc<Needles> {
        let location = &credentials.location;
        let mut keys = vec![location.access_key.clone(), location.secret_key.clone()];
        keys.extend(credentials.earlier_keys.iter().cloned());
        let mut known = self
            .platform_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((of, needles)) = known.as_ref()
            && *of == keys
        {
            return Arc::clone(needles);
        }
        let needles = Arc::new(Needles::new(keys.iter().map(String::as_str)));
        *known = Some((keys, Arc::clone(&needles)));
        needles
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a job read last.
    pub(crate) fn last_reads(&self, job: &str) -> Vec<Read> {
        self.jobs()
            .get(job)
            .map(|kept| kept.reads.clone())
            .unwrap_or_default()
    }

    /// Keeps what a job read: the next evaluation starts with it.
    pub(crate) fn keep_reads(&self, job: &str, reads: &[Read]) {
        self.jobs().entry(job.to_owned()).or_default().reads = reads.to_vec();
    }

    /// Whether an event of a job is new to this process.
    pub(crate) fn event_is_new(&self, job: &str, event: &str) -> bool {
        self.jobs()
            .entry(job.to_owned())
            .or_default()
            .events
            .insert(event.to_owned())
    }

    /// Forgets what was kept for a job that has ended or is gone.
    pub fn forget_job(&self, job: &str) {
        self.jobs().remove(job);
        self.locks.release(job);
        self.projection.uses.end(job);
        self.capacity.release(job);
    }
}

/// What is kept of a live job.
#[derive(Default)]
struct Kept {
    /// What its last evaluation read.
    reads: Vec<Read>,
    /// The events that were recorded.
    events: HashSet<String>,
}
