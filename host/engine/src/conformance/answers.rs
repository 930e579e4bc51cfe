//! One evaluation of each question.

use std::{collections::BTreeSet, time::Duration};

use backup_api::{Backup, JobStatus, Time, names::API_VERSION};
use backup_sandbox::{Action, Finished, Question, Strategy, contract::ObjectRef};
use serde_json::Value;

use super::{
    Finding, Invariant, subject,
    world::{MADE_UP, Outcome, World},
};
use crate::{
    admit::{Applicant, Case},
    cluster::{ApiError, ApiReason, memory::MemoryCluster},
    commit::job_labels,
    guard::{guard, guard_kinds},
    host::Host,
    job::answers,
    object,
    stop::Stop,
};

/// The wall clock of an evaluation in a trial: fuel ends it before that on any machine that is of use.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// For each question the objects that it is asked about.
const ASKED: [(Question, &str); 7] = [
    (Question::Backup, "BackupJob"),
    (Question::Abort, "BackupJob"),
    (Question::Paths, "BackupJob"),
    (Question::Restore, "RestoreJob"),
    (Question::Abort, "RestoreJob"),
    (Question::Forget, "Backup"),
    (Question::Check, "Backup"),
];

type Broken = (Invariant, String);

/// Asks every question that the strategy answers by itself, until one uses up all that it may.
pub(super) async fn tried(world: &World, with: &str) -> Result<Vec<Finding>, ApiError> {
    if let Some(finding) = validated(world, with) {
        return Ok(vec![finding]);
    }
    let mut findings = vec![];
    for (question, kind) in ASKED {
        let host = world.host();
        let case = case(&host, world, kind).await;
        let mut case = case.map_err(|stop| unusable(&stop))?;
        if question != Question::Paths && !answers(&case, question) {
            continue;
        }
        let (broken, outcome) = asked(&host, world, &mut case, question).await;
        findings.extend(broken.into_iter().map(|(invariant, message)| Finding {
            invariant,
            with: format!("{with}, {question} of a {kind}"),
            message,
            is_certain: is_certain(world, invariant, question, kind),
        }));
        // What looped once will loop again, and each time costs as much.
        if outcome >= Outcome::Exhausted || outcome == Outcome::Unclear {
            break;
        }
    }
    Ok(findings)
}

/// Whether a broken promise says something of any world. A Backup that nobody made does not; nor does `paths`, without
/// which every job goes on.
fn is_certain(world: &World, invariant: Invariant, question: Question, kind: &str) -> bool {
    let is_real = world.is_given || (kind == "BackupJob" && question != Question::Paths);
    is_real && !invariant.is_advice() && (invariant == Invariant::Answers || !world.is_made_up)
}

/// That settings are no reason to trap: what it thinks of them is another matter.
fn validated(world: &World, with: &str) -> Option<Finding> {
    let error = world.validate().err()?;
    let invariant = Outcome::of(error.reason()).broken()?;
    Some(Finding {
        invariant,
        with: format!("{with}, validate"),
        message: error.to_string(),
        is_certain: true,
    })
}

/// A question about a made-up object of a kind.
async fn case(host: &Host<MemoryCluster>, world: &World, kind: &'static str) -> Result<Case, Stop> {
    let binding = host
        .resolve_noted(world.strategy_ref(), world.parameters.clone(), None)
        .await?;
    let subject = subject(&world.application);
    let namespace = subject.namespace.clone();
    let found = world
        .cluster
        .read(API_VERSION, "Backup", Some(&namespace), MADE_UP);
    let backup = found.and_then(|found| serde_json::from_value::<Backup>(found).ok());
    let status = JobStatus {
        started_at: Some(Time(host.now())),
        ..JobStatus::default()
    };
    let applicant = Applicant {
        kind,
        namespace: &namespace,
        name: MADE_UP,
        uid: "00000000-0000-0000-0000-000000000000",
        subject,
        status: &status,
        options: match kind {
            "RestoreJob" => world.options.to_string(),
            _ => "{}".to_owned(),
        },
        backup: backup.as_ref().filter(|_| kind != "BackupJob"),
    };
    let credentials = host.platform_storage().await?;
    host.case_of(binding, &applicant, credentials).await
}

/// What is wrong with the answer to a question.
async fn asked(
    host: &Host<MemoryCluster>,
    world: &World,
    case: &mut Case,
    question: Question,
) -> (Vec<Broken>, Outcome) {
    world.forget_outcome();
    let answered = host.evaluate(case, question).await;
    let outcome = world.outcome();
    let first = match answered {
        Ok(first) => first,
        Err(stop) => {
            let broken = outcome.broken().map(|broken| (broken, told(stop)));
            return (broken.into_iter().collect(), outcome);
        }
    };
    let mut broken = vec![];
    let outside = match world.is_given {
        true => guard(case, &first).map_err(told),
        false => guard_kinds(case, &first),
    };
    broken.extend(outside.err().map(|why| (Invariant::StaysInside, why)));
    broken.extend(crowded(&world.strategy, &first).map(|how| (Invariant::HasRoom, how)));
    let twice = twice(host, world, case, question, &first).await;
    broken.extend(twice.map(|how| (Invariant::MakesOnce, how)));
    (broken, outcome)
}

fn told(stop: Stop) -> String {
    match stop {
        Stop::Setback { message, .. }
        | Stop::Wait { message, .. }
        | Stop::NotYet(message)
        | Stop::Fail(message) => message,
        Stop::Api(error) => error.to_string(),
        Stop::Foreign => String::new(),
    }
}

/// What an evaluation used more than half of.
fn crowded(strategy: &Strategy, finished: &Finished) -> Option<String> {
    let limits = strategy.limits();
    let cost = finished.cost;
    let used = |what: &str, used: u64, of: u64| {
        (used > of / 2).then(|| format!("it used {used} {what} of {of}"))
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (memory, actions) = (limits.memory_bytes, limits.actions);
    used("units of fuel", cost.fuel, limits.fuel)
        .or_else(|| used("bytes of memory", count(cost.memory_bytes), count(memory)))
        .or_else(|| used("rounds of reads", cost.rounds.into(), limits.rounds.into()))
        .or_else(|| {
            used(
                "actions",
                count(finished.plan.actions.len()),
                count(actions),
            )
        })
}

/// Whether it makes another object where its first answer was lost: a second later it plans one of another name, and
/// plans that also where it could see the first.
async fn twice(
    host: &Host<MemoryCluster>,
    world: &World,
    case: &mut Case,
    question: Question,
    first: &Finished,
) -> Option<String> {
    let before = created(first);
    if before.is_empty() {
        return None;
    }
    case.request.now += 1;
    // What it remembers is stored before anything is done.
    if let Some(state) = &first.plan.remember {
        case.request.state.clone_from(state);
    }
    let anew = host.evaluate(case, question).await.ok()?;
    let other = another(&before, &created(&anew))?;
    let job = &case.request.job;
    let labels = Value::from_iter(job_labels(&job.name, &job.namespace, &job.uid));
    for action in &first.plan.actions {
        let Action::Create { object, .. } = action else {
            continue;
        };
        let mut object = object.clone();
        object::metadata_mut(&mut object)?.insert("labels".to_owned(), labels.clone());
        world.cluster.put(object).ok()?;
    }
    let seeing = host.evaluate(case, question).await.ok()?;
    another(&before, &created(&seeing))?;
    Some(format!(
        "asked again a second later it makes {other} as well; names are made of `context.child-name`, or found again by label"
    ))
}

fn created(finished: &Finished) -> BTreeSet<(String, String)> {
    let actions = finished.plan.actions.iter();
    let names = actions.filter_map(|action| match action {
        Action::Create { object, .. } => {
            let ObjectRef {
                api_version, kind, ..
            } = object::reference(object);
            let name = object::describe(&object::reference(object));
            Some((format!("{api_version} {kind}"), name))
        }
        _ => None,
    });
    names.collect()
}

/// An object that is new, of a kind of which there was one before.
fn another(
    before: &BTreeSet<(String, String)>,
    after: &BTreeSet<(String, String)>,
) -> Option<String> {
    let is_of_known_kind = |kind: &str| before.iter().any(|(known, _)| known == kind);
    let mut others = after.difference(before);
    others
        .find(|(kind, _)| is_of_known_kind(kind))
        .map(|(_, name)| name.clone())
}

/// The world is made so that every case can be told.
fn unusable(stop: &Stop) -> ApiError {
    ApiError::new(
        ApiReason::Invalid,
        format!("no job can be made up: {stop:?}"),
    )
}
