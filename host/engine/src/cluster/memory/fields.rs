//! Sets of fields: what a manager owns. `structured-merge-diff/fieldpath`, whose algebra is kept as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::shape::Shape;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of a map.
    Field(String),
    /// The element of a list that has these values in its key fields, each as JSON.
    Key(Vec<(String, String)>),
    /// The element of a set, as JSON.
    Value(String),
    /// An element of a list that counts as a whole: for messages only.
    Index(usize),
}

/// As managed fields and messages write them.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Step {
    /// As a key of `fieldsV1`.
    fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name:?}:{value}"))
                    .collect();
                format!("k:{{{}}}", keys.join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

pub(super) type Path = Vec<Step>;

/// Paths as a tree. To own a field is not to own what is below it, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    members: BTreeSet<Step>,
    children: BTreeMap<Step, Fields>,
}

impl Fields {
    pub(super) fn of(paths: &[&[&str]]) -> Self {
        let mut fields = Self::default();
        for path in paths {
            let path: Path = path
                .iter()
                .map(|name| Step::Field((*name).to_owned()))
                .collect();
            fields.insert(&path);
        }
        fields
    }

    /// Nobody owns a whole object: the empty path is passed over.
    pub(super) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    pub(super) fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    pub(super) fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step).filter(|below| !below.is_empty())
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.members.extend(other.members.iter().cloned());
        for (step, below) in &other.children {
            let merged = union
                .children
                .get(step)
                .map_or_else(|| below.clone(), |own| own.union(below));
            union.children.insert(step.clone(), merged);
        }
        union
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, below)| {
            let both = below.intersection(other.children.get(step)?);
            (!both.is_empty()).then(|| (step.clone(), both))
        });
        Self {
            members: &self.members & &other.members,
            children: children.collect(),
        }
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, below)| {
            let left = other
                .children
                .get(step)
                .map_or_else(|| below.clone(), |theirs| below.difference(theirs));
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self {
            members: &self.members - &other.members,
            children: children.collect(),
        }
    }

    /// As [`Fields::difference`], but a field takes everything below it along.
    pub(super) fn without(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, below)| {
            if other.members.contains(step) {
                return None;
            }
            let left = other
                .children
                .get(step)
                .map_or_else(|| below.clone(), |theirs| below.without(theirs));
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self {
            members: &self.members - &other.members,
            children: children.collect(),
        }
    }

    /// Declared fields do not stand in a set themselves when something below them does. This adds them.
    pub(super) fn with_declared_parents(&self, shape: &Shape) -> Self {
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (step, below) in &self.children {
            let inner = match step {
                Step::Field(name) => {
                    let field = shape.field(name);
                    if field.is_some_and(|(_, declared)| declared) {
                        members.insert(step.clone());
                    }
                    field.map_or(&Shape::Open, |(shape, _)| shape)
                }
                Step::Key(_) | Step::Value(_) | Step::Index(_) => shape.element(),
            };
            children.insert(step.clone(), below.with_declared_parents(inner));
        }
        Self { members, children }
    }

    /// As `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for step in &self.members {
            map.insert(step.to_key(), Value::Object(Map::new()));
        }
        for (step, below) in self.children.iter().filter(|(_, below)| !below.is_empty()) {
            let mut inner = below.to_json();
            if let (true, Some(inner)) = (self.members.contains(step), inner.as_object_mut()) {
                inner.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(step.to_key(), inner);
        }
        Value::Object(map)
    }
}
