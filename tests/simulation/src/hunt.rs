//! Runs many seeds on all processors.

use std::{
    fmt,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use clap::ValueEnum as _;

use crate::{
    bugs::Bug,
    invariants::Violation,
    run::{Outcome, run},
    schedule::{Event, Schedule},
    shrink::shrink,
};

/// What many runs amount to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Passes that the host made in them.
    pub passes: usize,
    /// How often jobs ended in each way.
    pub ends: std::collections::BTreeMap<String, usize>,
    /// The first seed that broke a promise.
    pub failure: Option<Failure>,
}

/// A seed that breaks a promise.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was planted.
    pub bug: Option<Bug>,
    /// Which promise, and what was seen.
    pub violation: Violation,
    /// Events that are enough for it.
    pub events: Vec<Event>,
    /// How many there were.
    pub drawn: usize,
    /// What happens in them.
    pub history: Vec<String>,
}

/// Runs seeds until one breaks a promise, and tells of the first that does, with its shortest history.
///
/// # Errors
/// When the simulation itself is not in order.
pub fn hunt(seeds: Range<u64>, bug: Option<Bug>) -> anyhow::Result<Tally> {
    let next = AtomicU64::new(seeds.start);
    // Seeds behind the first failure need not be run, but those ahead of it: the answer is the same on every machine.
    let end = AtomicU64::new(seeds.end);
    let tally = Mutex::new(Tally::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<anyhow::Result<()>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&next, &end, bug, &tally)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    outcomes.into_iter().collect::<anyhow::Result<()>>()?;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let first = end.into_inner();
    if first < seeds.end {
        tally.failure = Some(tell(first, bug)?);
    }
    Ok(tally)
}

fn work(
    next: &AtomicU64,
    end: &AtomicU64,
    bug: Option<Bug>,
    tally: &Mutex<Tally>,
) -> anyhow::Result<()> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end.load(Ordering::Relaxed) {
            return Ok(());
        }
        let outcome = run(&Schedule::of(seed), bug, false)?;
        if outcome.violation.is_some() {
            end.fetch_min(seed, Ordering::Relaxed);
        }
        tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(outcome);
    }
}

/// The shortest history of a seed that breaks a promise.
fn tell(seed: u64, bug: Option<Bug>) -> anyhow::Result<Failure> {
    let schedule = Schedule::of(seed);
    let again = |schedule: &Schedule, keeps_history| {
        let outcome = run(schedule, bug, keeps_history)?;
        let gone = || anyhow::anyhow!("seed {seed} breaks a promise only now and then");
        let violation = outcome.violation.clone().ok_or_else(gone)?;
        Ok::<_, anyhow::Error>((violation, outcome.history))
    };
    let (violation, _) = again(&schedule, false)?;
    let shortest = shrink(&schedule, bug, &violation)?;
    let (violation, history) = again(&shortest, true)?;
    Ok(Failure {
        seed,
        bug,
        violation,
        events: shortest.events,
        drawn: schedule.events.len(),
        history,
    })
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.passes += outcome.passes;
        for end in outcome.ends {
            *self.ends.entry(end).or_default() += 1;
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, violation, ..
        } = self;
        writeln!(f, "seed {seed} breaks a promise: {}", violation.promise)?;
        writeln!(f, "seen: {}", violation.seen)?;
        writeln!(
            f,
            "\n{} of {} events are enough:",
            self.events.len(),
            self.drawn
        )?;
        for event in &self.events {
            writeln!(f, "  {event}")?;
        }
        writeln!(f, "\nwhat happens:")?;
        for line in &self.history {
            writeln!(f, "  {line}")?;
        }
        write!(f, "\nagain: cargo xtask simulate --seeds 1 --seed {seed}")?;
        match self.bug.and_then(|bug| bug.to_possible_value()) {
            Some(bug) => write!(f, " --bug {}", bug.get_name()),
            None => Ok(()),
        }
    }
}
