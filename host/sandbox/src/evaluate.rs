//! One question to a strategy, in rounds.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::{
    Answer, EvaluationError, LoadError, LogLine, Plan, Question, Read, Request, Snapshot, answer,
    contract::{Entry, Failure, Path, Problem, Progress, Step, Verdict},
    host::{Host, Stop},
    load::{Guest, Strategy},
};

/// What came of a round.
#[derive(Debug)]
pub enum Round {
    /// The snapshot lacks this: [`supply`](Evaluation::supply) it, and run the next round.
    Needs(Read),
    /// The strategy has answered.
    Finished(Box<Finished>),
}

/// A strategy's answer and everything that belongs to it. Nothing of aborted rounds is in it, but for the cost.
#[derive(Debug, PartialEq)]
pub struct Finished {
    /// What the strategy returned.
    pub answer: Reply,
    /// What it wrote down.
    pub plan: Plan,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// What it really read, sorted: what the next evaluation's snapshot should begin with, and what to watch.
    pub reads: Vec<Read>,
    /// What it used, all rounds together.
    pub cost: Cost,
}

/// The answer to a [`Question`], in the contract's words.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To `describe`: the manifest's text.
    Manifest(String),
    /// To `validate`.
    Problems(Vec<Problem>),
    /// To `paths`.
    Paths(Result<Vec<Path>, Failure>),
    /// To `backup`.
    Progress(Progress),
    /// To `restore`, `abort` and `forget`.
    Step(Step),
    /// To `check`.
    Verdict(Verdict),
}

/// What an evaluation used. Fuel and memory are the same for the same request and snapshot on any machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// WebAssembly instructions, roughly.
    pub fuel: u64,
    /// Linear memory of the largest round, in bytes.
    pub memory_bytes: usize,
    /// Rounds, the last one included.
    pub rounds: u32,
}

/// What a question without a job is asked about.
struct Validation {
    spec: String,
    parameters: Vec<Entry>,
}

/// One question on its way to an answer. It can move between threads; a round blocks its thread for as long as
/// the strategy computes, at most [`Limits::deadline`](crate::Limits::deadline).
pub struct Evaluation {
    guest: Guest,
    question: Question,
    request: Option<Arc<Request>>,
    validation: Option<Validation>,
    snapshot: Snapshot,
    /// Computing time that is left. Time between rounds is the caller's.
    time: Duration,
    /// Fuel that is left.
    fuel: u64,
    cost: Cost,
}

impl Strategy {
    /// Asks a question about a job. The evaluation begins with what `snapshot` holds, which should be the
    /// answers to what the last evaluation of the job read.
    ///
    /// [`Question::Validate`] has arguments of its own: [`Strategy::validate`].
    #[must_use]
    pub fn evaluate(
        &self,
        question: Question,
        request: Arc<Request>,
        snapshot: Snapshot,
    ) -> Evaluation {
        Evaluation::new(&self.guest, question, Some(request), None, snapshot)
    }

    /// Asks whether a spec, as JSON text with its templates not yet rendered, and parameters make sense. Empty
    /// means that they do.
    ///
    /// # Errors
    /// As [`Evaluation::round`].
    pub fn validate(
        &self,
        spec: &str,
        parameters: &[Entry],
    ) -> Result<Vec<Problem>, EvaluationError> {
        let validation = Validation {
            spec: spec.to_owned(),
            parameters: parameters.to_vec(),
        };
        match self.guest.ask(Question::Validate, Some(validation))? {
            Reply::Problems(problems) => Ok(problems),
            other => Err(EvaluationError::Internal(format!(
                "`validate` was answered with {other:?}"
            ))),
        }
    }
}

impl Guest {
    /// Asks for the manifest's text.
    pub(crate) fn describe(&self) -> Result<String, EvaluationError> {
        match self.ask(Question::Describe, None)? {
            Reply::Manifest(text) => Ok(text),
            other => Err(EvaluationError::Internal(format!(
                "`describe` was answered with {other:?}"
            ))),
        }
    }

    /// Instantiates it once, which is the only check of the types of its exports.
    pub(crate) fn trial(&self) -> Result<(), LoadError> {
        let mut evaluation =
            Evaluation::new(self, Question::Describe, None, None, Snapshot::default());
        let _turn = self.machine.turns.take();
        let mut store = evaluation.store();
        let began = Instant::now();
        let outcome = evaluation.prepare(&mut store, began).and_then(|()| {
            let _running = self.machine.ticker.running();
            self.pre.instantiate(&mut store)
        });
        let Err(error) = outcome else { return Ok(()) };
        if !(error.is::<Trap>() || error.is::<Stop>() || error.is::<PoolConcurrencyLimitError>()) {
            return Err(LoadError::Mismatch(format!("{error:#}")));
        }
        evaluation
            .explain(error, store.into_data())
            .map(drop)
            .map_err(LoadError::Describe)
    }

    /// Asks a question that reads nothing.
    fn ask(
        &self,
        question: Question,
        validation: Option<Validation>,
    ) -> Result<Reply, EvaluationError> {
        match Evaluation::new(self, question, None, validation, Snapshot::default()).round()? {
            Round::Finished(finished) => Ok(finished.answer),
            Round::Needs(read) => Err(EvaluationError::Internal(format!(
                "`{question}` was offered {read:?}"
            ))),
        }
    }
}

impl Evaluation {
    fn new(
        guest: &Guest,
        question: Question,
        request: Option<Arc<Request>>,
        validation: Option<Validation>,
        snapshot: Snapshot,
    ) -> Self {
        let guest = guest.clone();
        let (time, fuel) = (guest.limits.deadline, guest.limits.fuel);
        let cost = Cost::default();
        Self {
            guest,
            question,
            request,
            validation,
            snapshot,
            time,
            fuel,
            cost,
        }
    }

    /// Adds the answer that the last round needed.
    pub fn supply(&mut self, read: Read, answer: Answer) {
        self.snapshot.insert(read, answer);
    }

    /// What it has used so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// What it runs on: with the request, all that is needed to run it again elsewhere.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Runs the strategy from the start, in a fresh instance, until it answers or reads what is not in the
    /// snapshot.
    ///
    /// # Errors
    /// The strategy hit a limit, broke the contract or trapped; all of it is final.
    pub fn round(&mut self) -> Result<Round, EvaluationError> {
        let machine = Arc::clone(&self.guest.machine);
        let _turn = machine.turns.take();
        let mut store = self.store();
        let began = Instant::now();
        let outcome = self
            .prepare(&mut store, began)
            .and_then(|()| self.run(&mut store));
        self.account(&store, began);
        let mut host = store.into_data();
        self.snapshot = mem::take(&mut host.snapshot);
        match outcome {
            Ok(answer) => self.finish(answer, host),
            Err(error) => self.explain(error, host),
        }
    }

    fn store(&mut self) -> Store<Host> {
        let limits = Arc::clone(&self.guest.limits);
        let host = Host::new(
            self.question,
            limits,
            self.request.clone(),
            mem::take(&mut self.snapshot),
        );
        Store::new(&self.guest.machine.engine, host)
    }

    /// Sets the limits of this round: what is left of the evaluation's.
    fn prepare(&self, store: &mut Store<Host>, began: Instant) -> wasmtime::Result<()> {
        store.limiter(|host| &mut host.limiter);
        store.set_fuel(self.fuel)?;
        store.set_hostcall_fuel(self.guest.limits.call_bytes);
        let time = self.time;
        // Ticks come late on a busy machine, so each only makes the guest look at the real clock.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            Ok(if began.elapsed() < time {
                UpdateDeadline::Continue(1)
            } else {
                UpdateDeadline::Interrupt
            })
        });
        Ok(())
    }

    /// Instantiates and calls.
    fn run(&self, store: &mut Store<Host>) -> wasmtime::Result<Reply> {
        let _running = self.guest.machine.ticker.running();
        let instance = self.guest.pre.instantiate(&mut *store)?;
        let guest = instance.cozystack_backup_strategy_strategy();
        Ok(match self.question {
            Question::Describe => Reply::Manifest(guest.call_describe(store)?),
            Question::Validate => {
                let Some(Validation { spec, parameters }) = &self.validation else {
                    let error =
                        EvaluationError::Internal("`validate` is asked without a spec".to_owned());
                    return Err(Stop::Failed(error).into());
                };
                Reply::Problems(guest.call_validate(store, spec, parameters)?)
            }
            Question::Paths => Reply::Paths(guest.call_paths(store)?),
            Question::Backup => Reply::Progress(guest.call_backup(store)?),
            Question::Restore => Reply::Step(guest.call_restore(store)?),
            Question::Abort => Reply::Step(guest.call_abort(store)?),
            Question::Forget => Reply::Step(guest.call_forget(store)?),
            Question::Check => Reply::Verdict(guest.call_check(store)?),
        })
    }

    /// Takes off the budget what the round used.
    fn account(&mut self, store: &Store<Host>, began: Instant) {
        let left = store.get_fuel().unwrap_or(0);
        self.cost.fuel += self.fuel.saturating_sub(left);
        self.cost.memory_bytes = self
            .cost
            .memory_bytes
            .max(store.data().limiter.memory_bytes());
        self.cost.rounds += 1;
        self.fuel = left;
        self.time = self.time.saturating_sub(began.elapsed());
    }

    fn finish(&self, answer: Reply, host: Host) -> Result<Round, EvaluationError> {
        answer::check(&answer).map_err(|problem| EvaluationError::Answer {
            question: self.question,
            problem,
        })?;
        let Host {
            plan, log, reads, ..
        } = host;
        let reads = reads.into_iter().collect();
        Ok(Round::Finished(Box::new(Finished {
            answer,
            plan,
            log,
            reads,
            cost: self.cost,
        })))
    }

    /// Finds out why a round ended without an answer.
    fn explain(&self, error: wasmtime::Error, host: Host) -> Result<Round, EvaluationError> {
        let question = self.question;
        let limits = Arc::clone(&self.guest.limits);
        let error = match error.downcast::<Stop>() {
            Ok(Stop::Need(last)) if self.cost.rounds >= limits.rounds => {
                return Err(EvaluationError::Rounds {
                    question,
                    limit: limits.rounds,
                    last,
                });
            }
            Ok(Stop::Need(read)) => return Ok(Round::Needs(read)),
            Ok(Stop::Failed(error)) => return Err(error),
            Err(error) => error,
        };
        Err(match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => EvaluationError::Deadline {
                question,
                limit: limits.deadline,
            },
            Some(Trap::OutOfFuel) => EvaluationError::Fuel {
                question,
                limit: limits.fuel,
            },
            _ if error.is::<PoolConcurrencyLimitError>() => {
                EvaluationError::Internal(format!("{error:#}"))
            }
            _ if is_too_large(&error) => {
                let what = too_large(&error).to_owned();
                EvaluationError::Bytes {
                    question,
                    what,
                    limit: limits.call_bytes,
                }
            }
            _ => {
                let message = host
                    .last_error()
                    .map_or_else(|| trap(&error), str::to_owned);
                EvaluationError::Trap {
                    question,
                    message,
                    log: host.log,
                }
            }
        })
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            question,
            request,
            cost,
            ..
        } = self;
        f.debug_struct("Evaluation")
            .field("question", question)
            .field("request", request)
            .field("cost", cost)
            .finish()
    }
}

/// wasmtime keeps the type of this error to itself. A test sees to it that its text stays what it is.
fn is_too_large(error: &wasmtime::Error) -> bool {
    error
        .root_cause()
        .to_string()
        .contains("fuel allocated for hostcalls has been exhausted")
}

/// Arguments are copied while the guest is running, so there is a trace of it; the answer when it has returned.
fn too_large(error: &wasmtime::Error) -> &'static str {
    if error.downcast_ref::<WasmBacktrace>().is_some() {
        "what it handed to a function"
    } else {
        "its answer"
    }
}

/// A trap in wasmtime's words, on one line.
fn trap(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    match error.downcast_ref::<Trap>() {
        // A stack that grows down from the data meets the end of memory before it meets our limit.
        Some(Trap::MemoryOutOfBounds) => {
            format!("{cause} (a recursion that never ends also looks like this)")
        }
        _ => cause,
    }
}
