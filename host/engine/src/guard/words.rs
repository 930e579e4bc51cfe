//! Secrets in what tenants read: conditions, events, state, and what an answer leaves on the job and on the Backup.

use backup_sandbox::{
    Plan, Reply,
    contract::{Artifact, Entry, Failure, Progress, Step, Success, Verdict, Wait},
};
use serde_json::Value;

use super::storage::Bounds;
use crate::secrets::{Secrets, looks_like_credential};

/// A text that the tenant reads.
pub(super) fn text(secrets: &Secrets, what: &str, text: &str) -> Result<(), String> {
    secrets.find_text(text).map_or(Ok(()), |rule| {
        Err(format!(
            "the {what} would show a secret to the tenant: it holds {rule}"
        ))
    })
}

/// Conditions, events and state.
pub(super) fn plan(secrets: &Secrets, plan: &Plan) -> Result<(), String> {
    for condition in &plan.conditions {
        text(secrets, "condition", &condition.type_)?;
        text(secrets, "condition", &condition.reason)?;
        text(secrets, "condition", &condition.message)?;
    }
    for event in &plan.events {
        text(secrets, "event", &event.reason)?;
        text(secrets, "event", &event.message)?;
    }
    match &plan.remember {
        Some(Some(state)) => json(secrets, "state", state),
        _ => Ok(()),
    }
}

/// A document in a text.
fn json(secrets: &Secrets, what: &str, document: &str) -> Result<(), String> {
    text(secrets, what, document)?;
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    secrets.find(&document).map_or(Ok(()), |rule| {
        Err(format!("the {what} would show a secret: {rule}"))
    })
}

/// What an answer says.
pub(super) fn reply(secrets: &Secrets, bounds: &Bounds<'_>, reply: &Reply) -> Result<(), String> {
    match reply {
        Reply::Progress(Progress::Succeeded(said)) => success(secrets, bounds, said),
        Reply::Progress(Progress::Waiting(wait))
        | Reply::Step(Step::Waiting(wait))
        | Reply::Verdict(Verdict::Waiting(wait)) => waiting(secrets, wait),
        Reply::Progress(Progress::Failed(failure))
        | Reply::Step(Step::Failed(failure))
        | Reply::Verdict(Verdict::Lost(failure) | Verdict::Unknown(failure))
        | Reply::Paths(Err(failure)) => failed(secrets, failure),
        Reply::Verdict(Verdict::Present(Some(seen))) => artifact(secrets, bounds, seen),
        Reply::Paths(Ok(paths)) => paths.iter().try_for_each(|path| {
            text(secrets, "path", &path.uri)?;
            text(secrets, "path", &path.purpose)?;
            bounds
                .place(&path.uri)
                .map_err(|rule| format!("the path for {} {rule}", path.purpose))
        }),
        _ => Ok(()),
    }
}

fn waiting(secrets: &Secrets, wait: &Wait) -> Result<(), String> {
    text(secrets, "reason", &wait.reason)?;
    text(secrets, "message", &wait.message)
}

fn failed(secrets: &Secrets, failure: &Failure) -> Result<(), String> {
    text(secrets, "reason", &failure.reason)?;
    text(secrets, "message", &failure.message)
}

fn success(secrets: &Secrets, bounds: &Bounds<'_>, success: &Success) -> Result<(), String> {
    for Entry { key, value } in &success.metadata {
        if let Some(rule) = looks_like_credential(key, value) {
            return Err(format!("metadata {key} would show {rule} to the tenant"));
        }
        text(secrets, "metadata", key)?;
        text(secrets, "metadata", value)?;
    }
    if let Some(left) = &success.artifact {
        artifact(secrets, bounds, left)?;
    }
    match &success.resources {
        Some(resources) => json(secrets, "resources", resources),
        None => Ok(()),
    }
}

/// A Backup's artifact is what later questions about it may list, so it lies where the strategy may be.
fn artifact(secrets: &Secrets, bounds: &Bounds<'_>, artifact: &Artifact) -> Result<(), String> {
    text(secrets, "artifact", &artifact.uri)?;
    text(
        secrets,
        "artifact",
        artifact.checksum.as_deref().unwrap_or_default(),
    )?;
    bounds
        .uris_in(&artifact.uri)
        .map_err(|rule| format!("the artifact {rule}"))
}
