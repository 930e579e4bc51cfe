//! The Pod Security Standards of Kubernetes 1.36, as far as a field by itself can break them.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>. Names of the controls are theirs. A Pod for
//! Windows is judged like one for Linux: it gets nothing less to do. What must be there, and is not a matter of one field,
//! is in `templates`.

use backup_api::PodSecurityLevel::{self, Baseline, Restricted};
use serde_json::Value;

/// A control of one field.
struct Control {
    /// The loosest level that has it.
    level: PodSecurityLevel,
    name: &'static str,
    /// The field, wherever it stands in a template.
    field: &'static str,
    /// Whether a value passes.
    allows: fn(&Value) -> bool,
}

/// Every control. Where two levels differ, both rows hold for the stricter.
const CONTROLS: [Control; 21] = [
    control(Baseline, "HostProcess", "hostProcess", is_not_true),
    control(Baseline, "Host Namespaces", "hostNetwork", is_not_true),
    control(Baseline, "Host Namespaces", "hostPID", is_not_true),
    control(Baseline, "Host Namespaces", "hostIPC", is_not_true),
    control(Baseline, "Privileged Containers", "privileged", is_not_true),
    control(Baseline, "Capabilities", "capabilities", |value| {
        items(value, "add").all(|added| is_one_of(added, &BASELINE_CAPABILITIES))
    }),
    control(Baseline, "HostPath Volumes", "hostPath", Value::is_null),
    control(Baseline, "Host Ports", "hostPort", |value| {
        value.is_null() || value.as_u64() == Some(0)
    }),
    control(Baseline, "Host Probes", "httpGet", has_no_host),
    control(Baseline, "Host Probes", "tcpSocket", has_no_host),
    control(Baseline, "AppArmor", "appArmorProfile", |value| {
        value.is_null() || is_one_of(&value["type"], &["RuntimeDefault", "Localhost"])
    }),
    control(Baseline, "AppArmor", "annotations", |value| {
        annotations(value, "container.apparmor.security.beta.kubernetes.io/").all(|profile| {
            matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/")
        })
    }),
    control(Baseline, "SELinux", "seLinuxOptions", |value| {
        is_one_of_or_unset(&value["type"], &SELINUX_TYPES)
            && is_one_of_or_unset(&value["user"], &[])
            && is_one_of_or_unset(&value["role"], &[])
    }),
    control(Baseline, "/proc Mount Type", "procMount", |value| {
        is_one_of_or_unset(value, &["Default"])
    }),
    control(Baseline, "Seccomp", "seccompProfile", |value| {
        value.is_null() || is_one_of(&value["type"], &["RuntimeDefault", "Localhost"])
    }),
    control(Baseline, "Seccomp", "annotations", |value| {
        annotations(value, "seccomp.security.alpha.kubernetes.io/")
            .chain(annotations(
                value,
                "container.seccomp.security.alpha.kubernetes.io/",
            ))
            .all(|profile| profile != "unconfined")
    }),
    control(Baseline, "Sysctls", "sysctls", |value| {
        let mut sysctls = value.as_array().into_iter().flatten();
        sysctls.all(|sysctl| is_one_of(&sysctl["name"], &SAFE_SYSCTLS))
    }),
    control(
        Restricted,
        "Privilege Escalation",
        "allowPrivilegeEscalation",
        is_not_true,
    ),
    control(Restricted, "Running as Non-root", "runAsNonRoot", |value| {
        value.as_bool() != Some(false)
    }),
    control(
        Restricted,
        "Running as Non-root user",
        "runAsUser",
        |value| value.as_f64() != Some(0.0),
    ),
    control(Restricted, "Capabilities", "capabilities", |value| {
        items(value, "add").all(|added| is_one_of(added, &["NET_BIND_SERVICE"]))
    }),
];

const fn control(
    level: PodSecurityLevel,
    name: &'static str,
    field: &'static str,
    allows: fn(&Value) -> bool,
) -> Control {
    Control {
        level,
        name,
        field,
        allows,
    }
}

/// Capabilities that a container has anyway.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SELINUX_TYPES: [&str; 4] = [
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

/// Sysctls that are a container's own.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Whether a field passes at a level; the control that it breaks, and its value, otherwise.
pub(super) fn setting(level: PodSecurityLevel, name: &str, value: &Value) -> Result<(), String> {
    let mut controls = CONTROLS
        .iter()
        .filter(|control| control.field == name && is_held_to(level, control.level));
    match controls.find(|control| !(control.allows)(value)) {
        Some(control) => Err(format!("{}, {name} is {value}", control.name)),
        None => Ok(()),
    }
}

/// Whether a field makes a Pod safer, so that a patch must not remove it.
pub(super) fn hardens(level: PodSecurityLevel, name: &str) -> bool {
    is_held_to(level, Restricted)
        && matches!(
            name,
            "securityContext"
                | "podSecurityContext"
                | "allowPrivilegeEscalation"
                | "runAsNonRoot"
                | "seccompProfile"
                | "capabilities"
                | "drop"
        )
}

/// Whether a Pod of a level keeps the controls of another.
pub(super) fn is_held_to(level: PodSecurityLevel, controls: PodSecurityLevel) -> bool {
    level <= controls
}

fn is_not_true(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
}

fn has_no_host(value: &Value) -> bool {
    is_one_of_or_unset(&value["host"], &[])
}

fn is_one_of(value: &Value, allowed: &[&str]) -> bool {
    value.as_str().is_some_and(|text| allowed.contains(&text))
}

fn is_one_of_or_unset(value: &Value, allowed: &[&str]) -> bool {
    value.is_null() || value == "" || is_one_of(value, allowed)
}

fn items<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(list)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The values of annotations whose names begin with a prefix.
fn annotations<'a>(value: &'a Value, prefix: &'static str) -> impl Iterator<Item = &'a str> {
    let all = value.as_object().into_iter().flatten();
    all.filter(move |(name, _)| name.starts_with(prefix))
        .filter_map(|(_, value)| value.as_str())
}
