//! Which jobs are due for a pass: what the watches say goes in, keys come out.
//!
//! Pure bookkeeping, without a clock and without tasks of its own, so that production, the simulation and the demo
//! use the same one.
//!
//! Namespaces take turns: a tenant with a thousand jobs keeps another's one job waiting for one pass, not for a
//! thousand.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    ops::Bound,
    time::Duration,
};

use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    interest::{Interest, Next, selects},
    ledger::later,
    object,
    reconcile::needs_passes,
};

/// The pauses after requests that failed and may succeed later: doubled each time, from and up to this.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// An object that has a reconciler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Kind, for example `BackupJob`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The key of an object.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let target = object::reference(value);
        Self {
            kind: target.kind,
            namespace: target.namespace.unwrap_or_default(),
            name: target.name,
        }
    }

    /// The key of the object that a reference names.
    pub(crate) fn named(target: &ObjectRef) -> Self {
        Self {
            kind: target.kind.clone(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: target.name.clone(),
        }
    }
}

/// What is known of an object under reconciliation.
#[derive(Default)]
struct Tracked {
    interest: Interest,
    /// When it is due, where that is a matter of time.
    at: Option<Timestamp>,
    /// How many passes failed in a row.
    failures: u32,
    /// A pass is under way.
    is_running: bool,
    /// Something changed during the pass.
    is_dirty: bool,
    /// UID of the object as it was last seen.
    seen: String,
}

/// Whoever is told when a key becomes due.
type Told = Box<dyn Fn(&Key) + Send + Sync>;

/// The keys that are due. Namespaces are called in turn, and within one it is first come, first served.
#[derive(Default)]
struct Line {
    by_namespace: BTreeMap<String, VecDeque<Key>>,
    waiting: HashSet<Key>,
    /// The namespace that was called last.
    last: String,
    told: Option<Told>,
}

impl Line {
    /// Joins the line of the key's namespace; one that stands in it keeps its place.
    fn join(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            if let Some(told) = &self.told {
                told(&key);
            }
            let line = self.by_namespace.entry(key.namespace.clone()).or_default();
            line.push_back(key);
        }
    }

    /// Leaves the line.
    fn leave(&mut self, key: &Key) {
        if !self.waiting.remove(key) {
            return;
        }
        if let Some(line) = self.by_namespace.get_mut(&key.namespace) {
            line.retain(|waiting| waiting != key);
            if line.is_empty() {
                self.by_namespace.remove(&key.namespace);
            }
        }
    }

    /// The first of the next namespace that has any.
    fn call(&mut self) -> Option<Key> {
        let after = (Bound::Excluded(self.last.clone()), Bound::Unbounded);
        let next = self.by_namespace.range(after).next();
        let (namespace, _) = next.or_else(|| self.by_namespace.first_key_value())?;
        self.last = namespace.clone();
        let line = self.by_namespace.get_mut(&self.last)?;
        let key = line.pop_front();
        if line.is_empty() {
            self.by_namespace.remove(&self.last);
        }
        self.waiting.remove(key.as_ref()?);
        key
    }
}

impl Tracked {
    /// Whether it waits for its time and nothing else.
    fn sleeps(&self) -> bool {
        self.at.is_some() && !self.is_running && self.interest == Interest::default()
    }
}

/// The queue of passes. A key is out with one worker at a time.
#[derive(Default)]
pub struct Queue {
    tracked: HashMap<Key, Tracked>,
    due: Line,
    timed: BTreeSet<(Timestamp, Key)>,
    by_object: HashMap<ObjectRef, BTreeSet<Key>>,
    by_kind: HashMap<(String, String), BTreeSet<Key>>,
    meanwhile: Meanwhile,
}

/// What changed while passes were under way. What a pass depends on is known only when it has ended: a change that came
/// after the pass had read, and before that, is a reason for another.
#[derive(Default)]
struct Meanwhile {
    /// How many changes there were.
    count: u64,
    /// The number and the name and labels of each that a pass under way may have missed.
    changes: VecDeque<(u64, Value)>,
    /// How many changes there had been when each pass under way began.
    began: HashMap<Key, u64>,
}

impl Meanwhile {
    fn begins(&mut self, key: &Key) {
        self.began.insert(key.clone(), self.count);
    }

    fn changed(&mut self, changed: &Value) {
        self.count += 1;
        if self.began.is_empty() {
            return;
        }
        let target = object::reference(changed);
        let labels = changed.pointer("/metadata/labels");
        let named = json!({
            "apiVersion": target.api_version,
            "kind": target.kind,
            "metadata": { "namespace": target.namespace, "name": target.name, "labels": labels },
        });
        self.changes.push_back((self.count, named));
    }

    /// A pass has ended, and depended on this. Gives back whether some of it changed since the pass began.
    fn ends(&mut self, key: &Key, interest: Option<&Interest>) -> bool {
        let Some(began) = self.began.remove(key) else {
            return false;
        };
        let since = self.changes.iter().filter(|(number, _)| *number > began);
        let concerns = interest.is_some_and(|interest| {
            since
                .map(|(_, changed)| changed)
                .any(|changed| interest.concerns(changed))
        });
        // What all passes under way have seen is missed by none.
        let first = self.began.values().min().copied();
        let first = first.unwrap_or(u64::MAX);
        while self
            .changes
            .front()
            .is_some_and(|(number, _)| *number <= first)
        {
            self.changes.pop_front();
        }
        concerns
    }
}

impl Queue {
    /// A queue that tells of each key when it becomes due, once until it is taken.
    pub fn telling(told: impl Fn(&Key) + Send + Sync + 'static) -> Self {
        let mut queue = Self::default();
        queue.due.told = Some(Box::new(told));
        queue
    }

    /// An object is gone, or has left what is watched, and nobody has made a pass over it: none is due any more. For
    /// a host that takes nothing from its queue yet, which must not keep what others have dealt with. One that is out
    /// with a worker is left alone.
    pub fn forget(&mut self, key: &Key) {
        let is_running = |tracked: &Tracked| tracked.is_running;
        if self.tracked.get(key).is_some_and(is_running) {
            return;
        }
        self.due.leave(key);
        self.unindex(key);
        if let Some(at) = self.tracked.remove(key).and_then(|tracked| tracked.at) {
            self.timed.remove(&(at, key.clone()));
        }
    }

    /// An object of its own kind was seen or changed: it is due.
    pub fn enqueue(&mut self, key: Key) {
        let tracked = self.tracked.entry(key.clone()).or_default();
        if tracked.is_running {
            tracked.is_dirty = true;
        } else {
            self.due.join(key);
        }
    }

    /// An object is due at a time, unless it is known already: whoever made a pass over it knows better.
    pub fn enqueue_at(&mut self, key: Key, at: Timestamp) {
        if self.tracked.contains_key(&key) {
            return;
        }
        let tracked = self.tracked.entry(key.clone()).or_default();
        tracked.at = Some(at);
        self.timed.insert((at, key));
    }

    /// An object changed: whoever depends on it is due.
    pub fn changed(&mut self, changed: &Value) {
        self.meanwhile.changed(changed);
        let target = object::reference(changed);
        let mut woken: BTreeSet<Key> = self.by_object.get(&target).cloned().unwrap_or_default();
        let kind = (target.api_version, target.kind);
        for key in self.by_kind.get(&kind).into_iter().flatten() {
            let tracked = self.tracked.get(key);
            if tracked.is_some_and(|t| {
                t.interest
                    .selectors()
                    .iter()
                    .any(|matching| selects(matching, changed))
            }) {
                woken.insert(key.clone());
            }
        }
        for key in woken {
            self.enqueue(key);
        }
    }

    /// An object was seen or changed: whoever depends on it is due, and it itself where it has a reconciler.
    pub fn seen(&mut self, object: &Value) {
        self.changed(object);
        if let Some(key) = needs_passes(object) {
            let uid = object::uid(object).to_owned();
            self.tracked.entry(key.clone()).or_default().seen = uid;
            self.enqueue(key);
        }
    }

    /// Changes of a kind may have been missed: whoever depends on it is due.
    pub fn lost_track(&mut self, api_version: &str, kind: &str) {
        let of_kind = (api_version.to_owned(), kind.to_owned());
        let by_object = self
            .by_object
            .iter()
            .filter(|(target, _)| target.api_version == api_version && target.kind == kind);
        let keys = by_object.flat_map(|(_, keys)| keys);
        let keys = keys.chain(self.by_kind.get(&of_kind).into_iter().flatten());
        // What a pass under way depends on is not known yet.
        let keys = keys.chain(self.meanwhile.began.keys());
        let keys: BTreeSet<Key> = keys.cloned().collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    /// Everything that is tracked is due, but for what waits for its time and nothing else: something changed that all
    /// may depend on, such as a plugin that serves now.
    pub fn wake_all(&mut self) {
        // In the order of the keys: two runs of a history are to be the same.
        let keys: BTreeSet<Key> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| !tracked.sleeps())
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    /// The copies of the credentials that are tracked are due, and these keys, tracked or not.
    pub fn look_at_credentials(&mut self, own: Vec<Key>) {
        let copies = self.tracked.keys().filter(|key| key.kind == "Secret");
        let keys: BTreeSet<Key> = copies.cloned().chain(own).collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    /// The next key that is due. It stays out until [`Queue::passed`] or [`Queue::failed`].
    pub fn take(&mut self, now: Timestamp) -> Option<Key> {
        while let Some((at, key)) = self.timed.first().cloned() {
            if at > now {
                break;
            }
            self.timed.remove(&(at, key.clone()));
            if let Some(tracked) = self.tracked.get_mut(&key) {
                tracked.at = None;
            }
            self.enqueue(key);
        }
        let key = self.due.call()?;
        let tracked = self.tracked.entry(key.clone()).or_default();
        tracked.is_running = true;
        tracked.is_dirty = false;
        self.meanwhile.begins(&key);
        if let Some(at) = tracked.at.take() {
            self.timed.remove(&(at, key.clone()));
        }
        Some(key)
    }

    /// A pass went through.
    pub fn passed(&mut self, key: &Key, next: Next) {
        let is_outdated = self.meanwhile.ends(key, next.interest.as_ref());
        let Some(interest) = next.interest else {
            return self.remove(key, next.over.as_deref());
        };
        self.unindex(key);
        for target in interest.objects() {
            self.by_object
                .entry(target.clone())
                .or_default()
                .insert(key.clone());
        }
        for matching in interest.selectors() {
            let kind = (matching.api_version.clone(), matching.kind.clone());
            self.by_kind.entry(kind).or_default().insert(key.clone());
        }
        let tracked = self.tracked.entry(key.clone()).or_default();
        tracked.interest = interest;
        tracked.failures = 0;
        tracked.is_dirty |= is_outdated;
        self.rest(key, next.at);
    }

    /// A pass failed in a way that may pass.
    pub fn failed(&mut self, key: &Key, now: Timestamp) {
        self.meanwhile.ends(key, None);
        let tracked = self.tracked.entry(key.clone()).or_default();
        let pause = PAUSE
            .0
            .saturating_mul(1 << tracked.failures.min(10))
            .min(PAUSE.1);
        tracked.failures += 1;
        self.rest(key, Some(later(now, pause)));
    }

    /// When the next key is due that waits for its time.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.timed.first().map(|(at, _)| *at)
    }

    /// How many objects are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracked.len()
    }

    /// Whether nothing is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracked.is_empty()
    }

    fn rest(&mut self, key: &Key, at: Option<Timestamp>) {
        let Some(tracked) = self.tracked.get_mut(key) else {
            return;
        };
        tracked.is_running = false;
        if std::mem::take(&mut tracked.is_dirty) {
            self.due.join(key.clone());
            return;
        }
        tracked.at = at;
        if let Some(at) = at {
            self.timed.insert((at, key.clone()));
        }
    }

    /// An object needs no more passes, whatever becomes of the one with the UID `over`.
    fn remove(&mut self, key: &Key, over: Option<&str>) {
        self.unindex(key);
        let needs_another = self
            .tracked
            .remove(key)
            .is_some_and(|tracked| tracked.is_dirty && over.is_none_or(|uid| tracked.seen != uid));
        if needs_another {
            // It changed, or one of the same name was created anew.
            self.enqueue(key.clone());
        }
    }

    fn unindex(&mut self, key: &Key) {
        let Some(tracked) = self.tracked.get(key) else {
            return;
        };
        for target in tracked.interest.objects() {
            remove_from(&mut self.by_object, target, key);
        }
        for matching in tracked.interest.selectors() {
            remove_from(
                &mut self.by_kind,
                &(matching.api_version.clone(), matching.kind.clone()),
                key,
            );
        }
    }
}

fn remove_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<Key>>, at: &K, key: &Key) {
    if let Some(keys) = index.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn job(name: &str) -> Key {
        Key {
            kind: "BackupJob".to_owned(),
            namespace: "a".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_change_wakes_only_who_depends_on_it() {
        let mut queue = Queue::default();
        queue.enqueue(job("one"));
        queue.enqueue(job("two"));
        let cluster = json!({"apiVersion": "v1", "kind": "Cluster", "metadata": {"namespace": "a", "name": "db"}});
        let mut interest = Interest::default();
        interest.watch(object::reference(&cluster));
        let one = queue.take(at(0)).unwrap();
        queue.passed(&one, Next::quiet().watching(interest));
        let two = queue.take(at(0)).unwrap();
        queue.passed(&two, Next::quiet());
        assert_eq!(queue.take(at(0)), None);
        queue.changed(&cluster);
        assert_eq!(queue.take(at(0)), Some(job("one")));
        assert_eq!(queue.take(at(0)), None);
    }

    fn jobs_of(namespace: &str, count: usize) -> impl Iterator<Item = Key> {
        (0..count).map(move |index| Key {
            namespace: namespace.to_owned(),
            ..job(&format!("job-{index}"))
        })
    }

    #[test]
    fn namespaces_take_turns() {
        let mut queue = Queue::default();
        jobs_of("tenant-a", 1000).for_each(|key| queue.enqueue(key));
        jobs_of("tenant-m", 2).for_each(|key| queue.enqueue(key));
        jobs_of("tenant-z", 1).for_each(|key| queue.enqueue(key));
        let mut turn = || queue.take(at(0)).unwrap().namespace;
        let turns: Vec<String> = (0..7).map(|_| turn()).collect();
        assert_eq!(
            turns,
            [
                "tenant-a", "tenant-m", "tenant-z", "tenant-a", "tenant-m", "tenant-a", "tenant-a"
            ]
        );
    }

    #[test]
    fn a_namespace_that_comes_later_does_not_wait_for_the_others_to_be_done() {
        let mut queue = Queue::default();
        jobs_of("tenant-z", 1000).for_each(|key| queue.enqueue(key));
        queue.take(at(0)).unwrap();
        jobs_of("tenant-a", 1).for_each(|key| queue.enqueue(key));
        assert_eq!(queue.take(at(0)).unwrap().namespace, "tenant-a");
    }

    #[test]
    fn within_a_namespace_it_is_first_come_first_served() {
        let mut queue = Queue::default();
        for name in ["c", "a", "b", "c"] {
            queue.enqueue(job(name));
        }
        let c = queue.take(at(0)).unwrap();
        // One that comes again and again does not push in front of others.
        queue.enqueue(c.clone());
        queue.passed(&c, Next::quiet());
        let names: Vec<String> = std::iter::from_fn(|| queue.take(at(0)))
            .map(|key| key.name)
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(c.name, "c");
    }

    #[test]
    fn whoever_depends_on_a_kind_is_due_when_changes_of_it_may_have_been_missed() {
        let mut queue = Queue::default();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "db"}});
        let mut by_name = Interest::default();
        by_name.watch(object::reference(&pod));
        let mut of_jobs = Interest::default();
        of_jobs.other_jobs(Some("a"));
        for (name, interest) in [
            ("one", by_name),
            ("two", of_jobs),
            ("three", Interest::default()),
        ] {
            queue.enqueue(job(name));
            let key = queue.take(at(0)).unwrap();
            queue.passed(&key, Next::quiet().watching(interest));
        }
        queue.lost_track("v1", "Pod");
        assert_eq!(queue.take(at(0)), Some(job("one")));
        assert_eq!(queue.take(at(0)), None);
        queue.lost_track("backups.cozystack.io/v1alpha1", "BackupJob");
        assert_eq!(queue.take(at(0)), Some(job("two")));
        assert_eq!(queue.take(at(0)), None);
    }

    #[test]
    fn a_change_during_a_pass_to_what_it_turns_out_to_depend_on_leads_to_another() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "db"}});
        let depends = || {
            let mut interest = Interest::default();
            interest.watch(object::reference(&pod));
            Next::quiet().watching(interest)
        };
        let mut queue = Queue::default();
        queue.enqueue(job("one"));
        queue.enqueue(job("two"));
        queue.changed(&pod);
        let one = queue.take(at(0)).unwrap();
        let two = queue.take(at(0)).unwrap();
        queue.passed(&one, depends());
        assert_eq!(queue.take(at(0)), None, "it changed before the pass began");
        queue.changed(&pod);
        assert_eq!(
            queue.take(at(0)),
            Some(job("one")),
            "it depends on it by now"
        );
        queue.passed(&two, depends());
        assert_eq!(
            queue.take(at(0)),
            Some(job("two")),
            "it changed during the pass"
        );
        queue.passed(&job("one"), depends());
        queue.passed(&job("two"), depends());
        assert_eq!(queue.take(at(0)), None);
        assert!(
            queue.meanwhile.changes.is_empty(),
            "nothing is kept for nobody"
        );
    }

    #[test]
    fn a_change_during_a_pass_leads_to_another() {
        let mut queue = Queue::default();
        queue.enqueue(job("one"));
        let one = queue.take(at(0)).unwrap();
        queue.enqueue(job("one"));
        assert_eq!(queue.take(at(0)), None, "it is out with a worker");
        queue.passed(&one, Next::gone());
        assert_eq!(queue.take(at(0)), Some(job("one")));
    }

    #[test]
    fn what_is_over_needs_no_pass_but_for_another_of_its_name() {
        let seen = |uid: &str| {
            json!({
                "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
                "metadata": { "namespace": "a", "name": "one", "uid": uid },
            })
        };
        let mut queue = Queue::default();
        queue.seen(&seen("first"));
        let one = queue.take(at(0)).unwrap();
        queue.seen(&seen("first"));
        queue.passed(&one, Next::over("first"));
        assert_eq!(queue.take(at(0)), None, "that is what the pass wrote");
        queue.seen(&seen("first"));
        let one = queue.take(at(0)).unwrap();
        queue.seen(&seen("second"));
        queue.passed(&one, Next::over("first"));
        assert_eq!(queue.take(at(0)), Some(job("one")));
    }

    #[test]
    fn what_waits_for_its_time_alone_is_not_woken_with_the_others() {
        let mut queue = Queue::default();
        queue.enqueue_at(job("asleep"), at(50));
        queue.enqueue(job("one"));
        let one = queue.take(at(0)).unwrap();
        queue.passed(&one, Next::quiet());
        queue.wake_all();
        assert_eq!(queue.take(at(0)), Some(job("one")));
        assert_eq!(queue.take(at(0)), None);
        assert_eq!(queue.take(at(50)), Some(job("asleep")));
    }

    #[test]
    fn a_time_that_a_pass_has_set_stays() {
        let mut queue = Queue::default();
        queue.enqueue_at(job("one"), at(10));
        let one = queue.take(at(10)).unwrap();
        queue.passed(&one, Next::at(at(20)));
        queue.enqueue_at(job("one"), at(15));
        assert_eq!(queue.next_at(), Some(at(20)));
    }

    #[test]
    fn what_is_forgotten_is_due_no_more() {
        let mut queue = Queue::default();
        for key in jobs_of("tenant-a", 3) {
            queue.enqueue(key);
        }
        queue.enqueue_at(job("timed"), at(10));
        queue.forget(&jobs_of("tenant-a", 2).last().unwrap());
        queue.forget(&job("timed"));
        queue.forget(&job("never seen"));
        assert_eq!(queue.next_at(), None);
        let taken: Vec<String> = std::iter::from_fn(|| queue.take(at(20)))
            .map(|key| key.name)
            .collect();
        assert_eq!(taken, ["job-0", "job-2"]);
        let running = jobs_of("tenant-a", 1).next().unwrap();
        queue.forget(&running);
        assert_eq!(queue.len(), 2, "it is out with a worker");
    }

    #[test]
    fn a_key_is_told_of_when_it_becomes_due() {
        let told = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
        let hears = std::sync::Arc::clone(&told);
        let mut queue = Queue::telling(move |key| hears.lock().unwrap().push(key.name.clone()));
        queue.enqueue(job("one"));
        queue.enqueue(job("one"));
        queue.enqueue_at(job("two"), at(10));
        let one = queue.take(at(0)).unwrap();
        queue.enqueue(one.clone());
        queue.passed(&one, Next::quiet());
        queue.take(at(10)).unwrap();
        assert_eq!(*told.lock().unwrap(), ["one", "one", "two"]);
    }

    #[test]
    fn failures_pause_longer_each_time_and_a_pass_makes_good() {
        let mut queue = Queue::default();
        queue.enqueue(job("one"));
        let one = queue.take(at(0)).unwrap();
        queue.failed(&one, at(0));
        let first = queue.next_at().unwrap();
        assert_eq!(queue.take(at(0)), None);
        let one = queue.take(at(1)).unwrap();
        queue.failed(&one, at(0));
        assert!(queue.next_at().unwrap() > first);
        let one = queue.take(at(10)).unwrap();
        queue.passed(&one, Next::at(at(20)));
        assert_eq!(queue.next_at(), Some(at(20)));
        let one = queue.take(at(20)).unwrap();
        queue.passed(&one, Next::gone());
        assert!(queue.is_empty());
    }
}
