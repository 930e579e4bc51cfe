//! How far a strategy came: a value, or an early return that waits or fails.

use std::{fmt, time::Duration};

pub use crate::bindings::cozystack::backup_strategy::types::{Failure, Wait};

/// A value, or the reason to stop here for now. `?` passes on both kinds of [`Stop`].
pub type Outcome<T> = Result<T, Stop>;

/// Why a strategy returns early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The work goes on when something that was read has changed.
    Wait(Wait),
    /// The work has failed for good.
    Fail(Failure),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, message) = match self {
            Self::Wait(wait) => (&wait.reason, &wait.message),
            Self::Fail(failure) => (&failure.reason, &failure.message),
        };
        f.write_str(reason)?;
        f.write_str(": ")?;
        f.write_str(message)
    }
}

impl std::error::Error for Stop {}

/// Waits: the host asks again when something that was read has changed.
///
/// The work counts as begun (phase Running); [`Waiting`] says otherwise, and for how long at most.
///
/// ```
/// use backup_strategy::prelude::*;
///
/// fn dump_is_done(phase: &str) -> Outcome<()> {
///     match phase {
///         "Complete" => Ok(()),
///         "Failed" => fail("DumpFailed", "the operator reports a failed dump"),
///         _ => wait("DumpRunning", "the operator is dumping").at_most(30.minutes()),
///     }
/// }
/// # assert!(dump_is_done("Complete").is_ok());
/// ```
///
/// # Errors
///
/// Always: that is how a strategy returns early.
pub fn wait<T>(reason: impl Into<String>, message: impl Into<String>) -> Outcome<T> {
    Err(Stop::Wait(Wait {
        reason: reason.into(),
        message: message.into(),
        started: true,
        ask_again_after_seconds: None,
        give_up_after_seconds: None,
    }))
}

/// Fails the work for good, with a reason in PascalCase and words for the tenant.
///
/// # Errors
///
/// Always: that is how a strategy returns early.
pub fn fail<T>(reason: impl Into<String>, message: impl Into<String>) -> Outcome<T> {
    Err(Stop::Fail(Failure {
        reason: reason.into(),
        message: message.into(),
    }))
}

/// [`fail`](fn@crate::fail) with a message that is put together as [`format!`] does it.
///
/// ```
/// use backup_strategy::prelude::*;
///
/// let name = "dump-1";
/// let failed: Outcome<()> = fail!("DumpFailed", "Dump {name} has failed: {}", "no space left");
/// assert_eq!(failed, fail("DumpFailed", "Dump dump-1 has failed: no space left"));
/// ```
#[macro_export]
macro_rules! fail {
    ($reason:expr, $($message:tt)+) => { $crate::fail($reason, ::std::format!($($message)+)) };
}

/// [`wait`](fn@crate::wait) with a message that is put together as [`format!`] does it.
#[macro_export]
macro_rules! wait {
    ($reason:expr, $($message:tt)+) => { $crate::wait($reason, ::std::format!($($message)+)) };
}

/// Says more about a wait; does nothing to a value or a failure.
pub trait Waiting: Sized {
    /// Changes the wait, if it is one.
    #[must_use]
    fn waiting(self, change: impl FnOnce(&mut Wait)) -> Self;

    /// The work fails once it has waited for this reason, and no other, for so long.
    #[must_use]
    fn at_most(self, duration: Duration) -> Self {
        self.waiting(|wait| wait.give_up_after_seconds = Some(whole_seconds(duration)))
    }

    /// Ask again after so long even if nothing that was read has changed: for logs and stored objects, which
    /// cannot be watched.
    #[must_use]
    fn ask_again_after(self, duration: Duration) -> Self {
        self.waiting(|wait| wait.ask_again_after_seconds = Some(whole_seconds(duration)))
    }

    /// A precondition is missing; the work has not begun (phase Pending).
    #[must_use]
    fn pending(self) -> Self {
        self.waiting(|wait| wait.started = false)
    }

    /// The work has begun (phase Running).
    #[must_use]
    fn running(self) -> Self {
        self.waiting(|wait| wait.started = true)
    }
}

impl<T> Waiting for Outcome<T> {
    fn waiting(mut self, change: impl FnOnce(&mut Wait)) -> Self {
        if let Err(Stop::Wait(wait)) = &mut self {
            change(wait);
        }
        self
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Turns what is not there into a wait or a failure, with the words for the tenant at the place where they
/// matter. For an `Option`, and for what [`Context::get`](crate::Context::get) and its kin give back.
pub trait OrStop<T> {
    /// Waits for it, in phase Pending: what is not there yet is usually a precondition.
    ///
    /// # Errors
    ///
    /// With a wait where there is no value.
    fn or_wait(self, reason: &str, message: impl Into<String>) -> Outcome<T>;

    /// Fails for want of it.
    ///
    /// # Errors
    ///
    /// With a failure where there is no value.
    fn or_fail(self, reason: &str, message: impl Into<String>) -> Outcome<T>;
}

impl<T> OrStop<T> for Option<T> {
    fn or_wait(self, reason: &str, message: impl Into<String>) -> Outcome<T> {
        match self {
            Some(value) => Ok(value),
            None => wait(reason, message).pending(),
        }
    }

    fn or_fail(self, reason: &str, message: impl Into<String>) -> Outcome<T> {
        match self {
            Some(value) => Ok(value),
            None => fail(reason, message),
        }
    }
}

impl<T> OrStop<T> for Outcome<Option<T>> {
    fn or_wait(self, reason: &str, message: impl Into<String>) -> Outcome<T> {
        self?.or_wait(reason, message)
    }

    fn or_fail(self, reason: &str, message: impl Into<String>) -> Outcome<T> {
        self?.or_fail(reason, message)
    }
}

/// `30.minutes()`.
pub trait Units {
    /// So many seconds.
    fn seconds(self) -> Duration;
    /// So many minutes.
    fn minutes(self) -> Duration;
    /// So many hours.
    fn hours(self) -> Duration;
}

impl Units for u32 {
    fn seconds(self) -> Duration {
        Duration::from_secs(self.into())
    }

    fn minutes(self) -> Duration {
        Duration::from_secs(u64::from(self) * 60)
    }

    fn hours(self) -> Duration {
        Duration::from_secs(u64::from(self) * 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_wait_leaves_failures_alone() {
        let failed: Outcome<()> = fail("Broken", "it broke");
        assert_eq!(failed.clone().at_most(5.minutes()), failed);
    }

    #[test]
    fn what_is_missing_waits_in_phase_pending() {
        let Err(Stop::Wait(wait)) = None::<u8>
            .or_wait("NotThere", "not there yet")
            .at_most(30.minutes())
        else {
            panic!("not a wait");
        };
        assert!(!wait.started);
        assert_eq!(wait.give_up_after_seconds, Some(1800));
    }
}
