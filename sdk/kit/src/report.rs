//! What came of the cases.

use std::{fmt, path::PathBuf};

/// What came of all cases of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The cases that were tried, in the order of their names.
    pub cases: Vec<PathBuf>,
    /// What was not as it should be, in the order of the cases.
    pub failures: Vec<Failure>,
    /// The files with plans that were written.
    pub updated: Vec<PathBuf>,
}

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The case; none where the strategy breaks a promise that no case is about.
    pub case: Option<PathBuf>,
    /// The step, counted from 1, and its line, where it is one step's.
    pub step: Option<(usize, u64)>,
    /// What is wrong, in one line, or in several where it is a difference.
    pub message: String,
}

impl Report {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        let cases = self.cases.len();
        write!(f, "{cases} cases, {} failures", self.failures.len())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.case {
            Some(case) => write!(f, "{}", case.display())?,
            None => f.write_str("made up")?,
        }
        if let Some((number, line)) = self.step {
            write!(f, ":{line}: step {number}")?;
        }
        write!(f, ": {}", self.message)
    }
}
