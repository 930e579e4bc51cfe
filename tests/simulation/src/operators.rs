//! The played operators: who is at work, how fast, and how it goes.

use std::{collections::BTreeMap, sync::Arc};

use stage::Workplace;

use crate::{
    ground::Ground,
    strategies::{Shown, Strategy},
};

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
    /// What they brought back and nobody has asked for yet.
    shown: Vec<Shown>,
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            fates: BTreeMap::new(),
            pace: 1,
            turns: 0,
            idle_at: None,
            shown: vec![],
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

    /// What they have brought back since this was asked last, where no object tells.
    pub(crate) fn take_shown(&mut self) -> Vec<Shown> {
        std::mem::take(&mut self.shown)
    }

    /// They look around again, whether something has changed or not.
    pub(crate) fn wake(&mut self) {
        self.idle_at = None;
    }
}

impl Ground {
    /// Where the operators work: everywhere, with the buckets that there are. Who names none has the platform's.
    fn workplace(&self) -> Workplace {
        let present = Workplace::new(Arc::clone(self.storage.present_bucket()));
        self.storage
            .buckets()
            .fold(present, |place, (name, bucket)| {
                place.with_bucket(name, Arc::clone(bucket))
            })
    }

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
        let place = self.workplace();
        let mut moved = false;
        for strategy in &self.strategies {
            let Some(fate) = operators.fate(*strategy) else {
                continue;
            };
            let turn = {
                let mut players = self.players();
                let player = players.entry(strategy.kind());
                let player = player.or_insert_with(|| strategy.player());
                player(fate, place.clone(), &self.cluster, self.now())
            };
            let Some(turn) = turn else { continue };
            self.storage.note_written(*strategy);
            self.operators().shown.extend(turn.shown);
            match turn.steps {
                Ok(steps) => {
                    moved |= !steps.is_empty();
                    for step in steps {
                        self.note(|| format!("  operator: {step}"));
                    }
                }
                // What it works on has gone under its hands; it looks again the next time.
                Err(error) => {
                    moved = true;
                    self.note(|| format!("  operator: {error}"));
                }
            }
        }
        self.operators().idle_at = (!moved).then(|| self.cluster.revision());
        moved
    }
}
