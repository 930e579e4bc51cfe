//! Who owns which fields: `structured-merge-diff/merge` and `apimachinery/pkg/util/managedfields`.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde_json::{Value, json};

use super::{
    super::{ApiError, ApiReason, Part},
    check,
    fields::Fields,
    kinds::{Kind, StatusWrite},
    typed,
};

/// How a manager writes. One name that applies and updates is two managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Apply,
    Update,
}

/// An entry of managed fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Manager {
    name: String,
    way: Way,
    api_version: String,
    status: bool,
}

/// What a manager owns, and since when: none for one that has changed nothing yet.
#[derive(Clone, Debug, Default)]
struct Owned {
    fields: Fields,
    time: Option<i64>,
}

/// What each manager owns of one object. Never empty-handed.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(Arc<Map>);

/// The same entries in the same order. Times count only as far as they change the order, as in the API server,
/// where such a change is one that is stored.
impl PartialEq for Owners {
    fn eq(&self, other: &Self) -> bool {
        let fields = |owners: &Self| -> Vec<(Manager, Fields)> {
            owners
                .entries()
                .map(|(manager, owned)| (manager.clone(), owned.fields.clone()))
                .collect()
        };
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.len() == other.0.len() && fields(self) == fields(other))
    }
}

impl Owners {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of `metadata.managedFields`.
    fn entries(&self) -> impl Iterator<Item = (&Manager, &Owned)> {
        let mut entries: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| {
            (
                manager.way,
                owned.time.unwrap_or_default(),
                &manager.name,
                &manager.api_version,
                manager.status,
            )
        });
        entries.into_iter()
    }

    /// As `metadata.managedFields`, without times.
    pub(super) fn to_json(&self) -> Value {
        let entry = |(manager, owned): (&Manager, &Owned)| {
            let operation = match manager.way {
                Way::Apply => "Apply",
                Way::Update => "Update",
            };
            let mut entry = json!({
                "manager": manager.name, "operation": operation, "apiVersion": manager.api_version,
                "fieldsType": "FieldsV1", "fieldsV1": owned.fields.to_json(),
            });
            if manager.status {
                entry["subresource"] = "status".into();
            }
            entry
        };
        Value::Array(self.entries().map(entry).collect())
    }
}

/// Never owned: the API server's own, and what tells the object from others.
static IDENTITY: LazyLock<Fields> = LazyLock::new(|| {
    Fields::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// What a write of a part resets, and therefore never owns.
fn reset(kind: &Kind, part: Part) -> Fields {
    match (part, kind.status) {
        (Part::Main, StatusWrite::Absent) => Fields::default(),
        (Part::Main, _) => Fields::of(&[&["status"]]),
        (Part::Status, StatusWrite::WithMetadata) => Fields::of(&[&["spec"]]),
        (Part::Status, _) => Fields::of(&[&["metadata"], &["spec"]]),
    }
}

fn manager(kind: &Kind, name: &str, way: Way, part: Part) -> Manager {
    Manager {
        name: name.to_owned(),
        way,
        api_version: kind.api_version(),
        status: part == Part::Status,
    }
}

type Map = BTreeMap<Manager, Owned>;

/// Takes from everybody but `own` what changes on the way from `old` to `new`. Says what changes.
fn take(
    kind: &Kind,
    old: &Value,
    new: &Value,
    reset: &Fields,
    own: &Manager,
    owners: &mut Map,
) -> typed::Comparison {
    let change = typed::compare(old, new, &kind.shape);
    let change = typed::Comparison {
        removed: change.removed.without(reset),
        modified: change.modified.without(reset),
        added: change.added.without(reset),
    };
    let touched = change.modified.union(&change.added);
    for (_, owned) in owners.iter_mut().filter(|(manager, _)| **manager != *own) {
        let fields = &owned.fields;
        owned.fields = fields
            .difference(&fields.intersection(&touched))
            .difference(&change.removed);
    }
    owners.retain(|_, owned| !owned.fields.is_empty());
    change
}

/// Who writes what, when.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) part: Part,
    /// Seconds since the Unix epoch.
    pub(super) now: i64,
}

/// After a write that is no apply: its manager owns what it changed. An object that nobody owned anything of stays
/// so, as with objects from before the API server kept books; and the books are thrown away where a field has a type
/// that its schema does not allow, even if the write is refused for it, or the field left aside, only later.
pub(super) fn update(
    kind: &Kind,
    old: Option<&Value>,
    new: &Value,
    owners: &Owners,
    writer: Writer<'_>,
) -> Owners {
    if owners.is_empty() && old.is_some() || !check::fits(new, &kind.shape) {
        return Owners::default();
    }
    update_more(kind, old, new, owners, writer)
}

/// As [`update`], also where nobody owned anything yet: one write that changes both parts.
pub(super) fn update_more(
    kind: &Kind,
    old: Option<&Value>,
    new: &Value,
    owners: &Owners,
    writer: Writer<'_>,
) -> Owners {
    let nothing = blank(kind);
    let mut map = (*owners.0).clone();
    own_changes(kind, old.unwrap_or(&nothing), new, &mut map, writer);
    Owners(Arc::new(map))
}

fn own_changes(kind: &Kind, old: &Value, new: &Value, owners: &mut Map, writer: Writer<'_>) {
    let reset = reset(kind, writer.part);
    let own = manager(kind, writer.manager, Way::Update, writer.part);
    // The write itself counts as a stranger, so that a manager loses of its own what it removes or changes.
    let stranger = Manager {
        name: String::new(),
        ..own.clone()
    };
    let change = take(kind, old, new, &reset, &stranger, owners);
    let gained = change
        .modified
        .union(&change.added)
        .without(&reset)
        .difference(&IDENTITY);
    if !gained.is_empty() {
        let owned = owners.entry(own).or_default();
        owned.fields = owned.fields.union(&gained);
        owned.time = Some(writer.now);
    }
}

fn blank(kind: &Kind) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.kind})
}

/// Server-side apply, forced: the object with the configuration laid over it, without what this manager applied
/// last time, does not apply now and nobody else owns.
///
/// # Errors
/// Invalid where the configuration does not fit the kind's schema. The API server answers 500, which the adapter of the
/// real cluster takes for the refusal that it is, by its words.
pub(super) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    configuration: &Value,
    owners: &Owners,
    writer: Writer<'_>,
) -> Result<(Value, Owners), ApiError> {
    let problems = check::check(configuration, &kind.shape);
    if !problems.is_empty() {
        return Err(misfit(kind, configuration, &problems));
    }
    let nothing = blank(kind);
    let live_or_blank = live.unwrap_or(&nothing);
    let mut map = (*owners.0).clone();
    if owners.is_empty() && live.is_some() {
        let before = Writer {
            manager: "before-first-apply",
            ..writer
        };
        own_changes(kind, &nothing, live_or_blank, &mut map, before);
    }
    let own = manager(kind, writer.manager, Way::Apply, writer.part);
    let reset = reset(kind, writer.part);
    let merged =
        typed::merge(Some(live_or_blank), Some(configuration), &kind.shape).unwrap_or(Value::Null);
    let last = map.remove(&own).unwrap_or_default();
    let fields = typed::fields(configuration, &kind.shape).without(&reset);
    let time = last.time;
    map.insert(own.clone(), Owned { fields, time });
    let new = prune(kind, &merged, &last.fields, &map);
    take(kind, live_or_blank, &new, &reset, &own, &mut map);
    if let Some(owned) = map.remove(&own) {
        let fields = owned.fields.difference(&IDENTITY);
        if !fields.is_empty() {
            let time = if new == *live_or_blank {
                owned.time
            } else {
                Some(writer.now)
            };
            map.insert(own, Owned { fields, time });
        }
    }
    Ok((new, Owners(Arc::new(map))))
}

/// Removes what was applied last and is owned by nobody now.
fn prune(kind: &Kind, merged: &Value, last: &Fields, owners: &Map) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let shape = &kind.shape;
    let fields = |value: &Value| typed::fields(value, shape).with_declared_parents(shape);
    let last = last.with_declared_parents(shape);
    let everything = fields(merged);
    let pruned = typed::remove(merged, &last, shape);
    let owned = owners
        .values()
        .fold(Fields::default(), |all, owned| all.union(&owned.fields));
    let kept = fields(&pruned).union(&owned.with_declared_parents(shape));
    let pruned = typed::remove(merged, &everything.difference(&kept), shape);
    let gone = everything.difference(&fields(&pruned)).intersection(&last);
    typed::remove(merged, &gone, shape)
}

fn misfit(kind: &Kind, configuration: &Value, problems: &[String]) -> ApiError {
    let text = match problems {
        [one] => one.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    let metadata = &configuration["metadata"];
    let message = format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {text}",
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
        kind.group,
        kind.version,
        kind.kind,
    );
    ApiError::new(ApiReason::Invalid, message)
}
