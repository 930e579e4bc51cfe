//! The played operators: who is at work, how fast, and how it goes.

use std::collections::BTreeMap;

use crate::{ground::Ground, strategies::Strategy};

/// How the operators are.
#[derive(Clone, Debug)]
pub(crate) struct Operators {
    /// By strategy kind, where it is not as it should be: how it goes with the operator; none while it is not running.
    fates: BTreeMap<&'static str, Option<usize>>,
    /// They look around only every so many turns.
    pub pace: u32,
    /// How many turns there were.
    turns: u32,
    /// The cluster's revision at which nothing was left to do for them.
    idle_at: Option<u64>,
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            fates: BTreeMap::new(),
            pace: 1,
            turns: 0,
            idle_at: None,
        }
    }
}

impl Operators {
    /// How it goes with a strategy's operator; none while it is not running.
    pub(crate) fn fate(&self, strategy: Strategy) -> Option<usize> {
        let fate = self.fates.get(strategy.kind());
        fate.copied().unwrap_or(Some(0))
    }

    /// So it goes with a strategy's operator from now on.
    pub(crate) fn set_fate(&mut self, strategy: Strategy, fate: Option<usize>) {
        self.fates.insert(strategy.kind(), fate);
    }

    /// They look around again, whether something has changed or not.
    pub(crate) fn wake(&mut self) {
        self.idle_at = None;
    }
}

impl Ground {
    /// Gives the operators a turn. Gives back whether one of them did something.
    pub(crate) fn operators_turn(&self) -> bool {
        let operators = {
            let mut operators = self.operators();
            operators.turns += 1;
            operators.clone()
        };
        let is_idle = operators.idle_at == Some(self.cluster.revision());
        if is_idle || !operators.turns.is_multiple_of(operators.pace.max(1)) {
            return false;
        }
        let mut moved = false;
        for strategy in &self.strategies {
            let Some(fate) = operators.fate(*strategy) else {
                continue;
            };
            match strategy.step(fate, &self.cluster, &self.storage, self.now()) {
                Some(Ok(steps)) => {
                    moved |= !steps.is_empty();
                    self.storage.note_written(*strategy);
                    for step in steps {
                        self.note(|| format!("  operator: {step}"));
                    }
                }
                // What it works on has gone under its hands; it looks again the next time.
                Some(Err(error)) => {
                    moved = true;
                    self.storage.note_written(*strategy);
                    self.note(|| format!("  operator: {error}"));
                }
                None => {}
            }
        }
        self.operators().idle_at = (!moved).then(|| self.cluster.revision());
        moved
    }
}
