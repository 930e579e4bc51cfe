//! Runs a schedule: users, operators and the host take turns, and after each everything is looked at.

use std::{
    any::Any,
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use backup_api::names::API_VERSION;
use backup_engine::{Evaluator, Host, Key, Passed, Runner, Settings, Storage, memory_clock};

use crate::{
    bugs::{Bug, Planted},
    ground::{Ground, Watches, text, unless_crashed},
    invariants::{Verdict, Violation, broken},
    line::Line,
    observer::Observer,
    record::{Job, has_started, named, reason, said},
    schedule::{Ending, Schedule},
};

/// A turn of everybody, in seconds.
const TURN: u32 = 15;

/// So long after the last event everything goes on as it is.
const AFTERMATH: u32 = 120;

/// So many passes in one turn have no end. A dozen jobs need a few for every change.
const RESTLESS: usize = 1_000;

/// Once faults have stopped and operators are fair, every job ends within this time: waiting for configuration is
/// bounded by half an hour, what strategies wait for by half an hour each, and jobs stand in line for an application.
const BOUND: i64 = 6 * 60 * 60;

/// Where operators stay silent, a job has a day from its start, and then an hour to undo; jobs stand in line for an
/// application, so each has that time.
const BOUND_OF_EACH: i64 = 26 * 60 * 60;

/// How often the host looks for what it cannot watch, once everything stays as it is. A day of the usual half minutes
/// would take seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);

/// What a job that has not started waits for without an end, since it may come.
const MAY_COME: [&str; 3] = [
    "ApplicationBusy",
    "CredentialsProjectionPending",
    "PermissionMissing",
];

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What happened, where it was asked for.
    pub history: Vec<String>,
    /// How many passes the host made.
    pub passes: usize,
    /// How the jobs ended: `BackupJob Failed, there: EtcdBackupFailed` and so on.
    pub ends: Vec<String>,
}

struct World {
    ground: Ground,
    observer: Observer,
    /// The host with its queue; none while its process is gone.
    host: Option<Runner<Planted>>,
    /// When a host that is gone is started again, in seconds after the start.
    start_at: u32,
    /// Seconds after the start, whatever the clock says.
    elapsed: u32,
    bug: Option<Bug>,
    passes: usize,
    ending: Ending,
    settings: Settings,
}

/// Runs a schedule.
///
/// # Errors
/// When the simulation itself is not in order, as where the strategies are not built.
pub fn run(schedule: &Schedule, bug: Option<Bug>, keeps_history: bool) -> anyhow::Result<Outcome> {
    let ground = Ground::new(schedule.seed, keeps_history)?;
    let observer = Observer::of(&ground);
    let mut world = World {
        ground,
        observer,
        host: None,
        start_at: 0,
        elapsed: 0,
        bug,
        passes: 0,
        ending: schedule.ending,
        settings: Settings::default(),
    };
    world.start();
    let violation = match catch_unwind(AssertUnwindSafe(|| world.live_through(schedule))) {
        Ok(lived) => lived?.err(),
        Err(panic) => broken("the host does not panic", words(panic.as_ref())).err(),
    };
    let ends = world.observer.record.jobs().map(ended).collect();
    let history = world.ground.trace().take();
    Ok(Outcome {
        violation,
        history,
        passes: world.passes,
        ends,
    })
}

/// What somebody said who panicked.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

impl World {
    /// The whole of it, from the first event until nothing changes any more.
    fn live_through(&mut self, schedule: &Schedule) -> anyhow::Result<Verdict> {
        if let Err(violation) = self.play(schedule) {
            return Ok(Err(violation));
        }
        self.mend()?;
        Ok(self.come_to_rest())
    }

    /// A new process of the host: nothing is left of what another had in memory.
    fn start(&mut self) {
        let line = Line {
            ground: self.ground.clone(),
        };
        let host = Host::new(
            Planted::new(line, self.bug),
            self.settings.clone(),
            Arc::clone(&self.ground.strategies),
            Arc::clone(&self.ground.storage) as Arc<dyn Storage>,
            memory_clock(&self.ground.cluster),
            Evaluator::Inline,
        );
        self.host = Some(Runner::over(Arc::new(host), self.ground.cluster.clone()));
    }

    /// Lets everything happen that the schedule says.
    fn play(&mut self, schedule: &Schedule) -> Verdict {
        let mut events = schedule.events.iter().peekable();
        let end = schedule.events.last().map_or(0, |event| event.at) + AFTERMATH;
        while self.elapsed <= end {
            while let Some(event) = events.next_if(|event| event.at <= self.elapsed) {
                event.happen(&self.ground);
                self.look()?;
            }
            self.turn()?;
            self.elapsed += TURN;
            self.ground.cluster.advance(TURN.into());
        }
        Ok(())
    }

    /// A turn of the host, of the operators, and of the host again.
    fn turn(&mut self) -> Result<bool, Violation> {
        if self.host.is_none() && self.start_at <= self.elapsed {
            self.ground.note(|| "  the host starts".to_owned());
            self.start();
        }
        self.work()?;
        let moved = self.ground.operators_turn();
        self.look()?;
        self.work()?;
        self.ask_a_finished_job()?;
        // The cluster's own log of requests would grow.
        drop(self.ground.cluster.take_requests());
        Ok(moved)
    }

    /// The host makes passes until none is due.
    fn work(&mut self) -> Verdict {
        for _ in 0..RESTLESS {
            self.tell_host();
            let Some(host) = &mut self.host else {
                return Ok(());
            };
            let stepped = unless_crashed(host.step());
            match &stepped {
                Some(None) => return Ok(()),
                Some(Some(passed)) => self.note_failure(passed),
                None => self.crash(),
            }
            self.passes += 1;
            self.look()?;
        }
        broken("passes come to rest", "one after the other is due")
    }

    /// The host's process is gone, for as long as the fault says.
    fn crash(&mut self) {
        let down = self.ground.faults().take_crash().unwrap_or_default();
        self.start_at = self.elapsed + down;
        self.host = None;
    }

    /// What a pass has done stands in its requests; that it has failed does not.
    fn note_failure(&self, passed: &Passed) {
        if let Some(error) = &passed.failed {
            let Key {
                kind,
                namespace,
                name,
            } = &passed.key;
            self.ground
                .note(|| format!("  the pass over {kind} {namespace}/{name} fails: {error}"));
        }
    }

    /// What the host hears by its watches.
    fn tell_host(&mut self) {
        let watches = *self.ground.watches();
        let Some(host) = &mut self.host else { return };
        match watches {
            Watches::InTime => host.hear(true),
            Watches::Late { until, .. } if self.ground.cluster.now() < until => host.hear(false),
            Watches::Late { is_broken, .. } => {
                if is_broken {
                    host.watch_anew();
                }
                host.hear(true);
                *self.ground.watches() = Watches::InTime;
            }
        }
    }

    /// Watches that are broken begin anew.
    fn mend_watches(&mut self) {
        let watches = std::mem::take(&mut *self.ground.watches());
        if let (
            Some(host),
            Watches::Late {
                is_broken: true, ..
            },
        ) = (&mut self.host, watches)
        {
            host.watch_anew();
        }
    }

    fn look(&mut self) -> Verdict {
        self.observer.look(&self.ground)
    }

    /// Nothing goes wrong any more, and where the schedule says so, everything is in order.
    fn mend(&mut self) -> anyhow::Result<()> {
        self.mend_watches();
        self.start_at = self.elapsed;
        match self.ending {
            Ending::InOrder => {
                self.ground
                    .note(|| "everything is in order from here on".to_owned());
                self.ground.put_in_order()
            }
            Ending::AsItIs => {
                self.ground
                    .note(|| "everything stays as it is from here on".to_owned());
                self.ground.faults().disarm();
                self.settings.look_again = LOOK_AGAIN;
                self.host = None;
                Ok(())
            }
        }
    }

    /// By when all jobs have ended.
    fn bound(&self) -> i64 {
        let jobs = self.observer.record.jobs().filter(|job| !job.is_over());
        let jobs = i64::try_from(jobs.count()).unwrap_or(i64::MAX);
        self.ground.cluster.now()
            + match self.ending {
                Ending::InOrder => BOUND,
                Ending::AsItIs => BOUND_OF_EACH * (jobs + 1),
            }
    }

    /// Whatever is under way ends, and then nothing changes any more.
    fn come_to_rest(&mut self) -> Verdict {
        self.look()?;
        let bound = self.bound();
        loop {
            let revision = self.ground.cluster.revision();
            let moved = self.turn()? || self.ground.cluster.revision() != revision;
            if !moved && self.live().is_none() {
                break;
            }
            if self.ground.cluster.now() > bound {
                let seen = self.live().unwrap_or_default();
                return broken("every job ends, and what is deleted goes", seen);
            }
            let next = self.ground.cluster.now() + i64::from(TURN);
            let due = self.host.as_ref().and_then(Runner::next_at);
            // Where nothing moves, the time goes on to where something is due.
            let at = match due {
                Some(due) if !moved => (due.as_second() + 1).clamp(next, bound + 1),
                None if !moved => bound + 1,
                _ => next,
            };
            self.ground.cluster.set_now(at);
        }
        self.observer.end(&self.ground)?;
        self.ask_again()
    }

    /// A job that has not ended, or an object of the host's that is to go and is still there.
    fn live(&self) -> Option<String> {
        let mut live = self
            .observer
            .record
            .jobs()
            .filter(|job| !job.is_gone && is_to_end(job, self.ending));
        if let Some(job) = live.next() {
            return Some(format!("{}: {}", named(&job.object), said(&job.object)));
        }
        let objects = self.ground.cluster.objects();
        let mut going = objects.iter().filter(|object| {
            text(object, "/apiVersion") == API_VERSION
                && object.pointer("/metadata/deletionTimestamp").is_some()
        });
        going.next().map(|object| named(object))
    }

    /// A pass over a job that has ended changes nothing: one job each turn.
    fn ask_a_finished_job(&mut self) -> Verdict {
        let jobs = self.observer.record.jobs();
        let finished: Vec<_> = jobs
            .filter(|job| job.is_over() && !job.is_gone)
            .map(|job| Key::of(&job.object))
            .collect();
        let turns = usize::try_from(self.elapsed / TURN).unwrap_or_default();
        let key = finished.get(turns % finished.len().max(1));
        let (Some(host), Some(key)) = (&self.host, key) else {
            return Ok(());
        };
        if unless_crashed(host.host().reconcile(key)).is_none() {
            self.crash();
        }
        self.look()
    }

    /// Passes over what has ended change nothing, also those of a new process.
    fn ask_again(&mut self) -> Verdict {
        let revision = self.ground.cluster.revision();
        self.start();
        self.work()?;
        let keys: BTreeSet<Key> = self
            .observer
            .record
            .jobs()
            .map(|job| Key::of(&job.object))
            .collect();
        if let Some(host) = &self.host {
            for key in keys {
                if let Some(Err(error)) = unless_crashed(host.host().reconcile(&key)) {
                    let seen = format!("{key:?}: {error}");
                    return broken("asking again after the end changes nothing", seen);
                }
            }
        }
        self.look()?;
        if self.ground.cluster.revision() != revision {
            let seen = "the cluster has changed".to_owned();
            return broken("asking again after the end changes nothing", seen);
        }
        Ok(())
    }
}

/// How a job has ended, with the first word of why.
fn ended(job: &Job) -> String {
    let kind = text(&job.object, "/kind");
    let phase = match text(&job.object, "/status/phase") {
        "" => "Unseen",
        phase => phase,
    };
    let place = if job.is_gone { "gone" } else { "there" };
    let why = text(&job.object, "/status/message").split(':').next();
    let why = why.filter(|why| !why.contains(' ')).unwrap_or_default();
    format!("{kind} {phase}, {place}: {why}")
}

/// Whether a job has to come to an end by itself.
fn is_to_end(job: &Job, ending: Ending) -> bool {
    let may_wait = ending == Ending::AsItIs
        && !has_started(&job.object)
        && MAY_COME.contains(&reason(&job.object));
    !job.is_over() && !may_wait
}
