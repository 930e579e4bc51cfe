//! What was read once, kept until a watch tells that it has changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use backup_sandbox::contract::{Entry, ObjectRef, Selector};
use serde_json::Value;

use super::{
    Seen, Sighting, is_as_new, metadata,
    store::{Name, name_of, slim},
};

/// So many objects of a kind are kept at most. A job reads a handful, and what is too much is read again.
const MOST: usize = 1024;

/// The right to keep what the API server answers, unless something changes in the meantime.
#[derive(Debug, PartialEq)]
pub(crate) struct Ticket {
    number: u64,
    question: Question,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    One(Option<String>, String),
    /// Namespace and labels.
    All(Option<String>, Vec<(String, String)>),
}

#[derive(Clone, Debug)]
enum Answer {
    One(Option<Arc<Value>>),
    All(BTreeMap<Name, Arc<Value>>),
}

#[derive(Default)]
pub(super) struct Cache {
    /// Where a watch tells of every change: in a namespace, or everywhere.
    trusted: Vec<Option<String>>,
    answers: HashMap<Question, Answer>,
    /// Questions that the API server is answering, with the ticket that was given last.
    pending: HashMap<Question, u64>,
    tickets: u64,
}

impl Cache {
    /// From now on a watch tells of every change in a namespace, or everywhere. It began to list before: what was asked
    /// until now may be older.
    pub(super) fn trust(&mut self, within: &Option<String>) {
        self.distrust(within);
        self.trusted.push(within.clone());
    }

    pub(super) fn distrust(&mut self, within: &Option<String>) {
        self.clear();
        self.trusted.retain(|trusted| trusted != within);
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.pending.clear();
    }

    pub(super) fn get(&mut self, target: &ObjectRef) -> Sighting<Option<Value>> {
        let question = Question::of(target);
        match self.answers.get(&question) {
            Some(Answer::One(object)) => Sighting::Known(object.as_deref().cloned()),
            _ => Sighting::Ask(self.ticket(question)),
        }
    }

    pub(super) fn list(&mut self, matching: &Selector) -> Sighting<Vec<Value>> {
        let pair = |label: &Entry| (label.key.clone(), label.value.clone());
        let mut labels: Vec<_> = matching.labels.iter().map(pair).collect();
        labels.sort();
        let question = Question::All(matching.namespace.clone(), labels);
        match self.answers.get(&question) {
            Some(Answer::All(objects)) => {
                Sighting::Known(objects.values().map(|object| (**object).clone()).collect())
            }
            _ => Sighting::Ask(self.ticket(question)),
        }
    }

    fn ticket(&mut self, question: Question) -> Option<Ticket> {
        let asked = question.namespace();
        let mut trusted = self.trusted.iter();
        if !trusted.any(|within| within.is_none() || within.as_deref() == asked) {
            return None;
        }
        if self.answers.len() >= MOST {
            self.answers.clear();
        }
        self.tickets += 1;
        self.pending.insert(question.clone(), self.tickets);
        Some(Ticket {
            number: self.tickets,
            question,
        })
    }

    pub(super) fn learned(&mut self, ticket: Ticket, object: Option<&Value>) {
        self.keep(ticket, || {
            Answer::One(object.map(|object| Arc::new(slim(object))))
        });
    }

    pub(super) fn learned_all(&mut self, ticket: Ticket, objects: &[Value]) {
        let named = |object: &Value| (name_of(object), Arc::new(slim(object)));
        self.keep(ticket, || Answer::All(objects.iter().map(named).collect()));
    }

    fn keep(&mut self, ticket: Ticket, answer: impl FnOnce() -> Answer) {
        if self.pending.get(&ticket.question) == Some(&ticket.number) {
            self.pending.remove(&ticket.question);
            self.answers.insert(ticket.question, answer());
        }
    }

    /// The watch shows an object. What is known of it goes, unless it is this very version.
    pub(super) fn saw(&mut self, seen: &Seen<'_>) {
        let version = metadata(seen.object, "resourceVersion");
        self.pending
            .retain(|question, _| !question.is_about(seen.object));
        self.answers.retain(|question, answer| {
            let known = answer.version_of(seen.object);
            if seen.is_gone {
                return known.is_none() && !question.names(seen.object);
            }
            match known {
                Some(known) => known == version || !is_as_new(version, known),
                None => !question.is_about(seen.object),
            }
        });
    }

    /// This process wrote an object. What is known of it is replaced.
    pub(super) fn written(&mut self, target: &ObjectRef, object: &Value) {
        self.pending
            .retain(|question, _| !question.is_about(object));
        if let Some(Answer::One(known)) = self.answers.get_mut(&Question::of(target)) {
            *known = Some(Arc::new(slim(object)));
        }
        for (question, answer) in &mut self.answers {
            let Answer::All(objects) = answer else {
                continue;
            };
            objects.remove(&name_of(object));
            if question.is_about(object) {
                objects.insert(name_of(object), Arc::new(slim(object)));
            }
        }
    }

    /// Nothing is known of an object any more.
    pub(super) fn forget(&mut self, target: &ObjectRef) {
        let name = (
            target.namespace.clone().unwrap_or_default(),
            target.name.clone(),
        );
        let one = Question::of(target);
        // Which labels it had is not known: every list of its namespace may have had it.
        let concerns = |question: &Question| match question {
            Question::One(..) => *question == one,
            Question::All(namespace, _) => namespace.is_none() || *namespace == target.namespace,
        };
        self.pending.retain(|question, _| !concerns(question));
        self.answers.retain(|question, answer| match answer {
            Answer::One(_) => *question != one,
            Answer::All(objects) => !objects.contains_key(&name),
        });
    }
}

impl Question {
    fn of(target: &ObjectRef) -> Self {
        Self::One(target.namespace.clone(), target.name.clone())
    }

    fn namespace(&self) -> Option<&str> {
        let (Self::One(namespace, _) | Self::All(namespace, _)) = self;
        namespace.as_deref()
    }

    /// Whether the object could be in the answer.
    fn is_about(&self, object: &Value) -> bool {
        match self {
            Self::One(..) => self.names(object),
            Self::All(namespace, labels) => {
                let of = metadata(object, "namespace");
                namespace.as_deref().is_none_or(|namespace| namespace == of)
                    && labels
                        .iter()
                        .all(|(key, value)| object["metadata"]["labels"][key] == value.as_str())
            }
        }
    }

    /// Whether it asks for this object by name.
    fn names(&self, object: &Value) -> bool {
        let Self::One(namespace, name) = self else {
            return false;
        };
        metadata(object, "name") == name
            && metadata(object, "namespace") == namespace.as_deref().unwrap_or_default()
    }
}

impl Answer {
    /// The version of an object in the answer.
    fn version_of(&self, object: &Value) -> Option<&str> {
        let known = match self {
            Self::One(known) => known
                .as_ref()
                .filter(|known| name_of(known) == name_of(object)),
            Self::All(objects) => objects.get(&name_of(object)),
        };
        known.map(|known| metadata(known, "resourceVersion"))
    }
}
