//! Which of several hosts works: the one that holds a Lease.
//!
//! ```text
//!  candidate ── takes the Lease ──► leader ── renews it, again and again ──► told to stop: releases it
//!      ▲  nobody holds it, or              │
//!      │  its holder has fallen silent     └─ cannot renew it in time, or somebody else has it: the process ends
//! ```
//!
//! Clocks of two machines are never compared. A candidate takes a Lease over when it has seen no change of it for as long
//! as the Lease lasts, by its own clock; what stands in the Lease as times is for people. Every write carries the version
//! that was read, so of two candidates one is refused. A leader gives up by itself before a candidate can take over: its
//! [`Fence`] closes when the renewal is late, whatever else the process is busy with, and no write passes it then.

mod fence;
mod record;

use std::{
    fmt,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Error, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub(crate) use fence::Fence;
use record::{Decision, Record, Seen, holder};

/// The Lease, in the host's namespace.
pub(crate) const LEASE: &str = "backupstrategy-controller.backups.cozystack.io";

/// How often the Lease is tried to be released when the host stops. Where it cannot be, it runs out.
const RELEASES: usize = 3;

/// How long things take. The defaults are those of Kubernetes' own controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// For how long nobody else takes the Lease, from the last sign of life on.
    pub lease: Duration,
    /// For how long the leader works on without having renewed it.
    pub renew_deadline: Duration,
    /// The pause between two renewals, and between two looks of a candidate.
    pub retry: Duration,
}

impl Terms {
    /// The terms, if a leader under them ceases to write before another can begin.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn checked(self) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.retry < self.renew_deadline && self.renew_deadline < self.lease,
            "the retry period must be shorter than the renew deadline, and that shorter than the lease duration"
        );
        anyhow::ensure!(
            !self.retry.is_zero() && self.lease.subsec_nanos() == 0,
            "the retry period must not be zero, and the lease duration must be whole seconds"
        );
        Ok(self)
    }
}

/// Why a leader is none any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It could not be renewed in time.
    Late(Duration),
    /// Somebody else has it; empty when nobody has.
    Taken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(deadline) => write!(
                f,
                "the Lease {LEASE} could not be renewed for {deadline:?}: another replica may take over"
            ),
            Self::Taken(by) if by.is_empty() => {
                write!(f, "the Lease {LEASE} was taken away, or is gone")
            }
            Self::Taken(by) => write!(f, "the Lease {LEASE} is held by {by} now"),
        }
    }
}

/// A host among others.
pub(crate) struct Election {
    api: Api<Lease>,
    record: Record,
    terms: Terms,
    fence: Fence,
    leads: watch::Sender<bool>,
}

/// What a leader holds.
struct Held {
    lease: Lease,
    /// Before the last renewal was asked for: what counts is when the API server took it, which was no earlier.
    renewed: Instant,
}

impl Election {
    /// A candidate. It opens the fence when it leads, and closes it when it does not; `leads` tells which.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        identity: String,
        terms: Terms,
        fence: Fence,
        leads: watch::Sender<bool>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            record: Record::new(namespace, identity, terms.lease),
            terms,
            fence,
            leads,
        }
    }

    /// Stands for election, leads, and releases the Lease once `over` is done.
    ///
    /// # Errors
    /// The Lease was lost. Nothing has been written since another could have it.
    pub(crate) async fn run(self, over: impl Future<Output = ()>) -> Result<(), Lost> {
        let mut over = std::pin::pin!(over);
        let held = tokio::select! {
            () = &mut over => return Ok(()),
            held = self.win() => held,
        };
        tracing::info!(
            lease = LEASE,
            identity = self.record.identity(),
            "this host leads"
        );
        self.leads.send_replace(true);
        let lost = tokio::select! {
            () = &mut over => None,
            lost = self.keep(held) => Some(lost),
        };
        self.fence.close();
        self.leads.send_replace(false);
        match lost {
            Some(lost) => Err(lost),
            None => {
                self.release().await;
                Ok(())
            }
        }
    }

    /// Done once the Lease is held.
    async fn win(&self) -> Held {
        let mut seen = Seen::default();
        loop {
            let pause = match timeout(self.terms.renew_deadline, self.stand(&mut seen)).await {
                Ok(Ok(Ok(held))) => return held,
                Ok(Ok(Err(pause))) => pause,
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = LEASE, "the Lease cannot be read or written");
                    self.terms.retry
                }
                Err(_) => {
                    tracing::warn!(lease = LEASE, "the API server does not answer");
                    continue;
                }
            };
            sleep(pause.min(self.terms.retry)).await;
        }
    }

    /// Looks at the Lease, and takes it where it is free. Gives back for how long it is not.
    async fn stand(&self, seen: &mut Seen) -> Result<Result<Held, Duration>, Error> {
        let found = self.api.get_opt(LEASE).await?;
        let lease = match seen.decide(found, &self.record, Instant::now()) {
            Decision::Wait(pause) => return Ok(Err(pause)),
            Decision::Take(lease) => lease,
        };
        let asked = Instant::now();
        match self.write(&lease).await {
            Ok(lease) => {
                self.fence.open_until(asked + self.terms.renew_deadline);
                Ok(Ok(Held {
                    lease,
                    renewed: asked,
                }))
            }
            // Another was faster.
            Err(Error::Api(status)) if status.code == 409 => Ok(Err(self.terms.retry)),
            Err(error) => Err(error),
        }
    }

    /// Renews the Lease. Done once it is lost.
    async fn keep(&self, mut held: Held) -> Lost {
        loop {
            sleep(self.terms.retry).await;
            let deadline = held.renewed + self.terms.renew_deadline;
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.renew(&mut held)).await {
                Ok(Ok(())) => {}
                Ok(Err(Renewal::Lost(by))) => return Lost::Taken(by),
                Ok(Err(Renewal::Failed(error))) => {
                    tracing::warn!(%error, lease = LEASE, "the Lease was not renewed, and is tried again");
                }
                Err(_) => return Lost::Late(self.terms.renew_deadline),
            }
        }
    }

    async fn renew(&self, held: &mut Held) -> Result<(), Renewal> {
        let asked = Instant::now();
        match self.write(&self.record.renewed(&held.lease)).await {
            Ok(lease) => {
                *held = Held {
                    lease,
                    renewed: asked,
                };
                self.fence.open_until(asked + self.terms.renew_deadline);
                Ok(())
            }
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {
                // Also where an answer got lost, or somebody wrote a label: then it is still ours.
                let found = self.api.get_opt(LEASE).await.map_err(Renewal::Failed)?;
                let by = found.as_ref().map(holder).unwrap_or_default().to_owned();
                match found {
                    Some(lease) if by == self.record.identity() => {
                        held.lease = lease;
                        Err(Renewal::Failed(Error::Api(status)))
                    }
                    _ => Err(Renewal::Lost(by)),
                }
            }
            Err(error) => Err(Renewal::Failed(error)),
        }
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, Error> {
        let parameters = PostParams::default();
        match lease.metadata.resource_version {
            None => self.api.create(&parameters, lease).await,
            Some(_) => self.api.replace(LEASE, &parameters, lease).await,
        }
    }

    /// Lets the next begin at once. Only what is still ours is released.
    async fn release(&self) {
        for _ in 0..RELEASES {
            let released = async {
                let found = self.api.get_opt(LEASE).await?;
                let ours = found.filter(|lease| holder(lease) == self.record.identity());
                match ours {
                    Some(lease) => self.write(&self.record.released(&lease)).await.map(drop),
                    None => Ok(()),
                }
            };
            match timeout(self.terms.retry, released).await {
                Ok(Ok(())) => return tracing::info!(lease = LEASE, "the Lease is released"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = LEASE, "the Lease was not released");
                }
                Err(_) => tracing::warn!(lease = LEASE, "the Lease was not released in time"),
            }
        }
    }
}

/// Why a renewal came to nothing.
enum Renewal {
    /// It may go well another time.
    Failed(Error),
    /// The Lease is another's.
    Lost(String),
}

/// A name that no other process has, also not one of the same Pod: the Pod's, and a number.
pub(crate) fn identity(pod: &str) -> String {
    use std::hash::BuildHasher as _;
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if pod.is_empty() {
        host().trim().to_owned()
    } else {
        pod.to_owned()
    };
    // Each of these is seeded by the system's random numbers.
    let number = std::hash::RandomState::new().hash_one(std::process::id());
    format!("{name}_{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        lease: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };

    #[test]
    fn terms_under_which_two_could_write_are_refused() {
        assert!(TERMS.checked().is_ok());
        let late = Terms {
            renew_deadline: TERMS.lease,
            ..TERMS
        };
        assert!(late.checked().is_err());
        let slow = Terms {
            retry: TERMS.renew_deadline,
            ..TERMS
        };
        assert!(slow.checked().is_err());
        let uneven = Terms {
            lease: Duration::from_millis(15_500),
            ..TERMS
        };
        assert!(uneven.checked().is_err());
    }

    #[test]
    fn two_processes_of_one_pod_have_two_names() {
        assert!(identity("pod-0").starts_with("pod-0_"));
        assert_ne!(identity("pod-0"), identity("pod-0"));
        assert!(identity("").len() > 17, "the machine's name");
    }
}
