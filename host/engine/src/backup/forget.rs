//! The removal of a Backup: its objects and its data, by the strategy's `forget`, one step at a time. It always ends.
//!
//! | what is in the way | how long that is waited for |
//! |---|---|
//! | a job on the application, a restore from this Backup | until it has ended |
//! | no plugin, no grant, no definition of the strategy kind | 30 minutes, as jobs wait for their configuration |
//! | storage or API server that do not answer, no credentials, another storage than the Backup's | a day |
//! | a strategy that fails, traps, leaves its walls, or whose actions are refused | 30 minutes, asked again all the while |
//! | a strategy that waits for an operator | a day, or as long as the strategy says |
//! | all of these in turn | a week after the deletion |
//!
//! After that the Backup goes, and what it leaves behind is said in an Event and in the log. While it lasts the condition
//! `Ready` says what is in the way.
//!
//! Nothing is touched where nobody asked for the data to go: `deletionPolicy: Retain`, and a namespace or a definition
//! that is being deleted.

use std::time::Duration;

use backup_api::{Backup, DeletionPolicy, JobPhase, Reason};
use backup_sandbox::{
    Event, Question, Reply,
    contract::{JobIdentity, Severity, Step},
};
use futures::future::try_join_all;
use jiff::Timestamp;
use serde_json::Value;

use super::{is_elsewhere, is_held};
use crate::{
    admit::seconds,
    audit,
    cluster::{ApiError, Caller, Cluster},
    credentials::{Credentials, ProjectionError},
    host::Host,
    interest::{Interest, Next},
    job::{answers, deleted_at, words, wrong_answer},
    ledger::{Ledger, later},
    noted::Begun,
    object,
    observe::{BackupOf, BackupState, Removed},
    stop::Stop,
};

/// How long a removal may take once it has begun: as long as a job.
pub(super) const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long is waited for what is the platform's to mend: an outage of a night is no reason to leave data behind.
const OUTAGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long is waited for everything together. A Backup that has not gone by then holds up its namespace's end.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest pause between two looks at what cannot be watched: a day of waiting is no reason for thousands of
/// requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The group of definitions.
const DEFINITIONS: &str = "apiextensions.k8s.io/v1";

/// How far a removal is.
enum Removal {
    /// Looked at again when something changes, or at this time.
    Waiting(Option<Timestamp>),
    /// Objects and data are gone.
    Done,
    /// They stay, because nobody asked for them to go.
    Retained(Severity, String),
    /// They stay, though somebody asked for them to go.
    Left(String),
}

impl<C: Cluster> Host<C> {
    /// A pass over a Backup that is being deleted.
    pub(super) async fn remove_backup(&self, found: &Value) -> Result<Next, ApiError> {
        let told = BackupOf::of(found);
        if !is_held(found) {
            self.forget_job(object::uid(found));
            self.observer.backup_gone(told.namespace, told.name);
            return Ok(Next::gone());
        }
        let now = self.now();
        let since = deleted_at(found).unwrap_or(now);
        self.observer
            .backup_seen(&told, BackupState::Removing(since));
        let backup = match serde_json::from_value::<Backup>(found.clone()) {
            Ok(backup) => backup,
            Err(error) => return self.let_go_of_unreadable(found, since, &error).await,
        };
        let mut ledger = match Ledger::of(found, now) {
            Ok(ledger) => ledger,
            Err(error) => return self.let_go_of_unreadable(found, since, &error).await,
        };
        let mut interest = Interest::of(object::reference(found));
        let removal = self
            .removal(&backup, found, &mut ledger, &mut interest)
            .await;
        let removal = match removal {
            Ok(removal) => in_time(removal, &ledger, now),
            Err(Stop::Api(error)) if now < later(since, PATIENCE) => {
                return self.removal_failed(error, &mut ledger).await;
            }
            Err(stop) => self.removal_stopped(stop, &mut ledger, since),
        };
        match removal {
            Removal::Waiting(at) => {
                ledger.write(&self.cluster).await?;
                let latest = ledger.deadline().filter(|at| *at > now);
                let at = at.into_iter().chain(latest).min();
                Ok(at.map_or_else(Next::quiet, Next::at).watching(interest))
            }
            ended => {
                self.removed(ended, &backup, found, &mut ledger, since)
                    .await
            }
        }
    }

    /// A pass of the removal itself.
    async fn removal(
        &self,
        backup: &Backup,
        found: &Value,
        ledger: &mut Ledger,
        interest: &mut Interest,
    ) -> Result<Removal, Stop> {
        if backup.spec.deletion_policy == Some(DeletionPolicy::Retain) {
            let why = "spec.deletionPolicy is Retain".to_owned();
            return Ok(Removal::Retained(Severity::Normal, why));
        }
        if let Some(until) = self.resting(ledger).filter(|until| *until > self.now()) {
            return Ok(Removal::Waiting(Some(until)));
        }
        let begun = Begun::removal(ledger.job.strategy.as_ref());
        if let Some(why) = self.what_ends(backup, begun.as_ref()).await? {
            return Ok(Removal::Retained(Severity::Warning, why));
        }
        let namespace = backup.metadata.namespace.as_deref();
        if let Some(job) = self.restoring(backup).await? {
            interest.other_jobs(namespace);
            return Err(Stop::Wait {
                reason: Reason::ApplicationBusy,
                message: format!(
                    "RestoreJob {job} restores from this Backup; it is removed when that has ended"
                ),
                give_up_after: Some(PATIENCE),
            });
        }
        let credentials = self.platform_storage().await?;
        if let Some(message) = is_elsewhere(backup, &credentials.location) {
            return Err(Stop::Wait {
                reason: Reason::StorageChanged,
                message,
                give_up_after: Some(OUTAGE),
            });
        }
        interest.strategy(&backup.spec.strategy_ref);
        let since = deleted_at(found).unwrap_or_else(|| self.now());
        let case = self
            .finished_case(backup, ledger, since, credentials)
            .await?;
        if !answers(&case, Question::Forget) {
            return Ok(Removal::Left(format!(
                "plugin {} does not remove backups",
                case.binding.serving.name
            )));
        }
        self.project_for_removal(&case.credentials, namespace.unwrap_or_default())
            .await?;
        let has_begun = has_begun(ledger);
        if let Err(busy) = self
            .take_for_removal(&case.request.subject, found, has_begun)
            .await
        {
            interest.other_jobs(namespace);
            return Err(busy);
        }
        let finished = self.evaluate(&case, Question::Forget).await?;
        interest.reads(&case, &finished.reads);
        self.guard(&case, &finished)?;
        self.carry_out(&case, Question::Forget, &finished, ledger)
            .await?;
        match &finished.answer {
            Reply::Step(Step::Done) => Ok(Removal::Done),
            Reply::Step(Step::Failed(failure)) => Err(Stop::fail(words(failure))),
            Reply::Step(Step::Waiting(wait)) => self.waiting(wait, ledger).map(Removal::Waiting),
            _ => Err(wrong_answer()),
        }
    }

    /// What the Backup goes with that says nothing about its data: a namespace or a definition that is being deleted.
    async fn what_ends(
        &self,
        backup: &Backup,
        begun: Option<&Begun>,
    ) -> Result<Option<String>, Stop> {
        let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
        let kind = &backup.spec.strategy_ref.kind;
        let serving = self.plugin_for(kind, begun);
        let strategy_kind = serving.ok().map(|serving| {
            let plural = &serving.strategy.manifest().strategy_kind.plural;
            definition(&format!("{plural}.{}", backup_api::names::STRATEGY_GROUP))
        });
        let has_plugin = strategy_kind.is_some();
        let targets = [
            object::target("v1", "Namespace", None, namespace),
            definition(&format!("backups.{}", backup_api::names::GROUP)),
            definition(&format!("backupclasses.{}", backup_api::names::GROUP)),
        ];
        let host = Caller::host();
        let targets = targets.iter().chain(&strategy_kind);
        let found = try_join_all(targets.map(|target| self.cluster.get(&host, target))).await?;
        if has_plugin && found.last().is_some_and(Option::is_none) {
            return Err(Stop::Wait {
                reason: Reason::StrategyNotReady,
                message: format!("the definition of strategy kind {kind} is gone"),
                give_up_after: Some(self.settings.configuration_deadline),
            });
        }
        let ending = found
            .iter()
            .flatten()
            .find(|found| object::is_deleting(found));
        Ok(ending.map(|ending| {
            format!(
                "{} is being deleted, and takes no data along",
                object::describe(&object::reference(ending))
            )
        }))
    }

    /// The RestoreJob that restores from a Backup, if one does. One that has not begun is refused by itself.
    async fn restoring(&self, backup: &Backup) -> Result<Option<String>, Stop> {
        let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
        let name = backup.metadata.name.as_deref().unwrap_or_default();
        let jobs = self
            .cluster
            .live_jobs("RestoreJob", Some(namespace))
            .await?;
        let job = jobs.iter().find(|job| {
            object::text(job, &["spec", "backupRef", "name"]) == name
                && !object::text(job, &["status", "startedAt"]).is_empty()
        });
        Ok(job.map(|job| object::reference(job).name))
    }

    /// An operator may need the credentials to remove what it stored. That a namespace has a Secret of its own in their
    /// place is no reason to leave everything else behind.
    async fn project_for_removal(
        &self,
        credentials: &Credentials,
        namespace: &str,
    ) -> Result<(), Stop> {
        match self.project(credentials, namespace).await {
            Err(error @ ProjectionError::ApiError(_)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(namespace, %error, "a Backup is removed without credentials in its namespace");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// A request failed that may succeed later. Until then the status says what is in the way, where it can be written.
    async fn removal_failed(&self, error: ApiError, ledger: &mut Ledger) -> Result<Next, ApiError> {
        if error.can_pass() {
            let words = format!("the API server does not answer: {error}");
            ledger.ready(JobPhase::Running, Reason::Forgetting, &words);
            ledger.write(&self.cluster).await?;
        }
        Err(error)
    }

    /// Turns a stop into how far the removal is.
    fn removal_stopped(&self, stop: Stop, ledger: &mut Ledger, deleted: Timestamp) -> Removal {
        let now = self.now();
        let end = later(deleted, PATIENCE);
        let (reason, message, bound) = match stop {
            Stop::Api(error) => return Removal::Left(error.to_string()),
            Stop::Foreign => return Removal::Left("it is another controller's".to_owned()),
            Stop::NotYet(_) => {
                return Removal::Waiting(Some(later(now, self.settings.look_again)));
            }
            Stop::Wait {
                reason: reason @ Reason::ApplicationBusy,
                message,
                ..
            } => (reason, message, PATIENCE),
            Stop::Wait {
                reason,
                message,
                give_up_after,
            } => (reason, message, give_up_after.unwrap_or(OUTAGE)),
            Stop::Setback {
                reason,
                message,
                action,
            } => match ledger.setback(reason, &message, action.map(|action| *action)) {
                Some(at) => {
                    ledger.ready(JobPhase::Running, reason, &message);
                    return Removal::Waiting(Some(at));
                }
                None => self.failing(format!("{reason}: {message}")),
            },
            Stop::Fail(message) => self.failing(message),
        };
        let since = ledger.wait(reason.as_str());
        let gives_up = later(since, bound).min(end);
        if now >= gives_up {
            let reason = Some(reason).filter(|reason| *reason != Reason::LeftBehind);
            let reason = reason.map_or(String::new(), |reason| format!("{reason}: "));
            return Removal::Left(format!("{reason}{message}"));
        }
        let until = format!("{message} (waiting until {gives_up}, then it is left behind)");
        ledger.ready(JobPhase::Running, reason, &until);
        let pause = self.pause(since);
        Removal::Waiting(Some(later(now, pause).min(gives_up)))
    }

    /// A failure is final in the strategy's words, and is waited out all the same: somebody may mend what they name.
    fn failing(&self, message: String) -> (Reason, String, Duration) {
        (
            Reason::LeftBehind,
            message,
            self.settings.configuration_deadline,
        )
    }

    /// Until when to leave the strategy alone after a setback, also after the last that would end a job.
    fn resting(&self, ledger: &Ledger) -> Option<Timestamp> {
        let strategy = ledger.job.strategy.as_ref()?;
        let last = strategy.setback.as_ref()?.at.0;
        let since = strategy
            .waiting
            .as_ref()
            .map_or(last, |waiting| waiting.since.0);
        let again = later(last, self.pause(since));
        Some(ledger.try_again_at().unwrap_or(again))
    }

    /// The longer something has been waited for, the longer the pause before the next look.
    fn pause(&self, since: Timestamp) -> Duration {
        let waited = Duration::try_from(self.now().duration_since(since)).unwrap_or_default();
        (waited / 4)
            .min(LONGEST_PAUSE)
            .max(self.settings.look_again)
    }

    /// A removal has ended: puts back what it suspended, says what stays, and lets go.
    async fn removed(
        &self,
        removal: Removal,
        backup: &Backup,
        found: &Value,
        ledger: &mut Ledger,
        deleted: Timestamp,
    ) -> Result<Next, ApiError> {
        let became = match &removal {
            Removal::Retained(..) => Removed::Retained,
            Removal::Left(_) => Removed::LeftBehind,
            Removal::Done | Removal::Waiting(_) => Removed::Done,
        };
        let put_back = self.put_back(ledger).await;
        self.or_in_the_end(put_back, deleted)?;
        let left = match removal {
            Removal::Retained(severity, why) => Some((Reason::Retained, severity, why)),
            Removal::Left(why) => Some((Reason::LeftBehind, Severity::Warning, why)),
            Removal::Done | Removal::Waiting(_) => None,
        };
        if let Some((reason, severity, why)) = left {
            let words = format!("{why}; {}", what_stays(backup));
            let said = self.say(found, reason, severity, words).await;
            self.or_in_the_end(said, deleted)?;
        }
        ledger
            .let_go(&self.cluster, &object::reference(found))
            .await?;
        if became == Removed::Done {
            let plugin = ledger.strategy().plugin.clone().unwrap_or_default();
            audit::removed(&object::reference(found), &plugin, stored_at(backup));
        }
        self.has_gone(found, became);
        Ok(Next::gone())
    }

    /// Nothing holds a Backup any more.
    fn has_gone(&self, found: &Value, became: Removed) {
        self.forget_job(object::uid(found));
        let told = BackupOf::of(found);
        self.observer.backup_removed(&told, became);
        self.observer.backup_gone(told.namespace, told.name);
    }

    async fn let_go_of_unreadable(
        &self,
        found: &Value,
        deleted: Timestamp,
        error: &(dyn std::fmt::Display + Sync),
    ) -> Result<Next, ApiError> {
        let words = format!(
            "the Backup cannot be read: {error}; whatever was stored for it stays where it is"
        );
        let said = self
            .say(found, Reason::LeftBehind, Severity::Warning, words)
            .await;
        self.or_in_the_end(said, deleted)?;
        crate::upkeep::let_go(&self.cluster, found).await?;
        self.has_gone(found, Removed::LeftBehind);
        Ok(Next::gone())
    }

    /// What may succeed later is tried again, up to the end of all patience; what cannot is no reason to hold a Backup:
    /// a namespace that ends takes no Events.
    fn or_in_the_end(
        &self,
        result: Result<(), ApiError>,
        deleted: Timestamp,
    ) -> Result<(), ApiError> {
        match result {
            Err(error) if error.can_pass() && self.now() < later(deleted, PATIENCE) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "a Backup goes all the same");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says in an Event and in the log what becomes of a Backup's data.
    async fn say(
        &self,
        found: &Value,
        reason: Reason,
        severity: Severity,
        message: String,
    ) -> Result<(), ApiError> {
        let target = object::reference(found);
        tracing::warn!(
            backup = object::describe(&target),
            %reason,
            message,
            "a Backup goes, and its data stays"
        );
        let on = JobIdentity {
            kind: target.kind,
            namespace: target.namespace.unwrap_or_default(),
            name: target.name,
            uid: object::uid(found).to_owned(),
            started_at: seconds(self.now()),
        };
        let event = Event {
            severity,
            reason: reason.as_str().to_owned(),
            message,
        };
        self.record_event(&on, &event).await
    }
}

/// A removal that has begun must have ended by its deadline, whatever the strategy waits for.
fn in_time(removal: Removal, ledger: &Ledger, now: Timestamp) -> Removal {
    let is_late = ledger.deadline().is_some_and(|deadline| now >= deadline);
    match removal {
        Removal::Waiting(_) if is_late => {
            let ready = ledger
                .job
                .conditions
                .iter()
                .find(|condition| condition.type_ == "Ready");
            let said = ready.map_or("", |ready| ready.message.as_str());
            Removal::Left(format!("not finished in time; it last said: {said}"))
        }
        removal => removal,
    }
}

/// Whether a removal has come to a plan.
fn has_begun(ledger: &Ledger) -> bool {
    ledger
        .job
        .strategy
        .as_ref()
        .is_some_and(|strategy| strategy.plugin.is_some())
}

fn definition(name: &str) -> backup_sandbox::contract::ObjectRef {
    object::target(DEFINITIONS, "CustomResourceDefinition", None, name)
}

/// What a Backup leaves behind.
fn what_stays(backup: &Backup) -> String {
    match stored_at(backup) {
        "" => "whatever was stored for it stays where it is".to_owned(),
        uri => format!("its data stays at {uri}"),
    }
}

/// Where a Backup's data lies, as far as it is known.
fn stored_at(backup: &Backup) -> &str {
    let status = backup.status.as_ref();
    let artifact = status.and_then(|status| status.artifact.as_ref());
    artifact.map_or("", |artifact| artifact.uri.as_str())
}
