//! What an evaluation was shown of the cluster, as far as its walls need to know it.
//!
//! A strategy can tell only what it has read. So the secrets that its words and objects are searched for are those of the
//! objects that it was shown, and no request is made to look for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use backup_api::names::OWNED_BY_UID;
use backup_sandbox::contract::ObjectRef;
use serde_json::Value;

use crate::{object, secrets::sensitive_values};

/// What was shown in one pass.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    /// Values of sensitive fields.
    secrets: BTreeSet<String>,
    uids: BTreeSet<String>,
    /// The UID in the label of the job or Backup that an object is of; empty where it has none.
    owners: BTreeMap<String, String>,
}

impl Shown {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object that is about to be shown.
    pub(crate) fn note(&self, object: &Value) {
        let mut facts = self.facts();
        sensitive_values(object, &mut facts.secrets);
        facts.uids.insert(object::uid(object).to_owned());
        let owner = object::label(object, OWNED_BY_UID).unwrap_or_default();
        let key = key(&object::reference(object));
        facts.owners.insert(key, owner.to_owned());
    }

    /// The values of sensitive fields.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        self.facts().secrets.clone()
    }

    /// Whether an object with a UID was shown.
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.facts().uids.contains(uid)
    }

    /// The UID of the job or Backup that an object is of, empty where it is of none; none where the object was not shown.
    pub(crate) fn owner(&self, target: &ObjectRef) -> Option<String> {
        self.facts().owners.get(&key(target)).cloned()
    }
}

fn key(target: &ObjectRef) -> String {
    format!("{} {}", target.api_version, object::describe(target))
}
