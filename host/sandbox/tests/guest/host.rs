//! A host's side of the tests: a sandbox, a request and a way to ask.

#![allow(dead_code)]

use std::sync::{Arc, OnceLock};

use backup_sandbox::{
    Answer, Compiler, Evaluation, EvaluationError, Finished, Limits, LoadError, Question, Read,
    Request, Round, Sandbox, Settings, Snapshot, Strategy,
    contract::{ApplicationRef, JobIdentity},
};
use tempfile::TempDir;

use super::Guest;

/// One sandbox for all tests of a file, as a process has it.
pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<(Sandbox, TempDir)> = OnceLock::new();
    &SANDBOX
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings::new(folder.path().join("cache"), Compiler::InProcess);
            (Sandbox::new(settings).unwrap(), folder)
        })
        .0
}

/// Loads with the default limits.
pub fn load(guest: Guest) -> Result<Strategy, LoadError> {
    sandbox().load(&guest.build(), Limits::default())
}

/// Loads with limits of its own.
pub fn limited(guest: Guest, limits: Limits) -> Strategy {
    sandbox().load(&guest.build(), limits).unwrap()
}

/// A RestoreJob of a Postgres.
pub fn request() -> Request {
    Request {
        now: 1_700_000_000,
        job: JobIdentity {
            kind: "RestoreJob".into(),
            namespace: "tenant-acme".into(),
            name: "back-to-monday".into(),
            uid: "5f0c".into(),
            started_at: 1_699_999_000,
        },
        options: "{}".into(),
        subject: ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "Postgres".into(),
            namespace: "tenant-acme".into(),
            name: "orders".into(),
        },
        parameters: Vec::new(),
        source: None,
        state: None,
        refused: None,
        prefixes: vec!["tenant-acme/orders".into()],
    }
}

/// Asks with an empty snapshot.
pub fn evaluation(strategy: &Strategy, question: Question) -> Evaluation {
    strategy.evaluate(question, Arc::new(request()), Snapshot::default())
}

/// Asks, and lets `answers` supply what is needed.
pub fn run(
    mut evaluation: Evaluation,
    answers: impl Fn(&Read) -> Answer,
) -> Result<Finished, EvaluationError> {
    loop {
        match evaluation.round()? {
            Round::Finished(finished) => return Ok(*finished),
            Round::Needs(read) => {
                let answer = answers(&read);
                evaluation.supply(read, answer);
            }
        }
    }
}

/// Asks a guest to restore; it must not read.
pub fn restore(guest: Guest) -> Result<Finished, EvaluationError> {
    let strategy = load(guest).unwrap();
    run(evaluation(&strategy, Question::Restore), |read| {
        panic!("{read:?} was read")
    })
}

/// The error of a restore, as text.
pub fn refused(guest: Guest) -> String {
    restore(guest).unwrap_err().to_string()
}
