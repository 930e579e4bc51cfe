//! What is armed to go wrong between the host and the API server, and what has passed between them.

use std::ops::Range;

use backup_engine::cluster::{Account, ApiError, ApiReason, memory::Operation};

use crate::happening::Happening;

/// What becomes of a request of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The host's process is gone before the request is sent, or before its answer comes, for so many seconds.
    Crash { is_sent: bool, down: u32 },
    /// Somebody writes to the object first.
    Interference,
    /// The host hears this error; whether the request was carried out all the same.
    Error { reason: ApiReason, is_done: bool },
}

/// Which requests a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Writes,
    All,
}

/// A fault, or something that others do, in the middle of a pass.
#[derive(Clone, Debug)]
pub(crate) enum Armed {
    Fault(Fault),
    Happening(Box<Happening>),
}

/// Everything that is armed, and what the host has asked for.
#[derive(Default)]
pub(crate) struct Faults {
    armed: Vec<(u32, Of, Armed)>,
    /// Kinds that no strategy's account may touch, and until when, in seconds since the epoch.
    denied: Vec<(&'static str, i64)>,
    requests: Vec<Operation>,
    writes: Vec<Range<u64>>,
    /// For how long the process is gone that has just crashed.
    crashed: Option<u32>,
}

impl Faults {
    /// Goes off at the next request, or after so many.
    pub(crate) fn arm(&mut self, after: u32, of: Of, armed: Armed) {
        self.armed.push((after, of, armed));
    }

    /// No request goes wrong any more.
    pub(crate) fn disarm(&mut self) {
        self.armed.clear();
    }

    /// No strategy's account may touch a kind until a time.
    pub(crate) fn deny(&mut self, kind: &'static str, until: i64) {
        self.denied.push((kind, until));
    }

    /// Every account may do what it needs.
    pub(crate) fn grant_everything(&mut self) {
        self.denied.clear();
    }

    /// Whether a request is refused for want of a permission.
    pub(crate) fn is_denied(&self, request: &Operation, now: i64) -> bool {
        request.account != Account::Host
            && self
                .denied
                .iter()
                .any(|(kind, until)| *kind == request.kind && now < *until)
    }

    /// A request is about to be sent: what goes off.
    pub(crate) fn of_request(&mut self, request: &Operation) -> Vec<Armed> {
        self.requests.push(request.clone());
        let writes = request.writes();
        let mut off = vec![];
        self.armed.retain_mut(|(after, of, armed)| {
            if *of == Of::Writes && !writes {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            off.push(armed.clone());
            false
        });
        off
    }

    /// The host's request made the revisions of this range.
    pub(crate) fn wrote(&mut self, revisions: Range<u64>) {
        if !revisions.is_empty() {
            self.writes.push(revisions);
        }
    }

    /// Whether a revision came of a request of the host's.
    pub(crate) fn is_by_host(&self, revision: u64) -> bool {
        self.writes.iter().any(|range| range.contains(&revision))
    }

    pub(crate) fn crash(&mut self, down: u32) {
        self.crashed = Some(down);
    }

    pub(crate) fn take_crash(&mut self) -> Option<u32> {
        self.crashed.take()
    }

    /// The requests since this was asked last.
    pub(crate) fn take_requests(&mut self) -> Vec<Operation> {
        std::mem::take(&mut self.requests)
    }

    /// The changes so far have been looked at.
    pub(crate) fn forget_writes(&mut self) {
        self.writes.clear();
    }
}

/// What the host hears.
pub(crate) fn error(reason: ApiReason) -> ApiError {
    ApiError::new(reason, format!("{} by the simulation", reason.as_str()))
}
