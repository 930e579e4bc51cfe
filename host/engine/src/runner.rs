//! The engine over a cluster in memory: passes are made as changes come, until nothing is due.
//!
//! What production does with watches and workers, one pass after the other: for the demo, offline rendering, the
//! simulation and tests.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cluster::{
        ApiError, Cluster,
        memory::{Change, ChangeKind, Changes, MemoryCluster},
    },
    host::{Clock, Host},
    object,
    queue::{Key, Queue},
    reconcile::needs_passes,
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
///
/// The host may see that cluster through another that wraps it; changes are those of the one in memory.
pub struct Runner<C = MemoryCluster> {
    host: Arc<Host<C>>,
    cluster: MemoryCluster,
    queue: Queue,
    changes: Changes,
    hears: bool,
    /// How often plugins had changed when this was last looked at.
    plugin_changes: u64,
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
    /// A runner that knows of everything that the host's cluster has now.
    #[must_use]
    pub fn new(host: Arc<Host<MemoryCluster>>) -> Self {
        let cluster = host.cluster().clone();
        Self::over(host, cluster)
    }
}

impl<C: Cluster> Runner<C> {
    /// A runner of a host that works on `cluster`, directly or through another.
    #[must_use]
    pub fn over(host: Arc<Host<C>>, cluster: MemoryCluster) -> Self {
        let changes = cluster.changes();
        let mut queue = Queue::default();
        let uses = host.strategies.uses();
        for seen in cluster.objects() {
            uses.seen(&seen);
            if let Some(key) = needs_passes(&seen) {
                queue.enqueue(key);
            } else if let Some((key, at)) = host.due_later(&seen) {
                queue.enqueue_at(key, at);
            }
        }
        for key in host.own_keys() {
            queue.enqueue(key);
        }
        uses.completed();
        let plugin_changes = host.strategies.changes();
        Self {
            host,
            cluster,
            queue,
            changes,
            hears: true,
            plugin_changes,
        }
    }

    /// The host that it runs.
    #[must_use]
    pub fn host(&self) -> &Arc<Host<C>> {
        &self.host
    }

    /// Whether changes are heard as they happen. Otherwise they wait, as behind a watch that is late.
    pub fn hear(&mut self, hears: bool) {
        self.hears = hears;
    }

    /// The watches break: what was not heard yet is lost, and everything that there is is seen anew.
    pub fn watch_anew(&mut self) {
        self.changes = self.cluster.changes();
        self.see_everything();
    }

    /// Makes one pass, if one is due.
    pub async fn step(&mut self) -> Option<Passed> {
        self.listen();
        let now = self.host.now();
        let key = self.queue.take(now)?;
        let failed = match self.host.reconcile(&key).await {
            Ok(next) => {
                self.queue.passed(&key, next);
                None
            }
            Err(error) => {
                self.queue.failed(&key, now);
                Some(error)
            }
        };
        for woken in self.host.take_woken() {
            self.queue.enqueue(woken);
        }
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

    /// Looks at the credentials, as production does on a tick.
    pub fn look_at_credentials(&mut self) {
        self.queue.look_at_credentials(self.host.own_keys());
    }

    /// When the next pass is due that waits for its time.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.queue.next_at()
    }

    /// Tells the queue what changed.
    fn listen(&mut self) {
        let plugin_changes = self.host.strategies.changes();
        if plugin_changes != self.plugin_changes {
            self.plugin_changes = plugin_changes;
            self.queue.wake_all();
        }
        while self.hears {
            match self.changes.try_next() {
                Ok(Some(change)) => self.changed(&change),
                Ok(None) => return,
                // Whoever missed something looks at everything again.
                Err(_) => self.see_everything(),
            }
        }
    }

    fn see_everything(&mut self) {
        let kinds = ["BackupJob", "RestoreJob", "Backup"];
        let host = Arc::clone(&self.host);
        let uses = host.strategies.uses();
        kinds.iter().for_each(|kind| uses.begins(kind));
        for object in self.cluster.objects() {
            self.seen(&object);
        }
        kinds.iter().for_each(|kind| uses.listed(kind));
    }

    fn changed(&mut self, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            // Of a job that is gone nothing needs to be kept.
            self.host.forget_job(object::uid(&change.object));
            self.host.strategies.uses().gone(&change.object);
            return self.queue.seen(&change.object);
        }
        self.seen(&change.object);
    }

    fn seen(&mut self, object: &Value) {
        self.host.strategies.uses().seen(object);
        self.queue.seen(object);
        if let Some((key, at)) = self.host.due_later(object) {
            self.queue.enqueue_at(key, at);
        }
    }
}
