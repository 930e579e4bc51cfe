//! What a step expects.

use std::collections::BTreeMap;

use backup_api::BackupJob;
use backup_engine::reference;
use backup_sandbox::contract::Entry;
use serde_json::{Value, json};

use crate::{
    case::Expected,
    matching::{differences, fits},
    seen::Which,
    story::Story,
};

/// What is not as expected, line by line.
pub(crate) async fn missed(story: &Story<'_>, expected: &Expected) -> Vec<String> {
    let mut lines = vec![];
    of_the_job(story, expected, &mut lines);
    if let Some(backup) = &expected.backup {
        of_the_backup(story, backup, &mut lines);
    }
    for object in &expected.objects.0 {
        is_there(story, object, &mut lines);
    }
    for named in &expected.gone.0 {
        is_gone(story, named, &mut lines);
    }
    if let Some(suspended) = &expected.suspended {
        same_names(
            "suspended",
            suspended,
            suspended_releases(story),
            &mut lines,
        );
    }
    if let Some(stored) = &expected.stored {
        let keys = story.world.storage.keys();
        same_names("stored", stored, keys, &mut lines);
    }
    if let Some(left) = &expected.left {
        let made = story.world.seen.made_by_jobs();
        let made = made.into_iter().map(str::to_owned).collect();
        same_names("left", left, made, &mut lines);
    }
    if let Some(paths) = &expected.paths {
        match paths_of(story).await {
            Ok(found) => same_names("paths", paths, found, &mut lines),
            Err(why) => lines.push(format!("paths: they cannot be told: {why}")),
        }
    }
    if let Some(problems) = &expected.problems {
        match problems_of(story) {
            Ok(found) => {
                let found = json!(found);
                let more = found.as_object().into_iter().flatten();
                let more = more.filter(|(path, _)| !problems.contains_key(*path));
                lines.extend(more.map(|(path, why)| format!("problems: {path} as well: {why}")));
                let missed = differences(&json!(problems), &found);
                lines.extend(missed.iter().map(|line| format!("problems: {line}")));
            }
            Err(why) => lines.push(format!("problems: {why}")),
        }
    }
    // What was said tells more than which word is another.
    if !lines.is_empty() && expected.message.is_none() {
        let ready = condition(&asked_for(story)["status"], "Ready");
        let told = ready["message"].as_str();
        lines.extend(told.map(|message| format!("it says {message:?}")));
    }
    lines
}

/// The job, or the Backup, that was last asked for; null where it is gone.
fn asked_for(story: &Story<'_>) -> Value {
    let found = story.asked_for.as_ref().and_then(|target| {
        let namespace = target.namespace.as_deref();
        let cluster = &story.world.cluster;
        cluster.read(&target.api_version, &target.kind, namespace, &target.name)
    });
    found.unwrap_or_default()
}

/// What is said of the job, or of the Backup, that was last asked for.
fn of_the_job(story: &Story<'_>, expected: &Expected, lines: &mut Vec<String>) {
    let says_nothing = expected.phase.is_none()
        && expected.reason.is_none()
        && expected.message.is_none()
        && expected.conditions.is_empty();
    if says_nothing {
        return;
    }
    let Some(target) = &story.asked_for else {
        lines.push("nothing was asked for yet".to_owned());
        return;
    };
    let found = asked_for(story);
    if found.is_null() {
        lines.push(format!("{} {} is gone", target.kind, target.name));
        return;
    }
    let status = &found["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ready = condition(status, "Ready");
    for (what, expected, found) in [
        ("phase", &expected.phase, text(&status["phase"])),
        ("reason", &expected.reason, text(&ready["reason"])),
        ("message", &expected.message, text(&ready["message"])),
    ] {
        if let Some(expected) = expected.as_ref().filter(|one| !fits(one, &found)) {
            lines.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
    for (name, expected) in &expected.conditions {
        let expected = match expected {
            Value::Bool(true) => json!({ "status": "True" }),
            Value::Bool(false) => json!({ "status": "False" }),
            Value::String(status) => json!({ "status": status }),
            other => other.clone(),
        };
        let found = condition(status, name);
        let missed = differences(&expected, &found);
        lines.extend(missed.iter().map(|line| format!("conditions/{name}{line}")));
    }
}

fn condition(status: &Value, name: &str) -> Value {
    let conditions = status["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == name);
    found.cloned().unwrap_or_default()
}

fn of_the_backup(story: &Story<'_>, expected: &Value, lines: &mut Vec<String>) {
    let name = expected.pointer("/metadata/name").and_then(Value::as_str);
    let found = story.backup_named(name);
    match (expected == "gone", found) {
        (true, Ok(found)) => lines.push(format!("backup: {} is there", found.name)),
        (true, Err(_)) => {}
        (false, Err(why)) => lines.push(format!("backup: {why}")),
        (false, Ok(target)) => {
            let namespace = target.namespace.as_deref();
            let cluster = &story.world.cluster;
            let found = cluster.read(&target.api_version, "Backup", namespace, &target.name);
            let missed = differences(expected, &found.unwrap_or_default());
            lines.extend(missed.iter().map(|line| format!("backup: {line}")));
        }
    }
}

/// One of the objects is as expected. Otherwise the one that comes nearest is told.
fn is_there(story: &Story<'_>, expected: &Value, lines: &mut Vec<String>) {
    let which = Which::of(expected);
    let mut nearest: Option<(Vec<String>, String)> = None;
    for candidate in story.world.seen.there(&which) {
        // Of a kind with several versions any one will do.
        let mut expected = expected.clone();
        if let Some(members) = expected.as_object_mut() {
            members.remove("apiVersion");
        }
        let missed = differences(&expected, candidate);
        if missed.is_empty() {
            return;
        }
        if nearest
            .as_ref()
            .is_none_or(|(known, _)| missed.len() < known.len())
        {
            nearest = Some((missed, reference(candidate).name));
        }
    }
    match nearest {
        None => lines.push(format!("objects: there is no {which}")),
        Some((missed, name)) => {
            let told = missed.iter();
            lines.extend(told.map(|line| format!("objects: {} {name}: {line}", which.kind)));
        }
    }
}

fn is_gone(story: &Story<'_>, named: &Value, lines: &mut Vec<String>) {
    let which = Which::of(named);
    for found in story.world.seen.there(&which) {
        let name = reference(found).name;
        lines.push(format!("gone: {} {name} is there", which.kind));
    }
}

/// Whether two lists have the same items, in any order. What is expected may have `*` in it.
fn same_names(what: &str, expected: &[String], mut found: Vec<String>, lines: &mut Vec<String>) {
    for pattern in expected {
        match found.iter().position(|one| fits(pattern, one)) {
            Some(at) => drop(found.remove(at)),
            None => lines.push(format!("{what}: {pattern} is missing")),
        }
    }
    lines.extend(
        found
            .iter()
            .map(|one| format!("{what}: {one} is not expected")),
    );
}

fn suspended_releases(story: &Story<'_>) -> Vec<String> {
    let which = Which {
        kind: "HelmRelease",
        group: None,
        namespace: None,
        name: None,
    };
    let releases = story.world.seen.there(&which).into_iter();
    releases
        .filter(|release| release["spec"]["suspend"] == true)
        .map(|release| reference(release).name)
        .collect()
}

/// The places that the strategy names for the backup that was last asked for.
async fn paths_of(story: &Story<'_>) -> Result<Vec<String>, String> {
    let found = asked_for(story);
    if found["kind"] != "BackupJob" {
        return Err("no backup was asked for".to_owned());
    }
    let job: BackupJob = serde_json::from_value(found).map_err(|error| error.to_string())?;
    let paths = story.world.host().backup_paths(&job).await?;
    Ok(paths.into_iter().map(|path| path.uri).collect())
}

/// What the strategy says of its settings.
fn problems_of(story: &Story<'_>) -> Result<BTreeMap<String, String>, String> {
    let spec = story.world.spec.to_string();
    let parameters = story.parameters().iter();
    let parameters: Vec<Entry> = parameters
        .map(|(key, value)| Entry {
            key: key.clone(),
            value: value.clone(),
        })
        .collect();
    let problems = story.world.strategy.validate(&spec, &parameters);
    let problems = problems.map_err(|error| error.to_string())?;
    Ok(problems
        .into_iter()
        .map(|problem| (problem.path, problem.message))
        .collect())
}
