//! Which Backups and jobs need which plugin: what the watches have shown of them, in a few bytes each.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use backup_api::{PluginIdentity, names::API_VERSION};
use serde_json::Value;
use tokio::sync::Notify;

use crate::object;

/// The kinds whose objects need plugins.
const KINDS: [&str; 3] = ["BackupJob", "RestoreJob", "Backup"];

/// A job that has begun and not ended, or the removal of a Backup: it goes on with the component that it noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// `BackupJob`, `RestoreJob` or `Backup`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// The strategy kind.
    pub strategy_kind: String,
    /// The plugin that it noted.
    pub plugin: PluginIdentity,
}

/// Something that was shown, and when.
struct Shown<T> {
    of: T,
    /// The number of the list or watch that showed it last.
    epoch: u32,
}

#[derive(Default)]
struct Known {
    /// By UID.
    under_way: HashMap<String, Shown<Use>>,
    /// The strategy kinds of Backups, by a hash of the UID: of thousands of Backups nothing else is kept.
    backups: HashMap<u64, Shown<u16>>,
    /// The strategy kinds that Backups have, numbered.
    kinds: Vec<String>,
    /// How many Backups there are of each of those.
    counts: Vec<u32>,
    /// How often each of [`KINDS`] was listed.
    epochs: [u32; KINDS.len()],
}

/// What needs which plugin. Filled by whoever hears of changes; empty where nobody tells it anything.
#[derive(Default)]
pub struct Uses {
    known: Mutex<Known>,
    is_complete: AtomicBool,
    changes: AtomicU64,
    told: Notify,
}

impl Uses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that there was at the start has been shown. Before that nothing is taken for unused. Gives back whether
    /// that is new.
    pub fn completed(&self) -> bool {
        let was_complete = self.is_complete.swap(true, Ordering::AcqRel);
        self.tell(!was_complete);
        !was_complete
    }

    /// Whether everything that there was at the start has been shown.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// How often something began or ceased to need a plugin.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// An object is there, as it is shown: one that needs no plugin is passed over.
    pub fn seen(&self, shown: &Value) {
        let Some(kind) = kind_of(shown) else { return };
        let mut known = self.known();
        let epoch = known.epochs[kind];
        let uid = object::uid(shown);
        let mut is_news = false;
        match under_way(shown) {
            Some(of) => {
                let old = known.under_way.insert(
                    uid.to_owned(),
                    Shown {
                        of: of.clone(),
                        epoch,
                    },
                );
                is_news |= old.is_none_or(|old| old.of != of);
            }
            None => is_news |= known.under_way.remove(uid).is_some(),
        }
        if KINDS[kind] == "Backup" {
            is_news |= known.backup(uid, epoch, strategy_kind(shown));
        }
        drop(known);
        self.tell(is_news);
    }

    /// An object is gone.
    pub fn gone(&self, shown: &Value) {
        if kind_of(shown).is_none() {
            return;
        }
        let uid = object::uid(shown);
        let mut known = self.known();
        let mut is_news = known.under_way.remove(uid).is_some();
        is_news |= known.without_backup(hash(uid));
        drop(known);
        self.tell(is_news);
    }

    /// All objects of a kind will be shown anew.
    pub fn begins(&self, kind: &str) {
        if let Some(kind) = KINDS.iter().position(|known| *known == kind) {
            self.known().epochs[kind] += 1;
        }
    }

    /// They have been: what was not among them is gone.
    pub fn listed(&self, kind: &str) {
        let Some(index) = KINDS.iter().position(|known| *known == kind) else {
            return;
        };
        let mut known = self.known();
        let epoch = known.epochs[index];
        let before = known.under_way.len();
        known
            .under_way
            .retain(|_, shown| shown.of.kind != kind || shown.epoch == epoch);
        let mut is_news = known.under_way.len() != before;
        if kind == "Backup" {
            let old = known.backups.iter();
            let old: Vec<u64> = old
                .filter(|(_, shown)| shown.epoch != epoch)
                .map(|(uid, _)| *uid)
                .collect();
            for uid in old {
                is_news |= known.without_backup(uid);
            }
        }
        drop(known);
        self.tell(is_news);
    }

    fn tell(&self, is_news: bool) {
        if is_news {
            self.changes.fetch_add(1, Ordering::AcqRel);
            self.told.notify_one();
        }
    }

    /// Done once something has begun or ceased to need a plugin since this was last done. For one listener.
    pub async fn news(&self) {
        self.told.notified().await;
    }

    /// How many Backups need a plugin of a strategy kind.
    #[must_use]
    pub fn backups(&self, strategy_kind: &str) -> u32 {
        let known = self.known();
        let at = known.kinds.iter().position(|kind| kind == strategy_kind);
        at.map_or(0, |at| known.counts[at])
    }

    /// How many jobs are under way with a plugin of a strategy kind.
    #[must_use]
    pub fn jobs(&self, strategy_kind: &str) -> u32 {
        let known = self.known();
        let jobs = known
            .under_way
            .values()
            .filter(|shown| shown.of.strategy_kind == strategy_kind && shown.of.kind != "Backup");
        u32::try_from(jobs.count()).unwrap_or(u32::MAX)
    }

    /// What is under way, each with its UID.
    #[must_use]
    pub fn under_way(&self) -> BTreeMap<String, Use> {
        let known = self.known();
        let all = known.under_way.iter();
        all.map(|(uid, shown)| (uid.clone(), shown.of.clone()))
            .collect()
    }

    /// Whether something under way has noted a component.
    #[must_use]
    pub fn need(&self, digest: &str) -> bool {
        let known = self.known();
        let mut all = known.under_way.values();
        all.any(|shown| shown.of.plugin.digest == digest)
    }
}

impl Known {
    /// A Backup is there. Gives back whether that is new.
    fn backup(&mut self, uid: &str, epoch: u32, strategy_kind: Option<&str>) -> bool {
        let uid = hash(uid);
        let Some(strategy_kind) = strategy_kind else {
            return self.without_backup(uid);
        };
        let number = self.number(strategy_kind);
        let shown = Shown { of: number, epoch };
        match self.backups.insert(uid, shown) {
            Some(old) if old.of == number => false,
            old => {
                if let Some(old) = old {
                    self.counts[usize::from(old.of)] -= 1;
                }
                self.counts[usize::from(number)] += 1;
                true
            }
        }
    }

    fn without_backup(&mut self, uid: u64) -> bool {
        let old = self.backups.remove(&uid);
        if let Some(old) = &old {
            self.counts[usize::from(old.of)] -= 1;
        }
        old.is_some()
    }

    /// Kinds beyond what a number can say share the last one: nobody has so many.
    fn number(&mut self, kind: &str) -> u16 {
        let at = self.kinds.iter().position(|known| known == kind);
        let at = at.unwrap_or_else(|| {
            self.kinds.push(kind.to_owned());
            self.counts.push(0);
            self.kinds.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }
}

fn hash(uid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish()
}

fn kind_of(shown: &Value) -> Option<usize> {
    if object::text(shown, &["apiVersion"]) != API_VERSION {
        return None;
    }
    let kind = object::text(shown, &["kind"]);
    KINDS.iter().position(|known| *known == kind)
}

/// The strategy kind of a Backup, where it is one of ours.
fn strategy_kind(shown: &Value) -> Option<&str> {
    let reference = shown.pointer("/spec/strategyRef")?;
    let group = object::text(reference, &["apiGroup"]);
    let is_ours = group.is_empty() || group == backup_api::names::STRATEGY_GROUP;
    let kind = object::text(reference, &["kind"]);
    (is_ours && !kind.is_empty()).then_some(kind)
}

/// What a job, or a Backup's removal, has noted, unless it has ended.
fn under_way(shown: &Value) -> Option<Use> {
    if object::has_ended(shown) {
        return None;
    }
    let noted = shown.pointer("/status/strategy")?;
    let plugin = serde_json::from_value(noted.get("plugin")?.clone()).ok()?;
    let target = object::reference(shown);
    Some(Use {
        kind: target.kind,
        namespace: target.namespace.unwrap_or_default(),
        strategy_kind: object::text(noted, &["strategyRef", "kind"]).to_owned(),
        plugin,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(uid: &str, phase: &str, digest: &str) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": "BackupJob",
            "metadata": { "namespace": "a", "name": uid, "uid": uid },
            "status": { "phase": phase, "strategy": {
                "plugin": { "name": "one", "version": "1.0.0", "digest": digest },
                "strategyRef": { "kind": "One", "name": "one" },
            } },
        })
    }

    fn backup(uid: &str, kind: &str) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": "Backup",
            "metadata": { "namespace": "a", "name": uid, "uid": uid },
            "spec": { "strategyRef": { "kind": kind, "name": "one" } },
        })
    }

    #[test]
    fn a_component_is_needed_until_the_last_job_has_ended() {
        let uses = Uses::default();
        uses.seen(&job("1", "Running", "old"));
        uses.seen(&job("2", "Running", "old"));
        uses.seen(&job("1", "Succeeded", "old"));
        assert!(uses.need("old"));
        assert_eq!(uses.jobs("One"), 1);
        uses.gone(&job("2", "Running", "old"));
        assert!(!uses.need("old"));
    }

    #[test]
    fn backups_are_counted_by_their_kind() {
        let uses = Uses::default();
        for (uid, kind) in [("1", "One"), ("2", "One"), ("3", "Other")] {
            uses.seen(&backup(uid, kind));
        }
        let before = uses.changes();
        uses.seen(&backup("1", "One"));
        assert_eq!(uses.changes(), before, "that is no news");
        uses.gone(&backup("2", "One"));
        assert_eq!((uses.backups("One"), uses.backups("Other")), (1, 1));
    }

    #[test]
    fn what_went_while_nobody_looked_is_not_counted_any_more() {
        let uses = Uses::default();
        uses.seen(&backup("1", "One"));
        uses.seen(&backup("2", "One"));
        uses.seen(&job("3", "Running", "old"));
        uses.begins("Backup");
        uses.seen(&backup("2", "One"));
        uses.listed("Backup");
        assert_eq!(uses.backups("One"), 1);
        assert!(uses.need("old"), "jobs were not listed");
        uses.begins("BackupJob");
        uses.listed("BackupJob");
        assert!(!uses.need("old"));
    }

    #[test]
    fn the_removal_of_a_backup_needs_its_component() {
        let uses = Uses::default();
        let mut removed = backup("1", "One");
        removed["status"] = job("1", "", "old")["status"].clone();
        removed["status"]["phase"] = json!("Ready");
        uses.seen(&removed);
        assert!(uses.need("old"));
        assert_eq!(uses.jobs("One"), 0, "it is no job");
    }
}
