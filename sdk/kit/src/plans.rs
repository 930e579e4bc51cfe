//! What the strategy answered and planned, as a reviewer reads it.
//!
//! Beside the cases, in `plans`, lies a file for each story: step by step, each question with the plan that came of it.
//! A change of a strategy shows there as a change of the objects that it makes.

use std::{fs, path::Path};

use backup_engine::Evaluated;
use backup_sandbox::{
    Action, Plan, Question, Reply,
    contract::{
        Artifact, Failure, ObjectRef, Progress, Selector, Severity, Step, Success, Verdict, Wait,
    },
};
use serde_json::{Map, Value, json};

use crate::{matching::changes, seen::Seen};

/// So many differences are told.
const TOLD: usize = 12;

/// A question, and what the strategy answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    question: Question,
    /// As it stands in the file; none where it came to nothing.
    document: Option<Value>,
    has_plan: bool,
}

impl Asked {
    pub(crate) fn of(evaluation: &Evaluated<'_>) -> Self {
        let question = evaluation.question;
        let finished = evaluation.finished;
        Self {
            question,
            document: finished.map(|finished| {
                let mut document = json!({ "asked": question.to_string() });
                let plan = planned(&finished.plan);
                for (name, value) in plan {
                    document[name] = value;
                }
                document["answered"] = answered(&finished.answer);
                document
            }),
            has_plan: finished.is_some_and(|finished| finished.plan != Plan::default()),
        }
    }
}

fn planned(plan: &Plan) -> Map<String, Value> {
    let mut document = Map::new();
    let mut add = |name: &str, list: Vec<Value>| {
        if !list.is_empty() {
            document.insert(name.to_owned(), Value::Array(list));
        }
    };
    add("plan", plan.actions.iter().map(action).collect());
    let conditions = plan.conditions.iter().map(|condition| {
        json!({
            "type": condition.type_, "status": condition.status,
            "reason": condition.reason, "message": condition.message,
        })
    });
    add("conditions", conditions.collect());
    let events = plan.events.iter().map(|event| {
        let severity = match event.severity {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        };
        json!({ "type": severity, "reason": event.reason, "message": event.message })
    });
    add("events", events.collect());
    if let Some(state) = &plan.remember {
        let state = state.as_deref().map(parsed).unwrap_or_default();
        document.insert("remember".to_owned(), state);
    }
    document
}

fn action(action: &Action) -> Value {
    let mut document = json!({});
    document[action.verb()] = match action {
        Action::Create { object, .. } | Action::DryRun { object } | Action::Apply { object } => {
            object.clone()
        }
        Action::Merge { target, patch } => {
            json!({ "target": named(target), "patch": patch })
        }
        Action::Delete {
            target,
            uid,
            propagation,
        } => json!({ "target": named(target), "uid": uid, "propagation": word(propagation) }),
        Action::DeleteAll {
            matching,
            propagation,
        } => json!({ "matching": selected(matching), "propagation": word(propagation) }),
        Action::Suspend { namespace, release } | Action::Resume { namespace, release } => {
            json!(format!("{namespace}/{release}"))
        }
        Action::Purge { path } => json!(path),
    };
    if let Action::Create { lifetime, .. } = action {
        document["lifetime"] = word(lifetime);
    }
    document
}

/// An enum of the contract, as the contract spells it.
fn word(of: &impl std::fmt::Debug) -> Value {
    let word = format!("{of:?}");
    let case = word.rsplit("::").next().unwrap_or_default();
    json!(case.to_lowercase())
}

fn named(target: &ObjectRef) -> Value {
    json!({
        "apiVersion": target.api_version, "kind": target.kind,
        "namespace": target.namespace, "name": target.name,
    })
}

fn selected(matching: &Selector) -> Value {
    let labels = matching.labels.iter();
    let labels: Map<String, Value> = labels
        .map(|label| (label.key.clone(), json!(label.value)))
        .collect();
    json!({
        "apiVersion": matching.api_version, "kind": matching.kind,
        "namespace": matching.namespace, "labels": labels,
    })
}

/// A document that a strategy hands over as text.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn answered(answer: &Reply) -> Value {
    match answer {
        Reply::Progress(Progress::Waiting(why)) | Reply::Step(Step::Waiting(why)) => waiting(why),
        Reply::Progress(Progress::Failed(why)) | Reply::Step(Step::Failed(why)) => {
            failure("failed", why)
        }
        Reply::Progress(Progress::Succeeded(success)) => succeeded(success),
        Reply::Step(Step::Done) => json!("done"),
        Reply::Verdict(Verdict::Present(artifact)) => {
            json!({ "present": artifact.as_ref().map(stored) })
        }
        Reply::Verdict(Verdict::Lost(why)) => failure("lost", why),
        Reply::Verdict(Verdict::Unknown(why)) => failure("unknown", why),
        Reply::Verdict(Verdict::Waiting(why)) => waiting(why),
        Reply::Paths(Ok(paths)) => {
            let paths = paths.iter();
            json!({ "paths": paths.map(|path| &path.uri).collect::<Vec<_>>() })
        }
        Reply::Paths(Err(why)) => failure("failed", why),
        Reply::Problems(problems) => json!({ "problems": problems }),
        Reply::Manifest(_) => json!("described"),
    }
}

fn waiting(why: &Wait) -> Value {
    let mut document = json!({ "waiting": format!("{}: {}", why.reason, why.message) });
    if !why.started {
        document["started"] = json!(false);
    }
    if let Some(seconds) = why.ask_again_after_seconds {
        document["askAgainAfterSeconds"] = json!(seconds);
    }
    if let Some(seconds) = why.give_up_after_seconds {
        document["giveUpAfterSeconds"] = json!(seconds);
    }
    document
}

fn failure(case: &str, why: &Failure) -> Value {
    json!({ case: format!("{}: {}", why.reason, why.message) })
}

fn succeeded(success: &Success) -> Value {
    let metadata = success.metadata.iter();
    let metadata: Map<String, Value> = metadata
        .map(|entry| (entry.key.clone(), json!(entry.value)))
        .collect();
    let resources = success.resources.as_deref().map(parsed);
    json!({ "succeeded": {
        "takenAt": success.taken_at, "artifact": success.artifact.as_ref().map(stored),
        "metadata": metadata, "resources": resources,
    } })
}

fn stored(artifact: &Artifact) -> Value {
    json!({ "uri": artifact.uri, "sizeBytes": artifact.size_bytes, "checksum": artifact.checksum })
}

/// The plans of a story, step by step.
#[derive(Default)]
pub(crate) struct Plans(Vec<Value>);

impl Plans {
    /// Adds what was answered in a step: each question once, as long as the answer is the same.
    pub(crate) fn add(&mut self, step: usize, asked: Vec<Asked>) {
        let mut documents: Vec<Value> = vec![];
        let mut last: Option<Asked> = None;
        for asked in asked {
            let is_new = last.as_ref() != Some(&asked);
            if is_new && let Some(document) = &asked.document {
                // What `paths` answers is for a step to expect.
                if asked.has_plan || asked.question != Question::Paths {
                    documents.push(document.clone());
                }
            }
            last = Some(asked);
        }
        if !documents.is_empty() {
            self.0.push(json!({ "step": step, "answers": documents }));
        }
    }

    /// As they stand in the file: UIDs by what they are of, since they change whenever the world does.
    fn shown(&self, seen: &Seen) -> Value {
        let mut text = json!(self.0).to_string();
        for (uid, words) in seen.uids() {
            text = text.replace(uid, words);
        }
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Holds them against a file. Gives back what is different, or none; with `updates`, writes the file where it is
    /// different.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn held_against(
        &self,
        file: &Path,
        seen: &Seen,
        updates: bool,
    ) -> Result<Held, String> {
        let now = self.shown(seen);
        let known = fs::read_to_string(file).ok();
        let before: Option<Value> = known.and_then(|text| serde_saphyr::from_str(&text).ok());
        if before.as_ref() == Some(&now) {
            return Ok(Held::Same);
        }
        if updates {
            written(file, &now)
                .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
            return Ok(Held::Written);
        }
        let shown = file.display();
        let Some(before) = before else {
            return Ok(Held::Different(format!(
                "there is no {shown}; run again with UPDATE_CASES=1, and look at what it writes"
            )));
        };
        let lines = changes(&before, &now);
        let more = lines.len().saturating_sub(TOLD);
        let mut told = format!(
            "the plans are not those in {shown}; if that is meant, run again with UPDATE_CASES=1:"
        );
        for line in lines.iter().take(TOLD) {
            told.push_str("\n    ");
            told.push_str(line);
        }
        if more > 0 {
            told.push_str(&format!("\n    and {more} more"));
        }
        Ok(Held::Different(told))
    }
}

/// How plans compare with those in a file.
pub(crate) enum Held {
    /// They are the same.
    Same,
    /// They are others, and the file has been written.
    Written,
    /// They are others, in words.
    Different(String),
}

fn written(file: &Path, plans: &Value) -> Result<(), String> {
    let text = serde_saphyr::to_string(plans).map_err(|error| error.to_string())?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let head = "# Written by UPDATE_CASES=1; read by people.\n";
    fs::write(file, format!("{head}{text}")).map_err(|error| error.to_string())
}
