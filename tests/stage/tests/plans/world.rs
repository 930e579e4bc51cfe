//! A tenant with a Plan, time that passes, and jobs that are played.

use std::{collections::BTreeMap, time::Duration};

use backup_engine::{
    Settings,
    cluster::memory::{ChangeKind, Changes},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::Stage;

pub const TENANT: &str = "tenant-acme";
pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// How a job goes that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It succeeds at once, with a Backup.
    Succeeds,
    /// It fails at once.
    Fails,
    /// It does not end: it waits for a strategy that never comes.
    Lasts,
}

/// A platform, a tenant, and jobs that are played.
pub struct World {
    pub stage: Stage,
    pub fate: Fate,
    changes: Changes,
    /// How many jobs were made for each name, whatever became of them.
    pub made: BTreeMap<String, usize>,
}

impl World {
    /// It is Wednesday, 25 November 2026, noon.
    pub fn new() -> Self {
        // So that jobs and classes that wait are not looked at while weeks pass.
        Self::that_looks_again_after(Duration::from_secs(24 * 60 * 60))
    }

    /// The same with a host that looks again sooner.
    pub fn that_looks_again_after(look_again: Duration) -> Self {
        let stage = Stage::with_settings(Settings {
            look_again,
            // A job waits for its strategy as long as a test likes.
            configuration_deadline: Duration::from_secs(1 << 30),
            ..Settings::default()
        })
        .unwrap();
        stage.namespace(TENANT).unwrap();
        let class = json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "BackupClass",
            "metadata": { "name": "cozy-default" },
            "spec": { "strategies": [{
                "application": { "kind": "Postgres" },
                "strategyRef": { "kind": "CNPG", "name": "never" },
            }] },
        });
        stage.cluster.put(class).unwrap();
        let changes = stage.cluster.changes();
        Self {
            stage,
            fate: Fate::Succeeds,
            changes,
            made: BTreeMap::new(),
        }
    }

    /// A tenant's Plan of the database `orders-db`, with more in its spec.
    pub fn plan(&self, name: &str, cron: &str, more: &Value) {
        let mut spec = json!({
            "backupClassName": "cozy-default",
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
            "schedule": { "cron": cron },
        });
        json_patch(&mut spec, more);
        let plan = json!({
            "apiVersion": "backups.cozystack.io/v1alpha1",
            "kind": "Plan",
            "metadata": { "name": name, "namespace": TENANT },
            "spec": spec,
        });
        self.stage.cluster.put(plan).unwrap();
    }

    /// The tenant changes a Plan's spec.
    pub fn change(&self, name: &str, more: &Value) {
        let mut plan = self.stage.read("Plan", TENANT, name);
        json_patch(&mut plan["spec"], more);
        plan["metadata"]["generation"] =
            json!(plan["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        self.stage.cluster.put(plan).unwrap();
    }

    /// Passes are made and jobs are played until nothing is due.
    pub async fn settle(&mut self) {
        loop {
            self.stage.runner.settle().await.unwrap();
            self.listen();
            if !self.play_jobs() {
                return;
            }
        }
    }

    /// Time passes, as far as the host looks at it.
    pub async fn pass(&mut self, seconds: i64) {
        let end = self.stage.cluster.now() + seconds;
        loop {
            self.settle().await;
            let now = self.stage.cluster.now();
            if now >= end {
                return;
            }
            let next = self.stage.runner.next_at().map_or(end, |at| {
                at.as_second() + i64::from(at.subsec_nanosecond() > 0)
            });
            self.stage.cluster.set_now(next.clamp(now + 1, end));
        }
    }

    /// Time passes while there is no host; then there is a new one.
    pub async fn pass_without_host(&mut self, seconds: i64) {
        self.stage.cluster.advance(seconds);
        self.stage.restart();
        self.settle().await;
    }

    /// Notes which jobs were made.
    pub fn listen(&mut self) {
        while let Some(change) = self.changes.try_next().unwrap() {
            if change.kind == ChangeKind::Added && change.object["kind"] == "BackupJob" {
                let name = text(&change.object, "/metadata/name");
                *self.made.entry(name).or_default() += 1;
            }
        }
    }

    /// Plays what the jobs' strategy would do. Gives back whether it did anything.
    fn play_jobs(&self) -> bool {
        let mut has_played = false;
        for job in self.objects("BackupJob") {
            let phase = text(&job, "/status/phase");
            if self.fate == Fate::Lasts || matches!(phase.as_str(), "Succeeded" | "Failed") {
                continue;
            }
            self.end(&job, self.fate);
            has_played = true;
        }
        has_played
    }

    /// A job ends.
    pub fn end(&self, job: &Value, fate: Fate) {
        let now = json!(self.now());
        let mut job = job.clone();
        let phase = if fate == Fate::Succeeds {
            "Succeeded"
        } else {
            "Failed"
        };
        job["status"] = json!({ "phase": phase, "completedAt": now });
        self.stage.cluster.put(job.clone()).unwrap();
        if fate == Fate::Succeeds {
            self.backup(&text(&job, "/metadata/name"), &job["spec"]);
        }
    }

    /// A Backup of a job, taken now.
    pub fn backup(&self, name: &str, spec: &Value) {
        let plan = text(spec, "/planRef/name");
        self.stage
            .cluster
            .put(json!({
                "apiVersion": "backups.cozystack.io/v1alpha1",
                "kind": "Backup",
                "metadata": {
                    "name": name, "namespace": TENANT,
                    "labels": { "backups.cozystack.io/plan": plan },
                },
                "spec": {
                    "applicationRef": spec["applicationRef"],
                    "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "CNPG", "name": "played" },
                    "planRef": { "name": plan },
                    "takenAt": self.now(),
                },
                "status": { "phase": "Ready" },
            }))
            .unwrap();
    }

    pub fn now(&self) -> String {
        Timestamp::from_second(self.stage.cluster.now())
            .unwrap()
            .to_string()
    }

    /// The tenant's objects of a kind that are not being deleted, oldest first.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let mut found: Vec<Value> = self
            .stage
            .cluster
            .objects()
            .iter()
            .filter(|object| {
                object["kind"] == kind
                    && text(object, "/apiVersion").starts_with("backups.cozystack.io/")
                    && object["metadata"]["namespace"] == TENANT
                    && object["metadata"]["deletionTimestamp"].is_null()
            })
            .map(|object| (**object).clone())
            .collect();
        found.sort_by_key(|object| {
            (
                text(object, "/metadata/creationTimestamp"),
                text(object, "/metadata/name"),
            )
        });
        found
    }

    /// The names of the tenant's jobs, oldest first.
    pub fn jobs(&self) -> Vec<String> {
        names(&self.objects("BackupJob"))
    }

    /// The slots of the tenant's jobs, as `25 12:00`.
    pub fn slots(&self) -> Vec<String> {
        self.jobs().iter().map(|name| slot(name)).collect()
    }

    /// A Plan's status.
    pub fn status(&self, plan: &str) -> Value {
        self.stage.read("Plan", TENANT, plan)["status"].clone()
    }

    /// A condition of a Plan: `True Scheduled: message`.
    pub fn condition(&self, plan: &str, type_: &str) -> String {
        let status = self.status(plan);
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions
            .iter()
            .find(|condition| condition["type"] == type_)
            .cloned()
            .unwrap_or_default();
        format!(
            "{} {}: {}",
            text(&condition, "/status"),
            text(&condition, "/reason"),
            text(&condition, "/message")
        )
    }

    /// The notes of the Events of a reason, in no order.
    pub fn events(&self, reason: &str) -> Vec<String> {
        self.stage
            .cluster
            .objects()
            .iter()
            .filter(|object| object["kind"] == "Event" && object["reason"] == reason)
            .map(|event| text(event, "/note"))
            .collect()
    }
}

pub fn names(objects: &[Value]) -> Vec<String> {
    objects
        .iter()
        .map(|object| text(object, "/metadata/name"))
        .collect()
}

/// The slot in a job's name, as `25 12:00`.
pub fn slot(job: &str) -> String {
    let minutes: i64 = job.rsplit_once('-').unwrap().1.parse().unwrap();
    Timestamp::from_second(minutes * 60)
        .unwrap()
        .strftime("%d %H:%M")
        .to_string()
}

pub fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Merges as a JSON merge patch does.
fn json_patch(into: &mut Value, from: &Value) {
    match from {
        Value::Object(members) if into.is_object() => {
            for (name, member) in members {
                if member.is_null() {
                    into.as_object_mut().unwrap().remove(name);
                } else {
                    json_patch(&mut into[name], member);
                }
            }
        }
        Value::Null => {}
        other => *into = other.clone(),
    }
}
