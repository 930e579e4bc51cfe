//! Why a pass ends before its work is done.

use std::time::Duration;

use backup_api::{Reason, RefusedAction};

use crate::{
    cluster::{ApiError, ApiReason},
    storage::StorageError,
};

/// Why a pass ends. Whether and when there is another follows from the case, never from a text.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is missing that may come.
    Wait {
        /// The host's reason.
        reason: Reason,
        /// For the tenant.
        message: String,
        /// How long this may last; when none, a job waits as long as it may take in all, and for its turn until it
        /// comes.
        give_up_after: Option<Duration>,
    },
    /// Nothing can come of it. The message is for the tenant.
    Fail(String),
    /// It went wrong, and may go right another time. The same setback five times ends the job.
    Setback {
        /// The host's reason.
        reason: Reason,
        /// For whoever can mend it.
        message: String,
        /// The action that was refused, where it was one.
        action: Option<Box<RefusedAction>>,
    },
    /// A request failed that may succeed later: the queue tries again.
    Api(ApiError),
    /// A host that has just begun cannot know yet whether this can go on, and will in a moment. Nobody is told: what the
    /// work last said is as true as before, and what it waits for goes on to be waited for since then.
    NotYet(String),
    /// The job is another controller's.
    Foreign,
}

impl Stop {
    pub(crate) fn fail(message: impl Into<String>) -> Self {
        Self::Fail(message.into())
    }

    pub(crate) fn setback(reason: Reason, message: impl Into<String>) -> Self {
        Self::Setback {
            reason,
            message: message.into(),
            action: None,
        }
    }
}

/// Requests of the host's own. A conflict passes: the next pass reads again.
impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        if error.can_pass() || error.reason == ApiReason::Conflict {
            return Self::Api(error);
        }
        Self::Wait {
            reason: Reason::PermissionMissing,
            message: format!("the API server refused a request of the host: {error}"),
            give_up_after: None,
        }
    }
}

/// A storage that does not answer may answer later; how long that is waited for, whoever waits says.
impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Wait {
            reason: Reason::StorageUnreachable,
            message: error.to_string(),
            give_up_after: None,
        }
    }
}
