//! Requests that are refused, and crashes of the host between two of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_engine::cluster::{
    Account, ApiError, ApiReason, Caller,
    memory::{Operation, Verdict},
};
use serde::Deserialize;

use crate::policy;

/// What the requests of a case itself are for; nothing befalls them.
const STORY: &str = "a case";

/// Who does what a case says.
pub(crate) fn storyteller() -> Caller {
    Caller {
        purpose: STORY.to_owned(),
        ..Caller::host()
    }
}

/// What the API server refuses, from now on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Refusal {
    /// `create`, `patch`, `delete`, `get` or `list`.
    verb: String,
    /// The kind; any when absent.
    kind: Option<String>,
    /// As Kubernetes names it.
    #[serde(default = "invalid")]
    reason: String,
    /// The API server's words.
    message: String,
}

fn invalid() -> String {
    "Invalid".to_owned()
}

impl Refusal {
    fn is_of(&self, operation: &Operation) -> bool {
        let is_strategys = matches!(operation.account, Account::Strategy { .. });
        let kind = self.kind.as_ref();
        is_strategys
            && operation.verb.as_rbac() == self.verb
            && kind.is_none_or(|kind| *kind == operation.kind)
    }

    fn error(&self) -> ApiError {
        let reasons = [
            ApiReason::NotFound,
            ApiReason::AlreadyExists,
            ApiReason::Conflict,
            ApiReason::Forbidden,
            ApiReason::TooManyRequests,
            ApiReason::Timeout,
            ApiReason::Unavailable,
        ];
        let named = reasons
            .into_iter()
            .find(|reason| reason.as_str() == self.reason);
        ApiError::new(named.unwrap_or(ApiReason::Invalid), &self.message)
    }
}

/// What befalls requests.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    refusals: Vec<Refusal>,
    /// How many writes there were.
    writes: usize,
    /// Behind which of them the host crashes.
    crash_at: Option<usize>,
    is_down: bool,
}

impl Faults {
    /// A crash behind a write, counted from 1.
    pub(crate) fn crashing_at(write: Option<usize>) -> Self {
        let faults = Self::default();
        faults.lock().crash_at = write;
        faults
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses this, and nothing else any more.
    pub(crate) fn refuse(&self, refusals: Vec<Refusal>) {
        self.lock().refusals = refusals;
    }

    /// How many writes the host and the strategy have made.
    pub(crate) fn writes(&self) -> usize {
        self.lock().writes
    }

    /// Whether the host has crashed; it is up again when this returns.
    pub(crate) fn was_down(&self) -> bool {
        std::mem::take(&mut self.lock().is_down)
    }

    /// What becomes of a request.
    pub(crate) fn verdict(&self, operation: &Operation) -> Verdict {
        if operation.purpose == STORY {
            return Verdict::Pass;
        }
        if policy::is_trial(operation) {
            return Verdict::Fail(policy::refusal());
        }
        let lost = || ApiError::new(ApiReason::Unavailable, "the connection broke");
        let mut state = self.lock();
        if state.is_down {
            return Verdict::Fail(lost());
        }
        if let Some(refusal) = state.refusals.iter().find(|one| one.is_of(operation)) {
            return Verdict::Fail(refusal.error());
        }
        if operation.writes() {
            state.writes += 1;
            if state.crash_at == Some(state.writes) {
                state.is_down = true;
                return Verdict::PassThenFail(lost());
            }
        }
        Verdict::Pass
    }
}
