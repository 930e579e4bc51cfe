//! Users order backups and restores, and change their minds.

use std::fmt;

use backup_api::names::API_VERSION;
use serde_json::{Value, json};

use crate::{
    ground::Ground,
    happening::Happening,
    record::has_started,
    schedule::Outline,
    strategies::{Application, Strategy},
};

/// Few names, so that many jobs are created anew under an old one.
const BACKUPS: [&str; 3] = ["nightly", "ad-hoc", "before-upgrade"];
const RESTORES: [&str; 2] = ["back", "back-again"];

/// Names that only backups have which are to be restored: under the others lies another application's, as often as not.
const RESTORED: [&str; 2] = ["golden", "last-good"];

/// The class that is there.
const CLASS: &str = "cozy-default";

/// An application of a kind that no strategy knows.
const NEVER_HEARD_OF: Application = Application {
    kind: "Redis",
    name: "cache",
};

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
        application: Application,
        class: &'static str,
    },
    /// A RestoreJob.
    Restore {
        backup: &'static str,
        target: Option<Application>,
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
    let application = match outline.rng.u32(0..20) {
        0 => NEVER_HEARD_OF,
        1 => nobodys(outline.strategy()),
        _ => outline.application(),
    };
    let class = match outline.rng.u32(0..12) {
        0 => "of-yesterday",
        _ => CLASS,
    };
    let what = What::Backup { application, class };
    add(outline, at, tenant, name, what);
    draw_end(outline, at, tenant, name, application, "BackupJob");
    if outline.one_in(8) {
        let later = at + outline.rng.u32(0..200);
        let class = outline.pick(&[CLASS, "of-yesterday"]);
        add(outline, later, tenant, name, What::Edit(class));
    }
}

fn draw_restore(outline: &mut Outline) {
    let (tenant, name) = (outline.tenant(), outline.pick(&RESTORES));
    let strategy = outline.strategy();
    let application = outline.pick(strategy.applications());
    let backup = match outline.one_in(4) {
        true => outline.pick(&BACKUPS),
        false => outline.pick(&RESTORED),
    };
    // A Backup must be there first, as a rule, and now and then another is taken behind it.
    let at = outline.rng.u32(outline.horizon / 4..outline.horizon);
    let order = |outline: &mut Outline, at, name| {
        let class = CLASS;
        let what = What::Backup { application, class };
        add(outline, at, tenant, name, what);
    };
    if !outline.one_in(4) {
        let ordered = outline.rng.u32(0..at.max(1) / 2 + 1);
        order(outline, ordered, backup);
        if outline.one_in(2) {
            let later = outline.rng.u32(ordered..=at);
            let another = outline.pick(&BACKUPS);
            order(outline, later, another);
        }
    }
    let target = match outline.rng.u32(0..10) {
        0 => Some(nobodys(strategy)),
        1 => Some(application),
        2..5 => Some(outline.pick(strategy.applications())),
        5 => Some(outline.application()),
        _ => None,
    };
    let options = strategy.options();
    let options = match outline.rng.u32(0..8) {
        0..3 => options.get(outline.rng.usize(0..options.len().max(1))),
        _ => None,
    };
    let what = What::Restore {
        backup,
        target,
        options: options.cloned(),
    };
    add(outline, at, tenant, name, what);
    draw_end(outline, at, tenant, name, application, "RestoreJob");
}

/// An application that no tenant has.
fn nobodys(strategy: Strategy) -> Application {
    let kind = strategy.applications()[0].kind;
    Application {
        kind,
        name: "other",
    }
}

/// Now and then a job is deleted again, and now and then another takes its name.
fn draw_end(
    outline: &mut Outline,
    at: u32,
    tenant: &'static str,
    name: &'static str,
    application: Application,
    kind: &'static str,
) {
    if outline.one_in(3) {
        let later = at + outline.rng.u32(0..400);
        add(outline, later, tenant, name, What::Delete(kind));
        if kind == "BackupJob" && outline.one_in(2) {
            let again = later + outline.rng.u32(0..200);
            let class = CLASS;
            let what = What::Backup { application, class };
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
            What::Backup { application, class } => (
                "BackupJob",
                json!({ "backupClassName": class, "applicationRef": application.reference() }),
            ),
            What::Restore {
                backup,
                target,
                options,
            } => {
                let mut spec = json!({ "backupRef": { "name": backup } });
                if let Some(target) = target {
                    spec["targetApplicationRef"] = target.reference();
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
            What::Backup { application, class } => write!(
                f,
                "a user creates BackupJob {tenant}/{name} of {application} with class {class}"
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
                    write!(f, " into {target}")?;
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
