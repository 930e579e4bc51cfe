//! The reconciler of jobs: one pass of the way of a BackupJob or a RestoreJob.
//!
//! ```text
//!  live ──► work (backup, restore) ──► Succeeded
//!             │ fails, gives up             ▲ done
//!             ▼                             │
//!           failing ──► abort ──► Failed    │
//!  deleted while live ──► abort ──► gone    │
//! ```
//!
//! A job that has begun is held by a finalizer, so that a deletion can undo first what the job left behind. Undoing is
//! bounded: a job always ends, and a finalizer always goes.

use std::time::Duration;

use backup_api::{
    BackupJob, Failing, JobPhase, ObjectMeta, Reason, RestoreJob, Time, names::API_VERSION,
};
use backup_sandbox::{
    Finished, Question, Reply,
    contract::{ApplicationRef, Failure, ObjectRef, Progress, Step, Wait},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    admit::{Applicant, Case},
    audit,
    backup::parameters_of,
    backup_job::Left,
    cluster::{ApiError, ApiReason, Caller, Cluster},
    host::Host,
    interest::{Interest, Next},
    ledger::{Ledger, later},
    noted::Begun,
    object,
    queue::Key,
    stop::Stop,
};

/// How long undoing may take: as long as an operator needs to remove a database, many times over.
const ABORT_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// A job of either kind.
pub(crate) enum Job {
    Backup(Box<BackupJob>),
    Restore(Box<RestoreJob>),
}

/// How a pass ended that was not stopped.
enum Pass {
    /// Asked again when something changes, or at this time.
    Waiting(Option<Timestamp>),
    /// The work is done, in these words.
    Done(String),
}

impl Job {
    fn read(kind: &str, found: Value) -> Result<Self, ApiError> {
        let unreadable = |error: serde_json::Error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("a {kind} cannot be read: {error}"),
            )
        };
        if kind == "RestoreJob" {
            return Ok(Self::Restore(Box::new(
                serde_json::from_value(found).map_err(unreadable)?,
            )));
        }
        Ok(Self::Backup(Box::new(
            serde_json::from_value(found).map_err(unreadable)?,
        )))
    }

    fn question(&self) -> Question {
        match self {
            Self::Backup(_) => Question::Backup,
            Self::Restore(_) => Question::Restore,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Backup(_) => "BackupJob",
            Self::Restore(_) => "RestoreJob",
        }
    }

    /// What every object has.
    pub(crate) fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Backup(job) => &job.metadata,
            Self::Restore(job) => &job.metadata,
        }
    }

    /// The reasons of a good and of a bad end.
    fn ends(&self) -> (Reason, Reason) {
        match self {
            Self::Backup(_) => (Reason::BackupCompleted, Reason::BackupFailed),
            Self::Restore(_) => (Reason::RestoreCompleted, Reason::RestoreFailed),
        }
    }
}

impl<C: Cluster> Host<C> {
    /// One pass over a BackupJob or RestoreJob: what it needs next, and when to look again.
    ///
    /// # Errors
    /// A request that failed and may succeed later: do the pass again, after a pause that grows.
    pub(crate) async fn reconcile_job(&self, key: &Key) -> Result<Next, ApiError> {
        let target = object::target(API_VERSION, &key.kind, Some(&key.namespace), &key.name);
        let Some(found) = self.cluster.get(&Caller::host(), &target).await? else {
            return Ok(Next::gone());
        };
        let uid = object::uid(&found).to_owned();
        let deleted_at = deleted_at(&found);
        let mut ledger = Ledger::of(&found, self.now())?;
        let is_live = ledger.job.started_at.is_some() && !ledger.is_final();
        if ledger.is_final() || (deleted_at.is_some() && !(ledger.is_held() && is_live)) {
            return self.ended(&target, &uid, &mut ledger).await;
        }
        if let Some(until) = ledger.try_again_at().filter(|until| *until > self.now()) {
            return Ok(Next::at(until));
        }
        let job = Job::read(&key.kind, found)?;
        let mut interest = Interest::of_job(&target, &job, &self.settings.storage);
        let before = ledger.reason().to_owned();
        let failing = ledger
            .job
            .strategy
            .as_ref()
            .and_then(|strategy| strategy.failing.as_ref());
        let next = match (deleted_at, failing.map(|failing| failing.since.0)) {
            (None, None) => self.work(&job, &target, &mut ledger, &mut interest).await?,
            (Some(since), _) | (None, Some(since)) => {
                self.undo_or_end(&job, &target, &mut ledger, &mut interest, since)
                    .await?
            }
        };
        if ledger.is_final() {
            // Let go first: a finished job that is held would have to be looked for among thousands.
            let next = self.ended(&target, &uid, &mut ledger).await?;
            if deleted_at.is_none() {
                self.notice(&target, &uid, &before, &ledger).await?;
                ledger.write(&self.cluster).await?;
            }
            audit_restore(&target, &ledger);
            self.tell_end(&job, &ledger);
            return Ok(next);
        }
        self.notice(&target, &uid, &before, &ledger).await?;
        ledger.write(&self.cluster).await?;
        Ok(next.watching(interest))
    }

    /// Nothing is left to do for a job.
    async fn ended(
        &self,
        target: &ObjectRef,
        uid: &str,
        ledger: &mut Ledger,
    ) -> Result<Next, ApiError> {
        self.forget_job(uid);
        ledger.let_go(&self.cluster, target).await?;
        Ok(Next::over(uid))
    }

    /// A pass of the work itself.
    async fn work(
        &self,
        job: &Job,
        target: &ObjectRef,
        ledger: &mut Ledger,
        interest: &mut Interest,
    ) -> Result<Next, ApiError> {
        let passed = self.work_pass(job, target, ledger, interest).await;
        let again = match passed {
            Ok(Pass::Done(message)) => {
                self.put_back(ledger).await?;
                ledger.finish(JobPhase::Succeeded, job.ends().0, &message);
                return Ok(Next::gone());
            }
            Ok(Pass::Waiting(at)) => at,
            Err(stop) => {
                self.make_way(&stop, job, ledger);
                match self.stopped(stop, ledger, JobPhase::Pending)? {
                    Stopped::Again(at) => Some(at),
                    Stopped::Foreign => return Ok(Next::gone()),
                    Stopped::Failed(message) => return self.fail(job, ledger, message).await,
                }
            }
        };
        let deadline = ledger.deadline();
        if let Some(at) = deadline.filter(|at| self.now() >= *at) {
            let said = ledger.job.message.clone().unwrap_or_default();
            let message = format!("not finished by {at}; it last said: {said}");
            return self.fail(job, ledger, message).await;
        }
        Ok(again
            .into_iter()
            .chain(deadline)
            .min()
            .map_or_else(Next::quiet, Next::at))
    }

    /// A job that has not begun, and waits for something else than its turn, keeps neither a place of the plugin nor
    /// applications: it does not stand in line, others may be able to begin, and a new process would not know of it.
    fn make_way(&self, stop: &Stop, job: &Job, ledger: &Ledger) {
        let waits_for_its_turn = matches!(
            stop,
            Stop::Api(_)
                | Stop::Wait {
                    reason: Reason::PluginBusy,
                    ..
                }
        );
        if ledger.job.started_at.is_none() && !waits_for_its_turn {
            let uid = job.metadata().uid.as_deref().unwrap_or_default();
            self.capacity.release(uid);
            self.locks.release(uid);
        }
    }

    async fn work_pass(
        &self,
        job: &Job,
        target: &ObjectRef,
        ledger: &mut Ledger,
        interest: &mut Interest,
    ) -> Result<Pass, Stop> {
        let question = job.question();
        let case = self.case(job, ledger, interest).await?;
        let late = ledger.deadline_of_another(case.binding.job_deadline);
        if let Some(at) = late.filter(|at| self.now() >= *at) {
            // To begin with it now would order something that is taken back a moment later.
            return Err(Stop::fail(format!(
                "not finished by {at}; another controller began it, and this one has done nothing for it"
            )));
        }
        let applications = self.applications_of(&case, ledger).await?;
        if let Err(busy) = self.take_applications(&applications, job, ledger).await {
            interest.other_jobs(Some(&case.request.subject.namespace));
            return Err(busy);
        }
        ledger.holds(&applications);
        let has_begun = ledger.job.started_at.is_some();
        let serving = &case.binding.serving;
        self.take_place(serving, Key::named(target), job.metadata(), has_begun)?;
        let finished = self.evaluate(&case, question).await?;
        interest.reads(&case, &finished.reads);
        self.guard(&case, &finished)?;
        if answers_abort(&case) && !ledger.is_held() {
            let is_success = matches!(finished.answer, Reply::Progress(Progress::Succeeded(_)));
            match job {
                Job::Backup(job) if has_begun && is_success => {
                    if let Some(message) = self.deleted_since(job).await? {
                        return Ok(Pass::Done(message));
                    }
                }
                _ => ledger.hold(&self.cluster, target).await?,
            }
        }
        self.carry_out(&case, question, &finished, ledger).await?;
        match &finished.answer {
            Reply::Progress(Progress::Waiting(wait)) | Reply::Step(Step::Waiting(wait)) => {
                self.waiting(wait, ledger).map(Pass::Waiting)
            }
            Reply::Progress(Progress::Failed(failure)) | Reply::Step(Step::Failed(failure)) => {
                Err(Stop::fail(words(failure)))
            }
            Reply::Progress(Progress::Succeeded(success)) => match job {
                Job::Backup(job) => self
                    .backup_succeeded(job, &case, success, ledger)
                    .await
                    .map(Pass::Done),
                Job::Restore(_) => Err(wrong_answer()),
            },
            Reply::Step(Step::Done) => {
                let source = case
                    .request
                    .source
                    .as_ref()
                    .map_or("", |source| source.name.as_str());
                Ok(Pass::Done(format!("Backup {source} is restored")))
            }
            _ => Err(wrong_answer()),
        }
    }

    /// What a job is about, by its kind.
    async fn case(
        &self,
        job: &Job,
        ledger: &Ledger,
        interest: &mut Interest,
    ) -> Result<Case, Stop> {
        match job {
            Job::Backup(job) => {
                if ledger.job.started_at.is_none() {
                    self.name_is_free(job, interest).await?;
                }
                self.backup_case(job, interest).await
            }
            Job::Restore(job) => self.restore_case(job, interest).await,
        }
    }

    /// Commits a plan, and notes what it says.
    pub(crate) async fn carry_out(
        &self,
        case: &Case,
        question: Question,
        finished: &Finished,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        if let Some(wait) = awaits(&finished.answer)
            && question != Question::Abort
        {
            // Written together with what must survive a crash: once the actions have run there is nothing to add.
            note(wait, ledger);
        }
        let committed = self.commit(case, question, &finished.plan, ledger).await;
        self.told(case, committed)?;
        ledger.strategy().setback = None;
        for condition in &finished.plan.conditions {
            let message = condition.message.clone();
            ledger.condition(
                &condition.type_,
                condition.status,
                &condition.reason,
                message,
            );
        }
        self.record_events(case, &finished.plan.events).await
    }

    /// Notes what a strategy waits for; gives back when to ask again at the latest.
    pub(crate) fn waiting(
        &self,
        wait: &Wait,
        ledger: &mut Ledger,
    ) -> Result<Option<Timestamp>, Stop> {
        let after = |since, seconds: u32| later(since, Duration::from_secs(seconds.into()));
        let since = note(wait, ledger);
        let gives_up = wait
            .give_up_after_seconds
            .map(|seconds| after(since, seconds));
        if gives_up.is_some_and(|at| self.now() >= at) {
            return Err(Stop::fail(format!("{} (gave up waiting)", said(wait))));
        }
        let again = wait
            .ask_again_after_seconds
            .map(|seconds| after(self.now(), seconds));
        Ok(again.into_iter().chain(gives_up).min())
    }

    /// Turns a stop into the job's status.
    fn stopped(
        &self,
        stop: Stop,
        ledger: &mut Ledger,
        phase: JobPhase,
    ) -> Result<Stopped, ApiError> {
        match stop {
            Stop::Api(error) => Err(error),
            Stop::Foreign => Ok(Stopped::Foreign),
            Stop::NotYet(_) => Ok(Stopped::Again(later(self.now(), self.settings.look_again))),
            Stop::Fail(message) => Ok(Stopped::Failed(message)),
            Stop::Wait {
                reason,
                message,
                give_up_after,
            } => {
                let since = ledger.wait(reason.as_str());
                // Every wait ends. A job's turn comes by itself, as the jobs before it end.
                let is_in_line = matches!(reason, Reason::ApplicationBusy | Reason::PluginBusy);
                let longest = (!is_in_line).then_some(self.settings.job_deadline);
                let gives_up = give_up_after
                    .or(longest)
                    .map(|duration| later(since, duration));
                if gives_up.is_some_and(|at| self.now() >= at) {
                    return Ok(Stopped::Failed(format!(
                        "{reason}: {message} (gave up waiting)"
                    )));
                }
                ledger.ready(phase, reason, &message);
                let look = later(self.now(), self.settings.look_again);
                Ok(Stopped::Again(gives_up.map_or(look, |at| at.min(look))))
            }
            Stop::Setback {
                reason,
                message,
                action,
            } => match ledger.setback(reason, &message, action.map(|action| *action)) {
                Some(at) => {
                    ledger.ready(phase, reason, &message);
                    Ok(Stopped::Again(at))
                }
                None => Ok(Stopped::Failed(format!("{reason}: {message}"))),
            },
        }
    }

    /// The work has failed. What a job that had begun left behind is undone before it ends.
    async fn fail(
        &self,
        job: &Job,
        ledger: &mut Ledger,
        message: String,
    ) -> Result<Next, ApiError> {
        if let Some(next) = self.succeeded_already(job, ledger).await? {
            return Ok(next);
        }
        let now = Time(self.now());
        let has_begun = ledger
            .job
            .strategy
            .as_ref()
            .is_some_and(|strategy| strategy.plugin.is_some());
        let strategy = ledger.strategy();
        strategy.failing = Some(Failing {
            message: message.clone(),
            since: now,
        });
        strategy.setback = None;
        strategy.waiting = None;
        if !has_begun {
            return self.failed(job, ledger, String::new).await;
        }
        ledger.ready(JobPhase::Running, Reason::Aborting, &message);
        Ok(Next::at(self.now()))
    }

    /// The job ends as failed, with what made it fail.
    async fn failed(
        &self,
        job: &Job,
        ledger: &mut Ledger,
        otherwise: impl FnOnce() -> String,
    ) -> Result<Next, ApiError> {
        self.put_back(ledger).await?;
        let strategy = ledger.strategy();
        let message = strategy
            .failing
            .take()
            .map_or_else(otherwise, |failing| failing.message);
        strategy.setback = None;
        ledger.finish(JobPhase::Failed, job.ends().1, &message);
        Ok(Next::gone())
    }

    /// A pass over a job that has failed or is deleted: undoes what it left behind, then ends it. A job whose Backup is
    /// there has succeeded, whatever came between the Backup and the job's own status.
    async fn undo_or_end(
        &self,
        job: &Job,
        target: &ObjectRef,
        ledger: &mut Ledger,
        interest: &mut Interest,
        since: Timestamp,
    ) -> Result<Next, ApiError> {
        if let Some(next) = self.succeeded_already(job, ledger).await? {
            return Ok(next);
        }
        let undone = self.undo(job, target, ledger, interest, since).await?;
        match undone {
            Some(next) => Ok(next),
            None => {
                let called_off = || "the job was deleted before it had ended".to_owned();
                self.failed(job, ledger, called_off).await
            }
        }
    }

    /// Ends a job whose Backup is complete. One that is not is taken back.
    async fn succeeded_already(
        &self,
        job: &Job,
        ledger: &mut Ledger,
    ) -> Result<Option<Next>, ApiError> {
        let Job::Backup(backup_job) = job else {
            return Ok(None);
        };
        match self.backup_left_by(backup_job).await? {
            Left::Nothing => Ok(None),
            Left::Unfinished(backup) => {
                self.delete_found(&backup).await?;
                Ok(None)
            }
            Left::Complete => {
                self.put_back(ledger).await?;
                ledger.strategy().failing = None;
                let message = self.led_to(backup_job, ledger);
                ledger.finish(JobPhase::Succeeded, job.ends().0, &message);
                Ok(Some(Next::gone()))
            }
        }
    }

    /// A pass of undoing; none when it is over, whichever way.
    async fn undo(
        &self,
        job: &Job,
        target: &ObjectRef,
        ledger: &mut Ledger,
        interest: &mut Interest,
        since: Timestamp,
    ) -> Result<Option<Next>, ApiError> {
        let deadline = later(since, ABORT_DEADLINE);
        if self.now() >= deadline {
            tracing::warn!(
                ?target,
                "undoing what the job left behind took too long; it is left as it is"
            );
            return Ok(None);
        }
        let why = ledger
            .job
            .strategy
            .as_ref()
            .and_then(|strategy| strategy.failing.as_ref());
        let why = why.map_or("the job was deleted".to_owned(), |failing| {
            failing.message.clone()
        });
        let again = match self.undo_pass(job, ledger, interest).await {
            Ok(None) => return Ok(None),
            Ok(Some(at)) => at,
            Err(stop) => match self.stopped(stop, ledger, JobPhase::Running)? {
                Stopped::Again(at) => Some(at),
                Stopped::Foreign => return Ok(None),
                Stopped::Failed(message) => {
                    tracing::warn!(
                        ?target,
                        message,
                        "what the job left behind could not be undone"
                    );
                    return Ok(None);
                }
            },
        };
        ledger.ready(JobPhase::Running, Reason::Aborting, &why);
        Ok(Some(Next::at(
            again.map_or(deadline, |at| at.min(deadline)),
        )))
    }

    /// What undoing is about, from what the job noted when it began: neither class nor Backup nor the strategy object
    /// need to be there any more.
    async fn undo_case(
        &self,
        job: &Job,
        ledger: &Ledger,
        interest: &mut Interest,
    ) -> Result<Case, Stop> {
        let noted = ledger.job.strategy.as_ref();
        let into = noted.and_then(|noted| noted.target_namespace.as_deref());
        let noted = noted.and_then(|noted| {
            noted
                .strategy_ref
                .clone()
                .zip(noted.application_ref.clone())
        });
        let Some((strategy_ref, application)) = noted else {
            return Err(Stop::fail("the job has not noted what it works with"));
        };
        interest.strategy(&strategy_ref);
        let metadata = job.metadata();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let (source, parameters, options) = match job {
            Job::Backup(job) => (None, self.class_parameters(job).await?, None),
            Job::Restore(job) => {
                let source = self.backup_if_there(job, namespace).await?;
                let parameters = source.as_ref().map(parameters_of);
                (
                    source,
                    parameters.unwrap_or_default(),
                    job.spec.options.as_ref(),
                )
            }
        };
        let begun = Begun::job(ledger.job.strategy.as_ref());
        let binding = self
            .resolve_noted(strategy_ref, parameters, begun.as_ref())
            .await?;
        let applicant = Applicant {
            kind: job.kind(),
            namespace,
            name: metadata.name.as_deref().unwrap_or_default(),
            uid: metadata.uid.as_deref().unwrap_or_default(),
            subject: application_ref(&application, into.unwrap_or(namespace)),
            status: &ledger.job,
            options: options.map_or("{}".to_owned(), |options| options.to_string()),
            backup: source.as_ref(),
        };
        // Nothing is projected for undoing: a namespace that is being deleted takes no new Secret.
        let credentials = self.platform_storage().await?;
        self.case_of(binding, &applicant, credentials).await
    }

    async fn undo_pass(
        &self,
        job: &Job,
        ledger: &mut Ledger,
        interest: &mut Interest,
    ) -> Result<Option<Option<Timestamp>>, Stop> {
        let case = self.undo_case(job, ledger, interest).await?;
        if !answers_abort(&case) {
            return Ok(None);
        }
        let finished = self.evaluate(&case, Question::Abort).await?;
        interest.reads(&case, &finished.reads);
        self.guard(&case, &finished)?;
        self.carry_out(&case, Question::Abort, &finished, ledger)
            .await?;
        match &finished.answer {
            Reply::Step(Step::Waiting(wait)) => self.waiting(wait, ledger).map(Some),
            Reply::Step(Step::Done) => Ok(None),
            Reply::Step(Step::Failed(failure)) => Err(Stop::fail(words(failure))),
            _ => Err(wrong_answer()),
        }
    }
}

/// Says in the log that a restore has ended which had begun.
fn audit_restore(target: &ObjectRef, ledger: &Ledger) {
    let Some(strategy) = ledger.job.strategy.as_ref() else {
        return;
    };
    let (Some(plugin), Some(application)) = (&strategy.plugin, &strategy.application_ref) else {
        return;
    };
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let phase = ledger.job.phase;
    if let ("RestoreJob", Some(phase)) = (target.kind.as_str(), phase) {
        let application = format!("{} {namespace}/{}", application.kind, application.name);
        audit::restored(target, plugin, &application, phase);
    }
}

/// What a stop amounts to.
enum Stopped {
    /// Another pass, at this time at the latest.
    Again(Timestamp),
    /// The work has failed, in these words.
    Failed(String),
    /// The job is another controller's.
    Foreign,
}

/// Whether the strategy undoes by itself; the contract's default is that there is nothing to undo.
fn answers_abort(case: &Case) -> bool {
    answers(case, Question::Abort)
}

/// Whether the strategy answers a question by itself, and not as the contract's default has it.
pub(crate) fn answers(case: &Case, question: Question) -> bool {
    let questions = &case.binding.serving.strategy.manifest().questions;
    questions.as_ref().is_none_or(|questions| {
        questions
            .iter()
            .any(|answered| answered == question.as_str())
    })
}

/// An answer that is none to the question.
pub(crate) fn wrong_answer() -> Stop {
    Stop::setback(
        Reason::PluginError,
        "the strategy answered another question than it was asked",
    )
}

/// What the strategy waits for, if it does.
fn awaits(answer: &Reply) -> Option<&Wait> {
    match answer {
        Reply::Progress(Progress::Waiting(wait)) | Reply::Step(Step::Waiting(wait)) => Some(wait),
        _ => None,
    }
}

/// Notes what a strategy waits for; gives back since when it has.
fn note(wait: &Wait, ledger: &mut Ledger) -> Timestamp {
    let since = ledger.wait(&wait.reason);
    let (phase, reason) = match (ledger.backup().is_some(), wait.started) {
        (true, _) => (JobPhase::Running, Reason::Forgetting),
        (false, true) => (JobPhase::Running, Reason::Running),
        (false, false) => (JobPhase::Pending, Reason::Waiting),
    };
    ledger.ready(phase, reason, &said(wait));
    since
}

fn said(wait: &Wait) -> String {
    format!("{}: {}", wait.reason, wait.message)
}

/// A strategy's failure, for a person.
pub(crate) fn words(failure: &Failure) -> String {
    format!("{}: {}", failure.reason, failure.message)
}

/// Since when an object waits for its finalizers.
pub(crate) fn deleted_at(object: &Value) -> Option<Timestamp> {
    object::text(object, &["metadata", "deletionTimestamp"])
        .parse()
        .ok()
}

/// The application that a reference names, in a namespace.
pub(crate) fn application_ref(
    reference: &backup_api::ApplicationReference,
    namespace: &str,
) -> ApplicationRef {
    ApplicationRef {
        group: reference.group().to_owned(),
        kind: reference.kind.clone(),
        namespace: namespace.to_owned(),
        name: reference.name.clone(),
    }
}
