//! The platform's operator changes the class, the strategy objects and the storage's Secret, or brings them late.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    ground::{Ground, text},
    happening::Happening,
    record::{has_started, is_final},
    schedule::Outline,
    strategies::Strategy,
};

/// What becomes of an object of the platform's configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConfigurationEvent {
    pub(crate) of: Of,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    Class,
    Strategy(Strategy),
    Storage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Restored,
    Deleted,
    /// Something about it changes that matters little.
    Changed,
    /// It becomes one that cannot work.
    Spoilt,
    /// The platform's storage is the other bucket from now on.
    Moved,
    /// The class keeps Backups that no Plan covers for a day.
    Limited,
}

pub(crate) fn draw(outline: &mut Outline) {
    let strategies = outline.strategies.clone().into_iter().map(Of::Strategy);
    for of in [Of::Class, Of::Storage].into_iter().chain(strategies) {
        if !outline.one_in(5) {
            continue;
        }
        let what = outline.pick(&[What::Deleted, What::Changed, What::Spoilt]);
        let at = if outline.one_in(2) { 0 } else { outline.time() };
        let event = |what| Happening::Configuration(ConfigurationEvent { of, what });
        outline.add_anytime(at, event(what));
        let later = at + outline.rng.u32(15..900);
        outline.add_anytime(later, event(What::Restored));
    }
    let event = |of, what| Happening::Configuration(ConfigurationEvent { of, what });
    let follow = outline.strategies.iter().all(|is| is.follows_storage());
    if follow && outline.one_in(6) {
        let at = outline.time();
        outline.add(at, event(Of::Storage, What::Moved));
        if outline.rng.bool() {
            let later = at + outline.rng.u32(15..900);
            outline.add(later, event(Of::Storage, What::Moved));
        }
    }
    if outline.one_in(5) {
        let at = outline.time();
        outline.add_anytime(at, event(Of::Class, What::Limited));
    }
}

impl ConfigurationEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        match self.what {
            What::Moved => move_storage(ground),
            What::Limited => ground.limit_class(),
            _ => {
                for object in self.objects(ground) {
                    self.happen_to(object, ground);
                }
            }
        }
    }

    fn happen_to(&self, mut object: Value, ground: &Ground) {
        match self.what {
            What::Restored => ground.put(&object),
            What::Deleted => ground.delete(
                text(&object, "/apiVersion"),
                text(&object, "/kind"),
                object
                    .pointer("/metadata/namespace")
                    .and_then(Value::as_str),
                text(&object, "/metadata/name"),
            ),
            What::Changed => {
                object["metadata"]["annotations"] = json!({ "example.org/changed": "true" });
                ground.put(&object);
            }
            What::Spoilt => {
                match self.of {
                    Of::Class => object["spec"]["strategies"] = json!([]),
                    Of::Strategy(strategy) => strategy.spoil(&mut object),
                    Of::Storage => object["stringData"] = json!({ "bucketName": "cozy-backups" }),
                }
                ground.put(&object);
            }
            What::Moved | What::Limited => {}
        }
    }

    fn objects(&self, ground: &Ground) -> Vec<Value> {
        match self.of {
            Of::Class => vec![ground.class()],
            Of::Strategy(strategy) => ground.settings(strategy).to_vec(),
            Of::Storage => vec![ground.storage_secret()],
        }
    }
}

/// Moves the storage. That is put off while a backup is under way: its Backup would record the new bucket for data in
/// the old one, a known defect.
fn move_storage(ground: &Ground) {
    let is_under_way =
        |job: &Value| text(job, "/kind") == "BackupJob" && has_started(job) && !is_final(job);
    if ground.cluster.objects().iter().any(|job| is_under_way(job)) {
        return ground.note(|| "    (put off: a backup is under way)".to_owned());
    }
    let bucket = ground.storage.move_on();
    ground.note(|| format!("    (it is {bucket} now)"));
    ground.put(&ground.storage_secret());
}

impl fmt::Display for ConfigurationEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Of::Class => "BackupClass cozy-default".to_owned(),
            Of::Strategy(strategy) => format!("what is set for {}", strategy.kind()),
            Of::Storage => "the storage's Secret".to_owned(),
        };
        let what = match self.what {
            What::Restored => "as it should be",
            What::Deleted => "deleted",
            What::Changed => "changed",
            What::Spoilt => "spoilt",
            What::Moved => "about another bucket",
            What::Limited => "one that keeps Backups for a day",
        };
        write!(f, "{of} is {what}")
    }
}
