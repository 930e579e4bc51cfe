//! The stream of changes.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{broadcast, watch};

/// How many changes a slow receiver may be behind before it loses some: some hundred times what one step of the
/// engine writes, and a few hundred kilobytes at most, since changes share their objects.
const HISTORY: usize = 4096;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change; of a deleted one the last state, with the deletion's `resourceVersion`, in
    /// its storage version.
    pub object: Arc<Value>,
    /// The object before the change; none for an added one.
    pub previous: Option<Arc<Value>>,
    /// The cluster's revision that the change made, the object's `resourceVersion`.
    pub revision: u64,
}

/// The receiver was too slow: changes are lost, and it must read anew what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} changes were lost")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}

/// Changes in order, from the moment on at which this was made.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next change; none once the cluster is gone.
    ///
    /// Safe to drop halfway: no change is lost by it.
    ///
    /// # Errors
    /// [`Lagged`], once, where changes were lost; the next call goes on with the oldest that is left.
    pub async fn next(&mut self) -> Result<Option<Change>, Lagged> {
        match self.0.recv().await {
            Ok(change) => Ok(Some(change)),
            Err(broadcast::error::RecvError::Closed) => Ok(None),
            Err(broadcast::error::RecvError::Lagged(missed)) => Err(Lagged { missed }),
        }
    }

    /// A change that has happened already, without waiting for one.
    ///
    /// # Errors
    /// As [`Changes::next`].
    pub fn try_next(&mut self) -> Result<Option<Change>, Lagged> {
        match self.0.try_recv() {
            Ok(change) => Ok(Some(change)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                Ok(None)
            }
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Err(Lagged { missed }),
        }
    }
}

/// The sending end, in the store.
#[derive(Debug)]
pub(super) struct Feed {
    changes: broadcast::Sender<Change>,
    revision: watch::Sender<u64>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            changes: broadcast::Sender::new(HISTORY),
            revision: watch::Sender::new(0),
        }
    }

    /// Nobody listening is no failure.
    pub(super) fn send(&self, change: Change) {
        let revision = change.revision;
        self.changes.send(change).ok();
        self.revision.send_replace(revision);
    }

    pub(super) fn subscribe(&self) -> Changes {
        Changes(self.changes.subscribe())
    }

    pub(super) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}
