//! Users order backups and restores, and change their minds.

use std::fmt;

use backup_api::names::API_VERSION;
use serde_json::{Value, json};

use super::applications::{DATABASES, ETCD};
use crate::{ground::Ground, happening::Happening, record::has_started, schedule::Outline};

/// Few names, so that many jobs are created anew under an old one.
const BACKUPS: [&str; 3] = ["nightly", "ad-hoc", "before-upgrade"];
const RESTORES: [&str; 2] = ["back", "back-again"];

/// What a user does to a job or a Backup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobEvent {
    pub(crate) tenant: &'static str,
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A BackupJob.
    Backup {
        kind: &'static str,
        application: &'static str,
        class: &'static str,
    },
    /// A RestoreJob.
    Restore {
        backup: &'static str,
        target: Option<&'static str>,
        options: Option<Value>,
    },
    /// An object of this kind is deleted.
    Delete(&'static str),
    /// A BackupJob that has not started gets another class.
    Edit(&'static str),
}

pub(crate) fn draw(outline: &mut Outline) {
    for _ in 0..outline.rng.u32(2..=6) {
        draw_backup(outline);
    }
    for _ in 0..outline.rng.u32(0..=3) {
        draw_restore(outline);
    }
    if outline.one_in(4) {
        let (tenant, name, at) = (outline.tenant(), outline.pick(&BACKUPS), outline.time());
        add(outline, at, tenant, name, What::Delete("Backup"));
    }
}

fn add(outline: &mut Outline, at: u32, tenant: &'static str, name: &'static str, what: What) {
    let event = JobEvent { tenant, name, what };
    outline.add_anytime(at, Happening::Job(event));
}

fn draw_backup(outline: &mut Outline) {
    let (tenant, name, at) = (outline.tenant(), outline.pick(&BACKUPS), outline.time());
    let (kind, application) = match outline.rng.u32(0..10) {
        0..4 => ("Postgres", outline.pick(&DATABASES)),
        4..9 => ("Etcd", ETCD),
        _ => outline.pick(&[("Etcd", "other"), ("Redis", "cache")]),
    };
    let class = match outline.rng.u32(0..12) {
        0 => "of-yesterday",
        _ => "cozy-default",
    };
    let what = What::Backup {
        kind,
        application,
        class,
    };
    add(outline, at, tenant, name, what);
    draw_end(outline, at, tenant, name, "BackupJob");
    if outline.one_in(8) {
        let later = at + outline.rng.u32(0..200);
        let class = outline.pick(&["cozy-default", "of-yesterday"]);
        add(outline, later, tenant, name, What::Edit(class));
    }
}

fn draw_restore(outline: &mut Outline) {
    let (tenant, name) = (outline.tenant(), outline.pick(&RESTORES));
    let backup = outline.pick(&BACKUPS);
    // A Backup must be there first, as a rule.
    let at = outline.rng.u32(outline.horizon / 4..outline.horizon);
    if !outline.one_in(4) {
        let ordered = outline.rng.u32(0..at.max(1) / 2 + 1);
        let what = What::Backup {
            kind: "Etcd",
            application: ETCD,
            class: "cozy-default",
        };
        add(outline, ordered, tenant, backup, what);
    }
    let target = match outline.rng.u32(0..8) {
        0 => Some("other"),
        1 => Some(ETCD),
        _ => None,
    };
    let options = match outline.rng.u32(0..8) {
        0 => Some(json!({ "restoreTimeoutSeconds": "soon" })),
        1 => Some(json!({ "purge": true })),
        2 => Some(json!({ "restoreTimeoutSeconds": 900 })),
        _ => None,
    };
    let what = What::Restore {
        backup,
        target,
        options,
    };
    add(outline, at, tenant, name, what);
    draw_end(outline, at, tenant, name, "RestoreJob");
}

/// Now and then a job is deleted again, and now and then another takes its name.
fn draw_end(
    outline: &mut Outline,
    at: u32,
    tenant: &'static str,
    name: &'static str,
    kind: &'static str,
) {
    if outline.one_in(3) {
        let later = at + outline.rng.u32(0..400);
        add(outline, later, tenant, name, What::Delete(kind));
        if kind == "BackupJob" && outline.one_in(2) {
            let again = later + outline.rng.u32(0..200);
            let what = What::Backup {
                kind: "Etcd",
                application: ETCD,
                class: "cozy-default",
            };
            add(outline, again, tenant, name, what);
        }
    }
}

impl JobEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        let (kind, spec) = match &self.what {
            What::Delete(kind) => {
                return ground.delete(API_VERSION, kind, Some(self.tenant), self.name);
            }
            What::Edit(class) => return self.edit(ground, class),
            What::Backup {
                kind,
                application,
                class,
            } => (
                "BackupJob",
                json!({
                    "backupClassName": class,
                    "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": kind, "name": application },
                }),
            ),
            What::Restore {
                backup,
                target,
                options,
            } => {
                let mut spec = json!({ "backupRef": { "name": backup } });
                if let Some(name) = target {
                    spec["targetApplicationRef"] =
                        json!({ "apiGroup": "apps.cozystack.io", "kind": "Etcd", "name": name });
                }
                if let Some(options) = options {
                    spec["options"] = options.clone();
                }
                ("RestoreJob", spec)
            }
        };
        ground.create(&json!({
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": { "name": self.name, "namespace": self.tenant },
            "spec": spec,
        }));
    }
}

impl JobEvent {
    /// The rule that keeps the spec of a started job is the API server's; the cluster in memory evaluates none.
    fn edit(&self, ground: &Ground, class: &str) {
        let job = ground
            .cluster
            .read(API_VERSION, "BackupJob", Some(self.tenant), self.name);
        if job.is_some_and(|job| has_started(&job)) {
            return ground.note(|| "    (refused: it has started)".to_owned());
        }
        let change = json!({ "spec": { "backupClassName": class } });
        ground.change("BackupJob", self.tenant, self.name, &change);
    }
}

impl fmt::Display for JobEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, name, .. } = self;
        match &self.what {
            What::Backup {
                kind,
                application,
                class,
            } => write!(
                f,
                "a user creates BackupJob {tenant}/{name} of {kind} {application} with class {class}"
            ),
            What::Restore {
                backup,
                target,
                options,
            } => {
                write!(
                    f,
                    "a user creates RestoreJob {tenant}/{name} of Backup {backup}"
                )?;
                if let Some(target) = target {
                    write!(f, " into Etcd {target}")?;
                }
                options
                    .as_ref()
                    .map_or(Ok(()), |options| write!(f, " with {options}"))
            }
            What::Edit(class) => write!(
                f,
                "a user gives BackupJob {tenant}/{name} the class {class}"
            ),
            What::Delete(kind) => write!(f, "a user deletes {kind} {tenant}/{name}"),
        }
    }
}
