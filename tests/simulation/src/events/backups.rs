//! Users have Backups looked at, say what becomes of their data, and delete them; and data is lost.

use std::{fmt, sync::Arc};

use backup_api::names::{API_VERSION, CHECK_REQUESTED};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, text},
    happening::Happening,
    schedule::Outline,
};

/// What becomes of a Backup of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BackupEvent {
    pub(crate) tenant: &'static str,
    pub(crate) of: Of,
    pub(crate) what: What,
}

/// Which of the Backups that there are by then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    Oldest,
    Newest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// It is asked to be looked at.
    Asked,
    /// Its `deletionPolicy` is this.
    Policy(&'static str),
    Deleted,
    /// Somebody removes something from the bucket, whoever's it is.
    Lost,
}

pub(crate) fn draw(outline: &mut Outline) {
    if !outline.one_in(2) {
        return;
    }
    let policies = ["Retain", "Retain", "Delete"];
    for _ in 0..outline.rng.u32(1..4) {
        let what = match outline.rng.u32(0..8) {
            0..4 => What::Asked,
            4 | 5 => What::Policy(outline.pick(&policies)),
            6 => What::Deleted,
            _ => What::Lost,
        };
        let event = BackupEvent {
            tenant: outline.tenant(),
            of: outline.pick(&[Of::Oldest, Of::Newest]),
            what,
        };
        let at = outline.rng.u32(outline.horizon / 4..outline.horizon + 300);
        // What the host has read in a pass it acts upon, whatever somebody says in the middle of it.
        match what {
            What::Policy(_) => {
                let deleted = BackupEvent {
                    what: What::Deleted,
                    ..event.clone()
                };
                outline.add(at, Happening::Backup(event));
                let later = at + outline.rng.u32(0..120);
                outline.add_anytime(later, Happening::Backup(deleted));
            }
            What::Lost => outline.add(at, Happening::Backup(event)),
            _ => outline.add_anytime(at, Happening::Backup(event)),
        }
    }
}

impl BackupEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        if self.what == What::Lost {
            if let Some((bucket, key)) = ground.storage.lose(self.tenant) {
                ground.note(|| format!("    (s3://{bucket}/{key} is gone)"));
            }
            return;
        }
        let Some(backup) = self.backup(ground) else {
            return ground.note(|| "    (there is none)".to_owned());
        };
        let name = text(&backup, "/metadata/name");
        ground.note(|| format!("    (it is Backup {name})"));
        match self.what {
            What::Asked => {
                // Another text each time: asking twice is asking again.
                let asked = ground.cluster.revision().to_string();
                let change = json!({ "metadata": { "annotations": { CHECK_REQUESTED: asked } } });
                ground.change("Backup", self.tenant, name, &change);
            }
            What::Policy(policy) => {
                let change = json!({ "spec": { "deletionPolicy": policy } });
                ground.change("Backup", self.tenant, name, &change);
            }
            What::Deleted => ground.delete(API_VERSION, "Backup", Some(self.tenant), name),
            What::Lost => {}
        }
    }

    /// The Backup that it is about.
    fn backup(&self, ground: &Ground) -> Option<Arc<Value>> {
        let backups = ground.cluster.objects().into_iter().filter(|object| {
            text(object, "/apiVersion") == API_VERSION
                && text(object, "/kind") == "Backup"
                && text(object, "/metadata/namespace") == self.tenant
        });
        let age = |backup: &Arc<Value>| {
            let at = ["/spec/takenAt", "/metadata/name"];
            at.map(|member| text(backup, member).to_owned())
        };
        match self.of {
            Of::Oldest => backups.min_by_key(age),
            Of::Newest => backups.max_by_key(age),
        }
    }
}

impl fmt::Display for BackupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Of::Oldest => "oldest",
            Of::Newest => "newest",
        };
        let of = format!("the {of} Backup in {}", self.tenant);
        match self.what {
            What::Asked => write!(f, "a user asks whether the data of {of} is there"),
            What::Policy(policy) => write!(f, "a user sets deletionPolicy of {of} to {policy}"),
            What::Deleted => write!(f, "a user deletes {of}"),
            What::Lost => write!(f, "somebody removes stored data of {}", self.tenant),
        }
    }
}
