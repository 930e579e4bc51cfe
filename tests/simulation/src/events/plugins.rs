//! Plugins are replaced by other versions, or serve no more for a while.

use std::fmt;

use crate::{ground::Ground, happening::Happening, schedule::Outline, strategies::Strategy};

/// What becomes of a strategy's plugin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PluginEvent {
    pub(crate) strategy: Strategy,
    /// The version that serves from now on; none where none does.
    pub(crate) version: Option<usize>,
}

pub(crate) fn draw(outline: &mut Outline) {
    for strategy in outline.strategies.clone() {
        let event = |version| Happening::Plugin(PluginEvent { strategy, version });
        if outline.one_in(5) {
            let at = outline.time();
            outline.add_anytime(at, event(Some(1)));
        }
        if outline.one_in(6) {
            let at = if outline.one_in(3) { 0 } else { outline.time() };
            outline.add_anytime(at, event(None));
            let later = at + outline.rng.u32(15..600);
            let version = outline.rng.usize(0..2);
            outline.add(later, event(Some(version)));
        }
    }
}

impl PluginEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        match self.version {
            Some(version) => ground.serve(self.strategy, version),
            None => ground.withdraw(self.strategy),
        }
    }
}

impl fmt::Display for PluginEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.strategy.kind();
        match self.version {
            Some(version) => write!(f, "version {version} of the plugin for {kind} serves"),
            None => write!(f, "no plugin serves {kind}"),
        }
    }
}
