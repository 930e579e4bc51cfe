//! The played operators: who is at work, how fast, and how it goes.

use std::sync::Arc;

use backup_engine::MemoryStorage;
use stage::{Cnpg, EtcdFate, EtcdOperator, Fate, Operator as _, Workplace};

use crate::ground::{Ground, unless_crashed};

/// How the operators are.
#[derive(Clone, Debug)]
pub(crate) struct Operators {
    /// How the base backups of CloudNativePG go; none while it is not running.
    pub cnpg: Option<Fate>,
    /// How it goes with the etcd operator; none while it is not running.
    pub etcd: Option<EtcdFate>,
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
            cnpg: Some(Fate::default()),
            etcd: Some(EtcdFate::default()),
            pace: 1,
            turns: 0,
            idle_at: None,
        }
    }
}

impl Ground {
    /// Where the operators work: everywhere, with the buckets that there are.
    fn workplace(&self) -> Workplace {
        let nowhere = Arc::new(MemoryStorage::default());
        let buckets = self.storage.buckets();
        buckets.fold(Workplace::new(nowhere), |place, (name, bucket)| {
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
        let mut did = vec![];
        if let Some(fate) = operators.cnpg {
            let operator = Cnpg::at(self.workplace(), fate);
            did.push(unless_crashed(operator.step(&self.cluster, self.now())));
        }
        if let Some(fate) = operators.etcd {
            let operator = EtcdOperator::at(self.workplace(), fate);
            did.push(unless_crashed(operator.step(&self.cluster, self.now())));
        }
        let mut moved = false;
        for outcome in did.into_iter().flatten() {
            match outcome {
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

impl Operators {
    /// They look around again, whether something has changed or not.
    pub(crate) fn wake(&mut self) {
        self.idle_at = None;
    }
}
