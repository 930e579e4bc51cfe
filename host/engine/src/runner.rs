//! The engine over a cluster in memory: passes are made as changes come, until nothing is due.
//!
//! What production does with watches and workers, one pass after the other: for the demo, offline rendering, the
//! simulation and tests.

use std::sync::Arc;

use backup_api::names::{API_VERSION, FINALIZER};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cluster::{
        ApiError,
        memory::{Changes, MemoryCluster},
    },
    host::{Clock, Host},
    object,
    queue::{Key, Queue},
};

/// So many passes without rest are a loop: no job needs more than a few for each change.
const RESTLESS: usize = 10_000;

/// The clock of a cluster in memory.
#[must_use]
pub fn memory_clock(cluster: &MemoryCluster) -> Clock {
    let cluster = cluster.clone();
    Arc::new(move || Timestamp::from_second(cluster.now()).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Makes passes over a cluster in memory.
pub struct Runner {
    host: Arc<Host<MemoryCluster>>,
    queue: Queue,
    changes: Changes,
}

/// A pass that was made.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Of which object.
    pub key: Key,
    /// What failed, and will be tried again.
    pub failed: Option<ApiError>,
}

/// Passes never came to rest.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} asks for pass after pass without rest")]
pub struct Restless(pub Key);

impl Runner {
    /// A runner that knows of all jobs that the cluster has now.
    #[must_use]
    pub fn new(host: Arc<Host<MemoryCluster>>) -> Self {
        let changes = host.cluster().changes();
        let mut queue = Queue::default();
        for object in host.cluster().objects() {
            seen(&mut queue, &object);
        }
        Self {
            host,
            queue,
            changes,
        }
    }

    /// The host that it runs.
    #[must_use]
    pub fn host(&self) -> &Arc<Host<MemoryCluster>> {
        &self.host
    }

    /// Makes one pass, if one is due.
    pub async fn step(&mut self) -> Option<Passed> {
        self.listen();
        let now = self.host.now();
        let key = self.queue.take(now)?;
        let failed = match self.host.reconcile_job(&key).await {
            Ok(next) => {
                self.queue.passed(&key, next);
                None
            }
            Err(error) => {
                self.queue.failed(&key, now);
                Some(error)
            }
        };
        Some(Passed { key, failed })
    }

    /// Makes passes until none is due at the cluster's present time.
    ///
    /// # Errors
    /// When there is no end to it, which is a defect of the engine or of a strategy.
    pub async fn settle(&mut self) -> Result<Vec<Passed>, Restless> {
        let mut passes = vec![];
        while let Some(passed) = self.step().await {
            if passes.len() >= RESTLESS {
                return Err(Restless(passed.key));
            }
            passes.push(passed);
        }
        Ok(passes)
    }

    /// When the next pass is due that waits for its time.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.queue.next_at()
    }

    /// Tells the queue what changed.
    fn listen(&mut self) {
        loop {
            match self.changes.try_next() {
                Ok(Some(change)) => {
                    self.queue.changed(&change.object);
                    seen(&mut self.queue, &change.object);
                }
                Ok(None) => return,
                // Whoever missed something looks at everything again.
                Err(_) => {
                    for object in self.host.cluster().objects() {
                        self.queue.changed(&object);
                        seen(&mut self.queue, &object);
                    }
                }
            }
        }
    }
}

/// A job that has not ended, or that is still held, needs a pass.
fn seen(queue: &mut Queue, object: &Value) {
    let key = Key::of(object);
    let is_ours = object::text(object, &["apiVersion"]) == API_VERSION;
    let has_ended = matches!(
        object::text(object, &["status", "phase"]),
        "Succeeded" | "Failed"
    );
    let is_job = matches!(key.kind.as_str(), "BackupJob" | "RestoreJob");
    if is_ours && is_job && (!has_ended || object::has_finalizer(object, FINALIZER)) {
        queue.enqueue(key);
    }
}
