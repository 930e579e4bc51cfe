//! Jobs from their creation to their end, where no operator ever answers.

use std::sync::Arc;

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_sandbox::contract::ObjectRef;
use serde_json::{Value, json};

use super::{
    Finding, Invariant, subject,
    world::{MADE_UP, Outcome, World},
};
use crate::{
    cluster::{
        ApiError, ApiReason, Caller, Cluster as _, DeleteOptions,
        memory::{Operation, Verb},
    },
    object,
    runner::Runner,
};

/// The job's name. Another than the Backup's: a BackupJob's Backup has its name.
const JOB: &str = "tried";

/// So many passes at one moment are no waiting: it asks for ever. A job needs a few for each change.
const RESTLESS: usize = 500;

/// So many passes in all are enough to look at. One that asks every second needs some thousand until its time is over.
const PASSES: usize = 5_000;

/// Lives a job of each kind.
pub(super) async fn tried(
    world: &impl Fn() -> Result<World, ApiError>,
    with: &str,
) -> Result<Vec<Finding>, ApiError> {
    let mut findings = vec![];
    for kind in ["BackupJob", "RestoreJob"] {
        let world = world()?;
        let found = lived(&world, kind).await?;
        findings.extend(found.into_iter().map(|(invariant, message)| Finding {
            invariant,
            with: format!("{with}, life of a {kind}"),
            message,
            is_certain: !invariant.is_advice() && (world.is_given || kind == "BackupJob"),
        }));
    }
    Ok(findings)
}

/// Lives a job to its end, and deletes it then.
async fn lived(world: &World, kind: &str) -> Result<Vec<(Invariant, String)>, ApiError> {
    let subject = subject(&world.application);
    let target = object::target(API_VERSION, kind, Some(&subject.namespace), JOB);
    let application =
        json!({ "apiGroup": subject.group, "kind": subject.kind, "name": subject.name });
    let spec = match kind {
        "BackupJob" => json!({ "backupClassName": MADE_UP, "applicationRef": application }),
        _ => json!({ "backupRef": { "name": MADE_UP }, "options": world.options }),
    };
    let job = world.cluster.put(json!({
        "apiVersion": API_VERSION, "kind": kind,
        "metadata": { "name": JOB, "namespace": subject.namespace }, "spec": spec,
    }))?;
    let mut runner = Runner::new(Arc::new(world.host()));
    // A question that came to nothing would be asked again, and each time costs as much.
    let run = until(world, &mut runner, || {
        world.outcome() > Outcome::Fine || object::has_ended(&read(world, &target))
    });
    let run = run.await;
    let ended = read(world, &target);
    let said = object::text(&ended, &["status", "message"]);
    if world.outcome() > Outcome::Fine {
        let broken = world.outcome().broken();
        return Ok(broken
            .map(|broken| (broken, said.to_owned()))
            .into_iter()
            .collect());
    }
    match run {
        Run::Done => {}
        Run::Restless => {
            let message =
                format!("it asks for pass after pass, and never ends; it last said: {said}");
            return Ok(vec![(Invariant::Ends, message)]);
        }
        Run::Unclear => return Ok(vec![]),
    }
    let deleted = world
        .cluster
        .delete(&Caller::host(), &target, &DeleteOptions::default())
        .await;
    deleted.or_else(|error| match error.reason {
        ApiReason::NotFound => Ok(()),
        _ => Err(error),
    })?;
    until(world, &mut runner, || read(world, &target).is_null()).await;
    // What a restore has made may be what was wanted, and what belongs to a Backup goes with it.
    if kind == "BackupJob" && ended["status"]["phase"] == "Failed" {
        return Ok(left(world, object::uid(&job)));
    }
    Ok(vec![])
}

/// How a row of passes came to its end.
enum Run {
    /// It was so.
    Done,
    /// Passes ask for passes, and time stands still.
    Restless,
    /// It did not come to that, for whatever reason.
    Unclear,
}

/// Makes passes, and lets time go on where none is due, until something is so.
async fn until(world: &World, runner: &mut Runner, so: impl Fn() -> bool) -> Run {
    let mut at_once = 0;
    for _ in 0..PASSES {
        if so() {
            return Run::Done;
        }
        if runner.step().await.is_some() {
            at_once += 1;
            if at_once > RESTLESS {
                return Run::Restless;
            }
            continue;
        }
        let Some(at) = runner.next_at() else {
            return Run::Unclear;
        };
        at_once = 0;
        world
            .cluster
            .set_now(at.as_second().max(world.cluster.now() + 1));
    }
    Run::Unclear
}

fn read(world: &World, target: &ObjectRef) -> Value {
    let namespace = target.namespace.as_deref();
    let found = world
        .cluster
        .read(&target.api_version, &target.kind, namespace, &target.name);
    found.unwrap_or_default()
}

/// What was created for a job and is there still. What was applied may be shared with other jobs.
fn left(world: &World, uid: &str) -> Vec<(Invariant, String)> {
    let requests = world.cluster.requests();
    let was_created = |target: &ObjectRef| {
        let is_it = |request: &Operation| {
            request.verb == Verb::Create
                && !request.dry_run
                && request.kind == target.kind
                && request.name.as_ref() == Some(&target.name)
        };
        requests.iter().any(is_it)
    };
    let mut left = vec![];
    for one in world.cluster.objects() {
        let target = object::reference(&one);
        if object::label(&one, OWNED_BY_UID) == Some(uid) && was_created(&target) {
            let message = format!(
                "a {} stays behind when the job has failed and is deleted; `abort` is where it is removed",
                target.kind
            );
            left.push((Invariant::CleansUp, message));
        }
    }
    left
}
