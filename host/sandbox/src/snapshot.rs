//! What a strategy can read, and the answers of one evaluation.

use std::{collections::BTreeMap, sync::Arc};

use crate::contract::{ApplicationRef, Bucket, ObjectRef, Selector, StoredObject, View};

/// One thing that a strategy asked for. The reads of an evaluation are what the host watches to know when to
/// ask again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// `context.application`
    Application,
    /// `context.release`
    Release(ApplicationRef),
    /// `context.spec`
    Spec(View),
    /// `cluster.get`
    Object(ObjectRef),
    /// `cluster.find`
    Objects(Selector),
    /// `cluster.serves`
    Serves {
        /// `group/version`, or `v1`.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// `cluster.log-tail`
    LogTail {
        /// The Pod's namespace.
        namespace: String,
        /// The Pod's name.
        pod: String,
        /// The container's name.
        container: String,
        /// The run before the last restart.
        previous: bool,
        /// How many lines from the end.
        lines: u32,
    },
    /// `storage.target`
    Bucket,
    /// `storage.ca-key`
    CaKey,
    /// `storage.objects`
    StoredObjects {
        /// Relative to the bucket.
        path: String,
        /// The key to start behind.
        after: Option<String>,
        /// At most so many.
        limit: u32,
    },
}

/// The answer to a [`Read`], of the shape that the read asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An object's or document's JSON, a release's name, a log, a key; none where there is no such thing.
    /// For `Application`, `Release`, `Object`, `LogTail`, `CaKey`, and `Spec`, which always has one.
    Text(Option<Arc<str>>),
    /// Objects as JSON, sorted by name. For `Objects`.
    Texts(Vec<Arc<str>>),
    /// For `Serves`.
    Flag(bool),
    /// For `Bucket`.
    Bucket(Bucket),
    /// For `StoredObjects`.
    Stored(Vec<StoredObject>),
}

/// The answers that an evaluation runs on. Absence is an answer like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    answers: BTreeMap<Read, Answer>,
}

impl Snapshot {
    /// Adds or replaces an answer.
    pub fn insert(&mut self, read: Read, answer: Answer) {
        self.answers.insert(read, answer);
    }

    /// The answer to a read, if it is known.
    #[must_use]
    pub fn get(&self, read: &Read) -> Option<&Answer> {
        self.answers.get(read)
    }

    /// Everything that is known, in the order of the reads.
    pub fn iter(&self) -> impl Iterator<Item = (&Read, &Answer)> {
        self.answers.iter()
    }
}

impl Answer {
    /// Bytes of text that a guest gets to see.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len()),
            Self::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
            Self::Flag(_) | Self::Bucket(_) => 0,
            // A key, and two numbers of 8 bytes.
            Self::Stored(objects) => objects.iter().map(|object| object.key.len() + 16).sum(),
        }
    }
}
