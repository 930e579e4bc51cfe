//! The queue and the passes under way.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use backup_api::names::{API_VERSION, CREDENTIALS_SECRET, STRATEGY_API_VERSION};
use backup_engine::{
    Host, Interest, Key, Next, Queue, STORAGE_LOCATION, Serving, Settings, StorageSettings,
    Strategies, VeleroSettings,
    cluster::{Account, ApiError},
    kinds_known,
};
use jiff::Timestamp;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        watch,
    },
    task::JoinSet,
    time::{Duration, MissedTickBehavior, interval, sleep},
};

use crate::{
    held,
    metrics::{Ended, Metrics},
    plugins::News,
    probes::{Asked, Readiness},
    real::RealCluster,
    sight::Scope,
    watches::{Change, Changed, Watched, Watches},
};

/// How often it is looked whether the credentials are in order. Their changes are watched; this is for what is not seen.
const CREDENTIALS_TICK: Duration = Duration::from_secs(60);

/// How long passes under way may go on once the host is told to stop. Most take milliseconds; with the Lease released
/// behind them, another host works within ten seconds.
const GRACE: Duration = Duration::from_secs(7);

/// What the host itself depends on.
pub(crate) fn own_watches(storage: &StorageSettings) -> Vec<Watched> {
    let whole = |api_version: &str, kind: &str, scope| {
        Watched::whole(&Account::Host, api_version, kind, scope)
    };
    let secret = |name: String| whole("v1", "Secret", Scope::Named(name));
    let described = storage.secrets().into_iter().map(|target| Watched {
        namespace: target.namespace,
        ..secret(target.name)
    });
    let kinds =
        kinds_known().map(|(version, kind)| Watched::metadata(&Account::Host, version, kind));
    [
        whole(API_VERSION, "BackupJob", Scope::Live),
        whole(API_VERSION, "RestoreJob", Scope::Live),
        whole(API_VERSION, "BackupClass", Scope::All),
        whole(API_VERSION, "Backup", Scope::All),
        whole(API_VERSION, "Plan", Scope::All),
        secret(CREDENTIALS_SECRET.to_owned()),
    ]
    .into_iter()
    .chain(described)
    .chain(kinds)
    .collect()
}

/// Velero's BackupStorageLocation, which the host keeps in step.
fn storage_location(velero: &VeleroSettings) -> Option<Watched> {
    let (api_version, kind, name) = STORAGE_LOCATION;
    let scope = Scope::Named(name.to_owned());
    let location = Watched::whole(&Account::Host, api_version, kind, scope);
    let location = location.in_namespace(&velero.namespace);
    (!velero.namespace.is_empty()).then_some(location)
}

/// What a plugin's jobs depend on, whatever they read: the objects that it makes, and those that are few and small.
fn watches_of(serving: &Serving) -> Vec<Watched> {
    let account = serving.account();
    let manifest = serving.strategy.manifest();
    let system = &serving.grant.system_namespaces;
    let mut watches = vec![];
    for read in manifest.reads.iter().filter(|read| read.small) {
        let watched = Watched::whole(&account, &read.api_version, &read.kind, Scope::All);
        watches.extend(watched.within(read.in_system_namespaces, system));
    }
    for written in manifest.writes.iter().filter(|written| written.creates()) {
        let (version, kind) = (&written.api_version, &written.kind);
        let mut small = manifest.reads.iter().filter(|read| read.small);
        if small.any(|read| read.is(version, kind)) {
            continue;
        }
        // By the label the objects themselves, and the names of all: a job that begins knows that its object is not
        // there.
        for watched in [
            Watched::whole(&account, version, kind, Scope::Labelled),
            Watched::metadata(&account, version, kind),
        ] {
            watches.extend(watched.within(written.in_system_namespaces, system));
        }
    }
    watches
}

/// Makes passes as changes come, until told to stop.
pub(crate) struct Work {
    pub host: Arc<Host<RealCluster>>,
    pub settings: Settings,
    pub strategies: Arc<Strategies>,
    pub watches: Watches,
    pub changes: UnboundedReceiver<Changed>,
    pub plugin_news: UnboundedReceiver<News>,
    /// Whether every StrategyPlugin that there was at the start has been looked at.
    pub plugins_looked_at: bool,
    pub metrics: Metrics,
    pub readiness: Readiness,
    /// Whether this host works, or stands by.
    pub leads: watch::Receiver<bool>,
    /// Whether the loop goes round is asked here.
    pub asked: Asked,
    pub workers: usize,
    /// Whose last pass depended on something that was not watched yet.
    pub unwatched: BTreeSet<Key>,
}

/// A pass that ended.
struct Passed {
    key: Key,
    result: Result<Next, ApiError>,
    took: Duration,
}

impl Work {
    /// Runs until `stop` is done and the passes under way have ended.
    ///
    /// A host that stands by sees everything and does nothing: its watches run, and its queue holds what is there to
    /// be done. Once it leads it begins at once.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let own = own_watches(&self.settings.storage);
        for watched in &own {
            self.watches.ensure(watched.clone());
        }
        // Velero may not be there, so nobody waits for this one.
        if let Some(location) = storage_location(&self.settings.storage.velero) {
            self.watches.ensure(location);
        }
        let told = self.metrics.passes.clone();
        let mut queue = Queue::telling(move |key| told.joined(key));
        // The first tick comes at once.
        let mut credentials_tick = interval(CREDENTIALS_TICK);
        credentials_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut passes: JoinSet<()> = JoinSet::new();
        let (done, mut ended) = unbounded_channel();
        let (found, mut still_held) = unbounded_channel();
        tokio::spawn(held::tell(
            self.host.cluster().clone(),
            self.leads.clone(),
            found,
        ));
        let mut stop = std::pin::pin!(stop);
        let seen = Arc::clone(&self.watches.seen);
        loop {
            while self.may_begin()
                && passes.len() < self.workers
                && let Some(key) = queue.take(Timestamp::now())
            {
                self.metrics.passes.began(&key);
                let (host, done) = (Arc::clone(&self.host), done.clone());
                passes.spawn(async move {
                    let began = Instant::now();
                    let result = host.reconcile(&key).await;
                    // The receiver lives as long as this loop.
                    done.send(Passed {
                        key,
                        result,
                        took: began.elapsed(),
                    })
                    .ok();
                });
            }
            let have_seen = self.watches.have_seen(&own);
            self.readiness.set(self.plugins_looked_at && have_seen);
            // What the watches have told is known once it has been heard.
            if have_seen && self.changes.is_empty() && self.strategies.uses().completed() {
                queue.wake_all();
            }
            // Nothing is due for a host that stands by.
            let next = queue.next_at().filter(|_| self.may_begin());
            let next = next.map_or(Duration::from_secs(3600), until);
            tokio::select! {
                () = &mut stop => break,
                Ok(()) = self.leads.changed() => {}
                Some(question) = self.asked.recv() => {
                    // Whoever asked may have lost patience.
                    question.send(()).ok();
                }
                Some(changed) = self.changes.recv() => self.changed(&mut queue, &changed),
                Some(news) = self.plugin_news.recv() => self.heard(&mut queue, news),
                Some(key) = still_held.recv() => queue.enqueue(key),
                Some(passed) = ended.recv() => self.passed(&mut queue, passed),
                Some(_) = passes.join_next() => {}
                _ = credentials_tick.tick() => queue.look_at_credentials(self.host.own_keys()),
                () = seen.notified() => {
                    // What changed before the watch began was not told.
                    for key in std::mem::take(&mut self.unwatched) {
                        queue.enqueue(key);
                    }
                }
                () = sleep(next) => {}
            }
        }
        // Nobody has to ask a loop that is over.
        self.asked.close();
        while self.asked.try_recv().is_ok() {}
        tracing::info!(
            passes = passes.len(),
            "stopping once the passes under way have ended"
        );
        let all_ended = async { while passes.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!(
                "passes under way took too long and are cut off; they are done again at the next start"
            );
            passes.shutdown().await;
        }
    }

    /// Whether this host makes passes.
    fn works(&self) -> bool {
        *self.leads.borrow()
    }

    /// Whether a pass may begin. Before every plugin was looked at once, nobody can say that none serves a kind: each start
    /// of the host would tell so on every class and every job, and tell the contrary a moment later.
    fn may_begin(&self) -> bool {
        self.works() && self.plugins_looked_at
    }

    fn heard(&mut self, queue: &mut Queue, news: News) {
        match news {
            News::Looked(kind) => {
                self.watches.ensure(Watched::whole(
                    &Account::Host,
                    STRATEGY_API_VERSION,
                    &kind,
                    Scope::All,
                ));
                if let Some(serving) = self.strategies.serving(&kind) {
                    for watched in watches_of(&serving) {
                        self.watches.ensure(watched);
                    }
                }
                // Whoever waited for this plugin need wait no longer.
                queue.wake_all();
            }
            News::Sought => queue.wake_all(),
            News::AllLooked => self.plugins_looked_at = true,
        }
    }

    fn changed(&self, queue: &mut Queue, changed: &Changed) {
        let object = &changed.object;
        let text = |member: &str| object[member].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        self.note_uses(changed, version, kind);
        if changed.change == Change::Begins {
            return;
        }
        if kinds_known().any(|known| known == (version, kind)) {
            let may_be_gone = changed.change != Change::There;
            self.host.cluster().look_for_kinds(may_be_gone);
        }
        match changed.change {
            Change::Begins => {}
            Change::Missed => queue.lost_track(version, kind),
            Change::Gone => {
                queue.changed(object);
                if !self.works() && version == API_VERSION {
                    // Another host has dealt with it.
                    let key = Key::of(object);
                    queue.forget(&key);
                    self.metrics.passes.left(&key);
                }
                // Of a job that is no longer live, or is gone, nothing needs to be kept.
                if let Some(uid) = object["metadata"]["uid"].as_str() {
                    self.host.forget_job(uid);
                    self.wake(queue);
                }
            }
            Change::There => {
                queue.seen(object);
                if let Some((key, at)) = self.host.due_later(object) {
                    queue.enqueue_at(key, at);
                }
            }
        }
    }

    /// Notes which Backups and jobs need plugins.
    fn note_uses(&self, changed: &Changed, version: &str, kind: &str) {
        if version != API_VERSION {
            return;
        }
        let uses = self.strategies.uses();
        match changed.change {
            Change::There => uses.seen(&changed.object),
            Change::Gone => uses.gone(&changed.object),
            Change::Begins => uses.begins(kind),
            Change::Missed => uses.listed(kind),
        }
    }

    /// The jobs that have been given a place of their plugin are due.
    fn wake(&self, queue: &mut Queue) {
        for key in self.host.take_woken() {
            queue.enqueue(key);
        }
    }

    fn passed(&mut self, queue: &mut Queue, passed: Passed) {
        let Passed { key, result, took } = passed;
        let ended = match &result {
            Ok(next) if next.at.is_some() => Ended::WithATime,
            Ok(_) => Ended::Well,
            Err(_) => Ended::Failed,
        };
        self.metrics.passes.ended(&key, took, ended);
        match result {
            Ok(mut next) => {
                if !self.are_watched(&next) {
                    // Nothing would tell of a change yet.
                    self.unwatched.insert(key.clone());
                    let look_again = Timestamp::now() + self.settings.look_again;
                    next.at = Some(next.at.map_or(look_again, |at| at.min(look_again)));
                }
                queue.passed(&key, next);
            }
            Err(error) => {
                tracing::info!(?key, %error, "a pass is made again");
                queue.failed(&key, Timestamp::now());
            }
        }
        self.wake(queue);
    }

    /// Watches what a pass depended on. Gives back whether every change of it will be told.
    fn are_watched(&mut self, next: &Next) -> bool {
        let interest = next.interest.as_ref();
        let Some((account, kinds)) = interest.and_then(Interest::read_as) else {
            return true;
        };
        let mut all = true;
        for read in kinds {
            let metadata = Watched {
                namespace: read.namespace.clone(),
                ..Watched::metadata(account, &read.api_version, &read.kind)
            };
            let whole = Watched {
                is_whole: true,
                ..metadata.clone()
            };
            all &= match self.watches.has_seen(&whole) {
                Some(has_seen) => has_seen,
                None => self.watches.ensure(metadata),
            };
        }
        all
    }
}

/// How long it is until a time; nothing where it has passed.
pub(crate) fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
