//! Runs a schedule: users, operators and the host take turns, and after each everything is looked at.

mod rest;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use backup_api::names::API_VERSION;
use backup_engine::{Evaluator, Host, Key, Passed, Runner, Settings, Storage, memory_clock};
use serde_json::Value;

use crate::{
    bugs::{Bug, Planted, PlantedStorage},
    ground::{Ground, Watches, text, unless_crashed},
    invariants::{Verdict, Violation, broken},
    line::Line,
    observer::Observer,
    record::{Job, condition},
    schedule::{Ending, Schedule},
};

/// A turn of everybody, in seconds.
const TURN: u32 = 15;

/// So long after the last event everything goes on as it is.
const AFTERMATH: u32 = 120;

/// So many passes in one turn have no end. A dozen jobs need a few for every change.
const RESTLESS: usize = 1_000;

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What happened, where it was asked for.
    pub history: Vec<String>,
    /// How many passes the host made.
    pub passes: usize,
    /// How the jobs ended: `BackupJob Failed, there: EtcdBackupFailed` and so on; `RestoreJob of Etcd Succeeded`; what is
    /// known of the Backups, and which Events there are.
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
    let mut settings = Settings::default();
    for strategy in &schedule.strategies {
        strategy.set_up(&mut settings);
    }
    let ground = Ground::new(schedule.seed, &schedule.strategies, keeps_history)?;
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
        settings,
    };
    world.start();
    let violation = match catch_unwind(AssertUnwindSafe(|| world.live_through(schedule))) {
        Ok(lived) => lived?.err(),
        Err(panic) => broken("the host does not panic", words(panic.as_ref())).err(),
    };
    let objects = world.ground.cluster.objects();
    let told = objects.iter().filter_map(|object| told(object));
    let record = &world.observer.record;
    let ends = record.jobs().map(ended).chain(told);
    let ends = ends.chain(record.jobs().filter_map(succeeded)).collect();
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
        let storage: Arc<dyn Storage> = Arc::new(PlantedStorage {
            vault: Arc::clone(&self.ground.storage),
            bug: self.bug,
        });
        let host = Host::new(
            Planted::new(line, self.bug),
            self.settings.clone(),
            Arc::clone(&self.ground.plugins),
            storage,
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
}

/// How a job has ended, with the first word of why.
fn ended(job: &Job) -> String {
    let kind = match text(&job.object, "/spec/planRef/name") {
        "" => text(&job.object, "/kind"),
        _ => "BackupJob of a Plan",
    };
    let phase = match text(&job.object, "/status/phase") {
        "" => "Unseen",
        phase => phase,
    };
    let place = if job.is_gone { "gone" } else { "there" };
    let why = text(&job.object, "/status/message").split(':').next();
    let why = why.filter(|why| !why.contains(' ')).unwrap_or_default();
    format!("{kind} {phase}, {place}: {why}")
}

/// What a job has worked on that has succeeded.
fn succeeded(job: &Job) -> Option<String> {
    let has_succeeded = text(&job.object, "/status/phase") == "Succeeded";
    let of = text(&job.object, "/status/strategy/applicationRef/kind");
    has_succeeded.then(|| format!("{} of {of} Succeeded", text(&job.object, "/kind")))
}

/// What an object tells at the end, where that is of interest.
fn told(object: &Value) -> Option<String> {
    let kind = (text(object, "/apiVersion"), text(object, "/kind"));
    match kind {
        (API_VERSION, "Backup") => {
            let available = condition(object, "Available");
            let available = available.map_or("", |available| text(available, "/reason"));
            Some(format!("Backup {available}"))
        }
        (_, "Event") => Some(format!(
            "Event {} on {}",
            text(object, "/reason"),
            text(object, "/regarding/kind")
        )),
        _ => None,
    }
}
