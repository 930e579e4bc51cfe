//! What the watches have shown, kept as far as passes need it: most reads of a pass are answered here, without a
//! request.
//!
//! | a watch sees | and keeps | so that |
//! |---|---|---|
//! | all of a kind, or one name of it | the objects | a read is answered, absence too |
//! | the jobs that have not ended | the objects | a live job is answered; of another the API server is asked |
//! | the objects that strategies made, by label | the objects | those are answered; of others the API server is asked |
//! | all of a kind | the names | absence is answered; what was read once is kept until the watch tells of a change |
//!
//! A watch looks into all namespaces, or into one; it answers for no other.
//!
//! An answer is never older than what this process has written: what a write gave back is kept in its place, and an
//! event of an older version does not take it away. Whoever else wrote in between is told of by the watch, which wakes
//! the job anyway.

mod cache;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backup_api::names::API_VERSION;
use backup_engine::cluster::Account;
use backup_sandbox::contract::{ObjectRef, Selector};
use serde_json::Value;

use cache::Cache;
use store::Store;

pub(crate) use cache::Ticket;
pub(crate) use store::{Keeps, Scope, Seen, View};

/// A kind under an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KindOf {
    pub account: Account,
    pub api_version: String,
    pub kind: String,
}

impl KindOf {
    pub(crate) fn new(account: &Account, api_version: &str, kind: &str) -> Self {
        Self {
            account: account.clone(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }
}

/// What a read gets here.
#[derive(Debug, PartialEq)]
pub(crate) enum Sighting<T> {
    /// The answer.
    Known(T),
    /// The API server is to be asked. What it says may be kept, where there is a ticket for it.
    Ask(Option<Ticket>),
}

/// What is known of one kind under one account.
#[derive(Default)]
struct Kind {
    stores: Vec<Store>,
    cache: Cache,
}

/// All that is known.
#[derive(Default)]
pub(crate) struct Sight(Mutex<HashMap<KindOf, Kind>>);

impl Sight {
    fn kinds(&self) -> MutexGuard<'_, HashMap<KindOf, Kind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch begins. Until it has seen the cluster it answers nothing.
    pub(crate) fn begin(&self, of: &KindOf, view: &View) {
        let mut kinds = self.kinds();
        let kind = kinds.entry(of.clone()).or_default();
        kind.stores.push(Store::new(view.clone()));
    }

    /// The watch lists anew: what it lists now is all there is.
    pub(crate) fn lists(&self, of: &KindOf, view: &View) {
        self.with(of, view, |store, cache| {
            store.lists();
            if store.validates() {
                cache.distrust(&view.namespace);
            }
        });
    }

    /// The watch has listed everything.
    pub(crate) fn listed(&self, of: &KindOf, view: &View) {
        self.with(of, view, |store, cache| {
            store.listed();
            if store.validates() {
                cache.trust(&view.namespace);
            }
        });
    }

    /// The watch failed: changes may be missed until it has listed again.
    pub(crate) fn lost(&self, of: &KindOf, view: &View) {
        self.with(of, view, |store, cache| {
            store.lost();
            if store.validates() {
                cache.distrust(&view.namespace);
            }
        });
    }

    /// An object as the watch shows it: whole, or its metadata. Gives back whether it is at least as new as what is
    /// kept of it.
    pub(crate) fn saw(&self, of: &KindOf, view: &View, seen: Seen<'_>) -> bool {
        let mut is_news = true;
        self.with(of, view, |store, cache| {
            is_news = store.saw(&seen);
            if store.validates() {
                cache.saw(&seen);
            }
        });
        is_news
    }

    fn with(&self, of: &KindOf, view: &View, change: impl FnOnce(&mut Store, &mut Cache)) {
        let mut kinds = self.kinds();
        let Some(kind) = kinds.get_mut(of) else {
            return;
        };
        let Kind { stores, cache } = kind;
        if let Some(store) = stores.iter_mut().find(|store| store.view() == view) {
            change(store, cache);
        }
    }

    /// One object, if it is known.
    pub(crate) fn get(&self, account: &Account, target: &ObjectRef) -> Sighting<Option<Value>> {
        let mut kinds = self.kinds();
        let of = KindOf::new(account, &target.api_version, &target.kind);
        let Some(kind) = kinds.get_mut(&of) else {
            return Sighting::Ask(None);
        };
        let known = kind.stores.iter().find_map(|store| store.get(target));
        known.map_or_else(|| kind.cache.get(target), Sighting::Known)
    }

    /// The objects that a selector names, if they are known: sorted by namespace and name.
    pub(crate) fn list(&self, account: &Account, matching: &Selector) -> Sighting<Vec<Value>> {
        let mut kinds = self.kinds();
        let of = KindOf::new(account, &matching.api_version, &matching.kind);
        let Some(kind) = kinds.get_mut(&of) else {
            return Sighting::Ask(None);
        };
        let known = kind.stores.iter().find_map(|store| store.list(matching));
        known.map_or_else(|| kind.cache.list(matching), Sighting::Known)
    }

    /// The first object that a selector names, or that there is none; nothing where that is not known.
    pub(crate) fn first(
        &self,
        account: &Account,
        matching: &Selector,
    ) -> Option<Option<ObjectRef>> {
        let kinds = self.kinds();
        let of = KindOf::new(account, &matching.api_version, &matching.kind);
        let stores = &kinds.get(&of)?.stores;
        stores.iter().find_map(|store| store.first(matching))
    }

    /// The jobs of a namespace, or of all, that have not ended, if they are known.
    pub(crate) fn live(&self, of: &KindOf, namespace: Option<&str>) -> Option<Vec<Arc<Value>>> {
        let kinds = self.kinds();
        kinds
            .get(of)?
            .stores
            .iter()
            .find_map(|store| store.live(namespace))
    }

    /// What the API server said, for whoever asks next.
    pub(crate) fn learned(&self, of: &KindOf, ticket: Ticket, answer: &Option<Value>) {
        if let Some(kind) = self.kinds().get_mut(of) {
            kind.cache.learned(ticket, answer.as_ref());
        }
    }

    /// The same of a list.
    pub(crate) fn learned_all(&self, of: &KindOf, ticket: Ticket, answer: &[Value]) {
        if let Some(kind) = self.kinds().get_mut(of) {
            kind.cache.learned_all(ticket, answer);
        }
    }

    /// This process wrote an object: whoever reads it next, under whatever account, sees it as it is now.
    pub(crate) fn written(&self, object: &Value) {
        let target = backup_engine::reference(object);
        self.each(&target, |kind| {
            for store in &mut kind.stores {
                store.written(&target, object);
            }
            kind.cache.written(&target, object);
        });
    }

    /// This process deleted an object, or tried to: nothing is known of it until a watch tells.
    pub(crate) fn deleted(&self, target: &ObjectRef) {
        self.each(target, |kind| {
            for store in &mut kind.stores {
                store.deleted(target);
            }
            kind.cache.forget(target);
        });
    }

    /// A write was refused: what was read once may be old.
    pub(crate) fn doubt(&self, target: &ObjectRef) {
        self.each(target, |kind| kind.cache.forget(target));
    }

    /// How many objects of each of the host's own kinds the watches show.
    pub(crate) fn own_objects(&self) -> BTreeMap<String, usize> {
        let kinds = self.kinds();
        let own = kinds.iter().filter(|(of, _)| of.api_version == API_VERSION);
        own.filter_map(|(of, kind)| {
            let shown = kind.stores.iter().map(Store::len).max()?;
            Some((of.kind.clone(), shown))
        })
        .collect()
    }

    fn each(&self, target: &ObjectRef, mut change: impl FnMut(&mut Kind)) {
        let mut kinds = self.kinds();
        let same_kind = kinds
            .iter_mut()
            .filter(|(of, _)| of.kind == target.kind && of.api_version == target.api_version);
        for (_, kind) in same_kind {
            change(kind);
        }
    }
}

/// Whether one version of an object is at least as new as another. Versions of one kind are numbers that grow, which
/// Kubernetes promises since 1.35 and which etcd always gave; what is no number counts as new.
pub(crate) fn is_as_new(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version >= than,
        _ => true,
    }
}

/// A text of an object's metadata; empty where it has none.
pub(crate) fn metadata<'a>(object: &'a Value, member: &str) -> &'a str {
    object["metadata"][member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
