//! Where an action reaches, and which kinds.

use backup_sandbox::{
    WrittenKind,
    contract::{Lifetime, ObjectRef},
};
use serde_json::Value;

use crate::{admit::Case, object};
use backup_api::names::GROUP;

/// Groups whose objects give rights, or decide what others may do. No strategy needs them, and RBAC alone would have to
/// be without a mistake.
const GOVERNING_GROUPS: [&str; 8] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "rbac.authorization.k8s.io",
    "events.k8s.io",
];

/// Kinds of the core group of which the same holds. Events go through `plan.event`.
const GOVERNING_KINDS: [&str; 4] = ["ServiceAccount", "Namespace", "Node", "Event"];

/// Cluster-scoped kinds that belong to a namespace, and where they say to which: JSON pointers into the object.
const VOLUMES: [(&str, &str, &str); 2] = [
    ("", "PersistentVolume", "/spec/claimRef/namespace"),
    (
        "snapshot.storage.k8s.io",
        "VolumeSnapshotContent",
        "/spec/volumeSnapshotRef/namespace",
    ),
];

/// Where an object lies, seen from a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a namespace that the job is about.
    Own,
    /// In a system namespace of the plugin, among the objects of others.
    System,
    /// In no namespace.
    Cluster,
}

/// Where a namespace lies, seen from a job; none where it is not the job's business.
pub(crate) fn place(case: &Case, namespace: Option<&str>) -> Option<Place> {
    let Some(namespace) = namespace else {
        return Some(Place::Cluster);
    };
    if case
        .allowed_namespaces
        .iter()
        .any(|allowed| allowed == namespace)
    {
        return Some(Place::Own);
    }
    let grant = &case.binding.serving.grant;
    grant
        .is_system_namespace(Some(namespace))
        .then_some(Place::System)
}

/// How a namespace is refused.
pub(crate) fn outside(case: &Case, name: &str) -> String {
    format!(
        "names {name}, outside of the job's namespace {} and of the plugin's system namespaces",
        case.allowed_namespaces.join(", ")
    )
}

/// The namespace that a cluster-scoped object belongs to, as far as a kind can say it.
pub(crate) fn owner_namespace<'a>(
    api_version: &str,
    kind: &str,
    object: &'a Value,
) -> Option<&'a str> {
    if api_version == "v1" && kind == "Namespace" {
        return Some(object::text(object, &["metadata", "name"]));
    }
    let pointer = owner_pointer(api_version, kind)?;
    object.pointer(pointer).and_then(Value::as_str)
}

/// Where an object of a cluster-scoped kind says which namespace it belongs to.
pub(crate) fn owner_pointer(api_version: &str, kind: &str) -> Option<&'static str> {
    let group = object::group(api_version);
    VOLUMES
        .iter()
        .find(|(of, name, _)| *of == group && *name == kind)
        .map(|(_, _, pointer)| *pointer)
}

/// Namespace and kind of a target.
pub(super) fn check<'a>(
    case: &'a Case,
    verb: &str,
    target: &ObjectRef,
) -> Result<&'a WrittenKind, String> {
    let name = object::describe(target);
    match place(case, target.namespace.as_deref()) {
        None => return Err(outside(case, &name)),
        Some(Place::Cluster) => cluster_scoped(verb, target, &name)?,
        Some(Place::Own | Place::System) => in_its_place(case, target)?,
    }
    written(case, verb, target)
}

/// A kind that the strategy says it has in system namespaces only stays there: its account has no right elsewhere, and
/// a job that waited for one would wait in vain.
pub(super) fn in_its_place(case: &Case, target: &ObjectRef) -> Result<(), String> {
    let serving = &case.binding.serving;
    let manifest = serving.strategy.manifest();
    let is_bound = manifest.is_in_system_namespaces(&target.api_version, &target.kind);
    if !is_bound
        || serving
            .grant
            .is_system_namespace(target.namespace.as_deref())
    {
        return Ok(());
    }
    Err(format!(
        "names {}, of a kind that its manifest says it has in system namespaces only",
        object::describe(target)
    ))
}

/// The kind of a target alone: no grant and no setting makes another one fit.
pub(super) fn written<'a>(
    case: &'a Case,
    verb: &str,
    target: &ObjectRef,
) -> Result<&'a WrittenKind, String> {
    let name = object::describe(target);
    kind(target, &name)?;
    let manifest = case.binding.serving.strategy.manifest();
    manifest
        .writes
        .iter()
        .find(|written| written.is(&target.api_version, &target.kind))
        .filter(|written| written.actions.iter().any(|action| action == verb))
        .ok_or_else(|| {
            format!(
                "would {verb} {name} ({}), which its manifest does not say it does",
                target.api_version
            )
        })
}

/// A new volume would be a way to the data of any other: only one that is there can be changed or deleted.
fn cluster_scoped(verb: &str, target: &ObjectRef, name: &str) -> Result<(), String> {
    let is_volume = owner_pointer(&target.api_version, &target.kind).is_some();
    if is_volume && matches!(verb, "merge" | "delete") {
        return Ok(());
    }
    Err(format!(
        "names {name} without a namespace; cluster-scoped objects are not open to it, but for volumes to merge and delete"
    ))
}

fn kind(target: &ObjectRef, name: &str) -> Result<(), String> {
    closed(&target.api_version, &target.kind)
        .map_or(Ok(()), |why| Err(format!("names {name}{why}")))
}

/// Whether strategies may write a kind at all, whatever they were granted.
#[must_use]
pub fn is_writable(api_version: &str, kind: &str) -> bool {
    closed(api_version, kind).is_none()
}

/// Why no strategy writes a kind: words that go on after a name.
fn closed(api_version: &str, kind: &str) -> Option<&'static str> {
    let group = object::group(api_version);
    if group == GROUP || group.ends_with(".backups.cozystack.io") {
        return Some(", a kind of the host's own");
    }
    if group.is_empty() && kind.eq_ignore_ascii_case("Secret") {
        return Some("; no strategy writes Secrets");
    }
    let governs =
        GOVERNING_GROUPS.contains(&group) || (group.is_empty() && GOVERNING_KINDS.contains(&kind));
    governs.then_some("; no strategy writes kinds that give rights or speak for others")
}

/// An object cannot be owned across namespaces: it would be taken for an orphan and removed at once.
pub(super) fn lifetime(case: &Case, object: &Value, lifetime: Lifetime) -> Result<(), String> {
    let namespace = object::text(object, &["metadata", "namespace"]);
    if lifetime == Lifetime::Kept || namespace == case.request.job.namespace {
        return Ok(());
    }
    let name = object::describe(&object::reference(object));
    Err(format!(
        "names {name} to go with the job, outside of the job's namespace"
    ))
}
