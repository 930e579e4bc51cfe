//! Looks at everything that changes and that is asked for, and holds it against the promises.

use backup_engine::cluster::memory::{Change, ChangeKind, Changes};

use crate::{
    ground::Ground,
    invariants::{Invariant, Seen, Verdict, Violation, invariants},
    record::{Record, is_job, named, said},
};

pub(crate) struct Observer {
    changes: Changes,
    pub record: Record,
    invariants: Vec<Box<dyn Invariant>>,
}

impl Observer {
    /// Looks at what changes from now on.
    pub(crate) fn of(ground: &Ground) -> Self {
        Self {
            changes: ground.cluster.changes(),
            record: Record::default(),
            invariants: invariants(),
        }
    }

    /// Looks at what has happened since the last time.
    pub(crate) fn look(&mut self, ground: &Ground) -> Verdict {
        for request in ground.faults().take_requests() {
            for invariant in &mut self.invariants {
                invariant.requested(&request)?;
            }
        }
        for place in ground.storage.take_purges() {
            ground.note(|| format!("    purge s3://{}/{}", place.0, place.1));
            for invariant in &mut self.invariants {
                invariant.purged(&place)?;
            }
        }
        loop {
            match self.changes.try_next() {
                Ok(Some(change)) => self.changed(&change, ground)?,
                Ok(None) => break,
                Err(lagged) => {
                    return Err(Violation {
                        promise: "the simulation sees everything",
                        seen: lagged.to_string(),
                    });
                }
            }
        }
        for written in ground.storage.take_written() {
            let owners = ground.owners(&written);
            for invariant in &mut self.invariants {
                invariant.written(&written, &owners, &self.record)?;
            }
        }
        let shown = ground.operators().take_shown();
        for shown in shown {
            for invariant in &mut self.invariants {
                invariant.shown(&shown, &ground.storage);
            }
        }
        ground.faults().forget_writes();
        for invariant in &mut self.invariants {
            invariant.rested(&self.record)?;
        }
        Ok(())
    }

    /// Looks at the whole, once everything is at rest.
    pub(crate) fn end(&mut self, ground: &Ground) -> Verdict {
        for invariant in &mut self.invariants {
            invariant.ended(&self.record, &ground.storage)?;
        }
        Ok(())
    }

    fn changed(&mut self, change: &Change, ground: &Ground) -> Verdict {
        let by_host = ground.faults().is_by_host(change.revision);
        self.record.note(change);
        if is_job(&change.object) {
            ground.note(|| match change.kind {
                ChangeKind::Deleted => format!("  {} is gone", named(&change.object)),
                _ => format!("  {} is {}", named(&change.object), said(&change.object)),
            });
        }
        let seen = Seen {
            change,
            by_host,
            record: &self.record,
            storage: &ground.storage,
            now: ground.cluster.now(),
        };
        for invariant in &mut self.invariants {
            invariant.changed(&seen)?;
        }
        Ok(())
    }
}
