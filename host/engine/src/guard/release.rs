//! HelmReleases, which the host suspends and resumes itself.

use crate::admit::Case;

/// Whether a plan may suspend or resume a release.
pub(super) fn check(case: &Case, namespace: &str, release: &str) -> Result<(), String> {
    let manifest = case.binding.serving.strategy.manifest();
    if !manifest.suspends_releases {
        return Err(format!(
            "names HelmRelease {release}; its manifest does not say that it suspends releases"
        ));
    }
    if namespace != case.request.subject.namespace {
        return Err(format!(
            "names HelmRelease {namespace}/{release}, outside of the application's namespace {}",
            case.request.subject.namespace
        ));
    }
    Ok(())
}
