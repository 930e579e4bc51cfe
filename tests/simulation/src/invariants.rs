//! The promises that are looked at in every step, one file for each group.
//!
//! An invariant is told of every change of the cluster, in order and with whether it was the host's, and of every
//! request that the host sent.

mod backups;
mod claims;
mod conditions;
mod data;
mod forgotten;
mod lives;
mod orders;
mod places;
mod plans;
mod releases;
mod restored;
mod retention;
mod secrets;
mod turns;
mod walls;

use backup_engine::cluster::memory::{Change, Operation};

use crate::{
    places::Owner,
    record::Record,
    strategies::Shown,
    vault::{Place, Vault, Written},
};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
}

pub(crate) type Verdict = Result<(), Violation>;

/// A change, with what has to be known to judge it.
pub(crate) struct Seen<'a> {
    pub change: &'a Change,
    /// Whether it came of a request of the host's.
    pub by_host: bool,
    /// The jobs, this change included.
    pub record: &'a Record,
    /// What lies in the buckets.
    pub storage: &'a Vault,
    /// The time, in seconds since the epoch.
    pub now: i64,
}

/// A group of promises.
pub(crate) trait Invariant {
    /// Something has changed.
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let _ = seen;
        Ok(())
    }

    /// The host has sent a request.
    fn requested(&mut self, request: &Operation) -> Verdict {
        let _ = request;
        Ok(())
    }

    /// The host has purged a path of a bucket. What has changed since the last rest is told later.
    fn purged(&mut self, at: &Place) -> Verdict {
        let _ = at;
        Ok(())
    }

    /// A strategy's operator has written to a bucket, where these applications have their places.
    fn written(&mut self, written: &Written, of: &[Owner], record: &Record) -> Verdict {
        let _ = (written, of, record);
        Ok(())
    }

    /// An operator has brought back what lay at a place, and no object of its tells.
    fn shown(&mut self, shown: &Shown, stored: &Vault) {
        let _ = (shown, stored);
    }

    /// A pass is over, or an event, and everything about it has been told.
    fn rested(&mut self, record: &Record) -> Verdict {
        let _ = record;
        Ok(())
    }

    /// Everything is at rest. `stored` is what lies in the buckets.
    fn ended(&mut self, record: &Record, stored: &Vault) -> Verdict {
        let _ = (record, stored);
        Ok(())
    }
}

/// All of them.
pub(crate) fn invariants() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(lives::Lives),
        Box::new(conditions::Conditions),
        Box::new(orders::Orders::default()),
        Box::new(releases::Releases::default()),
        Box::new(turns::Turns),
        Box::new(backups::Backups::default()),
        Box::new(data::Data::default()),
        Box::new(places::Places),
        Box::new(claims::Claims::default()),
        Box::new(restored::Restored::default()),
        Box::new(forgotten::Forgotten::default()),
        Box::new(plans::Plans::default()),
        Box::new(retention::Retention::default()),
        Box::new(secrets::Secrets),
        Box::new(walls::Walls::default()),
    ]
}

/// A promise that does not hold.
pub(crate) fn broken(promise: &'static str, seen: impl Into<String>) -> Verdict {
    Err(Violation {
        promise,
        seen: seen.into(),
    })
}
