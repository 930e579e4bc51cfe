//! One line in the log for each thing that cannot be undone: an object deleted, data purged, a backup restored or removed.
//!
//! The target of the lines is `backup_engine::audit`, so that they can be kept apart and longer than others. A line is
//! written once, after it happened: what was gone already, or was not carried out, has none. A host that ends between the
//! deed and the line leaves none; the API server's own audit log has the deed all the same, with the job in its user agent.

use backup_api::{JobPhase, PluginIdentity};
use backup_sandbox::contract::ObjectRef;

use crate::{admit::Case, object};

/// The target of the lines.
const TARGET: &str = "backup_engine::audit";

/// A strategy's plan deleted an object.
pub(crate) fn deleted(case: &Case, target: &ObjectRef) {
    let name = object::describe(target);
    deed(case, "deleted", &name);
}

/// A strategy's plan purged a path of the bucket.
pub(crate) fn purged(case: &Case, path: &str) {
    let place = format!("s3://{}/{path}", case.credentials.location.bucket);
    deed(case, "purged", &place);
}

/// A Backup's objects and data are gone.
pub(crate) fn removed(backup: &ObjectRef, plugin: &PluginIdentity, uri: &str) {
    line(&object::describe(backup), plugin, "removed", uri);
}

fn deed(case: &Case, deed: &str, target: &str) {
    let job = &case.request.job;
    line(
        &format!("{} {}/{}", job.kind, job.namespace, job.name),
        &case.binding.serving.identity(),
        deed,
        target,
    );
}

/// A restore has ended, whichever way: what was there before is no more.
pub(crate) fn restored(
    job: &ObjectRef,
    plugin: &PluginIdentity,
    application: &str,
    phase: JobPhase,
) {
    let deed = match phase {
        JobPhase::Succeeded => "restored",
        _ => "gave up restoring",
    };
    line(&object::describe(job), plugin, deed, application);
}

fn line(job: &str, plugin: &PluginIdentity, deed: &str, target: &str) {
    tracing::info!(
        target: TARGET,
        job,
        plugin = plugin.name,
        digest = plugin.digest,
        of = target,
        "{deed}"
    );
}
