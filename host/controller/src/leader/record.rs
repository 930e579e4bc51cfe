//! What stands in the Lease, and what a candidate makes of it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::core::ObjectMeta;

use super::LEASE;

/// Who holds a Lease; empty for nobody.
pub(super) fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// What this host writes into the Lease.
pub(super) struct Record {
    namespace: String,
    identity: String,
    lasts: Duration,
}

impl Record {
    pub(super) fn new(namespace: &str, identity: String, lasts: Duration) -> Self {
        Self {
            namespace: namespace.to_owned(),
            identity,
            lasts,
        }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// The Lease, where there is none.
    fn created(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(LEASE.to_owned()),
            namespace: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        };
        let empty = Lease {
            metadata,
            spec: None,
        };
        self.taken(empty)
    }

    /// The Lease with another holder than before.
    fn taken(&self, mut lease: Lease) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.spec.take().unwrap_or_default();
        let is_first = before.acquire_time.is_none() && before.lease_transitions.is_none();
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.lasts.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(if is_first { 0 } else { transitions + 1 }),
            ..LeaseSpec::default()
        });
        lease
    }

    /// The Lease with another sign of life.
    pub(super) fn renewed(&self, lease: &Lease) -> Lease {
        let mut lease = lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        lease
    }

    /// The Lease with nobody holding it.
    pub(super) fn released(&self, lease: &Lease) -> Lease {
        let mut lease = self.renewed(lease);
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        lease
    }
}

/// What a candidate does.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Writes the Lease so; of several candidates the API server lets one.
    Take(Box<Lease>),
    /// Looks again, after so long at the latest.
    Wait(Duration),
}

/// What a candidate saw last, and since when it has been so.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(LeaseSpec, Instant)>);

impl Seen {
    /// Looks at the Lease as it was found at a time.
    pub(super) fn decide(
        &mut self,
        found: Option<Lease>,
        record: &Record,
        now: Instant,
    ) -> Decision {
        let Some(lease) = found else {
            return Decision::Take(Box::new(record.created()));
        };
        let by = holder(&lease);
        // Ours where the answer to an earlier write got lost.
        if by.is_empty() || by == record.identity {
            return Decision::Take(Box::new(record.taken(lease)));
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let lasts = spec.lease_duration_seconds;
        let lasts = lasts.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(record.lasts, Duration::from_secs);
        let since = match &self.0 {
            Some((seen, since)) if *seen == spec => *since,
            _ => {
                self.0 = Some((spec, now));
                now
            }
        };
        match lasts.checked_sub(now.saturating_duration_since(since)) {
            Some(left) if !left.is_zero() => Decision::Wait(left),
            _ => Decision::Take(Box::new(record.taken(lease))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn record(identity: &str) -> Record {
        Record::new("host", identity.to_owned(), LASTS)
    }

    fn taken(decision: Decision) -> Lease {
        match decision {
            Decision::Take(lease) => *lease,
            Decision::Wait(left) => panic!("it waits for {left:?}"),
        }
    }

    /// The Lease of another host.
    fn of_other() -> Lease {
        taken(Seen::default().decide(None, &record("other"), Instant::now()))
    }

    #[test]
    fn a_lease_that_is_not_there_or_that_nobody_holds_is_taken() {
        let (us, now) = (record("us"), Instant::now());
        let first = taken(Seen::default().decide(None, &us, now));
        assert_eq!(holder(&first), "us");
        let free = record("other").released(&of_other());
        assert_eq!(holder(&free), "");
        let second = taken(Seen::default().decide(Some(free), &us, now));
        assert_eq!(holder(&second), "us");
        let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
        assert_eq!(transitions(&first), Some(0));
        assert_eq!(transitions(&second), Some(1));
    }

    #[test]
    fn a_holder_that_falls_silent_is_followed_when_its_lease_has_run_out() {
        let (us, began) = (record("us"), Instant::now());
        let (mut seen, lease) = (Seen::default(), of_other());
        let mut at = |seconds| {
            seen.decide(
                Some(lease.clone()),
                &us,
                began + Duration::from_secs(seconds),
            )
        };
        assert_eq!(at(0), Decision::Wait(LASTS));
        assert_eq!(at(14), Decision::Wait(Duration::from_secs(1)));
        assert_eq!(holder(&taken(at(15))), "us");
    }

    // Clocks of two machines may differ by hours.
    #[test]
    fn times_in_the_lease_say_nothing() {
        let us = record("us");
        for hours in [-5, 5] {
            let mut lease = of_other();
            let time = Timestamp::now() + jiff::SignedDuration::from_hours(hours);
            lease.spec.as_mut().unwrap().renew_time = Some(MicroTime(time));
            let decision = Seen::default().decide(Some(lease), &us, Instant::now());
            assert_eq!(decision, Decision::Wait(LASTS));
        }
    }

    #[test]
    fn a_holder_that_shows_signs_of_life_is_left_alone() {
        let (us, other, began) = (record("us"), record("other"), Instant::now());
        let (mut seen, mut lease) = (Seen::default(), of_other());
        for round in 0..10 {
            let now = began + Duration::from_secs(round * 10);
            assert_eq!(
                seen.decide(Some(lease.clone()), &us, now),
                Decision::Wait(LASTS)
            );
            lease = other.renewed(&lease);
        }
    }

    #[test]
    fn a_lease_lasts_as_long_as_its_holder_says() {
        let (us, began) = (record("us"), Instant::now());
        let (mut seen, mut lease) = (Seen::default(), of_other());
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
        let mut at = |seconds| {
            seen.decide(
                Some(lease.clone()),
                &us,
                began + Duration::from_secs(seconds),
            )
        };
        at(0);
        assert_eq!(at(15), Decision::Wait(Duration::from_secs(45)));
    }

    #[test]
    fn a_lease_that_is_ours_already_is_taken_again() {
        let us = record("us");
        let ours = us.created();
        let again = taken(Seen::default().decide(Some(ours), &us, Instant::now()));
        assert_eq!(holder(&again), "us");
    }
}
