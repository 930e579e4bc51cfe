//! Where the spec of a Pod is, and what the level `restricted` requires of it.

use backup_api::PodSecurityLevel;
use serde_json::{Map, Value};

use super::{super::Form, standard};

/// Where kinds of Kubernetes have the spec of a Pod. Elsewhere it is known by its shape.
const KNOWN: [(&str, &str); 9] = [
    ("Pod", "/spec"),
    ("PodTemplate", "/template/spec"),
    ("ReplicationController", "/spec/template/spec"),
    ("ReplicaSet", "/spec/template/spec"),
    ("Deployment", "/spec/template/spec"),
    ("StatefulSet", "/spec/template/spec"),
    ("DaemonSet", "/spec/template/spec"),
    ("Job", "/spec/template/spec"),
    ("CronJob", "/spec/jobTemplate/spec/template/spec"),
];

/// The lists of containers of a Pod.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Volumes that hold nothing of the node's, and need no privileged driver.
const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Where a kind of Kubernetes has the spec of a Pod.
pub(super) fn known(kind: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, pointer)| *pointer)
}

/// Whether a value has the shape of a Pod's spec, or of the part of one that adds containers.
pub(super) fn is_spec(value: &Value) -> bool {
    CONTAINERS
        .iter()
        .any(|list| value.get(list).is_some_and(Value::is_array))
}

/// Whether a spec says which containers the Pod has, and so all that there is to say of it.
pub(super) fn is_whole(spec: &Map<String, Value>, form: Form) -> bool {
    let adds =
        !spec.contains_key("containers") && CONTAINERS.iter().any(|list| spec.contains_key(*list));
    form == Form::Whole && !adds
}

/// What the level `restricted` requires, and a field by itself cannot show.
pub(super) fn required(
    level: PodSecurityLevel,
    spec: &Map<String, Value>,
    form: Form,
) -> Result<(), String> {
    if !standard::is_held_to(level, PodSecurityLevel::Restricted) {
        return Ok(());
    }
    volumes(spec)?;
    let is_whole = is_whole(spec, form);
    let of_pod = spec.get("securityContext").unwrap_or(&Value::Null);
    for list in CONTAINERS {
        for container in spec
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = container["name"].as_str().unwrap_or_default();
            of_container(container, of_pod, is_whole)
                .map_err(|control| format!("{control} of container {name:?}"))?;
        }
    }
    Ok(())
}

/// Each container by itself, or where a container may leave it to the Pod, either of them. What a patch leaves out may
/// be there.
fn of_container(container: &Value, of_pod: &Value, is_whole: bool) -> Result<(), String> {
    let context = &container["securityContext"];
    if context["allowPrivilegeEscalation"] != false {
        return Err("Privilege Escalation, allowPrivilegeEscalation is not false".to_owned());
    }
    let dropped = context["capabilities"]["drop"].as_array();
    if !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL")) {
        return Err("Capabilities, capabilities.drop has no ALL".to_owned());
    }
    let either = |field: &str| {
        let own = &context[field];
        if own.is_null() { &of_pod[field] } else { own }
    };
    if is_whole && *either("runAsNonRoot") != true {
        return Err("Running as Non-root, runAsNonRoot is not true".to_owned());
    }
    if is_whole && either("seccompProfile").is_null() {
        return Err("Seccomp, there is no seccompProfile".to_owned());
    }
    Ok(())
}

fn volumes(spec: &Map<String, Value>) -> Result<(), String> {
    for volume in spec
        .get("volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let sources = volume.as_object().into_iter().flatten();
        let odd = sources
            .filter(|(field, value)| *field != "name" && !value.is_null())
            .find(|(field, _)| !RESTRICTED_VOLUMES.contains(&field.as_str()));
        if let Some((source, _)) = odd {
            return Err(format!("Volume Types, a volume is of {source}"));
        }
    }
    Ok(())
}
