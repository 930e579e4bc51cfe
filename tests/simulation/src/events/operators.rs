//! Operators fail, fall silent, are slow, or are removed with their kinds.

use std::fmt;

use stage::Kind;

use crate::{ground::Ground, happening::Happening, schedule::Outline, strategies::Strategy};

/// What becomes of the operators.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OperatorEvent {
    /// So it goes with a strategy's operator from now on.
    Fate(Strategy, usize),
    /// All look around only every so many turns.
    Pace(u32),
    /// A strategy's operator goes, with the definitions of its kinds.
    Removed(Strategy),
    /// It is installed again.
    Installed(Strategy),
}

pub(crate) fn draw(outline: &mut Outline) {
    if outline.one_in(3) {
        let pace = outline.rng.u32(2..8);
        outline.add(0, Happening::Operator(OperatorEvent::Pace(pace)));
    }
    for _ in 0..outline.rng.u32(0..3) {
        let at = outline.time();
        let strategy = outline.strategy();
        let fates = strategy.fates().len().max(2);
        let bad = OperatorEvent::Fate(strategy, outline.rng.usize(1..fates));
        outline.add(at, Happening::Operator(bad));
        if outline.rng.bool() {
            let later = at + outline.rng.u32(60..1200);
            let good = OperatorEvent::Fate(strategy, 0);
            outline.add(later, Happening::Operator(good));
        }
    }
    if outline.one_in(8) {
        let strategy = outline.strategy();
        let at = outline.time();
        outline.add_anytime(at, Happening::Operator(OperatorEvent::Removed(strategy)));
        let later = at + outline.rng.u32(15..900);
        outline.add(
            later,
            Happening::Operator(OperatorEvent::Installed(strategy)),
        );
    }
}

/// The kinds that go with their operator.
fn kinds_of(strategy: Strategy) -> impl Iterator<Item = &'static Kind> {
    stage::kinds()
        .iter()
        .filter(move |kind| kind.group == strategy.group() && !strategy.stays(kind.kind))
}

impl OperatorEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        ground.operators().wake();
        match *self {
            Self::Fate(strategy, fate) => {
                // One that is not there cannot change.
                if ground.operators().fate(strategy).is_some() {
                    ground.operators().set_fate(strategy, Some(fate));
                }
            }
            Self::Pace(pace) => ground.operators().pace = pace,
            Self::Removed(strategy) => {
                ground.operators().set_fate(strategy, None);
                for kind in kinds_of(strategy) {
                    let name = format!("{}.{}", kind.plural, kind.group);
                    // It may be gone already.
                    ground.cluster.remove_crd(&name).ok();
                }
            }
            Self::Installed(strategy) => {
                for kind in kinds_of(strategy) {
                    // The stage's own definitions are in order.
                    ground.cluster.install_crd(&stage::crd(kind)).ok();
                }
                let mut operators = ground.operators();
                if operators.fate(strategy).is_none() {
                    operators.set_fate(strategy, Some(0));
                }
            }
        }
    }
}

impl fmt::Display for OperatorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fate(strategy, fate) => {
                let fates = strategy.fates();
                let fate = fates.get(*fate).map_or("", String::as_str);
                write!(f, "from now on the operator of {}: {fate}", strategy.kind())
            }
            Self::Pace(pace) => write!(f, "operators look around every {pace} turns"),
            Self::Removed(strategy) => write!(f, "the operator of {} is removed", strategy.kind()),
            Self::Installed(strategy) => {
                write!(f, "the operator of {} is installed", strategy.kind())
            }
        }
    }
}
