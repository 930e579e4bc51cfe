//! The host's side of the contract: what a guest's calls find.
//!
//! Every function begins with one check that names it: whether the question offers it. Answers come from the
//! request or from the snapshot; where the snapshot has none, the call ends the round with [`Stop::Need`].
//! Actions are only written down.

mod cluster;
mod context;
mod log;
mod plan;
mod storage;

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    Answer, EvaluationError, Limits, LogLine, Plan, Question, Read, Request, Snapshot,
    contract::{Level, cozystack::backup_strategy::types},
    limiter::Limiter,
};

/// Why the host ended a round. A guest cannot catch it.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The snapshot lacks this.
    Need(Read),
    /// The evaluation has failed.
    Failed(EvaluationError),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Need(read) => write!(f, "{read:?} is not in the snapshot"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stop {}

/// What one round knows and has written down.
pub(crate) struct Host {
    question: Question,
    limits: Arc<Limits>,
    /// None when there is no job: `describe` and `validate`.
    request: Option<Arc<Request>>,
    pub(crate) snapshot: Snapshot,
    /// What the guest has read from the snapshot.
    pub(crate) reads: BTreeSet<Read>,
    pub(crate) plan: Plan,
    /// Bytes of the plan so far, as the guest handed them over.
    plan_bytes: usize,
    pub(crate) log: Vec<LogLine>,
    pub(crate) limiter: Limiter,
}

impl Host {
    pub(crate) fn new(
        question: Question,
        limits: Arc<Limits>,
        request: Option<Arc<Request>>,
        snapshot: Snapshot,
    ) -> Self {
        let limiter = Limiter::new(question, limits.memory_bytes, limits.table_elements);
        Self {
            question,
            limits,
            request,
            snapshot,
            reads: BTreeSet::new(),
            plan: Plan::default(),
            plan_bytes: 0,
            log: Vec::new(),
            limiter,
        }
    }

    /// The message of a trap: an SDK writes a panic's message as its last error.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.log
            .iter()
            .rev()
            .find(|line| line.level == Level::Error)
            .map(|line| line.message.as_str())
    }

    /// The check of the functions that read: offered to the questions about a job.
    fn reading(&self, function: &'static str) -> Result<&Request, Stop> {
        match &self.request {
            Some(request) if self.question.reads() => Ok(request),
            _ => Err(self.not_offered(function)),
        }
    }

    /// The check of the functions of `plan`.
    fn planning(&self, function: &'static str) -> Result<(), Stop> {
        if self.question.plans() {
            Ok(())
        } else {
            Err(self.not_offered(function))
        }
    }

    fn not_offered(&self, function: &'static str) -> Stop {
        Stop::Failed(EvaluationError::NotOffered {
            question: self.question,
            function,
        })
    }

    /// The answer to a read, from the snapshot and from nowhere else.
    fn read(&mut self, function: &'static str, read: Read) -> Result<&Answer, Stop> {
        let Some(answer) = self.snapshot.get(&read) else {
            return Err(Stop::Need(read));
        };
        let limit = self.limits.answer_bytes;
        if answer.bytes() > limit {
            let what = format!("the answer to `{function}`");
            return Err(Stop::Failed(EvaluationError::Bytes {
                question: self.question,
                what,
                limit,
            }));
        }
        self.reads.insert(read);
        Ok(answer)
    }

    /// A [`Host::read`] whose answer is a text, or absent.
    fn read_text(&mut self, function: &'static str, read: Read) -> Result<Option<String>, Stop> {
        match self.read(function, read)? {
            Answer::Text(text) => Ok(text.as_deref().map(str::to_owned)),
            _ => Err(wrong_shape(function)),
        }
    }

    /// Makes room for one more action, condition or event of so many bytes.
    fn write_down(&mut self, bytes: usize) -> Result<(), Stop> {
        let Plan {
            actions,
            conditions,
            events,
            ..
        } = &self.plan;
        let limit = self.limits.actions;
        if actions.len() + conditions.len() + events.len() >= limit {
            return Err(Stop::Failed(EvaluationError::Actions {
                question: self.question,
                limit,
            }));
        }
        let limit = self.limits.plan_bytes;
        self.plan_bytes = self.plan_bytes.saturating_add(bytes);
        if self.plan_bytes > limit {
            let what = "the plan".to_owned();
            return Err(Stop::Failed(EvaluationError::Bytes {
                question: self.question,
                what,
                limit,
            }));
        }
        Ok(())
    }
}

/// Types have no functions.
impl types::Host for Host {}

/// An argument that the contract refuses.
fn argument<T>(function: &'static str, checked: Result<T, String>) -> Result<T, Stop> {
    checked.map_err(|problem| Stop::Failed(EvaluationError::Argument { function, problem }))
}

/// The host supplied an answer that the read does not have.
fn wrong_shape(function: &'static str) -> Stop {
    Stop::Failed(EvaluationError::Internal(format!(
        "the answer supplied for `{function}` has another shape"
    )))
}
