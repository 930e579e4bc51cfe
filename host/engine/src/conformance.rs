//! Whether a strategy keeps its promises: what a host tries before it lets a component serve, and an author at home.
//!
//! ```text
//!  a world of names ──► answers   every question, for every kind of application: no trap, no limit hit,
//!  or an author's own             only kinds that it may write, one object once
//!                   ──► lives     a job whose operator never answers: it ends, and leaves nothing behind
//! ```
//!
//! The cluster and the storage are in memory, and the engine is that of production. A world of names holds an application
//! that says nothing of itself, a Backup that nobody made, and settings that are the smallest that their schema allows. A
//! strategy that refuses such settings is asked no more: that is its right, and says nothing of it.
//!
//! What is found there is certain only where it does not depend on what was made up. A strategy may, for example, rely on
//! what it has noted on its own Backups. So a [`Finding`] says whether it is certain, and a host acts on no other.
//!
//! That the same question has the same answer is not tried: the sandbox gives a component neither clock nor chance, and a
//! fresh instance each time.

mod answers;
mod example;
mod lives;
mod world;

use std::{collections::BTreeSet, fmt};

use backup_api::StrategyPluginSpec;
use backup_sandbox::{Strategy, contract::ApplicationRef};
use serde_json::Value;
use tracing::{Dispatch, instrument::WithSubscriber as _};

use crate::cluster::ApiError;

use world::World;

/// What a strategy must do, or never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// Every question is answered: no trap, no limit that is hit, nothing that the contract does not allow.
    Answers,
    /// What it plans stays inside its walls. With settings that are made up these are only the kinds that it may write:
    /// places are a matter of settings.
    StaysInside,
    /// Asked again before anybody has noted its answer, it makes no second object in place of the first.
    MakesOnce,
    /// No evaluation uses more than half of what it may.
    HasRoom,
    /// Every job ends.
    Ends,
    /// A BackupJob that came to nothing, and is deleted, leaves no object behind.
    CleansUp,
}

impl Invariant {
    /// As it stands in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::StaysInside => "stays-inside",
            Self::MakesOnce => "makes-once",
            Self::HasRoom => "has-room",
            Self::Ends => "ends",
            Self::CleansUp => "cleans-up",
        }
    }

    /// Whether a strategy that breaks it can be of use all the same.
    fn is_advice(self) -> bool {
        matches!(self, Self::HasRoom | Self::CleansUp)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which.
    pub invariant: Invariant,
    /// With what: the kind of application, and the question or the job.
    pub with: String,
    /// How, for the strategy's author.
    pub message: String,
    /// Whether it is broken in any world, and so that the strategy is of no use. Other findings are advice.
    pub is_certain: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.invariant, self.with, self.message)
    }
}

/// Tries a strategy under a grant, over worlds of names, or over one that holds `objects`: definitions, an application,
/// what its operator shows, the strategy object. What is missing is made up. Gives back what was found, sorted, each once.
///
/// The same strategy, grant and objects have the same findings. It computes for some milliseconds without giving way to
/// others; with a strategy that loops, as long as the fuel of a few evaluations for each kind of application lasts. It
/// writes nothing into the log.
///
/// # Errors
/// An object that a cluster would not take.
pub async fn conformance(
    strategy: &Strategy,
    grant: &StrategyPluginSpec,
    objects: &[Value],
) -> Result<Vec<Finding>, ApiError> {
    // What happens to made-up objects is no news to whoever reads the host's log.
    let found = tried(strategy, grant, objects);
    found.with_subscriber(Dispatch::none()).await
}

async fn tried(
    strategy: &Strategy,
    grant: &StrategyPluginSpec,
    objects: &[Value],
) -> Result<Vec<Finding>, ApiError> {
    let strategy = strategy.with_deadline(answers::DEADLINE);
    let mut findings = BTreeSet::new();
    for kind in &grant.applications {
        let world = || World::new(&strategy, grant, kind, objects);
        let with = format!("{}.{}", kind.kind, kind.group);
        let tried = world()?;
        if tried.refuses_its_settings() {
            continue;
        }
        let found = answers::tried(&tried, &with).await?;
        // One that certainly does not answer has no life that is worth a look.
        let answers = !found
            .iter()
            .any(|one| one.invariant == Invariant::Answers && one.is_certain);
        findings.extend(found);
        if answers {
            findings.extend(lives::tried(&world, &with).await?);
        }
    }
    Ok(findings.into_iter().collect())
}

/// The application of a world, in the words of the contract.
fn subject(application: &Value) -> ApplicationRef {
    let target = crate::object::reference(application);
    ApplicationRef {
        group: crate::object::group(&target.api_version).to_owned(),
        kind: target.kind,
        namespace: target.namespace.unwrap_or_default(),
        name: target.name,
    }
}
