//! The third stage: asks the strategy, round after round, until it has an answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backup_api::Reason;
use backup_sandbox::{Cost, Evaluation, EvaluationError, Finished, Question, Round, Snapshot};
use futures::future::join_all;
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{
    admit::Case,
    cluster::Cluster,
    host::{Evaluator, Host},
    observe::{Evaluated, PluginOf, note},
    stop::Stop,
};

/// What came of a question that was not answered: in one word, and why.
type Unanswered = (&'static str, Stop);

impl<C: Cluster> Host<C> {
    /// Asks a question. What the strategy read last time is read beforehand, all at once, so a steady job needs
    /// one round.
    pub(crate) async fn evaluate(&self, case: &Case, question: Question) -> Result<Finished, Stop> {
        note(case);
        let span = info_span!("evaluate", %question, fuel = Empty, rounds = Empty);
        let answered = self.answered(case, question).instrument(span).await;
        self.told(case, answered)
    }

    async fn answered(&self, case: &Case, question: Question) -> Result<Finished, Stop> {
        let uid = &case.request.job.uid;
        let mut snapshot = Snapshot::default();
        let known = join_all(self.last_reads(uid).into_iter().map(async |read| {
            let answer = self.answer(case, &read).await;
            (read, answer)
        }))
        .await;
        for (read, answer) in known {
            // What cannot be read now is an error only if the strategy asks for it again.
            if let Ok(answer) = answer {
                snapshot.insert(read, answer);
            }
        }
        let strategy = &case.binding.serving.strategy;
        let mut evaluation = strategy.evaluate(question, Arc::new(case.request.clone()), snapshot);
        let mut computed = Duration::ZERO;
        let answered = loop {
            let (given_back, round, took) = self.round(evaluation).await?;
            evaluation = given_back;
            computed += took;
            match round {
                Ok(Round::Finished(finished)) => break Ok(*finished),
                Ok(Round::Needs(read)) => match self.answer(case, &read).await {
                    Ok(answer) => evaluation.supply(read, answer),
                    Err(stop) => break Err(("NotRead", stop)),
                },
                Err(error) => break Err((error.reason(), plugin_error(case, &error))),
            }
        };
        self.tell(case, question, computed, evaluation.cost(), &answered);
        let finished = answered.map_err(|(_, stop)| stop)?;
        self.keep_reads(uid, &finished.reads);
        log(case, question, &finished);
        Ok(finished)
    }

    /// Tells what a question has cost.
    fn tell(
        &self,
        case: &Case,
        question: Question,
        computed: Duration,
        cost: Cost,
        answered: &Result<Finished, Unanswered>,
    ) {
        Span::current()
            .record("fuel", cost.fuel)
            .record("rounds", cost.rounds);
        let (outcome, reads, actions) = match answered {
            Ok(finished) => (
                "Answered",
                finished.reads.len(),
                finished.plan.actions.len(),
            ),
            Err((outcome, _)) => (*outcome, 0, 0),
        };
        self.observer.evaluated(&Evaluated {
            plugin: PluginOf::of(&case.binding.serving),
            question,
            outcome,
            computed,
            cost,
            reads,
            actions,
            finished: answered.as_ref().ok(),
        });
    }

    /// One round, where it keeps nobody else waiting, with the time that it took.
    async fn round(
        &self,
        mut evaluation: Evaluation,
    ) -> Result<(Evaluation, Result<Round, EvaluationError>, Duration), Stop> {
        let run = move || {
            let began = Instant::now();
            let round = evaluation.round();
            (evaluation, round, began.elapsed())
        };
        match self.evaluator {
            Evaluator::Inline => Ok(run()),
            Evaluator::Blocking => tokio::task::spawn_blocking(run).await.map_err(|error| {
                Stop::setback(
                    Reason::PluginError,
                    format!("the evaluation was lost: {error}"),
                )
            }),
        }
    }
}

fn plugin_error(case: &Case, error: &EvaluationError) -> Stop {
    let serving = &case.binding.serving;
    let manifest = serving.strategy.manifest();
    // It quotes what the strategy said last.
    let error = error.to_string();
    let error = case.secrets().redact(&error).into_owned();
    tracing::warn!(
        plugin = serving.name,
        digest = serving.strategy.digest(),
        error,
        "a strategy came to nothing"
    );
    Stop::setback(
        Reason::PluginError,
        format!(
            "plugin {} {} failed: {error}; tell whoever provides it",
            serving.name, manifest.version
        ),
    )
}

/// The strategy's own lines, for its author and the administrator, without the secrets in them.
fn log(case: &Case, question: Question, finished: &Finished) {
    if finished.log.is_empty() {
        return;
    }
    let job = &case.request.job;
    let secrets = case.secrets();
    for line in &finished.log {
        tracing::info!(
            plugin = case.binding.serving.name,
            %question,
            namespace = job.namespace,
            job = job.name,
            level = ?line.level,
            "{}",
            secrets.redact(&line.message)
        );
    }
}
