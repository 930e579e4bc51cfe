//! Users let Plans make backups, change them, delete them, and create them anew.

use std::fmt;

use backup_api::names::API_VERSION;
use serde_json::{Value, json};

use crate::{
    ground::{Ground, text},
    happening::Happening,
    schedule::Outline,
};

/// Few names, so that Plans are created anew and take over what another has left.
const NAMES: [&str; 2] = ["often", "seldom"];

/// Schedules that fire a few times in a history.
const SCHEDULES: [&str; 4] = ["*/10 * * * *", "*/10 * * * *", "*/5 * * * *", "@every 7m"];

/// Schedules that never fire: one that cannot be read, a day that no calendar has.
const INVALID: [&str; 2] = ["61 * * * *", "0 0 30 2 *"];

/// What a user does to a Plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlanEvent {
    pub(crate) tenant: &'static str,
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// With this spec.
    Created(Value),
    /// These fields of its spec are others from now on.
    Changed(Value),
    Deleted,
}

pub(crate) fn draw(outline: &mut Outline) {
    if !outline.one_in(2) {
        return;
    }
    let (tenant, name) = (outline.tenant(), outline.pick(&NAMES));
    let at = outline.rng.u32(0..outline.horizon / 2);
    add(outline, at, tenant, name, What::Created);
    for _ in 0..outline.rng.u32(0..4) {
        let at = outline.rng.u32(at..outline.horizon);
        let change = change(outline);
        push(outline, at, tenant, name, What::Changed(change));
    }
    if outline.one_in(3) {
        let at = outline.rng.u32(at..outline.horizon);
        push(outline, at, tenant, name, What::Deleted);
        if outline.one_in(2) {
            let again = at + outline.rng.u32(0..300);
            add(outline, again, tenant, name, What::Created);
        }
    }
}

/// A Plan of some spec.
fn add(
    outline: &mut Outline,
    at: u32,
    tenant: &'static str,
    name: &'static str,
    what: fn(Value) -> What,
) {
    let spec = spec(outline);
    push(outline, at, tenant, name, what(spec));
}

fn push(outline: &mut Outline, at: u32, tenant: &'static str, name: &'static str, what: What) {
    let event = PlanEvent { tenant, name, what };
    outline.add_anytime(at, Happening::Plan(event));
}

fn spec(outline: &mut Outline) -> Value {
    let mut spec = json!({
        "applicationRef": outline.application().reference(),
        "backupClassName": "cozy-default",
        "schedule": { "cron": schedule(outline) },
        "concurrencyPolicy": outline.pick(&["Allow", "Forbid", "Forbid", "Replace"]),
        "suspend": outline.one_in(10),
    });
    if outline.rng.bool() {
        spec["retentionPolicy"] = json!({ "keepLast": outline.pick(&[1, 2]) });
    }
    if outline.rng.bool() {
        spec["successfulJobsHistoryLimit"] = json!(outline.rng.u32(0..2));
        spec["failedJobsHistoryLimit"] = json!(outline.rng.u32(0..2));
    }
    spec
}

fn schedule(outline: &mut Outline) -> &'static str {
    match outline.one_in(8) {
        true => outline.pick(&INVALID),
        false => outline.pick(&SCHEDULES),
    }
}

fn change(outline: &mut Outline) -> Value {
    match outline.rng.u32(0..6) {
        0 | 1 => json!({ "suspend": true }),
        2 => json!({ "suspend": false }),
        3 => json!({ "schedule": { "cron": schedule(outline) } }),
        4 => json!({ "retentionPolicy": { "keepLast": 1 } }),
        _ => json!({ "applicationRef": outline.application().reference() }),
    }
}

impl PlanEvent {
    pub(crate) fn happen(&self, ground: &Ground) {
        match &self.what {
            What::Created(spec) => ground.create(&json!({
                "apiVersion": API_VERSION,
                "kind": "Plan",
                "metadata": { "name": self.name, "namespace": self.tenant },
                "spec": spec,
            })),
            What::Changed(change) => {
                ground.change("Plan", self.tenant, self.name, &json!({ "spec": change }))
            }
            What::Deleted => ground.delete(API_VERSION, "Plan", Some(self.tenant), self.name),
        }
    }
}

/// Nobody's Plans make jobs any more, or a history would never end.
pub(crate) fn suspend_all(ground: &Ground) {
    for plan in ground.cluster.objects() {
        if text(&plan, "/kind") == "Plan" {
            let (namespace, name) = (
                text(&plan, "/metadata/namespace"),
                text(&plan, "/metadata/name"),
            );
            let change = json!({ "spec": { "suspend": true } });
            ground.change("Plan", namespace, name, &change);
        }
    }
}

impl fmt::Display for PlanEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, name, .. } = self;
        match &self.what {
            What::Created(spec) => write!(f, "a user creates Plan {tenant}/{name}: {spec}"),
            What::Changed(change) => write!(f, "a user changes Plan {tenant}/{name}: {change}"),
            What::Deleted => write!(f, "a user deletes Plan {tenant}/{name}"),
        }
    }
}
