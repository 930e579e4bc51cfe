//! How many jobs a plugin works on at a time: the cap of its StrategyPlugin.
//!
//! A job takes a place before it begins and has it until it ends. Jobs beyond the cap wait in line: when a place becomes
//! free it is given to the namespace that has the fewest, and there to the oldest job, which is woken. So a tenant with a
//! thousand jobs keeps another's one job waiting for one end, not for a thousand, and nobody looks again and again.
//!
//! Places are kept in memory. After a restart a job that has begun has its place without asking, and nobody gets a new
//! one before all that have begun are known.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backup_api::{ObjectMeta, Reason};
use jiff::Timestamp;

use crate::{cluster::Cluster, host::Host, queue::Key, stop::Stop, strategies::Serving};

/// How often what is kept is held against the jobs that are under way, where somebody waits.
const COUNT_AGAIN: Duration = Duration::from_secs(30);

/// Creation time and UID: the order of the line.
type Place = (String, String);

/// A place that a job has.
struct Taken {
    namespace: String,
    /// Whether the job was seen to have begun; before that it may not be known to be under way.
    has_begun: bool,
}

/// One plugin's places.
#[derive(Default)]
struct Places {
    cap: usize,
    /// The jobs that have one, by UID.
    taken: HashMap<String, Taken>,
    line: BTreeMap<Place, Key>,
    /// When the places were last held against the jobs under way.
    counted_at: Option<Timestamp>,
}

impl Places {
    /// Gives free places away. Gives back who got one.
    fn give_away(&mut self) -> Vec<Key> {
        let mut woken = vec![];
        while self.taken.len() < self.cap {
            let Some(next) = self.next() else { break };
            if let Some(key) = self.line.remove(&next) {
                let namespace = key.namespace.clone();
                let has_begun = false;
                self.taken.insert(
                    next.1,
                    Taken {
                        namespace,
                        has_begun,
                    },
                );
                woken.push(key);
            }
        }
        woken
    }

    /// The oldest job of the namespace that has the fewest places.
    fn next(&self) -> Option<Place> {
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for place in self.taken.values() {
            *taken.entry(&place.namespace).or_default() += 1;
        }
        let has = |key: &Key| taken.get(key.namespace.as_str()).copied().unwrap_or(0);
        let first = self.line.iter().min_by_key(|(_, key)| has(key))?;
        Some(first.0.clone())
    }

    fn leave_line(&mut self, uid: &str) {
        self.line.retain(|(_, waiting), _| waiting != uid);
    }
}

/// The places of all plugins that have a cap, by plugin.
#[derive(Default)]
pub(crate) struct Capacity {
    places: Mutex<BTreeMap<String, Places>>,
    woken: Mutex<Vec<Key>>,
}

impl Capacity {
    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Places>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, keys: Vec<Key>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.extend(keys);
    }

    /// Who has been given a place since this was last asked.
    pub(crate) fn take_woken(&self) -> Vec<Key> {
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A job has ended, is gone, or waits for something else: its place is the next one's.
    pub(crate) fn release(&self, uid: &str) {
        let mut woken = vec![];
        for places in self.places().values_mut() {
            places.leave_line(uid);
            if places.taken.remove(uid).is_some() {
                woken.extend(places.give_away());
            }
        }
        self.wake(woken);
    }

    /// A plugin has no cap any more.
    fn open(&self, plugin: &str) {
        if let Some(places) = self.places().remove(plugin) {
            self.wake(places.line.into_values().collect());
        }
    }
}

impl<C: Cluster> Host<C> {
    /// Takes a place of the plugin for a job that is about to begin, or lets it join the line.
    pub(crate) fn take_place(
        &self,
        serving: &Serving,
        key: Key,
        metadata: &ObjectMeta,
        has_begun: bool,
    ) -> Result<(), Stop> {
        let Some(cap) = serving.grant.max_running_jobs else {
            self.capacity.open(&serving.name);
            return Ok(());
        };
        let uid = metadata.uid.clone().unwrap_or_default();
        let mut all = self.capacity.places();
        let places = all.entry(serving.name.clone()).or_default();
        places.cap = usize::try_from(cap).unwrap_or(usize::MAX);
        if has_begun {
            places.leave_line(&uid);
            let namespace = key.namespace;
            places.taken.insert(
                uid,
                Taken {
                    namespace,
                    has_begun,
                },
            );
            return Ok(());
        }
        let uses = self.strategies.uses();
        if !uses.are_complete() {
            return Err(busy(
                serving,
                "the jobs that have begun are not all known yet",
            ));
        }
        self.count_again(&serving.name, places);
        if !places.taken.contains_key(&uid) {
            let created = metadata.creation_timestamp.as_ref();
            let created = created.map_or(String::new(), |time| time.0.to_string());
            places.line.insert((created, uid.clone()), key.clone());
        }
        let mut woken = places.give_away();
        // This one is told at once.
        woken.retain(|other| *other != key);
        let has_place = places.taken.contains_key(&uid);
        drop(all);
        self.capacity.wake(woken);
        if has_place {
            return Ok(());
        }
        let why = format!(
            "{cap} jobs are under way, as many as spec.maxRunningJobs allows; this one goes on when its turn comes"
        );
        Err(busy(serving, &why))
    }

    /// Holds the places against the jobs that are under way, once in a while: a place is never lost for good.
    fn count_again(&self, plugin: &str, places: &mut Places) {
        let now = self.now();
        let is_recent = places.counted_at.is_some_and(|at| {
            Duration::try_from(now.duration_since(at)).unwrap_or_default() < COUNT_AGAIN
        });
        if is_recent {
            return;
        }
        places.counted_at = Some(now);
        let under_way = self.strategies.uses().under_way();
        places
            .taken
            .retain(|uid, taken| !taken.has_begun || under_way.contains_key(uid));
        for (uid, job) in under_way {
            if job.plugin.name == plugin && job.kind != "Backup" {
                let namespace = job.namespace;
                let has_begun = true;
                places.taken.insert(
                    uid,
                    Taken {
                        namespace,
                        has_begun,
                    },
                );
            }
        }
    }

    /// The jobs that have been given a place since this was last asked: they are due.
    pub fn take_woken(&self) -> Vec<Key> {
        self.capacity.take_woken()
    }
}

fn busy(serving: &Serving, why: &str) -> Stop {
    Stop::Wait {
        reason: Reason::PluginBusy,
        message: format!("StrategyPlugin {}: {why}", serving.name),
        give_up_after: None,
    }
}
