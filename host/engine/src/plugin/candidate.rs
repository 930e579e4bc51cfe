//! What a source holds: fetched, compiled, and held against the grant.

use backup_api::StrategyPlugin;
use backup_sandbox::{LoadError, Strategy};
use sha2::{Digest as _, Sha256};

use super::{Plugins, conformance, last_served};
use crate::{cluster::Cluster, strategies::limits};

/// The steps to a component that can serve, each a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Fetched,
    Compiled,
    Conformant,
}

impl Step {
    pub(super) const ALL: [Self; 3] = [Self::Fetched, Self::Compiled, Self::Conformant];

    /// The condition's type.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "Fetched",
            Self::Compiled => "Compiled",
            Self::Conformant => "Conformant",
        }
    }
}

/// Why what a source holds cannot serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The step that failed.
    pub step: Step,
    /// For the condition.
    pub reason: &'static str,
    /// For whoever can mend it.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(step: Step, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            step,
            reason,
            message: message.into(),
        }
    }
}

/// The digest of a component: `sha256:<hex>`.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing to a text does not fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

impl<C: Cluster> Plugins<C> {
    /// What the source of a StrategyPlugin holds now, where it can serve. What is loaded already is not loaded again.
    pub(super) async fn candidate(
        &self,
        plugin: &StrategyPlugin,
        loaded: Option<Strategy>,
    ) -> Result<Strategy, Refusal> {
        let (fetch, sandbox, spec) = (
            self.fetch.clone(),
            self.sandbox.clone(),
            plugin.spec.clone(),
        );
        let load = move || {
            let bytes = fetch(&spec.source)
                .map_err(|why| Refusal::new(Step::Fetched, "FetchFailed", why))?;
            let found = digest(&bytes);
            if let Some(wanted) = spec.digest.filter(|wanted| *wanted != found) {
                let why = format!(
                    "{} has the digest {found}; spec.digest accepts {wanted} only",
                    spec.source.file
                );
                return Err(Refusal::new(Step::Fetched, "DigestMismatch", why));
            }
            let limits = limits(spec.limits.as_ref());
            match loaded {
                Some(loaded) if loaded.digest() == found && *loaded.limits() == limits => {
                    Ok(loaded)
                }
                _ => sandbox.load(&bytes, limits).map_err(|error| {
                    let (step, reason) = step_of(&error);
                    Refusal::new(step, reason, format!("{found}: {error}"))
                }),
            }
        };
        let strategy = self
            .aside(load)
            .await
            .unwrap_or_else(|why| Err(Refusal::new(Step::Compiled, "LoadFailed", why)))?;
        conformance::fits_grant(&strategy, &plugin.spec)?;
        let serving = self.serving(plugin).map(|serving| serving.identity());
        let last = serving.as_ref().or_else(|| last_served(plugin));
        conformance::is_no_step_back(&strategy, last, plugin.spec.digest.as_deref())?;
        let asked = strategy.clone();
        let further = self.aside(move || conformance::further(&asked)).await;
        further.unwrap_or_else(|why| Err(Refusal::new(Step::Conformant, "TrialFailed", why)))?;
        self.tried(plugin, &strategy, last).await?;
        Ok(strategy)
    }
}

/// The step that a component failed at, and the reason.
fn step_of(error: &LoadError) -> (Step, &'static str) {
    match error {
        LoadError::NotAComponent(_) => (Step::Compiled, "NotAComponent"),
        LoadError::ForeignImport(_) => (Step::Compiled, "ForeignImport"),
        LoadError::NewerContract { .. } => (Step::Compiled, "ContractNotServed"),
        LoadError::MissingExport(_) | LoadError::Mismatch(_) => {
            (Step::Compiled, "ContractMismatch")
        }
        LoadError::Limits(_) => (Step::Compiled, "LimitsTooHigh"),
        LoadError::Compile(_) => (Step::Compiled, "CompileFailed"),
        LoadError::Cache(_) => (Step::Compiled, "CacheFailed"),
        LoadError::Internal(_) => (Step::Compiled, "LoadFailed"),
        LoadError::Describe(_) => (Step::Conformant, "DescribeFailed"),
        LoadError::Manifest(_) => (Step::Conformant, "ManifestInvalid"),
    }
}
