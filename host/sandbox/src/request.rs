//! What a strategy is asked, and what it is told without asking.

use crate::contract::{ApplicationRef, Entry, FinishedBackup, JobIdentity, Refusal};

/// The questions of the contract's exported interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// What the strategy is: its manifest.
    Describe,
    /// Whether a spec and parameters make sense.
    Validate,
    /// Where a backup of an application lies.
    Paths,
    /// One step towards a backup.
    Backup,
    /// One step towards a restore.
    Restore,
    /// One step towards undoing what an unfinished job left behind.
    Abort,
    /// One step towards removing a backup.
    Forget,
    /// Whether a backup is still there.
    Check,
}

impl Question {
    /// The name of the exported function, as the contract and messages write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Validate => "validate",
            Self::Paths => "paths",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Abort => "abort",
            Self::Forget => "forget",
            Self::Check => "check",
        }
    }

    /// Whether the functions of `context`, `cluster` and `storage` are offered.
    #[must_use]
    pub fn reads(self) -> bool {
        !matches!(self, Self::Describe | Self::Validate)
    }

    /// Whether the functions of `plan` are offered.
    #[must_use]
    pub fn plans(self) -> bool {
        matches!(
            self,
            Self::Backup | Self::Restore | Self::Abort | Self::Forget
        )
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the host knows before the strategy runs; the strategy reads it through `context` and `storage`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Seconds since the Unix epoch: the only clock of the evaluation.
    pub now: u64,
    /// What is being worked on.
    pub job: JobIdentity,
    /// The RestoreJob's options as JSON, `{}` otherwise.
    pub options: String,
    /// The application acted on.
    pub subject: ApplicationRef,
    /// The BackupClass's parameters, sorted by key.
    pub parameters: Vec<Entry>,
    /// The backup that a restore, check or forget is about.
    pub source: Option<FinishedBackup>,
    /// What the job remembers, as JSON.
    pub state: Option<String>,
    /// The action that ended the run of the last plan.
    pub refused: Option<Refusal>,
    /// The granted storage paths, filled in for the subject; never with a `/` at either end.
    pub prefixes: Vec<String>,
}
