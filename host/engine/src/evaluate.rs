//! The third stage: asks the strategy, round after round, until it has an answer.

use std::sync::Arc;

use backup_api::Reason;
use backup_sandbox::{Evaluation, EvaluationError, Finished, Question, Round, Snapshot};
use futures::future::join_all;

use crate::{
    admit::Case,
    cluster::Cluster,
    host::{Evaluator, Host},
    stop::Stop,
};

impl<C: Cluster> Host<C> {
    /// Asks a question. What the strategy read last time is read beforehand, all at once, so a steady job needs
    /// one round.
    pub(crate) async fn evaluate(&self, case: &Case, question: Question) -> Result<Finished, Stop> {
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
        loop {
            let (given_back, round) = self.round(evaluation).await?;
            evaluation = given_back;
            match round {
                Ok(Round::Finished(finished)) => {
                    self.keep_reads(uid, &finished.reads);
                    log(case, question, &finished);
                    return Ok(*finished);
                }
                Ok(Round::Needs(read)) => {
                    let answer = self.answer(case, &read).await?;
                    evaluation.supply(read, answer);
                }
                Err(error) => return Err(plugin_error(case, &error)),
            }
        }
    }

    /// One round, where it keeps nobody else waiting.
    async fn round(
        &self,
        mut evaluation: Evaluation,
    ) -> Result<(Evaluation, Result<Round, EvaluationError>), Stop> {
        match self.evaluator {
            Evaluator::Inline => {
                let round = evaluation.round();
                Ok((evaluation, round))
            }
            Evaluator::Blocking => tokio::task::spawn_blocking(move || {
                let round = evaluation.round();
                (evaluation, round)
            })
            .await
            .map_err(|error| {
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
