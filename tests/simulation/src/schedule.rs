//! What happens in a simulation, as data: drawn from a seed up front, so that a part of it can be run as well.

use std::fmt;

use fastrand::Rng;

use crate::{
    events::{
        applications, backups, configuration, faults, jobs, namespaces, operators, permissions,
        plans, plugins, surroundings,
    },
    faults::{Armed, Of},
    ground::Ground,
    happening::Happening,
    strategies::{Application, Strategy},
    trace::clock,
};

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds after the start.
    pub(crate) at: u32,
    /// In the middle of a pass: when the host has sent so many more requests. Between two passes when none.
    pub(crate) within: Option<u32>,
    /// What.
    pub(crate) what: Happening,
}

/// Everything that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What it was drawn from. UIDs follow from it, too.
    pub seed: u64,
    /// The strategies that there are.
    pub(crate) strategies: Vec<Strategy>,
    /// In the order of their times.
    pub events: Vec<Event>,
    /// What becomes of the world behind them.
    pub ending: Ending,
}

/// Faults end with the events. What users, operators and the platform have made of the world may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is brought into order: every job ends soon.
    InOrder,
    /// Everything stays as it is: every job ends all the same that does not wait for something that may come.
    AsItIs,
}

/// What a schedule is drawn along.
pub(crate) struct Outline {
    pub rng: Rng,
    /// The strategies that there are.
    pub strategies: Vec<Strategy>,
    /// Names of the tenants' namespaces.
    pub tenants: Vec<&'static str>,
    /// Events come within so many seconds.
    pub horizon: u32,
    events: Vec<Event>,
}

/// The names of the tenants that there may be.
pub(crate) const TENANTS: [&str; 3] = ["tenant-acme", "tenant-blue", "tenant-corp"];

impl Schedule {
    /// The schedule of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let tenants = TENANTS[..1 + rng.usize(0..TENANTS.len())].to_vec();
        let horizon = rng.u32(300..1500);
        let strategies = Strategy::draw(&mut rng);
        let mut outline = Outline {
            rng,
            strategies,
            tenants,
            horizon,
            events: vec![],
        };
        namespaces::draw(&mut outline);
        applications::draw(&mut outline);
        configuration::draw(&mut outline);
        plugins::draw(&mut outline);
        permissions::draw(&mut outline);
        operators::draw(&mut outline);
        jobs::draw(&mut outline);
        plans::draw(&mut outline);
        backups::draw(&mut outline);
        surroundings::draw(&mut outline);
        faults::draw(&mut outline);
        let mut events = std::mem::take(&mut outline.events);
        events.sort_by_key(|event| event.at);
        let ending = match outline.rng.u32(0..4) {
            0 => Ending::AsItIs,
            _ => Ending::InOrder,
        };
        Self {
            seed,
            strategies: outline.strategies,
            events,
            ending,
        }
    }
}

impl Schedule {
    /// The same with these events only.
    pub(crate) fn with(&self, events: Vec<Event>) -> Self {
        Self {
            events,
            strategies: self.strategies.clone(),
            ..*self
        }
    }
}

impl Outline {
    /// Something happens between two passes.
    pub(crate) fn add(&mut self, at: u32, what: Happening) {
        self.events.push(Event {
            at,
            within: None,
            what,
        });
    }

    /// Something happens, now and then in the middle of a pass.
    pub(crate) fn add_anytime(&mut self, at: u32, what: Happening) {
        let within = self.one_in(3).then(|| self.rng.u32(0..40));
        self.events.push(Event { at, within, what });
    }

    /// A time within the horizon.
    pub(crate) fn time(&mut self) -> u32 {
        self.rng.u32(0..self.horizon)
    }

    /// Whether it is one of so many cases.
    pub(crate) fn one_in(&mut self, cases: u32) -> bool {
        self.rng.u32(0..cases) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(0..of.len())]
    }

    /// One of the strategies.
    pub(crate) fn strategy(&mut self) -> Strategy {
        let index = self.rng.usize(0..self.strategies.len());
        self.strategies[index]
    }

    /// One of the applications that a tenant may have.
    pub(crate) fn application(&mut self) -> Application {
        let strategy = self.strategy();
        self.pick(strategy.applications())
    }

    /// One of the tenants.
    pub(crate) fn tenant(&mut self) -> &'static str {
        let index = self.rng.usize(0..self.tenants.len());
        self.tenants[index]
    }
}

impl Event {
    /// Lets it happen, or arms it for the middle of a pass.
    pub(crate) fn happen(&self, ground: &Ground) {
        match self.within {
            None => self.what.happen(ground),
            Some(after) => ground.faults().arm(
                after,
                Of::All,
                Armed::Happening(Box::new(self.what.clone())),
            ),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", clock(self.at.into()), self.what)?;
        match self.within {
            Some(after) => write!(f, ", {after} requests of the host's later"),
            None => Ok(()),
        }
    }
}
