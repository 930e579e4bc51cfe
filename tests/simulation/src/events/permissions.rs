//! The RBAC of strategies' accounts lacks something for a while.

use std::fmt;

use crate::{ground::Ground, happening::Happening, schedule::Outline};

/// No strategy may touch a kind for so many seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PermissionEvent {
    pub(crate) kind: &'static str,
    pub(crate) seconds: u32,
}

pub(crate) fn draw(outline: &mut Outline) {
    if outline.one_in(4) {
        let strategy = outline.strategy();
        let event = PermissionEvent {
            kind: outline.pick(strategy.touches()),
            seconds: outline.pick(&[15, 60, 300, 1_000_000]),
        };
        let at = outline.time();
        outline.add_anytime(at, Happening::Permission(event));
    }
}

impl PermissionEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        let until = ground.cluster.now() + i64::from(self.seconds);
        ground.faults().deny(self.kind, until);
    }
}

impl fmt::Display for PermissionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, seconds } = self;
        write!(f, "no strategy may touch a {kind} for {seconds} s")
    }
}
