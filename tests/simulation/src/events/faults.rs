//! Requests of the host's go wrong, and its process crashes.

use std::fmt;

use backup_engine::cluster::ApiReason;

use crate::{
    faults::{Armed, Fault, Of},
    ground::Ground,
    happening::Happening,
    schedule::Outline,
};

/// A fault that is armed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FaultEvent {
    /// It lets so many requests pass.
    pub(crate) after: u32,
    pub(crate) of: Of,
    pub(crate) fault: Fault,
}

pub(crate) fn draw(outline: &mut Outline) {
    for _ in 0..outline.rng.u32(0..8) {
        let fault = match outline.rng.u32(0..10) {
            0..4 => Fault::Crash {
                is_sent: outline.rng.bool(),
                down: outline.pick(&[0, 0, 30, 120]),
            },
            4..6 => Fault::Interference,
            6..9 => Fault::Error {
                reason: outline.pick(&[
                    ApiReason::TooManyRequests,
                    ApiReason::Unavailable,
                    ApiReason::Timeout,
                ]),
                is_done: outline.rng.bool(),
            },
            _ => Fault::Error {
                reason: outline.pick(&[ApiReason::Forbidden, ApiReason::Invalid]),
                is_done: false,
            },
        };
        let of = match fault {
            Fault::Error { .. } if outline.rng.bool() => Of::All,
            _ => Of::Writes,
        };
        let after = match of {
            Of::Writes => outline.rng.u32(0..8),
            Of::All => outline.rng.u32(0..40),
        };
        let at = outline.time();
        outline.add(at, Happening::Fault(FaultEvent { after, of, fault }));
    }
}

impl FaultEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        ground
            .faults()
            .arm(self.after, self.of, Armed::Fault(self.fault));
    }
}

impl fmt::Display for FaultEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = match self.of {
            Of::Writes => "writes",
            Of::All => "requests",
        };
        write!(f, "armed, for after {} {requests}: ", self.after)?;
        match self.fault {
            Fault::Crash { is_sent, down } => write!(
                f,
                "the host crashes {} a request, for {down} s",
                if is_sent { "behind" } else { "ahead of" }
            ),
            Fault::Interference => write!(f, "somebody writes to the same object"),
            Fault::Error { reason, is_done } => write!(
                f,
                "the host hears {}{}",
                reason.as_str(),
                if is_done { ", though it is done" } else { "" }
            ),
        }
    }
}
