//! Clocks jump, and watches are late or break.

use std::fmt;

use crate::{
    ground::{Ground, Watches},
    happening::Happening,
    schedule::Outline,
};

/// What becomes of clock and watches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SurroundingsEvent {
    /// The clock jumps by so many seconds.
    Clock(i64),
    /// The watches tell nothing for so many seconds, and have lost what was in between where they broke.
    Watches { seconds: u32, is_broken: bool },
}

pub(crate) fn draw(outline: &mut Outline) {
    if outline.one_in(4) {
        let jump = match outline.rng.u32(0..4) {
            0 => -outline.rng.i64(1..5),
            1 => -outline.rng.i64(1..120),
            2 => outline.rng.i64(60..3_600),
            _ => outline.rng.i64(3_600..100_000),
        };
        let at = outline.time();
        outline.add(at, Happening::Surroundings(SurroundingsEvent::Clock(jump)));
    }
    for _ in 0..outline.rng.u32(0..3) {
        let event = SurroundingsEvent::Watches {
            seconds: outline.rng.u32(15..300),
            is_broken: outline.rng.bool(),
        };
        let at = outline.time();
        outline.add(at, Happening::Surroundings(event));
    }
}

impl SurroundingsEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        match *self {
            Self::Clock(seconds) => ground.cluster.advance(seconds),
            Self::Watches { seconds, is_broken } => {
                *ground.watches() = Watches::Late {
                    until: ground.cluster.now() + i64::from(seconds),
                    is_broken,
                };
            }
        }
    }
}

impl fmt::Display for SurroundingsEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock(seconds) => write!(f, "the clock jumps by {seconds} s"),
            Self::Watches {
                seconds,
                is_broken: true,
            } => write!(f, "watches are broken for {seconds} s"),
            Self::Watches { seconds, .. } => write!(f, "watches are {seconds} s late"),
        }
    }
}
