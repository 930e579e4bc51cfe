//! The jobs that stand in line for an application.

use std::collections::BTreeMap;

use backup_api::{ApplicationReference, Reason, names::API_VERSION};
use backup_sandbox::contract::ApplicationRef;
use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    cluster::{Caller, Cluster},
    host::Host,
    job::application_ref,
    object,
    restore_target::works_in,
    stop::Stop,
};

/// The jobs that have not ended and may work in a namespace, by UID, each as `BackupJob nightly`.
pub(super) type Live = BTreeMap<String, String>;

/// Creation time and UID: the order of the line.
pub(super) type Place = (String, String);

/// A job that stands in line for an application.
pub(super) struct Contender {
    pub uid: String,
    pub place: Place,
    pub has_started: bool,
}

/// The jobs that have not ended and may work in a namespace.
#[derive(Default)]
pub(super) struct Line {
    /// Those that stand in line for one of the applications.
    contenders: Vec<Contender>,
    /// All of them.
    pub live: Live,
}

impl Line {
    /// Where a job stands.
    pub(super) fn place_of(&self, uid: &str) -> Option<&Place> {
        let mut contenders = self.contenders.iter();
        contenders
            .find(|contender| contender.uid == uid)
            .map(|contender| &contender.place)
    }

    /// The first job that has started, but for this one.
    pub(super) fn started(&self, uid: &str) -> Option<&Contender> {
        let mut contenders = self.contenders.iter();
        contenders.find(|other| other.uid != uid && other.has_started)
    }

    /// Who comes before a place in the line: who has started, and who came earlier. Whoever has no place joins at the
    /// end.
    pub(super) fn ahead(&self, uid: &str, place: Option<&Place>) -> Option<&Contender> {
        self.contenders.iter().find(|other| {
            other.uid != uid
                && (other.has_started || place.is_none_or(|place| other.place < *place))
        })
    }

    /// What a job is called.
    pub(super) fn name_of(&self, uid: &str) -> &str {
        self.live.get(uid).map_or("another job", String::as_str)
    }
}

impl<C: Cluster> Host<C> {
    /// The jobs that have not ended, and among them those that stand in line for one of the applications, which are all
    /// of one namespace. What jobs of other namespaces than `asker` are called is nobody's business there.
    pub(super) async fn line(
        &self,
        applications: &[ApplicationRef],
        asker: &str,
    ) -> Result<Line, Stop> {
        let mut line = Line::default();
        let first = applications.first();
        let namespace = first.map_or("", |first| first.namespace.as_str());
        // A RestoreJob of any namespace may work in this one.
        for (kind, of) in [("BackupJob", Some(namespace)), ("RestoreJob", None)] {
            for job in self.cluster.live_jobs(kind, of).await? {
                let of = object::text(&job, &["metadata", "namespace"]);
                let is_here = of == namespace;
                if !is_here && works_in(&job) != namespace {
                    continue;
                }
                let name = match of == asker {
                    true => format!("{kind} {}", object::text(&job, &["metadata", "name"])),
                    false => format!("a {kind} of another namespace"),
                };
                line.live.insert(object::uid(&job).to_owned(), name);
                if !stands_in_line(&job, is_here) {
                    continue;
                }
                let works_on = self.works_on(kind, &job).await?;
                if works_on.iter().any(|one| applications.contains(one)) {
                    line.contenders.push(contender(&job));
                }
            }
        }
        Ok(line)
    }

    /// The applications that a job works on: those that it noted when it started, else the one that it names; none
    /// where the Backup that would tell is gone.
    async fn works_on(&self, kind: &str, job: &Value) -> Result<Vec<ApplicationRef>, Stop> {
        let namespace = works_in(job);
        let noted = noted(job, namespace);
        if !noted.is_empty() {
            return Ok(noted);
        }
        let pointer = match kind {
            "BackupJob" => "/spec/applicationRef",
            _ => "/spec/targetApplicationRef",
        };
        let named = read(job.pointer(pointer), namespace);
        if named.is_some() || kind == "BackupJob" {
            return Ok(named.into_iter().collect());
        }
        let name = object::text(job, &["spec", "backupRef", "name"]);
        let own = object::text(job, &["metadata", "namespace"]);
        let target = object::target(API_VERSION, "Backup", Some(own), name);
        let backup = self.cluster.get(&Caller::host(), &target).await?;
        let backup = backup.as_ref();
        let of = backup.and_then(|backup| backup.pointer("/spec/applicationRef"));
        Ok(read(of, namespace).into_iter().collect())
    }
}

fn read(reference: Option<&Value>, namespace: &str) -> Option<ApplicationRef> {
    let reference = ApplicationReference::deserialize(reference?).ok()?;
    Some(application_ref(&reference, namespace))
}

/// What a job that has started noted that it works on: its application, and what it holds beside.
fn noted(job: &Value, namespace: &str) -> Vec<ApplicationRef> {
    let own = read(job.pointer("/status/strategy/applicationRef"), namespace);
    let holds = job.pointer("/status/strategy/holds");
    let holds = holds.and_then(Value::as_array).into_iter().flatten();
    let Some(own) = own else { return vec![] };
    let holds = holds.filter_map(|held| read(Some(held), namespace));
    std::iter::once(own).chain(holds).collect()
}

/// A job that has not ended, and that does not wait for something else than its turn. One of another namespace stands in
/// line only once it was looked at: until then nothing says that its author may work here.
fn stands_in_line(job: &Value, is_here: bool) -> bool {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| object::text(condition, &["type"]) == "Ready");
    let waits_here = ready.map_or(is_here, |ready| {
        let reason = object::text(ready, &["reason"]);
        [Reason::ApplicationBusy, Reason::PluginBusy]
            .iter()
            .any(|here| here.as_str() == reason)
    });
    (has_started(job) || waits_here) && !object::has_ended(job)
}

fn has_started(job: &Value) -> bool {
    !object::text(job, &["status", "startedAt"]).is_empty()
}

fn contender(job: &Value) -> Contender {
    let uid = object::uid(job).to_owned();
    Contender {
        place: (
            object::text(job, &["metadata", "creationTimestamp"]).to_owned(),
            uid.clone(),
        ),
        has_started: has_started(job),
        uid,
    }
}
