//! Operators fail, fall silent, are slow, or are removed with their kinds.

use std::fmt;

use stage::{EtcdFate, Fate, Kind};

use crate::{ground::Ground, happening::Happening, schedule::Outline};

/// What becomes of an operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OperatorEvent {
    Cnpg(Fate),
    Etcd(EtcdFate),
    /// Both look around only every so many turns.
    Pace(u32),
    /// The operator that has this group goes, with the definitions of its kinds.
    Removed(&'static str),
    /// It is installed again.
    Installed(&'static str),
}

const CNPG: &str = "postgresql.cnpg.io";
const ETCD: &str = "etcd-operator.cozystack.io";

pub(crate) fn draw(outline: &mut Outline) {
    if outline.one_in(3) {
        let pace = outline.rng.u32(2..8);
        outline.add(0, Happening::Operator(OperatorEvent::Pace(pace)));
    }
    for _ in 0..outline.rng.u32(0..3) {
        let at = outline.time();
        let (bad, good) = if outline.rng.bool() {
            let fate = match outline.rng.u32(0..2) {
                0 => Fate::Fails("no space left on device".to_owned()),
                _ => Fate::Stalls,
            };
            (
                OperatorEvent::Cnpg(fate),
                OperatorEvent::Cnpg(Fate::default()),
            )
        } else {
            let fate = match outline.rng.u32(0..7) {
                0 => EtcdFate::SnapshotFails("the backend is gone".to_owned()),
                1 => EtcdFate::SnapshotStuck("secret not found".to_owned()),
                2 => EtcdFate::SnapshotStalls,
                3 => EtcdFate::BootstrapFails("the snapshot is damaged".to_owned()),
                4 => EtcdFate::BootstrapStalls,
                5 => EtcdFate::NobodyJoins,
                _ => EtcdFate::MembersStay,
            };
            (
                OperatorEvent::Etcd(fate),
                OperatorEvent::Etcd(EtcdFate::default()),
            )
        };
        outline.add(at, Happening::Operator(bad));
        if outline.rng.bool() {
            let later = at + outline.rng.u32(60..1200);
            outline.add(later, Happening::Operator(good));
        }
    }
    if outline.one_in(8) {
        let group = outline.pick(&[CNPG, ETCD]);
        let at = outline.time();
        outline.add_anytime(at, Happening::Operator(OperatorEvent::Removed(group)));
        let later = at + outline.rng.u32(15..900);
        outline.add(later, Happening::Operator(OperatorEvent::Installed(group)));
    }
}

/// The kinds that go with their operator. Members are held by a finalizer that only the operator takes off, and with
/// them their definition would stay for ever.
fn kinds_of(group: &str) -> impl Iterator<Item = &'static Kind> {
    stage::kinds()
        .iter()
        .filter(move |kind| kind.group == group && kind.kind != "EtcdMember")
}

impl OperatorEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        ground.operators().wake();
        match self {
            // One that is not there cannot change.
            Self::Cnpg(fate) => {
                if let Some(is) = &mut ground.operators().cnpg {
                    is.clone_from(fate);
                }
            }
            Self::Etcd(fate) => {
                if let Some(is) = &mut ground.operators().etcd {
                    is.clone_from(fate);
                }
            }
            Self::Pace(pace) => ground.operators().pace = *pace,
            Self::Removed(group) => {
                let mut operators = ground.operators();
                match *group {
                    CNPG => operators.cnpg = None,
                    _ => operators.etcd = None,
                }
                drop(operators);
                for kind in kinds_of(group) {
                    let name = format!("{}.{}", kind.plural, kind.group);
                    // It may be gone already.
                    ground.cluster.remove_crd(&name).ok();
                }
            }
            Self::Installed(group) => {
                for kind in kinds_of(group) {
                    // The stage's own definitions are in order.
                    ground.cluster.install_crd(&stage::crd(kind)).ok();
                }
                let mut operators = ground.operators();
                match *group {
                    CNPG if operators.cnpg.is_none() => operators.cnpg = Some(Fate::default()),
                    ETCD if operators.etcd.is_none() => operators.etcd = Some(EtcdFate::default()),
                    _ => {}
                }
            }
        }
    }
}

impl fmt::Display for OperatorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cnpg(fate) => write!(f, "from now on CloudNativePG: {fate:?}"),
            Self::Etcd(fate) => write!(f, "from now on the etcd operator: {fate:?}"),
            Self::Pace(pace) => write!(f, "operators look around every {pace} turns"),
            Self::Removed(group) => write!(f, "the operator of {group} is removed"),
            Self::Installed(group) => write!(f, "the operator of {group} is installed"),
        }
    }
}
