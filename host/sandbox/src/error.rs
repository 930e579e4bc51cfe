//! Why a component cannot be loaded, and why an evaluation came to nothing.

use std::time::Duration;

use crate::{plan::LogLine, request::Question, snapshot::Read};

/// Why an evaluation came to nothing. All of these are the strategy author's to mend; which of them a limit
/// is, and how large it was, is part of the error.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Wall clock.
    #[error("`{question}` took longer than {limit:?}")]
    Deadline {
        /// What was asked.
        question: Question,
        /// The limit.
        limit: Duration,
    },
    /// Fuel.
    #[error("`{question}` used more than {limit} units of fuel")]
    Fuel {
        /// What was asked.
        question: Question,
        /// The limit.
        limit: u64,
    },
    /// Linear memory.
    #[error("`{question}` wanted {wanted} bytes of memory; the limit is {limit}")]
    Memory {
        /// What was asked.
        question: Question,
        /// What the guest would have had.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// Tables.
    #[error("`{question}` wanted a table of {wanted} elements; the limit is {limit}")]
    Table {
        /// What was asked.
        question: Question,
        /// What the guest would have had.
        wanted: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes handed over: `what` says by which call, or that it is the whole plan, an answer or the state.
    #[error("`{question}`: {what} is larger than {limit} bytes")]
    Bytes {
        /// What was asked.
        question: Question,
        /// What was too large.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// Actions, conditions and events.
    #[error("`{question}` wrote down more than {limit} actions, conditions and events")]
    Actions {
        /// What was asked.
        question: Question,
        /// The limit.
        limit: usize,
    },
    /// Rounds of reads.
    #[error("`{question}` still wanted {last:?} after {limit} rounds of reads")]
    Rounds {
        /// What was asked.
        question: Question,
        /// The limit.
        limit: u32,
        /// What it asked for last.
        last: Read,
    },
    /// Lines of log.
    #[error("`{question}` wrote more than {limit} lines of log")]
    LogLines {
        /// What was asked.
        question: Question,
        /// The limit.
        limit: usize,
    },
    /// A function that the question does not offer.
    #[error("`{function}` is not offered to `{question}`")]
    NotOffered {
        /// What was asked.
        question: Question,
        /// Interface and function, such as `plan.purge`.
        function: &'static str,
    },
    /// An argument that makes no sense, or that the contract refuses: `problem` says which and why.
    #[error("`{function}`: {problem}")]
    Argument {
        /// Interface and function.
        function: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// An answer that makes no sense, such as a reason that is no reason.
    #[error("the answer to `{question}`: {problem}")]
    Answer {
        /// What was asked.
        question: Question,
        /// What is wrong.
        problem: String,
    },
    /// The guest trapped: it panicked, overflowed its stack or did something that WebAssembly forbids.
    #[error("`{question}` trapped: {message}")]
    Trap {
        /// What was asked.
        question: Question,
        /// The last error line of the strategy's log, which is where an SDK writes a panic's message, file
        /// and line; else the trap's own description.
        message: String,
        /// The log up to the trap.
        log: Vec<LogLine>,
    },
    /// The host's own fault: an answer of the wrong shape, no room in the pool.
    #[error("internal error of the sandbox: {0}")]
    Internal(String),
}

impl EvaluationError {
    /// The error without its details: a closed list, for labels of metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "Deadline",
            Self::Fuel { .. } => "Fuel",
            Self::Memory { .. } => "Memory",
            Self::Table { .. } => "Table",
            Self::Bytes { .. } => "Bytes",
            Self::Actions { .. } => "Actions",
            Self::Rounds { .. } => "Rounds",
            Self::LogLines { .. } => "LogLines",
            Self::NotOffered { .. } => "NotOffered",
            Self::Argument { .. } => "Argument",
            Self::Answer { .. } => "Answer",
            Self::Trap { .. } => "Trap",
            Self::Internal(_) => "Internal",
        }
    }
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not WebAssembly, or a core module.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// It imports something that is not of this contract, WASI for example.
    #[error(
        "it imports {}, which no strategy is given: build it without WASI, or with WASI stubbed (wit/README.md)",
        .0.join(", ")
    )]
    ForeignImport(Vec<String>),
    /// It was built against a newer contract and uses what this host does not have.
    #[error("it needs {}, which this host does not offer (it speaks contract {offered})", .missing.join(", "))]
    NewerContract {
        /// Interface and function with the contract's version.
        missing: Vec<String>,
        /// The contract of this host.
        offered: &'static str,
    },
    /// It does not export the strategy interface of a contract that this host speaks.
    #[error("it does not export {0}")]
    MissingExport(String),
    /// A type differs from the contract's.
    #[error("it does not fit the contract: {0}")]
    Mismatch(String),
    /// It does not describe itself.
    #[error("it does not describe itself: {0}")]
    Describe(#[source] EvaluationError),
    /// The manifest is not a document of `wit/manifest.schema.json`.
    #[error("its manifest is not valid: {0}")]
    Manifest(String),
    /// The limits that it was given are above what this host was set up for.
    #[error("its limits: {0}")]
    Limits(String),
    /// Compilation failed, took too long or needed too much memory.
    #[error("it cannot be compiled: {0}")]
    Compile(String),
    /// The cache of compiled code cannot be used.
    #[error("the cache of compiled components: {0}")]
    Cache(#[source] std::io::Error),
    /// The host's own fault.
    #[error("internal error of the sandbox: {0}")]
    Internal(String),
}
