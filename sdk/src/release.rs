//! The Helm release of an application, for restores that replace what Helm has rendered.

use serde::Deserialize;

use crate::{Condition, Context, Metadata, Object, Outcome, Strategy, Units, Waiting, wait};

/// A HelmRelease, as far as it tells whether Helm renders. To be named in [`Strategy::READS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HelmRelease {
    /// Its name and labels.
    pub metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Spec {
    suspend: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

impl Object for HelmRelease {
    const API_VERSION: &str = "helm.toolkit.fluxcd.io/v2";
    const KIND: &str = "HelmRelease";
}

impl HelmRelease {
    /// Whether Helm is told to rest.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.suspend
    }

    /// Whether Helm is at work. What it has begun it finishes, also after it was suspended.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        Condition::named(&self.status.conditions, "Reconciling").is_some_and(Condition::is_true)
    }

    /// Its condition `Ready`: whether the last thing that Helm did has succeeded.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        Condition::named(&self.status.conditions, "Ready")
    }
}

impl<S: Strategy> Context<S> {
    /// Suspends a HelmRelease of the application's namespace, and waits until the cluster shows it: Helm renders
    /// nothing from then on. To be asked in every evaluation, because somebody may resume it in between. One that does
    /// not exist renders nothing either. The host puts back what it found.
    ///
    /// # Errors
    ///
    /// With a wait `HelmReleaseSuspending` of at most 10 minutes, and a failure `UnexpectedObject`.
    pub fn hold_release(&self, name: &str) -> Outcome<()> {
        if self
            .get::<HelmRelease>(name)?
            .is_none_or(|release| release.is_suspended())
        {
            return Ok(());
        }
        self.suspend(name);
        wait(
            "HelmReleaseSuspending",
            format!("HelmRelease {name} is being suspended"),
        )
        .at_most(10.minutes())
    }

    /// Waits for what Helm has begun. To be asked before anything is deleted, and not after: a word that was left
    /// behind by a Helm controller that crashed must not hold up what cannot wait any more.
    ///
    /// # Errors
    ///
    /// With a wait `HelmReleaseBusy` of at most 15 minutes, and a failure `UnexpectedObject`.
    pub fn rest_of_release(&self, name: &str) -> Outcome<()> {
        if self
            .get::<HelmRelease>(name)?
            .is_none_or(|release| !release.is_busy())
        {
            return Ok(());
        }
        wait(
            "HelmReleaseBusy",
            format!("HelmRelease {name} is being reconciled"),
        )
        .at_most(15.minutes())
    }
}

#[cfg(test)]
mod tests {
    use super::HelmRelease;
    use crate::text::read;

    #[test]
    fn a_release_tells_whether_helm_renders() {
        let release = |text| read::<HelmRelease>(text).unwrap_or_default();
        let resting = release(r#"{ "metadata": {}, "spec": { "suspend": true }, "status": {} }"#);
        assert!(resting.is_suspended() && !resting.is_busy());
        let busy = release(
            r#"{ "status": { "conditions": [{ "type": "Reconciling", "status": "True" }] } }"#,
        );
        assert!(busy.is_busy() && !busy.is_suspended());
    }
}
