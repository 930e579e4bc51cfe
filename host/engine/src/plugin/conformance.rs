//! Whether a component that was loaded is what a StrategyPlugin grants, does what it says, and is no step back.

use backup_api::{PluginIdentity, StrategyPluginSpec};
use backup_sandbox::Strategy;

use super::candidate::{Refusal, Step};

/// Whether a component is what its StrategyPlugin grants. That it describes itself, and that its manifest is one, is known
/// once it is loaded.
pub(super) fn fits_grant(strategy: &Strategy, grant: &StrategyPluginSpec) -> Result<(), Refusal> {
    let manifest = strategy.manifest();
    let kind = &manifest.strategy_kind.kind;
    if *kind != grant.strategy_kind {
        return Err(refused(
            "KindMismatch",
            format!(
                "{} serves strategies of kind {kind}, and spec.strategyKind grants {}",
                named(strategy),
                grant.strategy_kind
            ),
        ));
    }
    let cannot = grant.applications.iter().find(|granted| {
        let mut offered = manifest.applications.iter();
        !offered.any(|offered| offered.group == granted.group && offered.kind == granted.kind)
    });
    match cannot {
        Some(granted) => Err(refused(
            "ApplicationNotOffered",
            format!(
                "{} does not work on applications of kind {} in {}, which spec.applications names",
                named(strategy),
                granted.kind,
                granted.group
            ),
        )),
        None => Ok(()),
    }
}

/// Whether a component may take the place of the one that serves or served last: a lower version only where the
/// administrator names its digest.
pub(super) fn is_no_step_back(
    strategy: &Strategy,
    last: Option<&PluginIdentity>,
    accepted: Option<&str>,
) -> Result<(), Refusal> {
    let digest = strategy.digest();
    let Some(last) = last.filter(|last| last.digest != digest && accepted != Some(digest)) else {
        return Ok(());
    };
    let Ok(version) = semver::Version::parse(&last.version) else {
        return Ok(());
    };
    if strategy.manifest().version.cmp_precedence(&version).is_ge() {
        return Ok(());
    }
    Err(refused(
        "Downgrade",
        format!(
            "{} is older than {} {}, which served last; to go back all the same, set spec.digest to {digest}",
            named(strategy),
            last.name,
            last.version
        ),
    ))
}

/// What else a component must pass each time before it serves: a first question, so that one that traps at it does not
/// take the place of one that works. What it does in whole worlds is tried once (`trial`).
pub(super) fn further(strategy: &Strategy) -> Result<(), Refusal> {
    // Problems are an answer: nobody says that an empty spec makes sense.
    let tried = strategy.validate("{}", &[]);
    tried.map(drop).map_err(|error| {
        let why = format!(
            "{} was asked to validate an empty spec: {error}",
            named(strategy)
        );
        refused("TrialFailed", why)
    })
}

fn refused(reason: &'static str, message: String) -> Refusal {
    Refusal::new(Step::Conformant, reason, message)
}

pub(super) fn named(strategy: &Strategy) -> String {
    let manifest = strategy.manifest();
    format!(
        "{} {} ({})",
        manifest.name,
        manifest.version,
        strategy.digest()
    )
}
